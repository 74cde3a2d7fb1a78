"""Still shorter and fewer indexes of events and slots: a first sync writes a leaf of each for every row.

Events of one second are sorted when a page of them is asked for; an event's slots are found by the ids made of its own.
So those go whose event is gone: of what ended before the window, and closed a little of it.
"""

from tortoise import migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("slotwire", "0006_indexes")]
    operations = [
        ops.RunSQL(
            "DELETE FROM blocked_slot WHERE source = 'ICLOUD'"
            " AND NOT EXISTS (SELECT 1 FROM event WHERE event.id = blocked_slot.event_id)",
            reverse_sql="SELECT 1",
        ),
        ops.RemoveIndex("Event", fields=["user_id", "starts", "id"]),
        ops.AddIndex("Event", Index(fields=("user_id", "starts"))),
        ops.RemoveIndex("BlockedSlot", fields=["calendar_id", "resource_id"]),
    ]
