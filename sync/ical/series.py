"""The events of one UID into occurrences: a series, its changed instances, and those without a series."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise, repeat
from typing import NamedTuple

from domain.busy import Occurrence
from domain.interval import Span
from domain.zone_table import DAY, FIRST_INSTANT, LAST_INSTANT
from sync.ical.dates import REACH, Fault, Length
from sync.ical.event import Event
from sync.ical.instances import (
    Budget,
    find_exceptions,
    find_instances,
    report_changed_twice,
    report_own_rules,
    report_too_many,
    report_zone,
    same_in_gap,
    wall_in,
)
from sync.ical.keys import instant_keys, iso_day, keys_at, within_time
from sync.ical.times import Places, When

_MOST_OVERRIDES = 2_000
_REPEATING = ("RRULE", "RDATE", "EXDATE", "EXRULE")
_UNDATED = (None, None)
Times = tuple[int, int, Span]
"""Start and end as shown, and what it blocks."""


class Scope(NamedTuple):
    """What every event of a resource is read in."""

    places: Places
    window: Span
    budget: Budget


@dataclass(slots=True)
class Found:
    """What was made of the events of one UID."""

    occurrences: list[Occurrence] = field(default_factory=list)
    faults: list[tuple[Event, Fault]] = field(default_factory=list)
    goes_on: bool = False


class _Shift(NamedTuple):
    """From this start on, the series is moved by so much, and is otherwise, its zone too, as in this event."""

    wall: int
    by: int
    event: Event


def read_series(events: list[Event], scope: Scope) -> Found:
    found = Found()
    if len(events) == 1 and _is_single(events[0]):
        _read_single(events[0], found, scope.window)
        return found
    masters = [event for event in events if event.recurrence_id is None]
    overrides = _latest_overrides(events, has_master=bool(masters))
    if len(overrides) > _MOST_OVERRIDES:
        report_too_many(overrides[0], "has over 2,000 changed dates")
    if not masters:
        report_own_rules(overrides)
    keys: dict[When, str] = {}
    for master in masters:
        _read_master(master, overrides, keys, found, scope)
    for override in overrides:
        assert override.recurrence_id is not None
        key = keys.get(override.recurrence_id) or _key_of(override.recurrence_id, scope.places)
        _add(
            found,
            override,
            [override.start.wall],
            [key],
            scope.window,
            is_recurring=True,
            length=override.length,
        )
    found.faults = [(event, fault) for event in events for fault in event.faults]
    return found


def _is_single(event: Event) -> bool:
    return event.recurrence_id is None and event.component.properties.keys().isdisjoint(_REPEATING)


def _read_single(event: Event, found: Found, window: Span) -> None:
    """Five of six are this plain, and most of them are over."""
    wall, length = event.start.wall, event.length
    walls, times = [wall], event.times(wall, length)
    first, last = _meeting(event, times, walls, window, low=0, high=1)
    found.goes_on = last == 0
    if first < last:
        found.occurrences = _steady(event, times, wall, walls, None, length=length, is_recurring=False)
    found.faults = [(event, fault) for fault in event.faults]


def _latest_overrides(events: list[Event], *, has_master: bool) -> list[Event]:
    """For each RECURRENCE-ID that of the highest SEQUENCE. Which of equals is meant nobody tells: all block."""
    chosen: dict[When, list[Event]] = {}
    for event in events:
        known = event.recurrence_id
        # An unreadable change changes nothing: the original goes on blocking where it was.
        if known is None or (event.is_guess and has_master):
            continue
        others = chosen.setdefault(known, [])
        if others and event.sequence != others[0].sequence:
            chosen[known] = max(others, [event], key=lambda each: each[0].sequence)
        elif all(event.component != other.component for other in others):
            others.append(event)
    for events_of_date in chosen.values():
        report_changed_twice(events_of_date)
    return [event for events_of_date in chosen.values() for event in events_of_date]


def _read_master(
    master: Event, overrides: list[Event], keys: dict[When, str], found: Found, scope: Scope
) -> None:
    shifts = _shifts(master, overrides, scope.places)
    reach = _reach(master, shifts, scope.window)
    instances = find_instances(master, reach, scope.places, scope.budget)
    walls = _kept(master, overrides, instances.walls, scope.places, keys)
    is_recurring = master.component.repeats or bool(overrides)
    known = len(found.occurrences)
    for event, by, length, part in _alike(master, walls, instances.lengths, shifts):
        original = None if event is master else _keys(master, part)
        moved = [wall + by for wall in part] if by else part
        _add(found, event, moved, original, scope.window, is_recurring=is_recurring, length=length)
    found.goes_on |= instances.goes_on
    if instances.rest is not None:
        _add_rest(found, master, instances.rest, scope.window)
    if is_recurring:
        scope.budget.occurrences = max(0, scope.budget.occurrences - len(found.occurrences) + known)


def _kept(
    master: Event, overrides: list[Event], walls: set[int], places: Places, keys: dict[When, str]
) -> list[int]:
    """The starts that stand, in order: neither excepted nor replaced."""
    if overrides:
        walls = walls - _replaced(master, overrides, walls, places, keys)
    excepted, days = find_exceptions(master, places)
    if days:
        walls = {wall for wall in walls if wall - wall % DAY not in days}
    return sorted(walls - excepted)


def _alike(
    master: Event, walls: list[int], lengths: dict[int, Length], shifts: list[_Shift]
) -> Iterator[tuple[Event, int, Length, list[int]]]:
    """The starts by what they are like: the event, how far they are moved, how long they last."""
    edges = [*(bisect_left(walls, shift.wall) for shift in shifts), len(walls)]
    before = walls[: edges[0]]
    if lengths:
        for wall in before:
            if wall in lengths:
                yield master, 0, lengths[wall], [wall]
        before = [wall for wall in before if wall not in lengths]
    yield master, 0, master.length, before
    for shift, (low, high) in zip(shifts, pairwise(edges), strict=True):
        yield shift.event, shift.by, shift.event.length, walls[low:high]


# --- Occurrences


def _add(
    found: Found,
    event: Event,
    walls: list[int],
    keys: list[str] | None,
    window: Span,
    *,
    is_recurring: bool,
    length: Length,
) -> None:
    """The occurrences at these wall times that meet the window: a stretch at a time in which the clocks keep.

    Without keys, these starts are the original ones.
    """
    low = 0
    while low < len(walls):
        until = event.place.zone.steady_until(walls[low]) - length.nominal
        high = max(low + 1, bisect_left(walls, until, low))
        times = event.times(walls[low], length)
        first, last = _meeting(event, times, walls, window, low=low, high=high)
        found.goes_on |= last < high
        if first < last:
            found.occurrences += _steady(
                event,
                times,
                walls[low],
                walls[first:last],
                None if keys is None else keys[first:last],
                length=length,
                is_recurring=is_recurring,
            )
        low = high


def _meeting(
    event: Event, times: Times, walls: list[int], window: Span, *, low: int, high: int
) -> tuple[int, int]:
    """Which of the walls from `low` to `high` meet the window, where these are the times of the one at `low`."""
    start, end, busy = times
    first = min(start, busy.start) - event.travel_before
    last = max(end, busy.end) + event.travel_after
    beyond = bisect_left(walls, walls[low] + window.end - first, low, high)
    # One of no length meets a window that begins at its instant.
    inside = walls[low] + window.start - last + (first != last)
    return bisect_left(walls, inside, low, beyond), beyond


def _steady(
    event: Event,
    times: Times,
    origin: int,
    walls: list[int],
    keys: list[str] | None,
    *,
    length: Length,
    is_recurring: bool,
) -> list[Occurrence]:
    """Each is as the one at `origin`, but so much later. What is constant stands before the loop: it is the hottest."""
    uid, title, is_date = event.uid, event.title, event.start.is_date
    show_as, status, participation = event.show_as, event.status, event.participation
    before, after = event.travel_before, event.travel_after
    # What a NamedTuple does in the end, in a third of the time.
    new, kind, span = tuple.__new__, Occurrence, Span
    start, end, busy = times
    lasting, busy_from, busy_to = end - start, busy.start - start, busy.end - start
    starts = [wall + start - origin for wall in walls]
    if keys is None:
        is_placed = not (is_date or event.place.is_floating) and event.place.is_known
        keys = instant_keys(starts) if is_placed else _keys(event, walls)
    dates = _dates(walls, length) if is_date else repeat(_UNDATED)
    made = [
        new(kind, (
            uid, key, at, at + lasting, new(span, (at + busy_from, at + busy_to)), is_date, first, last,
            title, is_recurring, show_as, status, participation, before, after,
        ))
        for at, key, (first, last) in zip(starts, keys, dates, strict=False)
    ]  # fmt: skip
    is_within_time = made[0].busy.start >= FIRST_INSTANT and made[-1].busy.end <= LAST_INSTANT
    return made if is_within_time else [_clamped(occurrence) for occurrence in made]


def _dates(walls: list[int], length: Length) -> list[tuple[str, str]]:
    return [(iso_day(wall // DAY), iso_day(-(-(wall + length.nominal) // DAY))) for wall in walls]


def _add_rest(found: Found, master: Event, rest: tuple[int, int | None], window: Span) -> None:
    """One long occurrence, to the window's end or the series', for what is too much to go through."""
    wall, last = rest
    place = master.place
    start, end = place.earliest(wall), window.end
    if last is not None:
        # A whole day is as long as it says; of a time of day, the day that it may lie in is closed.
        day = last // DAY + (0 if master.start.is_date else 1)
        end = min(end, place.latest(day * DAY) + master.length.most)
    found.goes_on |= end == window.end
    if start < end and end > window.start:
        keys = _keys(master, [max(wall, master.start.wall)])
        times = start, end, Span(start, end)
        length = Length(None, place.zone.wall(end) - wall)
        found.occurrences += _steady(master, times, wall, [wall], keys, length=length, is_recurring=True)


def _clamped(occurrence: Occurrence) -> Occurrence:
    start, end = occurrence.busy
    return occurrence._replace(
        start=within_time(occurrence.start),
        end=within_time(occurrence.end),
        busy=Span(within_time(start), within_time(end)),
    )


def _keys(event: Event, walls: list[int]) -> list[str]:
    return keys_at(walls, event.place, is_date=event.start.is_date)


def _key_of(when: When, places: Places) -> str:
    """The key of an override whose series is not there."""
    return keys_at([when.wall], places.of(when), is_date=when.is_date)[0]


# --- Changed instances


def _reaches_on(override: Event) -> bool:
    given = override.component.first("RECURRENCE-ID")
    return given is not None and (given.param("RANGE") or "").upper() == "THISANDFUTURE"


def _shifts(master: Event, overrides: list[Event], places: Places) -> list[_Shift]:
    """Where THISANDFUTURE changes the series (RFC 5545 3.8.4.4)."""
    found = []
    for event in overrides:
        wall = _original_wall(master, event, places)
        if wall is None or not _reaches_on(event):
            continue
        found.append(_Shift(wall, event.start.wall - wall, event))
    return sorted(found, key=lambda shift: shift.wall)


def _reach(master: Event, shifts: list[_Shift], window: Span) -> Span:
    """The wall times at which an instance could meet the window: moved, lasting and travelling as any of these."""
    before, after = master.length.most + master.travel_after, master.travel_before
    for _, by, event in shifts:
        before = max(before, by + event.length.most + event.travel_after)
        after = max(after, event.travel_before - by)
    return Span(window.start - before - REACH, window.end + after + REACH)


def _original_wall(master: Event, override: Event, places: Places) -> int | None:
    when = override.recurrence_id
    assert when is not None
    if when.is_date and not master.start.is_date:
        return when.wall + master.start.wall % DAY
    wall = wall_in(master, when, places)
    if wall is None:
        return None
    # In a gap it is shown later than it is meant: what follows is moved from the time that the series has.
    return next((each for each in same_in_gap(master, wall) if (each - master.start.wall) % DAY == 0), wall)


def _replaced(
    master: Event,
    overrides: list[Event],
    walls: set[int],
    places: Places,
    keys: dict[When, str],
) -> set[int]:
    """The starts that an override stands in for; each override's key is noted as it goes."""
    replaced: set[int] = set()
    by_day = dict(_first_of_days(walls)) if any(_names_a_day(master, event) for event in overrides) else {}
    for override in overrides:
        wall = _original_wall(master, override, places)
        if wall is None:
            report_zone(override, "changes a date", "both the old and the new time are blocked")
            continue
        if _names_a_day(master, override):
            wall = by_day.get(wall // DAY, wall)
        replaced.add(wall)
        replaced.update(same_in_gap(master, wall))
        assert override.recurrence_id is not None
        if wall in walls or override.recurrence_id not in keys:
            keys[override.recurrence_id] = _keys(master, [wall])[0]
    return replaced


def _names_a_day(master: Event, override: Event) -> bool:
    return override.recurrence_id is not None and override.recurrence_id.is_date and not master.start.is_date


def _first_of_days(walls: set[int]) -> Iterator[tuple[int, int]]:
    for wall in sorted(walls, reverse=True):
        yield wall // DAY, wall
