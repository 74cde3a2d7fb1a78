"""Keeps by which rules of time zones each account's events were read, and which of them processes have had of late.

Of those that were read before nobody knows: the first process with a sync loop reads them again, one account after the other.
"""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class AddColumn(ops.AddField):
    """Taken back as it came: on SQLite Tortoise would make the table anew, without what is no field of its model."""

    async def database_backward(self, app_label, old_state, new_state, state_editor=None):
        if state_editor is not None:
            await state_editor.client.execute_query(f"ALTER TABLE icloud_account DROP COLUMN {self.name}")


class Migration(migrations.Migration):
    dependencies = [("slotwire", "0007_narrower")]
    operations = [
        ops.CreateModel(
            name='ZoneRules',
            fields=[
                ('name', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ('seen_at', fields.FloatField()),
            ],
            options={'table': 'zone_rules', 'app': 'slotwire', 'pk_attr': 'name'},
            bases=['Model'],
        ),
        AddColumn(
            model_name="ICloudAccount", name="expanded_rules", field=fields.CharField(null=True, max_length=64)
        ),
    ]
