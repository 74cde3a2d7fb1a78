"""Fewer and shorter indexes of what a first sync writes by ten thousands, and small ones for what every change asks.

A user's id is unique by itself, and what is asked of one resource names its calendar too.
"""

from tortoise import migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops


def instead(model, before, after):
    return [
        *(ops.RemoveIndex(model, fields=list(fields)) for fields in before),
        *(ops.AddIndex(model, Index(fields=fields)) for fields in after),
    ]


def rows(model):
    before = [("subaccount_id", "user_id", "starts", "id"), ("calendar_id",), ("resource_id",)]
    return instead(model, before, [("user_id", "starts", "id"), ("calendar_id", "resource_id")])


def partial(name, table, columns, where):
    return ops.RunSQL(
        f"CREATE INDEX {name} ON {table} ({columns}) WHERE {where}", reverse_sql=f"DROP INDEX {name}"
    )


class Migration(migrations.Migration):
    dependencies = [("slotwire", "0005_seen")]
    operations = [
        *rows("Event"),
        *rows("BlockedSlot"),
        *instead("Resource", [("subaccount_id", "user_id", "uid")], [("calendar_id", "uid")]),
        ops.AddIndex("Appointment", Index(fields=("calendar_id", "href"))),
        ops.AddIndex("Appointment", Index(fields=("user_id", "ends"))),
        partial("appointment_conflicts", "appointment", "user_id", "has_conflict"),
        partial("resource_copies", "resource", "appointment_id", "appointment_id IS NOT NULL"),
        partial("resource_problems", "resource", "calendar_id", "has_problems"),
        # Those of more than 25 hours, the longest day there is: what overlaps is else looked for near by.
        partial("blocked_slot_long", "blocked_slot", "user_id, starts", "ends - starts > 90000"),
    ]
