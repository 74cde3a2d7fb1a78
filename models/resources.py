"""Storing what was fetched from iCloud: resources, the occurrences in them, and with them the blocked slots."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from domain.busy import Occurrence
from domain.copies import appointment_of
from domain.ids import Kind, derived_id
from domain.interval import Span
from models.booking import Appointment
from models.calendar import Calendar
from models.changelog import Ledger
from models.database import Db, Row, execute, execute_many, fetch, marks
from models.settle import Roll, chunks, differs, insert_rows, settle_events, update_rows

_EVENT_COLUMNS = (
    "id",
    "subaccount_id",
    "user_id",
    "calendar_id",
    "resource_id",
    "uid",
    "key",
    "title",
    "starts",
    "ends",
    "busy_starts",
    "busy_ends",
    "travel_before",
    "travel_after",
    "is_all_day",
    "start_date",
    "end_date",
    "is_recurring",
    "show_as",
    "status",
    "participation",
    "blocks",
    "appointment_id",
)
_LONGEST_UID = 1000


@dataclass(frozen=True, slots=True)
class StoredProblem:
    """Why a resource could not be read whole, and the time that is blocked because of it."""

    uid: str | None
    code: str
    message: str
    blocked: Span | None

    def as_json(self) -> dict[str, object]:
        return {
            "uid": self.uid,
            "code": self.code,
            "message": self.message,
            "blocked": None if self.blocked is None else list(self.blocked),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadResource:
    """A resource as fetched and read. `keeps_events`: unreadable now, so what was last readable goes on blocking."""

    href: str
    etag: str
    body: str
    uid: str | None
    occurrences: tuple[Occurrence, ...]
    problems: tuple[StoredProblem, ...] = ()
    is_readable: bool = True
    is_open_ended: bool = False
    keeps_events: bool = False


def resource_id(calendar: Calendar, href: str) -> str:
    return _resource_id(calendar.id, href)


@functools.lru_cache(maxsize=2048)
def _resource_id(calendar_id: str, href: str) -> str:
    """Of one page, each is asked for a few times."""
    return derived_id(Kind.RESOURCE, calendar_id, href)


async def store_resources(
    ledger: Ledger,
    calendar: Calendar,
    found: Sequence[ReadResource],
    *,
    owns: Mapping[str, Appointment],
    roll: Roll | None = None,
) -> None:
    """Puts them in place of what was stored of them; the log hears of the slots that changed.

    `owns`: the appointments that some are our copies of, by href.
    """
    if not found:
        return
    stored = await _stored(ledger.db, calendar, [each.href for each in found])
    salts = await _salts(ledger.db, calendar, found, stored)
    await _upsert(ledger.db, calendar, found, salts, owns)
    read = [each for each in found if not each.keeps_events]
    ids = [resource_id(calendar, each.href) for each in read]
    wanted: dict[str, Row] = {}
    known: dict[str, Occurrence] = {}
    for each in read:
        for row, occurrence in _event_rows(calendar, each, salts[each.href], _id_of(owns.get(each.href))):
            wanted[row["id"]], known[row["id"]] = row, occurrence
    events = await _replace_events(ledger.db, ids, wanted)
    stored_slots = await _of_resources(ledger.db, "blocked_slot", ids)
    await settle_events(ledger, calendar, events, stored_slots, roll=roll, known=known)


async def known_etags(db: Db, calendar: Calendar, hrefs: Sequence[str] | None) -> dict[str, str]:
    """ETags by href: of these resources, or of all that the calendar has."""
    if hrefs is None:
        rows = await fetch(db, "SELECT href, etag FROM resource WHERE calendar_id = $1", calendar.id)
    else:
        ids = [resource_id(calendar, href) for href in hrefs]
        rows = await _named(db, "SELECT href, etag FROM resource WHERE id IN", ids)
    return {row["href"]: row["etag"] for row in rows}


_NOT_GIVEN = StoredProblem(None, "UNREADABLE", "iCloud lists this event and does not give it.", None)


async def note_not_given(ledger: Ledger, calendar: Calendar, hrefs: Sequence[str]) -> None:
    """Listed, and not given however often it was asked for. What is held of it stays; its ETag says: fetch it."""
    stored = await _stored(ledger.db, calendar, hrefs)
    found = [
        ReadResource(
            href=href,
            etag="",
            body="",
            uid=None,
            occurrences=(),
            problems=(_NOT_GIVEN,),
            is_readable=False,
            keeps_events=href in stored,
        )
        for href in hrefs
    ]
    await store_resources(ledger, calendar, found, owns={})


async def not_given(db: Db, calendar: Calendar) -> list[str]:
    rows = await fetch(
        db,
        "SELECT href FROM resource WHERE calendar_id = $1 AND etag = '' AND has_problems",
        calendar.id,
    )
    return [row["href"] for row in rows]


async def own_appointments(
    db: Db, calendar: Calendar, found: Sequence[ReadResource]
) -> dict[str, Appointment]:
    """Which are copies of this user's appointments: by href, else by UID, also after a new connection.

    A UID names its appointment whatever is on record of it: written anew under another one, it still knows the first,
    and a database that is older than the calendar knows what was written since.
    """
    mine = Appointment.filter(subaccount_id=calendar.subaccount_id, user_id=calendar.user_id).using_db(db)
    placed = await _placed(db, calendar, [each.href for each in found])
    by_href = {each.href: each for each in await mine.filter(id__in=placed)} if placed else {}
    names = {each.href: appointment_of(each.uid or "") for each in found if each.href not in by_href}
    wanted = {name for name in names.values() if name is not None}
    by_name = {each.id: each for each in await mine.filter(id__in=list(wanted))} if wanted else {}
    owns = {each.href: by_href.get(each.href) or by_name.get(names.get(each.href) or "") for each in found}
    return {href: own for href, own in owns.items() if own is not None}


async def _placed(db: Db, calendar: Calendar, hrefs: Sequence[str]) -> list[str]:
    """The appointments whose copies stand there. Of most pages none, and plain SQL finds that out quickly."""
    rows = await _named(
        db,
        "SELECT id FROM appointment WHERE subaccount_id = $1 AND user_id = $2 AND calendar_id = $3 AND href IN",
        hrefs,
        calendar.subaccount_id,
        calendar.user_id,
        calendar.id,
    )
    return [row["id"] for row in rows]


async def held_bodies(db: Db, calendar: Calendar, hrefs: Sequence[str]) -> dict[str, str]:
    """The texts that are stored of these, by href."""
    ids = [resource_id(calendar, href) for href in hrefs]
    return {
        row["href"]: row["body"]
        for row in await _named(db, "SELECT href, body FROM resource WHERE id IN", ids)
    }


async def own_hrefs(db: Db, calendar: Calendar) -> list[str]:
    """Of the copies of appointments that stand in this calendar."""
    rows = await fetch(
        db,
        "SELECT href FROM resource WHERE calendar_id = $1 AND appointment_id IS NOT NULL",
        calendar.id,
    )
    return [row["href"] for row in rows]


async def forget_resources(ledger: Ledger, calendar: Calendar, hrefs: Iterable[str]) -> None:
    """They are proved gone: with them go their events and slots."""
    ids = [resource_id(calendar, href) for href in hrefs]
    slots = await _of_resources(ledger.db, "blocked_slot", ids)
    await settle_events(ledger, calendar, [], slots)
    for table, column in (("event", "resource_id"), ("resource", "id")):
        for part in chunks(ids):
            await execute(ledger.db, f"DELETE FROM {table} WHERE {column} IN ({marks(len(part))})", *part)  # noqa: S608


async def settle_copies(ledger: Ledger, appointment_id: str) -> None:
    """After an appointment moved or was cancelled: what its copies in iCloud block is decided anew."""
    rows = await fetch(
        ledger.db,
        "SELECT id, calendar_id FROM resource WHERE subaccount_id = $1 AND user_id = $2 AND appointment_id = $3",
        ledger.user.subaccount,
        ledger.user.user,
        appointment_id,
    )
    for row in rows:
        calendar = await Calendar.filter(id=row["calendar_id"]).using_db(ledger.db).get()
        events = await _of_resources(ledger.db, "event", [row["id"]])
        slots = await _of_resources(ledger.db, "blocked_slot", [row["id"]])
        await settle_events(ledger, calendar, events, slots)


async def drop_past(db: Db, calendar_ids: Sequence[str], *, before: int) -> None:
    """What ended before the window is kept no longer; the past is no change."""
    for table in ("blocked_slot", "event"):
        for calendar in calendar_ids:
            await execute(db, f"DELETE FROM {table} WHERE calendar_id = $1 AND ends <= $2", calendar, before)  # noqa: S608


async def _stored(db: Db, calendar: Calendar, hrefs: Sequence[str]) -> dict[str, Row]:
    rows = await _named(
        db,
        "SELECT href, uid, salt FROM resource WHERE id IN",
        [resource_id(calendar, href) for href in hrefs],
    )
    return {row["href"]: row for row in rows}


async def _salts(
    db: Db, calendar: Calendar, found: Sequence[ReadResource], stored: dict[str, Row]
) -> dict[str, str]:
    """Empty for the first resource of a UID in this calendar; a second one's events are named apart by its href."""
    uids = {each.uid[:_LONGEST_UID] for each in found if each.uid}
    rows = await _named(
        db,
        "SELECT uid, href FROM resource WHERE subaccount_id = $1 AND user_id = $2 AND calendar_id = $3"
        " AND salt = '' AND uid IN",
        list(uids),
        calendar.subaccount_id,
        calendar.user_id,
        calendar.id,
    )
    first = {row["uid"]: row["href"] for row in rows}
    salts: dict[str, str] = {}
    for each in found:
        uid = (each.uid or "")[:_LONGEST_UID]
        known = stored.get(each.href)
        if known is not None and known["uid"] == uid:
            salts[each.href] = known["salt"]
        elif uid:
            salts[each.href] = "" if first.setdefault(uid, each.href) == each.href else each.href
        else:
            salts[each.href] = each.href
    return salts


async def _upsert(
    db: Db,
    calendar: Calendar,
    found: Sequence[ReadResource],
    salts: dict[str, str],
    owns: Mapping[str, Appointment],
) -> None:
    kept = [each for each in found if each.keeps_events]
    read = [each for each in found if not each.keeps_events]
    await execute_many(
        db,
        "INSERT INTO resource (id, subaccount_id, user_id, calendar_id, href, etag, uid, salt, body, is_readable,"
        " is_open_ended, problems, has_problems, appointment_id)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
        " ON CONFLICT (id) DO UPDATE SET etag = excluded.etag, uid = excluded.uid, salt = excluded.salt,"
        " body = excluded.body, is_readable = excluded.is_readable, is_open_ended = excluded.is_open_ended,"
        " problems = excluded.problems, has_problems = excluded.has_problems,"
        " appointment_id = excluded.appointment_id",
        [
            (
                resource_id(calendar, each.href),
                calendar.subaccount_id,
                calendar.user_id,
                calendar.id,
                each.href,
                each.etag,
                (each.uid or "")[:_LONGEST_UID],
                salts[each.href],
                each.body,
                each.is_readable,
                each.is_open_ended,
                *_problems(each),
                _id_of(owns.get(each.href)),
            )
            for each in read
        ],
    )
    # The last readable text stays, to be expanded again when the horizon rolls.
    await execute_many(
        db,
        "UPDATE resource SET etag = $1, is_readable = $2, problems = $3, has_problems = $4 WHERE id = $5",
        [(each.etag, False, *_problems(each), resource_id(calendar, each.href)) for each in kept],
    )


def _id_of(own: Appointment | None) -> str | None:
    return None if own is None else own.id


def _problems(each: ReadResource) -> tuple[str, bool]:
    return json.dumps([problem.as_json() for problem in each.problems], ensure_ascii=False), bool(
        each.problems
    )


def _event_rows(
    calendar: Calendar, each: ReadResource, salt: str, appointment_id: str | None
) -> Iterable[tuple[Row, Occurrence]]:
    resource = resource_id(calendar, each.href)
    seen: dict[tuple[str, str], int] = {}
    for occurrence in each.occurrences:
        uid = occurrence.uid[:_LONGEST_UID]
        # A single event is the same one when it is moved; of a series each date is.
        name = occurrence.key if occurrence.is_recurring else ""
        count = seen[uid, name] = seen.get((uid, name), 0) + 1
        # A component of another UID than its resource's can have a namesake elsewhere: its href keeps them apart.
        apart = salt if uid and uid == (each.uid or "")[:_LONGEST_UID] else each.href
        row = {
            "id": derived_id(Kind.EVENT, calendar.id, uid, name, apart, str(count)),
            "subaccount_id": calendar.subaccount_id,
            "user_id": calendar.user_id,
            "calendar_id": calendar.id,
            "resource_id": resource,
            "uid": uid,
            "key": occurrence.key,
            "title": occurrence.title,
            "starts": occurrence.start,
            "ends": occurrence.end,
            "busy_starts": occurrence.busy.start,
            "busy_ends": occurrence.busy.end,
            "travel_before": occurrence.travel_before,
            "travel_after": occurrence.travel_after,
            "is_all_day": occurrence.is_all_day,
            "start_date": occurrence.start_date,
            "end_date": occurrence.end_date,
            "is_recurring": occurrence.is_recurring,
            "show_as": str(occurrence.show_as),
            "status": str(occurrence.status),
            "participation": None if occurrence.participation is None else str(occurrence.participation),
            "blocks": False,
            "appointment_id": appointment_id,
        }
        yield row, occurrence


async def _replace_events(db: Db, resources: Sequence[str], wanted: dict[str, Row]) -> list[Row]:
    """The events that stand after it, each with the `blocks` that is stored."""
    stored = {row["id"]: row for row in await _of_resources(db, "event", resources)}
    for name, row in wanted.items():
        if name in stored:
            row["blocks"] = bool(stored[name]["blocks"])
    await execute_many(
        db, "DELETE FROM event WHERE id = $1", [(name,) for name in stored if name not in wanted]
    )
    added = [row for name, row in wanted.items() if name not in stored]
    changed = [
        row for name, row in wanted.items() if name in stored and differs(stored[name], row, _EVENT_COLUMNS)
    ]
    await insert_rows(db, "event", _EVENT_COLUMNS, added)
    await update_rows(db, "event", _EVENT_COLUMNS, changed)
    return list(wanted.values())


async def _of_resources(db: Db, table: str, ids: Sequence[str]) -> list[Row]:
    return await _named(db, f"SELECT * FROM {table} WHERE resource_id IN", ids)  # noqa: S608


async def _named(db: Db, statement: str, names: Sequence[str], *values: object) -> list[Row]:
    """A statement that ends in `IN`, for any number of names."""
    rows: list[Row] = []
    for part in chunks(names):
        rows += await fetch(db, f"{statement} ({marks(len(part), after=len(values))})", *values, *part)
    return rows
