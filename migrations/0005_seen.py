"""Keeps, on each account, what a poll saw when it had nothing to do: another process compares with it and reads nothing.

Like the revision, that it is written beside, it is no field of the model: saving a whole row would write an old one back.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("slotwire", "0004_revisions")]
    operations = [
        ops.RunSQL(
            "ALTER TABLE icloud_account ADD COLUMN seen VARCHAR(160)",
            reverse_sql="ALTER TABLE icloud_account DROP COLUMN seen",
        )
    ]
