"""The events of one UID into occurrences: a series, its changed instances, and those without a series."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from domain.busy import Occurrence
from domain.interval import Span
from domain.zone_table import DAY, FIRST_INSTANT, LAST_INSTANT
from sync.ical_event import REACH, Event, Fault, Length
from sync.ical_instances import Budget, find_exceptions, find_instances, repeats, report_too_many, wall_in
from sync.ical_times import Place, Places, When

_EPOCH = 719_163
_MOST_OVERRIDES = 2_000


@dataclass(frozen=True, slots=True)
class Scope:
    """What every event of a resource is read in."""

    places: Places
    window: Span
    budget: Budget = field(default_factory=Budget)


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
    masters = [event for event in events if event.recurrence_id is None]
    overrides = _latest_overrides(events, has_master=bool(masters))
    if len(overrides) > _MOST_OVERRIDES:
        report_too_many(overrides[0], "has over 2,000 changed dates")
    keys: dict[When, str] = {}
    for master in masters:
        _read_master(master, overrides, keys, found, scope)
    for override in overrides:
        assert override.recurrence_id is not None
        key = keys.get(override.recurrence_id) or _key_of(override.recurrence_id, scope.places)
        _add(found, override, override.start.wall, key, scope.window, is_recurring=True)
    found.faults = [(event, fault) for event in events for fault in event.faults]
    return found


def _latest_overrides(events: list[Event], *, has_master: bool) -> list[Event]:
    """One for each RECURRENCE-ID: that of the highest SEQUENCE, of equals the last."""
    chosen: dict[When, Event] = {}
    for event in events:
        known = event.recurrence_id
        # An unreadable change changes nothing: the original goes on blocking where it was.
        if known is None or (event.is_guess and has_master):
            continue
        if known not in chosen or event.sequence >= chosen[known].sequence:
            chosen[known] = event
    return list(chosen.values())


def _read_master(
    master: Event, overrides: list[Event], keys: dict[When, str], found: Found, scope: Scope
) -> None:
    shifts = _shifts(master, overrides, scope.places)
    reach = _reach(master, shifts, scope.window)
    instances = find_instances(master, reach, scope.places, scope.budget)
    replaced = _replaced(master, overrides, instances.walls, scope.places, keys)
    excepted, days = find_exceptions(master, scope.places)
    is_recurring = repeats(master) or bool(overrides)
    froms = [shift.wall for shift in shifts]
    known = len(found.occurrences)
    for wall in sorted(instances.walls):
        if wall in replaced or wall in excepted or (days and wall - wall % DAY in days):
            continue
        event, at, length = master, wall, instances.lengths.get(wall)
        if froms and (nth := bisect_right(froms, wall)):
            event, length = shifts[nth - 1].event, None
            at = wall + shifts[nth - 1].by
        _add(found, event, at, _key(master, wall), scope.window, is_recurring=is_recurring, length=length)
    found.goes_on |= instances.goes_on
    if instances.rest is not None:
        _add_rest(found, master, instances.rest, scope.window)
    if is_recurring:
        scope.budget.occurrences = max(0, scope.budget.occurrences - len(found.occurrences) + known)


# --- Occurrences


def _add(
    found: Found,
    event: Event,
    wall: int,
    key: str,
    window: Span,
    *,
    is_recurring: bool,
    length: Length | None = None,
) -> None:
    length = length or event.length
    start, end, busy = event.times(wall, length)
    first, last = min(start, busy.start) - event.travel_before, max(end, busy.end) + event.travel_after
    if first >= window.end:
        found.goes_on = True
    elif last > window.start or first == last == window.start:
        days = _days_of(event, wall, wall + length.nominal)
        found.occurrences.append(_occurrence(event, key, (start, end), busy, days, is_recurring=is_recurring))


def _days_of(event: Event, wall: int, end: int) -> Span | None:
    return Span(wall // DAY, -(-end // DAY)) if event.start.is_date else None


def _add_rest(found: Found, master: Event, rest: tuple[int, int | None], window: Span) -> None:
    """One long occurrence, to the window's end or the series', for what is too much to go through."""
    wall, last = rest
    place = master.place
    start, end = place.earliest(wall), window.end
    if last is not None:
        end = min(end, place.latest((last // DAY + 1) * DAY) + master.length.most)
    found.goes_on |= end == window.end
    if start < end and end > window.start:
        key = _key(master, max(wall, master.start.wall))
        days = _days_of(master, wall, place.zone.wall(end))
        span = Span(start, end)
        found.occurrences.append(_occurrence(master, key, span, span, days, is_recurring=True))


def _occurrence(
    event: Event, key: str, shown: tuple[int, int], busy: Span, days: Span | None, *, is_recurring: bool
) -> Occurrence:
    start, end = shown
    if busy.start < FIRST_INSTANT or busy.end > LAST_INSTANT:
        start, end = _within_time(start), _within_time(end)
        busy = Span(_within_time(busy.start), _within_time(busy.end))
    return Occurrence(
        event.uid,
        key,
        start,
        end,
        busy,
        days is not None,
        _iso(days.start) if days else None,
        _iso(days.end) if days else None,
        event.title,
        is_recurring,
        event.show_as,
        event.status,
        event.participation,
        event.travel_before,
        event.travel_after,
    )


def _within_time(instant: int) -> int:
    """Years 1 to 9999: what a date can say."""
    return min(max(instant, FIRST_INSTANT), LAST_INSTANT)


def _key(event: Event, wall: int) -> str:
    return _key_at(wall, event.place, is_date=event.start.is_date)


def _key_of(when: When, places: Places) -> str:
    """The key of an override whose series is not there."""
    return _key_at(when.wall, places.of(when), is_date=when.is_date)


def _key_at(wall: int, place: Place, *, is_date: bool) -> str:
    if is_date:
        return _day_text(wall // DAY)
    if place.is_floating or not place.is_known:
        return f"{_day_text(wall // DAY)}T{_time_text(wall % DAY)}"
    instant = _within_time(place.zone.earliest(wall))
    return f"{_day_text(instant // DAY)}T{_time_text(instant % DAY)}Z"


@lru_cache(maxsize=8192)
def _day_text(day: int) -> str:
    return date.fromordinal(min(max(day + _EPOCH, 1), date.max.toordinal())).strftime("%Y%m%d").zfill(8)


@lru_cache(maxsize=2048)
def _time_text(second: int) -> str:
    return f"{second // 3_600:02}{second % 3_600 // 60:02}{second % 60:02}"


@lru_cache(maxsize=8192)
def _iso(day: int) -> str:
    return date.fromordinal(min(max(day + _EPOCH, 1), date.max.toordinal())).isoformat()


# --- Changed instances


def _reaches_on(override: Event) -> bool:
    given = override.component.first("RECURRENCE-ID")
    return given is not None and (given.param("RANGE") or "").upper() == "THISANDFUTURE"


def _shifts(master: Event, overrides: list[Event], places: Places) -> list[_Shift]:
    """Where THISANDFUTURE changes the series (RFC 5545 3.8.4.4)."""
    found = []
    for event in overrides:
        wall = _original_wall(master, event, places)
        if wall is None or not _reaches_on(event) or event.start.is_date != master.start.is_date:
            continue
        found.append(_Shift(wall, event.start.wall - wall, event))
    return sorted(found, key=lambda shift: shift.wall)


def _reach(master: Event, shifts: list[_Shift], window: Span) -> Span:
    """The wall times at which an instance could meet the window: moved, lasting and travelling as any of these."""
    before = after = 0
    for by, event in [(0, master), *((shift.by, shift.event) for shift in shifts)]:
        before = max(before, by + event.length.most + event.travel_after)
        after = max(after, event.travel_before - by)
    return Span(window.start - before - REACH, window.end + after + REACH)


def _original_wall(master: Event, override: Event, places: Places) -> int | None:
    when = override.recurrence_id
    assert when is not None
    if when.is_date and not master.start.is_date:
        return when.wall + master.start.wall % DAY
    return wall_in(master, when, places)


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
            continue
        if _names_a_day(master, override):
            wall = by_day.get(wall // DAY, wall)
        replaced.add(wall)
        assert override.recurrence_id is not None
        if wall in walls or override.recurrence_id not in keys:
            keys[override.recurrence_id] = _key(master, wall)
    return replaced


def _names_a_day(master: Event, override: Event) -> bool:
    return override.recurrence_id is not None and override.recurrence_id.is_date and not master.start.is_date


def _first_of_days(walls: set[int]) -> Iterator[tuple[int, int]]:
    for wall in sorted(walls, reverse=True):
        yield wall // DAY, wall
