"""Subaccounts, their users, and the keys that speak for them."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model


class Subaccount(Model):
    id = fields.CharField(max_length=32, primary_key=True)
    name = fields.CharField(max_length=200)
    created_at = fields.FloatField()

    class Meta:
        table = "subaccount"


class User(Model):
    id = fields.CharField(max_length=32, primary_key=True)
    subaccount_id = fields.CharField(max_length=32)
    name = fields.CharField(max_length=200)
    email = fields.CharField(max_length=254, null=True)
    time_zone = fields.CharField(max_length=64)
    # Null until set: Monday to Friday, 09:00 to 17:00. Else `{"weekly": [[day, start, end]], "overrides":
    # {date: [[start, end]]}}`, days from Monday = 0, times in minutes after midnight.
    hours: fields.Field[dict[str, object] | None] = fields.JSONField(null=True)
    created_at = fields.FloatField()

    class Meta:
        table = "users"
        indexes = (("subaccount_id", "name", "id"),)


class Key(Model):
    id = fields.CharField(max_length=32, primary_key=True)
    subaccount_id = fields.CharField(max_length=32)
    user_id = fields.CharField(max_length=32, null=True)
    role = fields.CharField(max_length=16)
    label = fields.CharField(max_length=200)
    # SHA-256 of the secret, in hex: 256 random bits need no slow hash.
    secret_hash = fields.CharField(max_length=64, unique=True)
    allowed_origins: fields.Field[list[str] | None] = fields.JSONField(null=True)
    created_at = fields.FloatField()
    last_used_at = fields.FloatField(null=True)
    revoked_at = fields.FloatField(null=True)

    class Meta:
        table = "api_key"
        indexes = (("subaccount_id", "label", "id"),)
