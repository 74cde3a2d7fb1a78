"""The events of one UID into occurrences: a series, its changed instances, and those without a series."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from domain.interval import Span
from domain.zone_table import DAY
from sync.ical.dates import REACH, Length
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
from sync.ical.keys import keys_at
from sync.ical.occurrences import Found, add, add_rest, add_single, keys_of
from sync.ical.times import Places, When

_MOST_OVERRIDES = 2_000
_REPEATING = ("RRULE", "RDATE", "EXDATE", "EXRULE")


class Scope(NamedTuple):
    """What every event of a resource is read in."""

    places: Places
    window: Span
    budget: Budget


class _Shift(NamedTuple):
    """From this start on, the series is moved by so much, and is otherwise, its zone too, as in this event."""

    wall: int
    by: int
    event: Event


def read_series(events: list[Event], scope: Scope) -> Found:
    found = Found()
    if len(events) == 1 and _is_single(events[0]):
        add_single(found, events[0], scope.window)
    else:
        _read_several(events, found, scope)
    found.faults = [(event, fault) for event in events for fault in event.faults]
    return found


def _is_single(event: Event) -> bool:
    return event.recurrence_id is None and event.component.properties.keys().isdisjoint(_REPEATING)


def _read_several(events: list[Event], found: Found, scope: Scope) -> None:
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
        walls, length = [override.start.wall], override.length
        add(found, override, walls, [key], scope.window, is_recurring=True, length=length)


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
        original = None if event is master else keys_of(master, part)
        moved = [wall + by for wall in part] if by else part
        add(found, event, moved, original, scope.window, is_recurring=is_recurring, length=length)
    found.goes_on |= instances.goes_on
    if instances.rest is not None:
        add_rest(found, master, instances.rest, scope.window)
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
            keys[override.recurrence_id] = keys_of(master, [wall])[0]
    return replaced


def _names_a_day(master: Event, override: Event) -> bool:
    return override.recurrence_id is not None and override.recurrence_id.is_date and not master.start.is_date


def _first_of_days(walls: set[int]) -> Iterator[tuple[int, int]]:
    for wall in sorted(walls, reverse=True):
        yield wall // DAY, wall
