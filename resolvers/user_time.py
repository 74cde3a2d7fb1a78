"""Loads what decides about users' time: for the answers from a snapshot, for a booking under the user's lock."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from domain.actor import UserRef
from domain.availability import Booked, Busy, Closure, UserTime
from domain.hours import WorkingHours
from domain.interval import Span
from domain.zones import DAY, day_at
from models.database import Db, fetch, marks
from models.people import User
from resolvers.freshness import SyncState, read_sync_states
from resolvers.people import hours_of
from resolvers.timelines import Timelines, read_busy

MARGIN = 2 * DAY
"""More than the longest buffers reach, and than any day of any zone lasts: what lies further off decides nothing."""


@dataclass(frozen=True, slots=True)
class Person:
    """One user in one snapshot: settings, the log's position, and the state of its calendars."""

    ref: UserRef
    name: str
    zone: str
    hours: WorkingHours
    position: int
    sync: SyncState


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to load: bookings that matter `within`, and of `type_id` how many there are each day.

    The own booking that moves and the own hold are left out: their time counts as free.
    """

    within: Span
    now: float
    type_id: str | None = None
    without_appointment: str | None = None
    without_hold: str | None = None


@dataclass(slots=True)
class _Bookings:
    appointments: list[Booked] = field(default_factory=list)
    holds: list[Booked] = field(default_factory=list)
    starts_of_type: list[int] = field(default_factory=list)


async def read_people(db: Db, users: Sequence[UserRef]) -> list[Person] | None:
    """In the order of the users, all of one subaccount; None where one of them is gone."""
    rows = {
        row.id: row
        for row in await User.filter(subaccount_id=users[0].subaccount, id__in=[user.user for user in users])
        .using_db(db)
        .all()
    }
    if any(user.user not in rows for user in users):
        return None
    positions = {
        row["user_id"]: row["seq"]
        for row in await fetch(
            db,
            "SELECT user_id, seq FROM timeline WHERE user_id IN (:users)".replace(
                ":users", marks(len(users))
            ),
            *(user.user for user in users),
        )
    }
    states = await read_sync_states(db, users, [rows[user.user].time_zone for user in users])
    return [
        Person(
            ref=user,
            name=rows[user.user].name,
            zone=rows[user.user].time_zone,
            hours=hours_of(rows[user.user]),
            position=positions.get(user.user, 0),
            sync=state,
        )
        for user, state in zip(users, states, strict=True)
    ]


def known_until(sync: SyncState, *, now: float, days_ahead: int) -> int:
    """Until when blocked slots are known: where calendars take part until they are expanded, else whole days ahead."""
    if sync.known_until is not None:
        return sync.known_until
    return (int(now) // DAY + days_ahead) * DAY


async def load_user_times(
    db: Db,
    people: Sequence[Person],
    wanted: Wanted,
    *,
    closures: Sequence[Closure | None],
    timelines: Timelines,
    days_ahead: int,
) -> list[UserTime]:
    """From a snapshot: blocked slots come from memory where the log has not moved since."""
    bookings = await _read_bookings(db, [person.ref for person in people], wanted)
    return [
        _user_time(
            person,
            # What a booking's own copy in iCloud closes is free for it: nobody else's timeline.
            await read_busy(db, person.ref, without_copy_of=wanted.without_appointment)
            if wanted.without_appointment
            else await timelines.busy(db, person.ref, person.position, known_until=person.sync.known_until),
            bookings[person.ref.user],
            closure,
            known_until=known_until(person.sync, now=wanted.now, days_ahead=days_ahead),
        )
        for person, closure in zip(people, closures, strict=True)
    ]


async def load_user_time_locked(
    db: Db, person: Person, wanted: Wanted, *, closure: Closure | None, days_ahead: int
) -> UserTime:
    """Under the user's lock: straight from the tables, near the start alone."""
    bookings = await _read_bookings(db, [person.ref], wanted)
    busy = await read_busy(
        db, person.ref, within=_widened(wanted.within), without_copy_of=wanted.without_appointment
    )
    return _user_time(
        person,
        busy,
        bookings[person.ref.user],
        closure,
        known_until=known_until(person.sync, now=wanted.now, days_ahead=days_ahead),
    )


def _user_time(
    person: Person, busy: Busy, bookings: _Bookings, closure: Closure | None, *, known_until: int
) -> UserTime:
    return UserTime(
        user=person.ref.user,
        zone=person.zone,
        hours=person.hours,
        busy=busy,
        appointments=tuple(bookings.appointments),
        holds=tuple(bookings.holds),
        counts=_by_day(bookings.starts_of_type, person.zone),
        closed=closure,
        known_until=known_until,
    )


def _by_day(starts: Sequence[int], zone: str) -> Mapping[int, int]:
    return Counter(day_at(start, zone) for start in starts)


async def _read_bookings(db: Db, users: Sequence[UserRef], wanted: Wanted) -> dict[str, _Bookings]:
    """Confirmed appointments and live holds of each user, by start."""
    found = {user.user: _Bookings() for user in users}
    within = _widened(wanted.within)
    ids = [user.user for user in users]
    common = (users[0].subaccount, within.end, within.start)
    appointments = await fetch(
        db,
        "SELECT id, user_id, type_id, starts, ends, buffer_before, buffer_after FROM appointment"
        " WHERE subaccount_id = $1 AND starts < $2 AND ends > $3 AND status = 'CONFIRMED' AND id <> $4"
        " AND user_id IN (:users) ORDER BY starts, id".replace(":users", marks(len(ids), after=4)),
        *common,
        wanted.without_appointment or "",
        *ids,
    )
    holds = await fetch(
        db,
        "SELECT id, user_id, type_id, starts, ends, buffer_before, buffer_after, expires_at FROM hold"
        " WHERE subaccount_id = $1 AND starts < $2 AND ends > $3 AND expires_at > $4 AND id <> $5"
        " AND user_id IN (:users) ORDER BY starts, id".replace(":users", marks(len(ids), after=5)),
        *common,
        wanted.now,
        wanted.without_hold or "",
        *ids,
    )
    for row in (*appointments, *holds):
        own = found[row["user_id"]]
        expires_at = row.get("expires_at")
        booked = Booked(
            Span(row["starts"], row["ends"]),
            row["buffer_before"],
            row["buffer_after"],
            row["id"],
            None if expires_at is None else math.ceil(expires_at),
        )
        (own.appointments if expires_at is None else own.holds).append(booked)
        if row["type_id"] == wanted.type_id is not None:
            own.starts_of_type.append(row["starts"])
    return found


def _widened(within: Span) -> Span:
    return Span(within.start - MARGIN, within.end + MARGIN)
