"""Blocked slots: time closed by a busy event or by hand."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model


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
        indexes = (("user_id", "starts", "id"), ("calendar_id", "resource_id"))
