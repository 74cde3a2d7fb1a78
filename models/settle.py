"""From events to blocked slots: decided anew from what is stored, compared with what stands, and noted in the log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType

from domain.busy import BusyPolicy, BusyRule, EventStatus, Occurrence, Participation, ShowAs, blocked_span
from domain.changes import BlockedSlotSource, ChangeKind, Slot
from domain.ids import Kind, derived_id
from domain.interval import Span
from models.calendar import Calendar
from models.changelog import Ledger, erase_icloud_texts, slots_of
from models.database import Db, Row, execute, execute_many, fetch, marks
from models.icloud import ICloudAccount
from models.outbox import WriteState, drop_writes

MOST_NAMES = 500
"""How many ids one statement names: PostgreSQL and SQLite both bound them."""

_BEFORE, _AFTER = 0, 1
_SLOT_COLUMNS = (
    "id",
    "subaccount_id",
    "user_id",
    "starts",
    "ends",
    "is_all_day",
    "source",
    "title",
    "event_id",
    "calendar_id",
    "resource_id",
)


@dataclass(frozen=True, slots=True)
class OwnCopy:
    """The appointment that a resource is our copy of, as far as it decides what the copy blocks."""

    span: Span
    is_confirmed: bool
    is_as_written: bool
    "A newer state is still to be written, and what is in iCloud is the last that we wrote or saw."


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


def pieces(occurrence: Occurrence, policy: BusyPolicy, own: OwnCopy | None) -> list[tuple[int, Span]]:
    """The time that an occurrence closes, by piece. A copy of ours closes only what its appointment does not."""
    span = blocked_span(occurrence, policy)
    if span is None:
        return []
    if own is None:
        return [(_BEFORE, span)]
    if not own.is_confirmed or own.is_as_written:
        return []
    both = [
        (_BEFORE, Span(span.start, min(span.end, own.span.start))),
        (_AFTER, Span(max(span.start, own.span.end), span.end)),
    ]
    return [(piece, left) for piece, left in both if not left.is_empty]


async def settle_calendar(ledger: Ledger, calendar: Calendar) -> None:
    """Brings a calendar's slots to its policy and its place; one that is no longer read, or gone, loses all it had."""
    if not closes_time(calendar):
        await forget_calendar(ledger, calendar)
        return
    events = await fetch(ledger.db, "SELECT * FROM event WHERE calendar_id = $1", calendar.id)
    stored = await fetch(ledger.db, "SELECT * FROM blocked_slot WHERE calendar_id = $1", calendar.id)
    await settle_events(ledger, calendar, events, stored)
    await settle_conflicts(ledger)


async def settle_events(
    ledger: Ledger,
    calendar: Calendar,
    events: Sequence[Row],
    stored: Sequence[Row],
    *,
    roll: Roll | None = None,
    known: Mapping[str, Occurrence] = MappingProxyType({}),
) -> None:
    """Stores the slots of these events in place of `stored`, and says on each event whether it blocks.

    `known`: the events' occurrences by id, where they were read just now.
    """
    owns = await _own_copies(ledger.db, {event["resource_id"] for event in events if event["appointment_id"]})
    policy = policy_of(calendar)
    wanted: dict[str, Row] = {}
    blocks: list[tuple[bool, str]] = []
    for event in events:
        occurrence = known.get(event["id"]) or occurrence_of(event)
        found = pieces(occurrence, policy, owns.get(event["resource_id"]))
        if bool(event["blocks"]) != bool(found):
            blocks.append((bool(found), event["id"]))
        for piece, span in found:
            row = _slot_row(calendar, event, span, piece)
            wanted[row["id"]] = row
    await execute_many(ledger.db, "UPDATE event SET blocks = $1 WHERE id = $2", blocks)
    await _replace_slots(ledger, {row["id"]: row for row in stored}, wanted, roll)


async def settle_conflicts(ledger: Ledger) -> None:
    """Appointments to come that newly overlap a blocked slot, or no longer do."""
    rows = await fetch(
        ledger.db,
        "SELECT a.id, a.has_conflict, a.status = 'CONFIRMED' AND EXISTS (SELECT 1 FROM blocked_slot b"
        " WHERE b.subaccount_id = a.subaccount_id AND b.user_id = a.user_id"
        " AND b.starts < a.ends AND b.ends > a.starts) AS clashes"
        " FROM appointment a WHERE a.subaccount_id = $1 AND a.user_id = $2"
        " AND (a.status = 'CONFIRMED' AND a.ends > $3 OR a.status <> 'CONFIRMED' AND a.has_conflict)",
        ledger.user.subaccount,
        ledger.user.user,
        int(ledger.now),
    )
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
    stored = await fetch(ledger.db, "SELECT * FROM blocked_slot WHERE calendar_id = $1", calendar.id)
    await _replace_slots(ledger, {row["id"]: row for row in stored}, {}, None)
    await execute(ledger.db, "DELETE FROM event WHERE calendar_id = $1", calendar.id)
    await execute(ledger.db, "DELETE FROM resource WHERE calendar_id = $1", calendar.id)
    await execute(
        ledger.db,
        "UPDATE calendar SET sync_token = NULL, listed_token = NULL, last_synced_at = NULL, compare_at = NULL,"
        " generation = generation + 1 WHERE id = $1",
        calendar.id,
    )
    await settle_conflicts(ledger)


async def forget_account(ledger: Ledger, account: ICloudAccount) -> None:
    """All that came from iCloud goes, out of the log too; appointments and manual slots stay."""
    of_account = "calendar_id IN (SELECT id FROM calendar WHERE account_id = $1)"
    for table in ("blocked_slot", "event", "resource"):
        await execute(ledger.db, f"DELETE FROM {table} WHERE {of_account}", account.id)  # noqa: S608
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


def chunks(names: Iterable[str], size: int = MOST_NAMES) -> Iterable[list[str]]:
    every = list(names)
    return (every[start : start + size] for start in range(0, len(every), size))


async def _own_copies(db: Db, resources: set[str]) -> dict[str, OwnCopy]:
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
    is_unsent = row["write_state"] in {WriteState.PENDING, WriteState.FAILED}
    return OwnCopy(
        span=Span(row["starts"], row["ends"]),
        is_confirmed=row["status"] == "CONFIRMED",
        is_as_written=is_unsent and row["seen"] in {"", row["etag"]},
    )


def _slot_row(calendar: Calendar, event: Row, span: Span, piece: int) -> Row:
    return {
        "id": derived_id(Kind.BLOCKED_SLOT, event["id"], str(piece)),
        "subaccount_id": calendar.subaccount_id,
        "user_id": calendar.user_id,
        "starts": span.start,
        "ends": span.end,
        "is_all_day": bool(event["is_all_day"]),
        "source": str(BlockedSlotSource.ICLOUD),
        "title": event["title"],
        "event_id": event["id"],
        "calendar_id": calendar.id,
        "resource_id": event["resource_id"],
    }


async def _replace_slots(
    ledger: Ledger, stored: Mapping[str, Row], wanted: Mapping[str, Row], roll: Roll | None
) -> None:
    removed = [row for row in stored.values() if row["id"] not in wanted]
    added = [row for row in wanted.values() if row["id"] not in stored]
    changed = [
        row
        for row in wanted.values()
        if row["id"] in stored and differs(stored[row["id"]], row, _SLOT_COLUMNS)
    ]
    await execute_many(ledger.db, "DELETE FROM blocked_slot WHERE id = $1", [(row["id"],) for row in removed])
    await insert_rows(ledger.db, "blocked_slot", _SLOT_COLUMNS, added)
    await update_rows(ledger.db, "blocked_slot", _SLOT_COLUMNS, changed)
    for slot in slots_of(removed):
        if roll is None or not roll.is_silent(slot):
            ledger.slot_removed(slot)
    for slot in slots_of(added):
        if roll is None or not roll.is_silent(slot):
            ledger.slot_added(slot)
    for slot in slots_of(changed):
        [previous] = slots_of([stored[slot.id]])
        if previous != slot:
            ledger.slot_changed(slot, previous)


def differs(stored: Row, row: Row, columns: Sequence[str]) -> bool:
    return any(stored[column] != row[column] for column in columns)


async def insert_rows(db: Db, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    await execute_many(
        db,
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks(len(columns))})",  # noqa: S608
        [[row[column] for column in columns] for row in rows],
    )


async def update_rows(db: Db, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """By `id`, the first of `columns`."""
    sets = ", ".join(f"{column} = ${place}" for place, column in enumerate(columns[1:], 2))
    await execute_many(
        db,
        f"UPDATE {table} SET {sets} WHERE id = $1",  # noqa: S608
        [[row[column] for column in columns] for row in rows],
    )
