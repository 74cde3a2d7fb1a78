"""Starts of one event into occurrences: those that meet the window, a stretch at a time in which the clocks keep."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import repeat

from domain.busy import Occurrence
from domain.interval import Span
from domain.zone_table import DAY, FIRST_INSTANT, LAST_INSTANT
from sync.ical.dates import Fault, Length
from sync.ical.event import Event
from sync.ical.keys import instant_keys, iso_day, keys_at, within_time

_UNDATED = (None, None)
Times = tuple[int, int, Span]
"""Start and end as shown, and what it blocks."""


@dataclass(slots=True)
class Found:
    """What was made of the events of one UID."""

    occurrences: list[Occurrence] = field(default_factory=list)
    faults: list[tuple[Event, Fault]] = field(default_factory=list)
    goes_on: bool = False


def add_single(found: Found, event: Event, window: Span) -> None:
    """Five of six are this plain, and most of them are over."""
    wall, length = event.start.wall, event.length
    walls, times = [wall], event.times(wall, length)
    first, last = _meeting(event, times, walls, window, low=0, high=1)
    found.goes_on = last == 0
    if first < last:
        found.occurrences = _steady(event, times, wall, walls, None, length=length, is_recurring=False)


def add(
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


def add_rest(found: Found, master: Event, rest: tuple[int, int | None], window: Span) -> None:
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
        keys = keys_of(master, [max(wall, master.start.wall)])
        times = start, end, Span(start, end)
        length = Length(None, place.zone.wall(end) - wall)
        found.occurrences += _steady(master, times, wall, [wall], keys, length=length, is_recurring=True)


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
        keys = instant_keys(starts) if is_placed else keys_of(event, walls)
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


def _clamped(occurrence: Occurrence) -> Occurrence:
    start, end = occurrence.busy
    return occurrence._replace(
        start=within_time(occurrence.start),
        end=within_time(occurrence.end),
        busy=Span(within_time(start), within_time(end)),
    )


def keys_of(event: Event, walls: list[int]) -> list[str]:
    return keys_at(walls, event.place, is_date=event.start.is_date)
