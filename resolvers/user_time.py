"""Loads what decides about users' time: for the answers from a snapshot, for a booking under the user's lock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from domain.actor import UserRef
from domain.availability import Booked, Busy, Closure, UserTime
from domain.hours import WorkingHours
from domain.interval import Span
from domain.zones import DAY, day_at
from models.people import User
from models.sql import Db, fetch, marks
from resolvers.freshness import SyncState, read_sync_states
from resolvers.stamps import Stamp, read_stamps
from resolvers.standings import Standing, Standings, booked_of, follow_standing, read_standing
from resolvers.stored_hours import hours_of
from resolvers.timelines import Timelines, read_busy

MARGIN = 2 * DAY
"""More than the longest buffers reach, and than any day of any zone lasts: what lies further off decides nothing."""


@dataclass(frozen=True, slots=True)
class Person:
    """One user in one snapshot: settings, the log's position, and the state of its calendars.

    With `standing` nothing more need be read about it, unless a booking of its own is to be left out.
    """

    ref: UserRef
    name: str
    zone: str
    hours: WorkingHours
    position: int
    sync: SyncState
    standing: Standing | None = None


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

    def is_told_by(self, standing: Standing | None) -> bool:
        if standing is None or self.without_appointment is not None or self.without_hold is not None:
            return False
        return self.within.start - MARGIN >= standing.bookings.since


@dataclass(slots=True)
class _Bookings:
    appointments: list[Booked] = field(default_factory=list)
    holds: list[Booked] = field(default_factory=list)
    starts_of_type: list[int] = field(default_factory=list)


async def read_people(db: Db, users: Sequence[UserRef], *, now: float) -> list[Person] | None:
    """In the order of the users, all of one subaccount; None where one of them is gone."""
    rows = {row.id: row for row in await _user_rows(db, users)}
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
    zones = [rows[user.user].time_zone for user in users]
    states = await read_sync_states(db, users, zones, now=now)
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


def people_of(
    users: Sequence[UserRef], stamps: Sequence[Stamp], standings: Standings, *, now: float
) -> list[Person] | None:
    """From memory; None where something of one of them has moved since."""
    people: list[Person] = []
    for user, stamp in zip(users, stamps, strict=True):
        standing = standings.find(user, stamp)
        if standing is None:
            return None
        people.append(_person(user, stamp, standing, now))
    return people


async def read_people_whole(
    db: Db, users: Sequence[UserRef], *, standings: Standings, timelines: Timelines, now: float
) -> list[Person] | None:
    """The same from a snapshot: what is in memory and has not moved is not read again."""
    stamps = await read_stamps(partial(fetch, db), users)
    if stamps is None:
        return None
    found: dict[UserRef, Standing] = {}
    for user, stamp in zip(users, stamps, strict=True):
        standing, before = standings.find(user, stamp), standings.last(user)
        if standing is None and before is not None:
            standing = await follow_standing(db, user, before, stamp, now=now, timelines=timelines)
        if standing is not None:
            found[user] = standing
    anew = [user for user in users if user not in found]
    rows = {row.id: row for row in await _user_rows(db, anew)} if anew else {}
    people: list[Person] = []
    for user, stamp in zip(users, stamps, strict=True):
        if user not in found:
            if user.user not in rows:
                return None
            found[user] = await read_standing(db, rows[user.user], stamp, now=now, timelines=timelines)
        if standings.last(user) is not found[user]:
            standings.keep(user, found[user])
        people.append(_person(user, stamp, found[user], now))
    return people


def _person(user: UserRef, stamp: Stamp, standing: Standing, now: float) -> Person:
    return Person(
        ref=user,
        name=standing.name,
        zone=standing.zone,
        hours=standing.hours,
        position=stamp.position,
        sync=stamp.sync(standing.zone, now=now),
        standing=standing,
    )


async def _user_rows(db: Db, users: Sequence[UserRef]) -> list[User]:
    rows = await User.filter(id__in=[user.user for user in users]).using_db(db)
    return [row for row in rows if UserRef(row.subaccount_id, row.id) in users]


def known_until(sync: SyncState, *, now: float, days_ahead: int) -> int:
    """Until when blocked slots are known: where calendars take part until they are expanded, else whole days ahead."""
    if sync.known_until is not None:
        return sync.known_until
    return (int(now) // DAY + days_ahead) * DAY


async def load_user_times(
    db: Callable[[], Awaitable[Db]],
    people: Sequence[Person],
    wanted: Wanted,
    *,
    closures: Sequence[Closure | None],
    timelines: Timelines,
    days_ahead: int,
) -> list[UserTime]:
    """From memory where the log has not moved since, else from a snapshot, which is asked for only then."""
    to_read = [person.ref for person in people if not wanted.is_told_by(person.standing)]
    bookings = await _read_bookings(await db(), to_read, wanted) if to_read else {}
    times: list[UserTime] = []
    for person, closure in zip(people, closures, strict=True):
        until = known_until(person.sync, now=wanted.now, days_ahead=days_ahead)
        if person.standing is not None and person.ref.user not in bookings:
            now = int(wanted.now)
            times.append(
                person.standing.user_time(
                    person.ref, type_id=wanted.type_id, now=now, closed=closure, known_until=until
                )
            )
            continue
        # What a booking's own copy in iCloud closes is free for it: nobody else's timeline.
        own = wanted.without_appointment
        busy = (
            await read_busy(await db(), person.ref, without_copy_of=own)
            if own
            else await timelines.busy(
                await db(), person.ref, person.position, known_until=person.sync.known_until
            )
        )
        times.append(_user_time(person, busy, bookings[person.ref.user], closure, known_until=until))
    return times


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
        booked = booked_of(row)
        (own.appointments if booked.until is None else own.holds).append(booked)
        if row["type_id"] == wanted.type_id is not None:
            own.starts_of_type.append(row["starts"])
    return found


def _widened(within: Span) -> Span:
    return Span(within.start - MARGIN, within.end + MARGIN)
