"""When a VEVENT is and how long: what is odd in it is named, and blocks the wider time."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from domain.busy import EventProblemCode
from domain.zone_table import DAY
from sync.ical.text import Component, Property
from sync.ical.times import (
    HOUR,
    MOST_AHEAD,
    MOST_BEHIND,
    Duration,
    Place,
    Places,
    When,
    read_duration,
    read_when,
)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, as the end of a sentence that begins with the event's title."""

    code: EventProblemCode
    text: str


class Length(NamedTuple):
    """How long each occurrence lasts.

    DTEND gives an exact length to all (RFC 5545 3.8.5.3), but people see the time on the clock: it blocks to the
    later of the two. DURATION gives days by the clock and the rest exactly (3.3.6).
    """

    exact: int | None
    nominal: int
    rest: int = 0

    @property
    def is_zero(self) -> bool:
        return not (self.exact or self.nominal or self.rest)

    @property
    def most(self) -> int:
        return max(self.exact or 0, self.nominal + self.rest)


REACH = MOST_AHEAD + MOST_BEHIND + 4 * HOUR
"""How far a wall time, counted as UTC, can be from any instant that it means."""
ONE_DAY = Length(None, DAY)
ONE_HOUR = Length(HOUR, HOUR)


def read_recurrence_id(component: Component, faults: list[Fault]) -> When | None:
    given = component.first("RECURRENCE-ID")
    if given is None:
        return None
    try:
        return read_when(given)
    except ValueError:
        faults.append(
            unreadable("changes a date that cannot be read, so both the old and the new time are blocked")
        )
        return None


def read_dates(
    component: Component, recurrence_id: When | None, places: Places, faults: list[Fault]
) -> tuple[When, Length, bool]:
    """Its start, its length, and whether the start is a guess. Raises ValueError where it cannot be dated at all."""
    starts = [when for given in component.every("DTSTART") if (when := _read_start(given)) is not None]
    if not starts:
        start = _start_by_other_means(component, recurrence_id)
        faults.append(unreadable("has a start that cannot be read, so its time is a guess"))
        return start, ONE_DAY if start.is_date else ONE_HOUR, True
    if not _are_at_odds(component.every("DTSTART")):
        return starts[0], _length_or_least(component, starts[0], places, faults), False
    if component.repeats:
        faults.append(unreadable("has more than one start, of which the first that can be read counts"))
        return starts[0], _length_or_least(component, starts[0], places, faults), False
    faults.append(unreadable("has more than one start: it is blocked from the earliest to its latest end"))
    dates = [(start, _length_or_least(component, start, places, [])) for start in starts]
    return *_widest(dates, places), False


def _read_start(given: Property) -> When | None:
    try:
        return read_when(given)
    except ValueError:
        return None


def _widest(dates: list[tuple[When, Length]], places: Places) -> tuple[When, Length]:
    """From the earliest start to the latest end: in days if all are for days, else in UTC."""
    if all(start.is_date for start, _ in dates):
        first = min(start for start, _ in dates)
        return first, Length(None, max(start.wall + length.nominal for start, length in dates) - first.wall)
    begins = min(places.of(start).earliest(start.wall) for start, _ in dates)
    ends = max(_latest_end(start, length, places.of(start)) for start, length in dates)
    return When(begins, is_date=False, is_utc=True, tzid=None), Length(ends - begins, ends - begins)


def _latest_end(start: When, length: Length, place: Place) -> int:
    by_clock = place.latest(start.wall + length.nominal) + length.rest
    return max(by_clock, place.latest(start.wall) + (length.exact or 0))


def _length_or_least(component: Component, start: When, places: Places, faults: list[Fault]) -> Length:
    try:
        return _length(component, start, places, faults)
    except ValueError:
        what = "only its first day is" if start.is_date else "one hour from its start is"
        faults.append(unreadable(f"has an end that cannot be read or is before its start, so {what} blocked"))
        return ONE_DAY if start.is_date else ONE_HOUR


def _start_by_other_means(component: Component, recurrence_id: When | None) -> When:
    if recurrence_id is not None:
        return recurrence_id
    end = component.first("DTEND")
    if end is None:
        raise ValueError("it cannot be dated")
    when = read_when(end)
    return when._replace(wall=when.wall - (DAY if when.is_date else HOUR))


def _are_at_odds(given: list[Property]) -> bool:
    """What may stand once (RFC 5545 3.6.1), and stands there more than once, each with another value."""
    return len(given) > 1 and len(set(given)) > 1


def _length(component: Component, start: When, places: Places, faults: list[Fault]) -> Length:
    """Raises ValueError."""
    ends, durations = component.every("DTEND"), component.every("DURATION")
    if (ends and durations) or _are_at_odds(ends) or _are_at_odds(durations):
        faults.append(unreadable("has more than one end, of which the latest counts"))
        return _longest(ends, durations, start, places)
    if ends:
        return length_to(start, read_when(ends[0]), places)
    if durations:
        return length_of(start, read_duration(durations[0].value))
    return ONE_DAY if start.is_date else Length(0, 0)  # RFC 5545 3.6.1


def _longest(ends: list[Property], durations: list[Property], start: When, places: Places) -> Length:
    """Of those that can be read. Raises ValueError where none can."""
    found: list[Length] = []
    for end in ends:
        with suppress(ValueError):
            found.append(length_to(start, read_when(end), places))
    for duration in durations:
        with suppress(ValueError):
            found.append(length_of(start, read_duration(duration.value)))
    return max(found, key=lambda length: length.most)


def length_of(start: When, duration: Duration) -> Length:
    if duration.total < 0:
        raise ValueError("the duration is negative")
    if start.is_date:
        return Length(None, max(1, -(-duration.total // DAY)) * DAY)
    return Length(None, duration.days * DAY, duration.seconds)


def length_to(start: When, end: When, places: Places) -> Length:
    """Raises ValueError where it ends before it starts."""
    if start.is_date:
        return _days_to(start, end, places)
    place = places.of(start)
    if start.tzid == end.tzid and start.is_utc == end.is_utc:
        if start.wall <= end.wall < place.zone.steady_until(start.wall):
            on_clock = end.wall - start.wall
            return tuple.__new__(Length, (on_clock, on_clock, 0))
        return _by_one_clock(start, end, place)
    return _by_two_clocks(start, end, place, places.of(end))


def _days_to(start: When, end: When, places: Places) -> Length:
    on_clock = end.wall - start.wall
    if not end.is_date:
        shown = places.of(start).zone.wall(places.of(end).latest(end.wall))
        on_clock = max(on_clock, shown - start.wall)
    return Length(None, max(1, -(-_not_negative(on_clock) // DAY)) * DAY)


def _by_one_clock(start: When, end: When, place: Place) -> Length:
    on_clock, exact = end.wall - start.wall, place.shown(end.wall) - place.shown(start.wall)
    if not place.is_known or place.zone.is_in_gap(start.wall):
        # In a gap the start is read an hour later on the clock, and its end with it.
        exact = max(exact, on_clock)
    return Length(_not_negative(exact), on_clock)


def _by_two_clocks(start: When, end: When, place: Place, place_of_end: Place) -> Length:
    exact = place_of_end.shown(end.wall) - place.shown(start.wall)
    if not (place.is_known and place_of_end.is_known) and start.tzid != end.tzid:
        # Each may be anywhere by itself: to the latest end that either can mean.
        exact = max(exact, HOUR)
        return Length(exact, 0, max(exact, place_of_end.latest(end.wall) - place.earliest(start.wall)))
    # To the second hour of a fold, where the end lies in one.
    in_fold = place_of_end.latest(end.wall) - place_of_end.shown(end.wall)
    return Length(_not_negative(exact), 0, exact + in_fold)


def _not_negative(length: int) -> int:
    if length < 0:
        raise ValueError("it ends before it starts")
    return length


def unreadable(text: str) -> Fault:
    return Fault(EventProblemCode.UNREADABLE, text)
