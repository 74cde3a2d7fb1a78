"""When each calendar is next compared in full, and how late each account's last poll began."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("slotwire", "0002_no_overlap")]
    operations = [
        ops.AddField(model_name="Calendar", name="compare_at", field=fields.FloatField(null=True)),
        ops.AddField(model_name="ICloudAccount", name="poll_lag", field=fields.FloatField(null=True)),
        # Those that were read before are compared from the next day on.
        ops.RunSQL("UPDATE calendar SET compare_at = last_synced_at + 86400", reverse_sql="SELECT 1"),
    ]
