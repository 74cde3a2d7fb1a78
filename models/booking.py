"""What can be booked, what was booked, what is held, and what is still to be written to iCloud."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model


class AppointmentType(Model):
    id = fields.CharField(max_length=32, primary_key=True)
    subaccount_id = fields.CharField(max_length=32)
    user_id = fields.CharField(max_length=32)
    name = fields.CharField(max_length=200)
    slug = fields.CharField(max_length=80)
    duration_minutes = fields.IntField()
    step_minutes = fields.IntField()
    buffer_before_minutes = fields.IntField()
    buffer_after_minutes = fields.IntField()
    minimum_notice_minutes = fields.IntField()
    horizon_days = fields.IntField()
    maximum_per_day = fields.IntField(null=True)
    is_archived = fields.BooleanField(default=False)
    created_at = fields.FloatField()

    class Meta:
        table = "appointment_type"
        unique_together = (("subaccount_id", "slug"),)
        indexes = (("subaccount_id", "user_id"),)


class Appointment(Model):
    id = fields.CharField(max_length=32, primary_key=True)
    subaccount_id = fields.CharField(max_length=32)
    user_id = fields.CharField(max_length=32)
    type_id = fields.CharField(max_length=32, null=True)
    title = fields.CharField(max_length=400)
    starts = fields.BigIntField()
    ends = fields.BigIntField()
    # Seconds, as booked.
    buffer_before = fields.IntField(default=0)
    buffer_after = fields.IntField(default=0)
    status = fields.CharField(max_length=12)
    guest_name = fields.CharField(max_length=200)
    guest_email = fields.CharField(max_length=254)
    guest_phone = fields.CharField(max_length=50, null=True)
    notes = fields.TextField(null=True)
    cancelled_at = fields.FloatField(null=True)
    cancelled_by = fields.CharField(max_length=8, null=True)
    cancel_reason = fields.TextField(null=True)
    created_at = fields.FloatField()
    modified_at = fields.FloatField()
    # Counts what was said to the guest: SEQUENCE in iCloud, and what a write must match to be the last word.
    revision = fields.IntField(default=0)
    has_conflict = fields.BooleanField(default=False)
    # Its copy in iCloud. The calendar is the linked one when it was booked, or where it was first written.
    write_state = fields.CharField(max_length=20)
    calendar_id = fields.CharField(max_length=32, null=True)
    href = fields.CharField(max_length=1000, null=True)
    uid = fields.CharField(max_length=200, null=True)
    etag = fields.CharField(max_length=255, null=True)
    written_at = fields.FloatField(null=True)
    write_attempts = fields.IntField(default=0)
    write_problem = fields.CharField(max_length=500, null=True)

    class Meta:
        table = "appointment"
        indexes = (
            ("subaccount_id", "user_id", "starts", "id"),
            ("subaccount_id", "user_id", "uid"),
            ("calendar_id", "href"),
            ("user_id", "ends"),
        )


class PendingWrite(Model):
    # The outbox: one row an appointment whose copy in iCloud is not yet what it should be. What to do follows from
    # the appointment itself, so that several changes before a write become one.
    appointment_id = fields.CharField(max_length=32, primary_key=True)
    subaccount_id = fields.CharField(max_length=32)
    user_id = fields.CharField(max_length=32)
    # A write that was given up (FAILED) is looked at now and then.
    due_at = fields.FloatField(null=True)
    attempts = fields.IntField(default=0)
    lease_until = fields.FloatField(null=True)
    created_at = fields.FloatField()

    class Meta:
        table = "pending_write"
        indexes = (("due_at",), ("subaccount_id", "user_id"))


class Hold(Model):
    id = fields.CharField(max_length=32, primary_key=True)
    token = fields.CharField(max_length=64, unique=True)
    subaccount_id = fields.CharField(max_length=32)
    user_id = fields.CharField(max_length=32)
    type_id = fields.CharField(max_length=32)
    # HMAC of the guest's address: for the limit of live holds.
    address = fields.CharField(max_length=64, null=True)
    starts = fields.BigIntField()
    ends = fields.BigIntField()
    buffer_before = fields.IntField(default=0)
    buffer_after = fields.IntField(default=0)
    expires_at = fields.FloatField()

    class Meta:
        table = "hold"
        indexes = (("subaccount_id", "user_id", "expires_at"),)


class IdempotentCall(Model):
    # `key_id`, the operation's name and the caller's own key, joined: unique is what holds it.
    id = fields.CharField(max_length=300, primary_key=True)
    subaccount_id = fields.CharField(max_length=32)
    user_id = fields.CharField(max_length=32)
    # SHA-256 of the input: the same key with another one is a conflict.
    input_hash = fields.CharField(max_length=64)
    appointment_id = fields.CharField(max_length=32)
    created_at = fields.FloatField()

    class Meta:
        table = "idempotent_call"
        indexes = (("created_at",),)
