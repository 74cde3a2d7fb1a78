"""Calendars as iCloud lists them, their resources as fetched, and the occurrences in them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tortoise import fields
from tortoise.models import Model

from domain.calendars import CalendarKind, ListedCalendar, NotSelectableReason, why_not_linked
from domain.ids import Kind, new_id
from domain.paths import path_key
from models.icloud import ICloudAccount
from models.sql import Db, execute, fetch, models_of


class Calendar(Model):
    id = fields.CharField(max_length=32, primary_key=True)
    subaccount_id = fields.CharField(max_length=32)
    user_id = fields.CharField(max_length=32)
    account_id = fields.CharField(max_length=32)
    # The identity: iCloud's partition host can change, the path does not.
    path = fields.CharField(max_length=1000)
    name = fields.CharField(max_length=255)
    color = fields.CharField(max_length=7, null=True)
    kind = fields.CharField(max_length=16)
    can_write = fields.BooleanField()
    is_gone = fields.BooleanField(default=False)
    is_linked = fields.BooleanField(default=False)
    is_conflict = fields.BooleanField(default=False)
    # Only what differs from the default: `{"declined": "BLOCK"}`.
    policy: fields.Field[dict[str, str]] = fields.JSONField(default=dict)
    # Where the next sync-collection goes on; saved once all that it told of is stored. What an interrupted read
    # stored before is known by its ETags and not fetched again.
    sync_token = fields.TextField(null=True)
    # The home listing's token at the last complete pull: equal means nothing to ask.
    listed_token = fields.TextField(null=True)
    # Null until it was read whole once.
    last_synced_at = fields.FloatField(null=True)
    # When all that is held of it is next compared with a full listing: deltas can leave out what they should tell.
    compare_at = fields.FloatField(null=True)
    # Counts how often all that was read of it was dropped: a poll that began before stores nothing after.
    generation = fields.IntField(default=0)

    class Meta:
        table = "calendar"
        unique_together = (("account_id", "path"),)
        indexes = (("subaccount_id", "user_id"),)


class Resource(Model):
    id = fields.CharField(max_length=32, primary_key=True)
    subaccount_id = fields.CharField(max_length=32)
    user_id = fields.CharField(max_length=32)
    calendar_id = fields.CharField(max_length=32)
    href = fields.CharField(max_length=1000)
    etag = fields.CharField(max_length=255)
    uid = fields.CharField(max_length=1000, null=True)
    # Empty for the first resource of a UID in its calendar, else the href: keeps the ids of the two apart.
    salt = fields.CharField(max_length=1000, default="")
    # Kept to expand again when the horizon rolls or the owner's zone changes.
    body = fields.TextField()
    is_readable = fields.BooleanField(default=True)
    # Whether another day of horizon can bring more occurrences.
    is_open_ended = fields.BooleanField(default=False)
    problems: fields.Field[list[dict[str, object]]] = fields.JSONField(default=list)
    has_problems = fields.BooleanField(default=False)
    # The appointment that this is our copy of.
    appointment_id = fields.CharField(max_length=32, null=True)

    class Meta:
        table = "resource"
        unique_together = (("calendar_id", "href"),)
        # Beside these, partial ones of the few with problems, and of the few that are appointments' copies.
        indexes = (("calendar_id", "uid"),)


class Event(Model):
    # Derived from calendar, UID, original start (and salt): the same occurrence keeps its id.
    id = fields.CharField(max_length=32, primary_key=True)
    subaccount_id = fields.CharField(max_length=32)
    user_id = fields.CharField(max_length=32)
    calendar_id = fields.CharField(max_length=32)
    resource_id = fields.CharField(max_length=32)
    uid = fields.CharField(max_length=1000)
    key = fields.CharField(max_length=32)
    title = fields.TextField(null=True)
    starts = fields.BigIntField()
    ends = fields.BigIntField()
    busy_starts = fields.BigIntField()
    busy_ends = fields.BigIntField()
    travel_before = fields.IntField(default=0)
    travel_after = fields.IntField(default=0)
    is_all_day = fields.BooleanField()
    start_date = fields.CharField(max_length=10, null=True)
    end_date = fields.CharField(max_length=10, null=True)
    is_recurring = fields.BooleanField()
    show_as = fields.CharField(max_length=8)
    status = fields.CharField(max_length=12)
    participation = fields.CharField(max_length=16, null=True)
    blocks = fields.BooleanField()
    appointment_id = fields.CharField(max_length=32, null=True)

    class Meta:
        table = "event"
        # Fewer and shorter: each is one leaf more that a first sync writes for every row.
        indexes = (("user_id", "starts"), ("calendar_id", "resource_id"))


def why_unlinkable(calendar: Calendar) -> NotSelectableReason | None:
    """Why it can't be the linked calendar, or no longer; None where it can."""
    return why_not_linked(CalendarKind(calendar.kind), can_write=calendar.can_write, is_gone=calendar.is_gone)


def is_readable(calendar: Calendar) -> bool:
    """A subscription's events are none of ours. What is said to hold none is asked: it may have some left."""
    return calendar.kind != CalendarKind.SUBSCRIPTION


def are_read(chosen: Iterable[Calendar]) -> bool:
    """Each that there is to read. A subscription is no longer one of them, read before or not."""
    return all(
        calendar.last_synced_at is not None
        for calendar in chosen
        if not calendar.is_gone and is_readable(calendar)
    )


async def calendars_of(db: Db, account: ICloudAccount) -> list[Calendar]:
    """By name, then id; those that are gone from iCloud too, while they are linked or read."""
    rows = await fetch(db, "SELECT * FROM calendar WHERE account_id = $1 ORDER BY name, id", account.id)
    return models_of(Calendar, rows)


async def chosen_calendars(db: Db, account: ICloudAccount) -> list[Calendar]:
    """Those that are linked or read, gone from iCloud or not."""
    rows = await fetch(
        db, "SELECT * FROM calendar WHERE account_id = $1 AND (is_linked OR is_conflict)", account.id
    )
    return models_of(Calendar, rows)


class Facts(NamedTuple):
    """What a home shows of a calendar, but for its token."""

    path: str
    name: str
    color: str | None
    kind: str
    can_write: bool


async def known_calendars(db: Db, account: ICloudAccount) -> tuple[list[Calendar], frozenset[Facts]]:
    """The chosen ones, by name, then id, and the facts of all that are not gone."""
    rows = await fetch(db, "SELECT * FROM calendar WHERE account_id = $1", account.id)
    chosen = models_of(Calendar, [row for row in rows if row["is_linked"] or row["is_conflict"]])
    facts = (
        Facts(row["path"], row["name"], row["color"], row["kind"], bool(row["can_write"]))
        for row in rows
        if not row["is_gone"]
    )
    return sorted(chosen, key=lambda each: (each.name, each.id)), frozenset(facts)


def preference(calendar: Calendar) -> tuple[bool, bool, str]:
    """Of rows that turn out to be one calendar, the least is it."""
    return (not calendar.is_linked, not calendar.is_conflict, calendar.id)


async def store_listing(
    db: Db, account: ICloudAccount, listed: Sequence[ListedCalendar], *, now: float
) -> bool:
    """Brings the calendars' facts to what iCloud lists; whether anything changed.

    A calendar that is no longer listed is deleted, unless it is linked or a conflict calendar: that one is only
    marked as gone, and what becomes of its events is the caller's decision. One that is listed in another spelling of
    its path is the same, and keeps its own.
    """
    rows = sorted(await calendars_of(db, account), key=preference)
    known: dict[str, Calendar] = {}
    twins = [each for each in rows if known.setdefault(path_key(each.path), each) is not each]
    changed = False
    for item in listed:
        facts: dict[str, object] = {
            "name": item.name,
            "color": item.color,
            "kind": str(item.kind),
            "can_write": item.can_write,
            "is_gone": False,
        }
        calendar = known.pop(path_key(item.path), None)
        if calendar is not None:
            changed |= await _bring_to(db, calendar, facts)
            continue
        changed = True
        await Calendar.create(
            using_db=db,
            id=new_id(Kind.CALENDAR, now=now, entropy=os.urandom(10)),
            subaccount_id=account.subaccount_id,
            user_id=account.user_id,
            account_id=account.id,
            path=item.path,
            **facts,
        )
    for calendar in (*known.values(), *twins):
        if calendar.is_linked or calendar.is_conflict:
            changed |= await _bring_to(db, calendar, {"is_gone": True})
        else:
            changed = True
            await calendar.delete(using_db=db)
    return changed


async def _bring_to(db: Db, calendar: Calendar, facts: dict[str, object]) -> bool:
    """Whether any of them was another."""
    if all(getattr(calendar, name) == value for name, value in facts.items()):
        return False
    await calendar.update_from_dict(facts).save(using_db=db, update_fields=list(facts))
    return True


async def rewind(db: Db, calendar: Calendar) -> None:
    """Has the next poll ask for changes from where they were read up to when `calendar` was loaded.

    Not where it is to be read from the start since: chosen anew, or held against a full listing and found to lack some.
    """
    await execute(
        db,
        "UPDATE calendar SET sync_token = CASE WHEN sync_token IS NOT NULL THEN $1 END, listed_token = NULL"
        " WHERE id = $3"
        " AND (COALESCE(sync_token, '') <> COALESCE($1, '') OR COALESCE(listed_token, '') <> COALESCE($2, ''))",
        calendar.sync_token,
        calendar.listed_token,
        calendar.id,
    )
