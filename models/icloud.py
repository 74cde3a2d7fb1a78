"""The iCloud account of a user, and the Apple principals that are connected."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

UNKNOWN_ZONE = ""
"""`expanded_zone` where events were read for more than one zone, or for other addresses of the owner's."""


class ICloudAccount(Model):
    id = fields.CharField(max_length=32, primary_key=True)
    subaccount_id = fields.CharField(max_length=32)
    user_id = fields.CharField(max_length=32, unique=True)
    apple_id = fields.CharField(max_length=254)
    # HMAC of the DAV principal's path: aliases of one Apple account have one.
    principal_hmac = fields.CharField(max_length=64)
    principal_path = fields.CharField(max_length=1000)
    home_url = fields.CharField(max_length=1000)
    # The owner's own addresses, lower-case: how an invitation's answer is found.
    addresses: fields.Field[list[str]] = fields.JSONField(default=list)
    sealed_password = fields.BinaryField()
    status = fields.CharField(max_length=24)
    # Whether a choice of calendars was ever made, an empty one too. Until then availability is closed.
    has_chosen = fields.BooleanField(default=False)
    problem_code = fields.CharField(max_length=32, null=True)
    problem_message = fields.CharField(max_length=500, null=True)
    problem_since = fields.FloatField(null=True)
    retry_at = fields.FloatField(null=True)
    connected_at = fields.FloatField()
    # Start of the last poll that left every conflict calendar as it is in iCloud.
    last_synced_at = fields.FloatField(null=True)
    # Start of the last poll that ended well or badly; a poll asked for after it has not been answered yet.
    last_polled_at = fields.FloatField(null=True)
    last_changed_at = fields.FloatField(null=True)
    # Seconds between when the last poll was due and when it began.
    poll_lag = fields.FloatField(null=True)
    # Null while there is nothing to poll: no calendars chosen, or the password was refused for good.
    next_poll_at = fields.FloatField(null=True)
    poll_asked_at = fields.FloatField(null=True)
    watched_until = fields.FloatField(null=True)
    lease_owner = fields.CharField(max_length=64, null=True)
    lease_until = fields.FloatField(null=True)
    failures = fields.IntField(default=0)
    refusals = fields.IntField(default=0)
    # The zone and the end of the horizon that the stored events were expanded for; another zone or a new day
    # means: expand again, and until then availability is closed (another zone, or none: UNKNOWN_ZONE) or ends there
    # (the horizon).
    expanded_zone = fields.CharField(max_length=64, null=True)
    expanded_until = fields.BigIntField(null=True)
    # The rules of time zones that all of them were read by; null where by more than one version of these, or nobody
    # knows. They are read again, and serve meanwhile.
    expanded_rules = fields.CharField(max_length=64, null=True)
    progress_done = fields.IntField(null=True)
    progress_total = fields.IntField(null=True)

    class Meta:
        table = "icloud_account"
        indexes = (("next_poll_at",), ("subaccount_id", "user_id"))

    def clear_problem(self) -> None:
        """As a row in hand: to be stored by who has it."""
        self.problem_code = self.problem_message = self.problem_since = self.retry_at = None


class ApplePrincipal(Model):
    # One subaccount an Apple account: the primary key holds it under concurrent connects.
    hmac = fields.CharField(max_length=64, primary_key=True)
    subaccount_id = fields.CharField(max_length=32)

    class Meta:
        table = "apple_principal"
