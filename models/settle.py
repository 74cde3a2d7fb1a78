"""From events to blocked slots: decided anew from what is stored, compared with what stands, and noted in the log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter

from domain.busy import BusyPolicy, BusyRule, EventStatus, Occurrence, Participation, ShowAs
from domain.changes import MOST_SLOTS_AT_ONCE, ChangeKind, Slot
from domain.interval import Span
from models.blocked import OVERLAPS_FAR, OVERLAPS_NEAR
from models.calendar import Calendar
from models.changelog import Ledger, erase_icloud_texts
from models.icloud import ICloudAccount
from models.outbox import UNSENT, drop_writes
from models.rows import LASTING, OwnCopy, R, SlotRow, changed_rows, pieces, slot_rows
from models.sql import Db, Row, execute, execute_many, fetch, insert_many, marks

MOST_NAMES = 500
"""How many ids one statement names: PostgreSQL and SQLite both bound them."""


@dataclass(frozen=True, slots=True)
class Roll:
    """The window before this one: what only came into it or fell out of it is no change, and is not noted."""

    known_until: int
    window: Span

    def is_silent(self, slot: Slot) -> bool:
        return slot.start >= self.known_until or slot.end <= self.window.start


def policy_of(calendar: Calendar) -> BusyPolicy:
    known = {field.name for field in fields(BusyPolicy)}
    return BusyPolicy(**{name: BusyRule(rule) for name, rule in calendar.policy.items() if name in known})


def closes_time(calendar: Calendar) -> bool:
    return (calendar.is_conflict or calendar.is_linked) and not calendar.is_gone


async def settle_calendar(ledger: Ledger, calendar: Calendar) -> None:
    """Brings a calendar's slots to its policy and its place; one that is no longer read, or gone, loses all it had."""
    if not closes_time(calendar):
        await forget_calendar(ledger, calendar)
        return
    events = await fetch(ledger.db, "SELECT * FROM event WHERE calendar_id = $1", calendar.id)
    await settle_events(ledger, calendar, events, await _slots_of_calendar(ledger.db, calendar))
    await settle_conflicts(ledger)


async def settle_events(
    ledger: Ledger, calendar: Calendar, events: Sequence[Row], stored: Mapping[str, SlotRow]
) -> None:
    """Stores the slots of these events in place of `stored`, and says on each event whether it blocks."""
    owns = await own_copies(ledger.db, {event["resource_id"] for event in events if event["appointment_id"]})
    policy = policy_of(calendar)
    wanted: dict[str, SlotRow] = {}
    blocks: list[tuple[bool, str]] = []
    for event in events:
        found = pieces(occurrence_of(event), policy, owns.get(event["resource_id"]))
        if bool(event["blocks"]) != bool(found):
            blocks.append((bool(found), event["id"]))
        for row in slot_rows(calendar, event, found):
            wanted[row.id] = row
    await execute_many(ledger.db, "UPDATE event SET blocks = $1 WHERE id = $2", blocks)
    await replace_slots(ledger, stored, wanted)


_CONFLICTS = (
    f"SELECT a.id, a.has_conflict, EXISTS (SELECT 1 FROM blocked_slot b WHERE {OVERLAPS_NEAR})"  # noqa: S608 - constants.
    f" OR EXISTS (SELECT 1 FROM blocked_slot b WHERE {OVERLAPS_FAR}) AS clashes"
    " FROM appointment a WHERE a.user_id = $1 AND a.ends > $2 AND a.status = 'CONFIRMED'"
    " UNION ALL SELECT a.id, a.has_conflict, FALSE FROM appointment a"
    " WHERE a.user_id = $1 AND a.has_conflict AND a.status <> 'CONFIRMED'"
)


async def settle_conflicts(ledger: Ledger) -> None:
    """Appointments to come that newly overlap a blocked slot, or no longer do."""
    rows = await fetch(ledger.db, _CONFLICTS, ledger.user.user, int(ledger.now))
    changed = [row for row in rows if bool(row["has_conflict"]) != bool(row["clashes"])]
    await execute_many(
        ledger.db,
        "UPDATE appointment SET has_conflict = $1 WHERE id = $2",
        [(bool(row["clashes"]), row["id"]) for row in changed],
    )
    for row in changed:
        kind = ChangeKind.CONFLICT_DETECTED if row["clashes"] else ChangeKind.CONFLICT_RESOLVED
        ledger.note(kind, row["id"])


async def forget_calendar(ledger: Ledger, calendar: Calendar) -> None:
    """Its events, texts and slots go, and it is read from the start if it is ever read again."""
    await replace_slots(ledger, await _slots_of_calendar(ledger.db, calendar), {})
    await execute(ledger.db, "DELETE FROM event WHERE calendar_id = $1", calendar.id, is_long=True)
    await execute(ledger.db, "DELETE FROM resource WHERE calendar_id = $1", calendar.id, is_long=True)
    await execute(
        ledger.db,
        "UPDATE calendar SET sync_token = NULL, listed_token = NULL, last_synced_at = NULL, compare_at = NULL,"
        " generation = generation + 1 WHERE id = $1",
        calendar.id,
    )
    await settle_conflicts(ledger)


async def forget_account(ledger: Ledger, account: ICloudAccount) -> None:
    """All that came from iCloud goes, out of the log too; appointments and manual slots stay."""
    await execute(
        ledger.db,
        "DELETE FROM blocked_slot WHERE user_id = $1 AND source = 'ICLOUD'",
        account.user_id,
        is_long=True,
    )
    of_account = "calendar_id IN (SELECT id FROM calendar WHERE account_id = $1)"
    for table in ("event", "resource"):
        await execute(ledger.db, f"DELETE FROM {table} WHERE {of_account}", account.id, is_long=True)  # noqa: S608
    await execute(ledger.db, "DELETE FROM calendar WHERE account_id = $1", account.id)
    await drop_writes(ledger)
    await erase_icloud_texts(ledger.db, ledger.user)
    ledger.reset_slots()
    await settle_conflicts(ledger)


def occurrence_of(event: Row) -> Occurrence:
    """A row of `event` as the value that the policy decides on."""
    return Occurrence(
        uid=event["uid"],
        key=event["key"],
        start=event["starts"],
        end=event["ends"],
        busy=Span(event["busy_starts"], event["busy_ends"]),
        is_all_day=bool(event["is_all_day"]),
        start_date=event["start_date"],
        end_date=event["end_date"],
        title=event["title"] or "",
        is_recurring=bool(event["is_recurring"]),
        show_as=ShowAs(event["show_as"]),
        status=EventStatus(event["status"]),
        participation=None if event["participation"] is None else Participation(event["participation"]),
        travel_before=event["travel_before"],
        travel_after=event["travel_after"],
    )


def chunks(names: Iterable[str]) -> Iterable[list[str]]:
    every = list(names)
    return (every[start : start + MOST_NAMES] for start in range(0, len(every), MOST_NAMES))


async def own_copies(db: Db, resources: set[str]) -> dict[str, OwnCopy]:
    found: dict[str, OwnCopy] = {}
    for part in chunks(resources):
        rows = await fetch(
            db,
            "SELECT r.id, r.etag AS seen, a.starts, a.ends, a.status, a.write_state, a.etag"  # noqa: S608 - marks.
            f" FROM resource r JOIN appointment a ON a.id = r.appointment_id WHERE r.id IN ({marks(len(part))})",
            *part,
        )
        found |= {row["id"]: _own_copy(row) for row in rows}
    return found


def _own_copy(row: Row) -> OwnCopy:
    return OwnCopy(
        span=Span(row["starts"], row["ends"]),
        is_confirmed=row["status"] == "CONFIRMED",
        awaits_our_write=row["write_state"] in UNSENT and row["seen"] in {"", row["etag"]},
    )


async def _slots_of_calendar(db: Db, calendar: Calendar) -> dict[str, SlotRow]:
    rows = await fetch(
        db,
        f"SELECT {', '.join(SlotRow._fields)} FROM blocked_slot WHERE user_id = $1 AND calendar_id = $2",  # noqa: S608
        calendar.user_id,
        calendar.id,
    )
    return {row["id"]: SlotRow(**row) for row in rows}


async def replace_slots(
    ledger: Ledger,
    stored: Mapping[str, SlotRow],
    wanted: Mapping[str, SlotRow],
    *,
    roll: Roll | None = None,
) -> None:
    """By id. The log hears of what changed."""
    added, changed, removed = await replace_rows(ledger.db, "blocked_slot", stored, wanted)
    if roll is None and len(added) + len(removed) > MOST_SLOTS_AT_ONCE:
        ledger.many_slots(len(added) + len(changed) + len(removed))
        return
    for row in removed:
        if roll is None or not roll.is_silent(row.slot):
            ledger.slot_removed(row.slot)
    for row in added:
        if roll is None or not roll.is_silent(row.slot):
            ledger.slot_added(row.slot)
    for row in changed:
        previous = stored[row.id].slot
        if previous != row.slot:
            ledger.slot_changed(row.slot, previous)


async def replace_rows(
    db: Db, table: str, stored: Mapping[str, R], wanted: Mapping[str, R]
) -> tuple[list[R], list[R], list[R]]:
    """By id; the rows that were added, those that were changed, and those that were dropped."""
    added, changed, removed = changed_rows(stored, wanted)
    await execute_many(db, f"DELETE FROM {table} WHERE id = $1", [(row.id,) for row in removed])  # noqa: S608
    if added:
        await insert_many(db, table, added[0]._fields, added)
    await update_rows(db, table, changed)
    return added, changed, removed


async def update_rows(db: Db, table: str, rows: Sequence[R]) -> None:
    """By `id`."""
    if not rows:
        return
    columns = [name for name in rows[0]._fields if name not in LASTING]
    sets = ", ".join(f"{name} = ${place}" for place, name in enumerate(columns, 1))
    statement = f"UPDATE {table} SET {sets} WHERE id = ${len(columns) + 1}"  # noqa: S608 - names of ours.
    await execute_many(db, statement, list(map(attrgetter(*columns, "id"), rows)))
