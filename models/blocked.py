"""Blocked slots: time closed by a busy event or by hand."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

LONGEST_NEAR = 90_000
"""Seconds: 25 hours, the longest day there is. A slot of no more starts less than that before what it overlaps."""

_OVERLAPS = "b.user_id = a.user_id AND b.starts < a.ends AND b.ends > a.starts"
OVERLAPS_NEAR = f"{_OVERLAPS} AND b.starts > a.starts - {LONGEST_NEAR}"
"""In SQL, a slot `b` and an appointment `a`: looked for near by."""
OVERLAPS_FAR = f"{_OVERLAPS} AND b.starts <= a.starts - {LONGEST_NEAR} AND b.ends - b.starts > {LONGEST_NEAR}"
"""All the others: of the few that are longer, which have an index of their own (migration 0006)."""


class BlockedSlot(Model):
    # For an event derived as the event's own id is, with the piece's number: stays when the occurrence moves.
    id = fields.CharField(max_length=32, primary_key=True)
    subaccount_id = fields.CharField(max_length=32)
    user_id = fields.CharField(max_length=32)
    starts = fields.BigIntField()
    ends = fields.BigIntField()
    is_all_day = fields.BooleanField(default=False)
    source = fields.CharField(max_length=8)
    title = fields.TextField(null=True)
    event_id = fields.CharField(max_length=32, null=True)
    calendar_id = fields.CharField(max_length=32, null=True)
    resource_id = fields.CharField(max_length=32, null=True)

    class Meta:
        table = "blocked_slot"
        indexes = (("user_id", "starts", "id"),)
