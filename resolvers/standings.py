"""All of a user that decides about its time, kept in memory for as long as its log and its horizon stand still."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from domain.actor import UserRef
from domain.availability import Booked, Busy, Closure, UserTime
from domain.hours import WorkingHours
from domain.interval import Span
from domain.memory import Memory
from domain.zones import DAY, day_at
from models.people import User
from models.sql import Db, Row, fetch
from resolvers.passage import read_passage
from resolvers.stamps import Stamp
from resolvers.stored_hours import hours_of
from resolvers.timelines import Timelines

MOST_EDGES = 2_000_000
"""Of the blocked slots of all that are kept: what is worked out from them is a few times as much."""

_REACHES_BACK = 3 * DAY
_EACH = 100  # What one costs beside its blocked slots and bookings, in edges.


@dataclass(frozen=True, slots=True)
class TypedBooking:
    """An appointment or a hold, and the type whose days it fills."""

    booked: Booked
    type_id: str | None


@dataclass(frozen=True, slots=True)
class Bookings:
    """All that end after `since`, by start. `booked` are the appointments without their types."""

    since: int
    appointments: tuple[TypedBooking, ...]
    holds: tuple[TypedBooking, ...]
    booked: tuple[Booked, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One user at one position of its log."""

    position: int
    known_until: int | None
    name: str
    zone: str
    hours: WorkingHours
    busy: Busy
    bookings: Bookings
    _counts: dict[str, Mapping[int, int]] = field(default_factory=dict)
    _memory: Memory = field(default_factory=Memory)

    @property
    def edges(self) -> int:
        of = self.bookings
        return len(self.busy.edges) + 2 * (len(of.appointments) + len(of.holds)) + _EACH

    def is_of(self, stamp: Stamp) -> bool:
        return (self.position, self.known_until) == (stamp.position, stamp.known_until)

    def followed_by(self, position: int, *, busy: Busy, bookings: Bookings) -> Standing:
        """What was worked out from slots and appointments stands with them. Holds, which change most, are not in it."""
        if busy is self.busy and bookings.appointments == self.bookings.appointments:
            return replace(self, position=position, bookings=bookings)
        return replace(self, position=position, busy=busy, bookings=bookings, _counts={}, _memory=Memory())

    def user_time(
        self, user: UserRef, *, type_id: str | None, now: int, closed: Closure | None, known_until: int
    ) -> UserTime:
        live = [hold for hold in self.bookings.holds if hold.booked.until is None or hold.booked.until > now]
        return UserTime(
            user=user.user,
            zone=self.zone,
            hours=self.hours,
            busy=self.busy,
            appointments=self.bookings.booked,
            holds=tuple(hold.booked for hold in live),
            counts={} if type_id is None else self._counted(type_id, live),
            closed=closed,
            known_until=known_until,
            memory=self._memory,
        )

    def _counted(self, type_id: str, live: Sequence[TypedBooking]) -> Mapping[int, int]:
        counts = self._counts.get(type_id)
        if counts is None:
            counts = self._counts[type_id] = self._by_day(self.bookings.appointments, type_id)
        return Counter(counts) + Counter(self._by_day(live, type_id))

    def _by_day(self, bookings: Sequence[TypedBooking], type_id: str) -> Mapping[int, int]:
        return Counter(day_at(it.booked.span.start, self.zone) for it in bookings if it.type_id == type_id)


class Standings:
    """The longest unasked go when there are too many."""

    def __init__(self, *, most_edges: int = MOST_EDGES) -> None:
        self._kept: OrderedDict[UserRef, Standing] = OrderedDict()
        self._edges = 0
        self._most_edges = most_edges

    def find(self, user: UserRef, stamp: Stamp) -> Standing | None:
        """As of this stamp; None where it was never read, or something has moved since."""
        kept = self._kept.get(user)
        if kept is None or not kept.is_of(stamp):
            return None
        self._kept.move_to_end(user)
        return kept

    def last(self, user: UserRef) -> Standing | None:
        """As it was when it was last read."""
        return self._kept.get(user)

    def keep(self, user: UserRef, standing: Standing) -> None:
        """A snapshot older than what is kept does not replace it."""
        before = self._kept.get(user)
        if before is not None and before.position > standing.position:
            return
        self._forget(user)
        self._kept[user] = standing
        self._edges += standing.edges
        while self._edges > self._most_edges:
            self._forget(next(iter(self._kept)))

    def __len__(self) -> int:
        return len(self._kept)

    def _forget(self, user: UserRef) -> None:
        kept = self._kept.pop(user, None)
        if kept is not None:
            self._edges -= kept.edges


async def read_standing(db: Db, row: User, stamp: Stamp, *, now: float, timelines: Timelines) -> Standing:
    """From the snapshot that the stamp and the user's row were read in."""
    user = UserRef(row.subaccount_id, row.id)
    return Standing(
        position=stamp.position,
        known_until=stamp.known_until,
        name=row.name,
        zone=row.time_zone,
        hours=hours_of(row),
        busy=await timelines.busy(db, user, stamp.position, known_until=stamp.known_until),
        bookings=await _read_bookings(db, user, now=now),
    )


async def follow_standing(
    db: Db, user: UserRef, before: Standing, stamp: Stamp, *, now: float, timelines: Timelines
) -> Standing | None:
    """The same from one of before, reading only what the log says is another now; None where that could be all."""
    if before.known_until != stamp.known_until:
        return None
    passage = await read_passage(db, user, before.position, to=stamp.position)
    if passage is None:
        return None
    bookings = await _read_bookings(db, user, now=now) if passage.rebooks else before.bookings
    busy = before.busy
    if passage.touched:
        until = stamp.known_until
        busy = await timelines.busy(db, user, stamp.position, known_until=until, passage=passage)
    return before.followed_by(stamp.position, busy=busy, bookings=bookings)


async def _read_bookings(db: Db, user: UserRef, *, now: float) -> Bookings:
    since = int(now) - _REACHES_BACK
    common = (user.subaccount, user.user, since)
    appointments = await fetch(
        db,
        "SELECT id, type_id, starts, ends, buffer_before, buffer_after FROM appointment"
        " WHERE subaccount_id = $1 AND user_id = $2 AND ends > $3 AND status = 'CONFIRMED' ORDER BY starts, id",
        *common,
    )
    holds = await fetch(
        db,
        "SELECT id, type_id, starts, ends, buffer_before, buffer_after, expires_at FROM hold"
        " WHERE subaccount_id = $1 AND user_id = $2 AND ends > $3 AND expires_at > $4 ORDER BY starts, id",
        *common,
        now,
    )
    typed = tuple(TypedBooking(booked_of(it), it["type_id"]) for it in appointments)
    return Bookings(
        since=since,
        appointments=typed,
        holds=tuple(TypedBooking(booked_of(it), it["type_id"]) for it in holds),
        booked=tuple(it.booked for it in typed),
    )


def booked_of(row: Row) -> Booked:
    """A row of an appointment, or of a hold, which has `expires_at`."""
    expires_at = row.get("expires_at")
    return Booked(
        Span(row["starts"], row["ends"]),
        row["buffer_before"],
        row["buffer_after"],
        row["id"],
        None if expires_at is None else math.ceil(expires_at),
    )
