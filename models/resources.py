"""Storing what was fetched from iCloud: resources, the occurrences in them, and with them the blocked slots."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from domain.actor import UserRef
from domain.copies import appointment_of
from models.booking import Appointment
from models.calendar import Calendar, Resource
from models.changelog import Ledger
from models.held import of_names, resource_id, stored_rows
from models.rows import (
    NOT_GIVEN,
    EventRow,
    ReadResource,
    ResourceRow,
    Rows,
    SlotRow,
    problems_json,
    slot_ids,
)
from models.settle import (
    Roll,
    chunks,
    own_copies,
    policy_of,
    replace_rows,
    replace_slots,
    settle_events,
    update_rows,
)
from models.sql import Db, Row, execute, execute_many, fetch, insert_many, marks

_SLICE = 25
"""Resources whose rows are made in one go: a millisecond or so."""


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
    stored = await stored_rows(ledger.db, calendar, [each.href for each in found])
    salts = await _salts(ledger.db, calendar, found, stored)
    await _upsert(ledger.db, calendar, found, salts=salts, owns=owns, stored=stored)
    copies = await own_copies(ledger.db, {resource_id(calendar, href) for href in owns})
    policy, rows = policy_of(calendar), Rows()
    before = []
    for number, each in enumerate(found, 1):
        if number % _SLICE == 0:
            await asyncio.sleep(0)  # The loop's other tasks have a turn.
        name = resource_id(calendar, each.href)
        if each.keeps_events:
            continue
        if each.href in stored:
            before.append(name)
        rows.add(
            calendar, name, each, salts[each.href], policy,
            appointment=_id_of(owns.get(each.href)), copy=copies.get(name),
        )  # fmt: skip
    events = await _events(ledger.db, calendar, before)
    slots = await _slots(ledger.db, {name: event.appointment_id for name, event in events.items()})
    await replace_rows(ledger.db, "event", events, rows.events)
    await replace_slots(ledger, slots, rows.slots, roll=roll)


async def note_not_given(ledger: Ledger, calendar: Calendar, hrefs: Sequence[str]) -> None:
    """Listed, and not given however often it was asked for. What is held of it stays; its ETag says: fetch it."""
    stored = await stored_rows(ledger.db, calendar, hrefs)
    found = [
        ReadResource(
            href=href,
            etag="",
            body="",
            uid=None,
            occurrences=(),
            problems=(NOT_GIVEN,),
            is_readable=False,
            keeps_events=href in stored,
        )
        for href in hrefs
    ]
    await store_resources(ledger, calendar, found, owns={})


async def forget_etags(db: Db, calendar: Calendar, hrefs: Sequence[str]) -> None:
    """Has them fetched whatever ETag they are listed with."""
    await execute_many(
        db, "UPDATE resource SET etag = '' WHERE id = $1", [(resource_id(calendar, href),) for href in hrefs]
    )


async def forget_resources(ledger: Ledger, calendar: Calendar, hrefs: Iterable[str]) -> None:
    """They are proved gone: with them go their events and slots."""
    ids = [resource_id(calendar, href) for href in hrefs]
    events = await _of_resources(ledger.db, ("id", "appointment_id"), calendar, ids)
    await replace_slots(ledger, await _slots(ledger.db, _copies(events)), {})
    for part in chunks(ids):
        of_them = f"calendar_id = $1 AND resource_id IN ({marks(len(part), after=1)})"
        await execute(ledger.db, f"DELETE FROM event WHERE {of_them}", calendar.id, *part)  # noqa: S608
        # By their ids alone: SQLite would go through all of a calendar that is named beside.
        await execute(ledger.db, f"DELETE FROM resource WHERE id IN ({marks(len(part))})", *part)  # noqa: S608


async def release_copy(ledger: Ledger, calendar: Calendar, href: str, own: Appointment) -> None:
    """No copy of it stands there any more. Another's event that does is an ordinary one from now on."""
    name = resource_id(calendar, href)
    copy = await Resource.filter(id=name).using_db(ledger.db).first()
    if copy is None or not copy.uid or appointment_of(copy.uid) == own.id:
        await forget_resources(ledger, calendar, [href])
        return
    before = await _slots(ledger.db, _copies(await _all_of(ledger.db, calendar, name)))
    for table, column in (("resource", "id"), ("event", "resource_id")):
        statement = f"UPDATE {table} SET appointment_id = NULL WHERE calendar_id = $1 AND {column} = $2"  # noqa: S608
        await execute(ledger.db, statement, calendar.id, name)
    await settle_events(ledger, calendar, await _all_of(ledger.db, calendar, name), before)


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
        events = await _all_of(ledger.db, calendar, row["id"])
        await settle_events(ledger, calendar, events, await _slots(ledger.db, _copies(events)))


async def drop_past(db: Db, user: UserRef, *, before: int) -> None:
    """What ended before the window is kept no longer; the past is no change. No slot outlives its event."""
    ended = "user_id = $1 AND starts <= $2 AND ends <= $2"
    slots = f"DELETE FROM blocked_slot WHERE {ended} AND source = 'ICLOUD'"  # noqa: S608 - a constant.
    events = f"DELETE FROM event WHERE {ended} AND busy_ends + travel_after <= $2"  # noqa: S608
    for statement in (slots, events):
        await execute(db, statement, user.user, before, is_long=True)


async def _salts(
    db: Db, calendar: Calendar, found: Sequence[ReadResource], stored: dict[str, Row]
) -> dict[str, str]:
    """Empty for the first resource of a UID in this calendar; a second one's events are named apart by its href."""
    uids = {each.stored_uid for each in found if each.uid and not _is_named(each, stored)}
    rows = await of_names(
        db,
        "SELECT uid, href FROM resource WHERE calendar_id = $1 AND salt = '' AND uid IN",
        list(uids),
        calendar.id,
    )
    first = {row["uid"]: row["href"] for row in rows}
    salts: dict[str, str] = {}
    for each in found:
        uid = each.stored_uid
        if _is_named(each, stored):
            salts[each.href] = stored[each.href]["salt"]
        elif uid:
            salts[each.href] = "" if first.setdefault(uid, each.href) == each.href else each.href
        else:
            salts[each.href] = each.href
    return salts


def _is_named(each: ReadResource, stored: Mapping[str, Row]) -> bool:
    """Under the UID that it still has."""
    return each.href in stored and stored[each.href]["uid"] == each.stored_uid


async def _upsert(
    db: Db,
    calendar: Calendar,
    found: Sequence[ReadResource],
    *,
    salts: Mapping[str, str],
    owns: Mapping[str, Appointment],
    stored: Mapping[str, Row],
) -> None:
    rows = [
        ResourceRow(
            resource_id(calendar, each.href), calendar.subaccount_id, calendar.user_id, calendar.id,
            each.href, each.etag, each.stored_uid, salts[each.href], each.body, each.is_readable,
            each.is_open_ended, problems_json(each.problems) if each.problems else "[]", bool(each.problems),
            _id_of(owns.get(each.href)),
        )
        for each in found
        if not each.keeps_events
    ]  # fmt: skip
    await insert_many(db, "resource", ResourceRow._fields, [row for row in rows if row.href not in stored])
    await update_rows(db, "resource", [row for row in rows if row.href in stored])
    # The last readable text stays, to be expanded again when the horizon rolls.
    await execute_many(
        db,
        "UPDATE resource SET etag = $1, is_readable = $2, problems = $3, has_problems = $4 WHERE id = $5",
        [
            (
                each.etag,
                False,
                problems_json(each.problems),
                bool(each.problems),
                resource_id(calendar, each.href),
            )
            for each in found
            if each.keeps_events
        ],
    )


def _id_of(own: Appointment | None) -> str | None:
    return None if own is None else own.id


async def _events(db: Db, calendar: Calendar, resources: Sequence[str]) -> dict[str, EventRow]:
    rows = await _of_resources(db, EventRow._fields, calendar, resources)
    return {row["id"]: EventRow(**row) for row in rows}


async def _all_of(db: Db, calendar: Calendar, resource: str) -> list[Row]:
    return await fetch(
        db, "SELECT * FROM event WHERE calendar_id = $1 AND resource_id = $2", calendar.id, resource
    )


async def _of_resources(
    db: Db, columns: Sequence[str], calendar: Calendar, resources: Sequence[str]
) -> list[Row]:
    """Their events. By the calendar too: one index answers for both."""
    statement = f"SELECT {', '.join(columns)} FROM event WHERE calendar_id = $1 AND resource_id IN"  # noqa: S608
    return await of_names(db, statement, resources, calendar.id)


Copies = Mapping[str, str | None]
"""Events by id, each with the appointment that it is a copy of."""


def _copies(events: Iterable[Row]) -> Copies:
    return {event["id"]: event["appointment_id"] for event in events}


async def _slots(db: Db, events: Copies) -> dict[str, SlotRow]:
    """By the ids that they can have: an index of slots by resource would be one more leaf that each writes."""
    ids = [
        slot
        for event, appointment in events.items()
        for slot in slot_ids(event, is_copy=appointment is not None)
    ]
    rows = await of_names(db, f"SELECT {', '.join(SlotRow._fields)} FROM blocked_slot WHERE id IN", ids)  # noqa: S608
    return {row["id"]: SlotRow(**row) for row in rows}
