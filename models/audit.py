"""What was done in a subaccount, and by whom."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model


class AuditEntry(Model):
    id = fields.CharField(max_length=32, primary_key=True)
    subaccount_id = fields.CharField(max_length=32)
    at = fields.FloatField()
    actor = fields.CharField(max_length=200)
    action = fields.CharField(max_length=64)
    subject_id = fields.CharField(max_length=32, null=True)

    class Meta:
        table = "audit_entry"
        indexes = (("subaccount_id", "id"),)
