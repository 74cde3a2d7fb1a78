"""What was read, as the rows that stand for it: tuples in the order of the tables' columns, for thousands at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from domain.busy import BusyPolicy, Occurrence, blocked_span
from domain.changes import BlockedSlotSource, Slot
from domain.ids import Family, Kind, derived_id, renamed
from domain.interval import Span
from models.calendar import Calendar
from models.sql import Row

LONGEST_UID = 1000
"""Bytes of UTF-8: PostgreSQL's indexes take no more than 2,704 in one entry, and a letter has up to four."""
_BEFORE, _AFTER = 0, 1
_ICLOUD = str(BlockedSlotSource.ICLOUD)
_new = tuple.__new__  # What a NamedTuple does in the end, in a third of the time.


class ResourceRow(NamedTuple):
    id: str
    subaccount_id: str
    user_id: str
    calendar_id: str
    href: str
    etag: str
    uid: str
    salt: str
    body: str
    is_readable: bool
    is_open_ended: bool
    problems: str
    has_problems: bool
    appointment_id: str | None


class EventRow(NamedTuple):
    id: str
    subaccount_id: str
    user_id: str
    calendar_id: str
    resource_id: str
    uid: str
    key: str
    title: str | None
    starts: int
    ends: int
    busy_starts: int
    busy_ends: int
    travel_before: int
    travel_after: int
    is_all_day: bool
    start_date: str | None
    end_date: str | None
    is_recurring: bool
    show_as: str
    status: str
    participation: str | None
    blocks: bool
    appointment_id: str | None


class SlotRow(NamedTuple):
    id: str
    subaccount_id: str
    user_id: str
    starts: int
    ends: int
    is_all_day: bool
    source: str
    title: str | None
    event_id: str | None
    calendar_id: str | None
    resource_id: str | None

    @property
    def slot(self) -> Slot:
        return Slot(
            id=self.id,
            start=self.starts,
            end=self.ends,
            is_all_day=bool(self.is_all_day),
            source=BlockedSlotSource(self.source),
            title=self.title,
            event_id=self.event_id,
            calendar_id=self.calendar_id,
        )


def kept_uid(uid: str) -> str:
    """As much of it as is stored."""
    if len(uid) * 4 <= LONGEST_UID:
        return uid
    return uid.encode()[:LONGEST_UID].decode(errors="ignore")


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


NOT_GIVEN = StoredProblem(None, "UNREADABLE", "iCloud lists this event and does not give it.", None)
"""By these words it is known again, and asked for: in others, what is on record would not be."""


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

    @property
    def stored_uid(self) -> str:
        return kept_uid(self.uid or "")


@dataclass(frozen=True, slots=True)
class OwnCopy:
    """The appointment that a resource is our copy of, as far as it decides what the copy blocks."""

    span: Span
    is_confirmed: bool
    awaits_our_write: bool
    "A newer state is still to be written, and what is in iCloud is the last that we wrote or saw."


@dataclass(frozen=True, slots=True)
class Rows:
    """By id."""

    events: dict[str, EventRow] = field(default_factory=dict)
    slots: dict[str, SlotRow] = field(default_factory=dict)

    def add(
        self,
        calendar: Calendar,
        resource: str,
        each: ReadResource,
        salt: str,
        policy: BusyPolicy,
        *,
        appointment: str | None,
        copy: OwnCopy | None,
    ) -> None:
        """The events of one resource, each saying whether it blocks, and their slots."""
        subaccount, user, calendar_id = calendar.subaccount_id, calendar.user_id, calendar.id
        events, slots = self.events, self.slots
        for name, uid, occurrence in _named(calendar, each, salt):
            found = pieces(occurrence, policy, copy)
            (
                _, key, start, end, busy, is_all_day, start_date, end_date, title, is_recurring, show_as, status,
                participation, before, after,
            ) = occurrence  # fmt: skip
            events[name] = _new(EventRow, (
                name, subaccount, user, calendar_id, resource, uid, key, title, start, end, *busy,
                before, after, is_all_day, start_date, end_date, is_recurring, str(show_as), str(status),
                None if participation is None else str(participation), bool(found), appointment,
            ))  # fmt: skip
            for piece, span in found:
                slot = _slot_id(name, piece)
                slots[slot] = _new(SlotRow, (
                    slot, subaccount, user, *span, is_all_day, _ICLOUD, title, name, calendar_id, resource,
                ))  # fmt: skip


def _named(calendar: Calendar, each: ReadResource, salt: str) -> Iterator[tuple[str, str, Occurrence]]:
    """Each occurrence after its event's id, by which it is known however often it is read anew, and its UID as kept."""
    families: dict[str, tuple[Family, dict[str, int]]] = {}
    own = each.stored_uid
    for occurrence in each.occurrences:
        uid = kept_uid(occurrence.uid)
        if uid not in families:
            # A component of another UID than its resource's can have a namesake elsewhere: its href keeps them apart.
            apart = salt if uid and uid == own else each.href
            families[uid] = Family(Kind.EVENT, calendar.id, uid, apart), {}
        family, counts = families[uid]
        # A single event is the same one when it is moved; of a series each date is.
        name = occurrence.key if occurrence.is_recurring else ""
        counts[name] = count = counts.get(name, 0) + 1
        yield family.member(name, count), uid, occurrence


Pieces = list[tuple[int, Span]]
"""The time that an occurrence closes: each piece with its place, before or after an appointment's own."""


def pieces(occurrence: Occurrence, policy: BusyPolicy, own: OwnCopy | None) -> Pieces:
    """A copy of ours closes only what its appointment does not.

    A series is its owner's, whatever it was made of: it is neither moved nor removed.
    """
    span = blocked_span(occurrence, policy)
    if span is None:
        return []
    is_series = occurrence.is_recurring
    if own is None:
        return [(_BEFORE, span)]
    if not own.is_confirmed:
        return [(_BEFORE, span)] if is_series else []
    if own.awaits_our_write and not is_series:
        return []
    both = [
        (_BEFORE, Span(span.start, min(span.end, own.span.start))),
        (_AFTER, Span(max(span.start, own.span.end), span.end)),
    ]
    return [(piece, left) for piece, left in both if not left.is_empty]


def slot_rows(calendar: Calendar, event: Row, found: Pieces) -> list[SlotRow]:
    """Of an event as it is stored."""
    return [
        SlotRow(
            _slot_id(event["id"], piece), calendar.subaccount_id, calendar.user_id, span.start, span.end,
            bool(event["is_all_day"]), _ICLOUD, event["title"], event["id"], calendar.id, event["resource_id"],
        )
        for piece, span in found
    ]  # fmt: skip


def slot_ids(event: str, *, is_copy: bool) -> list[str]:
    """Of all slots that an event can have: only a copy of ours can have two."""
    return [_slot_id(event, piece) for piece in ((_BEFORE, _AFTER) if is_copy else (_BEFORE,))]


def _slot_id(event: str, piece: int) -> str:
    if piece == _BEFORE:
        return renamed(event, Kind.BLOCKED_SLOT)
    return derived_id(Kind.BLOCKED_SLOT, event, str(piece))


def problems_json(problems: Iterable[StoredProblem]) -> str:
    return json.dumps([problem.as_json() for problem in problems], ensure_ascii=False)


# --- What is to be changed

R = TypeVar("R", ResourceRow, EventRow, SlotRow)

LASTING = {"id", "subaccount_id", "user_id", "calendar_id", "resource_id", "event_id", "href"}
"""Columns in which two rows of one id never differ. To write them anew would write their indexes anew."""


def changed_rows(stored: Mapping[str, R], wanted: Mapping[str, R]) -> tuple[list[R], list[R], list[R]]:
    """The rows to add, those to change, and those to drop, as they are stored."""
    if not stored:
        return list(wanted.values()), [], []
    return (
        [row for name, row in wanted.items() if name not in stored],
        [row for name, row in wanted.items() if name in stored and stored[name] != row],
        [row for name, row in stored.items() if name not in wanted],
    )
