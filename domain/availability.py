"""Which time is free, and which starts are open: sweeps over integers, for one user or many.

Widening what is taken by the asked buffers is the same as widening the asked span: `[s - before, s + length + after)`
meets `[a, b)` exactly when `[s, s + length)` meets `[a - after, b + before)`. So one set of free time answers both.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import reduce
from itertools import pairwise

from domain import edges as sweep
from domain.edges import Edges
from domain.grid import grid_points
from domain.hours import WorkingHours, open_hours
from domain.interval import Span
from domain.memory import Memory
from domain.zones import day_at, day_edges, day_end

_AT_ONCE = 32  # Edges, an even number of them.


class Match(StrEnum):
    EVERYONE = "EVERYONE"
    ANYONE = "ANYONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is asked for, in seconds. `last_start` is the last instant at which a start may lie (`last_start_of`)."""

    duration: int
    step: int
    buffer_before: int = 0
    buffer_after: int = 0
    notice: int = 0
    last_start: int | None = None
    maximum_per_day: int | None = None
    grid_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Booked:
    """An appointment or a hold: its own span, never empty, and the buffers it was booked with.

    A hold ends by itself `until` an instant; an appointment has none.
    """

    span: Span
    before: int = 0
    after: int = 0
    id: object = None
    until: int | None = None

    def widened(self, before: int, after: int) -> Span:
        """Its span with the wider of its own buffers and those given: two buffers may overlap."""
        return Span(self.span.start - max(self.before, before), self.span.end + max(self.after, after))


@dataclass(frozen=True, slots=True)
class Busy:
    """A user's blocked slots as merged edges: a process keeps one for one position of the change log."""

    edges: array[int] = field(default_factory=lambda: array("q"))


@dataclass(frozen=True, slots=True)
class Stale:
    """Calendars that are older than allowed, or were never read: all of the user's time is closed."""

    calendars: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class NothingChosen:
    """Connected, but no calendar was chosen yet: all of the user's time is closed."""


Closure = Stale | NothingChosen


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTime:
    """All that decides about one user's time. What is to count as free (a booking that moves, a hold) is left out.

    `counts` are the appointments and live holds of the asked type by the ordinal of their date in `zone`. From
    `known_until` on blocked slots are not expanded: unknown, hence busy. `memory` is of these hours, this zone, these
    blocked slots and appointments alone; without one all is worked out anew.
    """

    user: str
    zone: str
    hours: WorkingHours
    busy: Busy = field(default_factory=Busy)
    appointments: tuple[Booked, ...] = ()
    holds: tuple[Booked, ...] = ()
    counts: Mapping[int, int] = field(default_factory=dict)
    closed: Closure | None = None
    known_until: int | None = None
    memory: Memory | None = field(default=None, compare=False)

    def live_holds(self, now: int) -> Iterator[Booked]:
        return (hold for hold in self.holds if hold.until is None or hold.until > now)

    def booked(self, now: int) -> list[Booked]:
        return [*self.appointments, *self.live_holds(now)]


@dataclass(frozen=True, slots=True)
class Starts:
    """Open starts by time, and for each the places, in the asked users, of those who have it."""

    at: list[int]
    who: list[tuple[int, ...]]


def merge_busy(spans: Iterable[tuple[int, int]]) -> Busy:
    return Busy(array("q", sweep.merge(spans)))


def last_start_of(now: int, zone: str, horizon_days: int) -> int:
    """The last second of the day that is `horizon_days` after today, in the user's zone."""
    return day_end(day_at(now, zone) + horizon_days, zone) - 1


def find_windows(
    users: Sequence[UserTime], rules: Rules, *, within: Span, now: int, match: Match = Match.EVERYONE
) -> list[Span]:
    """Maximal free spans, by start, clipped to `within`. May be shorter than the asked length."""
    return sweep.spans(find_free(users, rules, within=within, now=now, match=match))


def find_free(
    users: Sequence[UserTime], rules: Rules, *, within: Span, now: int, match: Match = Match.EVERYONE
) -> Edges:
    """The same, as edges."""
    start, end = _askable(rules, within, now)
    free = [_less_full_days(free_time(user, rules, start, end, now=now), user, rules) for user in users]
    if match is Match.ANYONE and len(free) > 1:
        return sweep.unite(free)
    return reduce(sweep.intersect, free) if free else []


def find_starts(
    users: Sequence[UserTime],
    rules: Rules,
    *,
    within: Span,
    now: int,
    match: Match = Match.EVERYONE,
    first: int | None = None,
) -> Starts:
    """Open starts in `within`; the spans that begin there may end beyond it."""
    startable = [_startable(user, rules, within, now) for user in users]
    if match is Match.ANYONE and len(users) > 1:
        return _starts_of_anyone(startable, rules, first)
    common = reduce(sweep.intersect, startable) if startable else []
    at = _points(common, rules, first)
    return Starts(at, [tuple(range(len(users)))] * len(at))


def next_change(
    users: Sequence[UserTime],
    rules: Rules,
    *,
    within: Span,
    now: int,
    match: Match = Match.EVERYONE,
    starts: Starts | None = None,
) -> int | None:
    """The next instant at which time alone can change the open starts, if there is one: never late, at times early.

    A live hold ends, the soonest start passes the notice, or a day enters the horizon (where the caller then
    gives a later `last_start`). Windows that the notice cuts also shrink in between: a change that no one is told of.
    `starts` are those that find_starts gives, where they are known.
    """
    changes = [hold.until for user in users for hold in user.live_holds(now) if hold.until is not None]
    found = starts or find_starts(users, rules, within=within, now=now, match=match, first=1)
    if soonest := found.at:
        changes.append(soonest[0] - rules.notice + 1)
    if rules.last_start is not None and rules.last_start + 1 < within.end:
        changes += (day_end(day_at(now, user.zone), user.zone) for user in users)
    return min(changes, default=None)


def free_time(user: UserTime, rules: Rules, start: int, end: int, *, now: int) -> Edges:
    """What of `[start, end)` lies within working hours and meets nothing, buffers kept: before any rule on starts."""
    if user.closed is not None:
        return []
    before, after = rules.buffer_before, rules.buffer_after
    if user.known_until is not None:
        end = min(end, user.known_until - after)
    if end <= start:
        return []
    free = _lasting(user, start, end, before=before, after=after)
    held = sweep.merge(hold.widened(after, before) for hold in user.live_holds(now))
    return sweep.subtract(free, held) if held else free


def full_days(user: UserTime, rules: Rules) -> Edges:
    """The days on which no start of this type is left, as the user's zone cuts them."""
    if rules.maximum_per_day is None:
        return []
    full = [day for day, count in user.counts.items() if count >= rules.maximum_per_day]
    return sweep.unite(day_edges(day, user.zone) for day in full)


def _askable(rules: Rules, within: Span, now: int) -> Span:
    """What of `within` the notice and the horizon leave to starts."""
    end = within.end if rules.last_start is None else min(within.end, rules.last_start + 1)
    return Span(max(within.start, now + rules.notice), end)


def _startable(user: UserTime, rules: Rules, within: Span, now: int) -> Edges:
    """All instants at which the asked span could start, on the grid or not."""
    start, end = _askable(rules, within, now)
    free = free_time(user, rules, start, end - 1 + rules.duration, now=now)
    room = rules.duration - 1
    startable = [edge for low, high in sweep.pairs(free) if low < high - room for edge in (low, high - room)]
    return _less_full_days(startable, user, rules)


def _less_full_days(edges: Edges, user: UserTime, rules: Rules) -> Edges:
    return sweep.subtract(edges, full_days(user, rules))


def _lasting(user: UserTime, start: int, end: int, *, before: int, after: int) -> Edges:
    """Free time, holds apart: those end by themselves, so that nothing that is remembered may hang on them."""

    def work_out(low: int, high: int) -> Edges:
        gaps = _gaps(user.busy, low, high, before=before, after=after)
        if taken := sweep.merge(booked.widened(after, before) for booked in user.appointments):
            gaps = sweep.subtract(gaps, taken)
        return sweep.intersect(open_hours(user.hours, user.zone, low, high), gaps)

    if user.memory is None:
        return work_out(start, end)
    return user.memory.within(start, end, of=(before, after), work_out=work_out)


def _points(edges: Edges, rules: Rules, first: int | None) -> list[int]:
    """The grid's points in a set; where only the first are asked for, no more spans are laid out than hold them."""
    if first is None:
        return grid_points(edges, zone=rules.grid_zone, step=rules.step)
    points: list[int] = []
    for place in range(0, len(edges), _AT_ONCE):
        points += grid_points(edges[place : place + _AT_ONCE], zone=rules.grid_zone, step=rules.step)
        if len(points) >= first:
            break
    return points[:first]


def _gaps(busy: Busy, start: int, end: int, *, before: int, after: int) -> Edges:
    """What of `[start, end)` the blocked slots leave when each is widened by the buffers."""
    gaps = sweep.complement(busy.edges, start - before, end + after).tolist()
    if not before and not after:
        return gaps
    return [
        edge
        for low, high in sweep.pairs(gaps)
        if low + before < high - after
        for edge in (low + before, high - after)
    ]


def _starts_of_anyone(startable: Sequence[Edges], rules: Rules, first: int | None) -> Starts:
    """Between two neighbouring edges of anyone the same users can start: the grid is laid once for all of them."""
    toggles = sorted((edge, place) for place, edges in enumerate(startable) for edge in edges)
    starts = Starts([], [])
    able: set[int] = set()
    for (edge, place), (following, _) in pairwise(toggles):
        able ^= {place}
        if able and edge < following:
            points = grid_points([edge, following], zone=rules.grid_zone, step=rules.step)
            starts.at.extend(points)
            starts.who.extend([tuple(sorted(able))] * len(points))
    return Starts(starts.at[:first], starts.who[:first])
