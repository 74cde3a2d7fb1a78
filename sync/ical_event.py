"""One VEVENT into the facts that decide what it blocks; what is odd in it is named, and blocks the wider time."""

from __future__ import annotations

import re
from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from domain.busy import EventStatus, Participation, ShowAs
from domain.interval import Span
from domain.zone_table import DAY
from sync.ical_text import Component, Property, plain_text
from sync.ical_times import (
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

LONGEST_TEXT = 1_000
LONGEST_TRAVEL = 7 * DAY
_HOST = re.compile(r"\Ahttps?://[^/]*")
# The owner may be invited by several addresses: the answer that blocks most counts.
_ANSWERS = {
    "ACCEPTED": Participation.ACCEPTED,
    "TENTATIVE": Participation.TENTATIVE,
    "NEEDS-ACTION": Participation.NEEDS_ACTION,
    "DECLINED": Participation.DECLINED,
}


class ProblemCode(StrEnum):
    UNREADABLE = "UNREADABLE"
    BAD_RECURRENCE = "BAD_RECURRENCE"
    UNKNOWN_TIME_ZONE = "UNKNOWN_TIME_ZONE"
    TOO_MANY_OCCURRENCES = "TOO_MANY_OCCURRENCES"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, as the end of a sentence that begins with the event's title."""

    code: ProblemCode
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


@dataclass(slots=True)
class Event:
    uid: str
    component: Component
    start: When
    place: Place
    length: Length
    title: str
    show_as: ShowAs
    status: EventStatus
    participation: Participation | None
    travel_before: int
    travel_after: int
    sequence: int
    recurrence_id: When | None
    faults: list[Fault]
    is_guess: bool
    """DTSTART could not be read: the start is the best that could be made out."""

    def times(self, wall: int, length: Length) -> tuple[int, int, Span]:
        """Start and end as shown, and what it blocks, of the occurrence at this wall time."""
        place, zone, until = self.place, self.place.zone, wall + length.nominal
        nth = bisect_right(zone.first_breaks, wall)
        start = wall - zone.offsets[nth]
        if length.is_zero:
            return start, start, Span(start, start)
        if place.is_known and until >= wall and nth == bisect_right(zone.last_breaks, until):
            # No change of the clocks up to its end: one offset tells all.
            end_of_days = start + length.nominal + length.rest
            end = end_of_days if length.exact is None else start + length.exact
            busy_end = end if end >= end_of_days or self.start.is_date else end_of_days
            return start, end, tuple.__new__(Span, (start, busy_end))
        end_of_days = place.shown(until) + length.rest
        end = end_of_days if length.exact is None else start + length.exact
        if self.start.is_date and place.is_known:
            return start, end, Span(start, end)  # A day ends at its midnight, though there be two.
        busy_end = max(end, place.latest(until) + length.rest)
        return start, end, Span(place.earliest(wall), busy_end)


def read_event(component: Component, places: Places, addresses: frozenset[str]) -> Event:
    """Raises ValueError where the event cannot be dated at all."""
    faults: list[Fault] = []
    recurrence_id = _recurrence_id(component, faults)
    start, length, is_guess = _dates(component, recurrence_id, places, faults)
    place = places.of(start)
    if not place.is_known:
        faults.append(
            Fault(
                ProblemCode.UNKNOWN_TIME_ZONE,
                "is in a time zone that is not known, so every time that it could mean is blocked",
            )
        )
    return Event(
        uid=plain_text(component.value("UID"), LONGEST_TEXT),
        component=component,
        start=start,
        place=place,
        length=length,
        title=plain_text(component.value("SUMMARY"), LONGEST_TEXT),
        show_as=show_as_of(_said(component, "TRANSP", opens=("TRANSPARENT",))),
        status=status_of(_said(component, "STATUS", opens=("CANCELLED", "TENTATIVE"))),
        participation=participation_of(component.every("ATTENDEE"), addresses),
        travel_before=_travel(component, "X-APPLE-TRAVEL-DURATION", faults),
        travel_after=_travel(component, "X-APPLE-TRAVEL-RETURN-DURATION", faults),
        sequence=read_sequence(component),
        recurrence_id=recurrence_id,
        faults=faults,
        is_guess=is_guess,
    )


def read_sequence(component: Component) -> int:
    text = component.value("SEQUENCE")
    return int(text) if text.isdecimal() and len(text) < 10 else 0


@lru_cache(maxsize=256)
def _normal_addresses(addresses: frozenset[str]) -> frozenset[str]:
    return frozenset(_normal(address) for address in addresses)


def _normal(address: str) -> str:
    """mailto:, a principal's host and its last slash come and go between one server's answers."""
    address = address.strip().strip('"').lower().removeprefix("mailto:")
    return _HOST.sub("", address).rstrip("/") if "/" in address else address


# --- Dates


def _recurrence_id(component: Component, faults: list[Fault]) -> When | None:
    given = component.first("RECURRENCE-ID")
    if given is None:
        return None
    try:
        return read_when(given)
    except ValueError:
        faults.append(
            _unreadable("changes a date that cannot be read, so both the old and the new time are blocked")
        )
        return None


def _dates(
    component: Component, recurrence_id: When | None, places: Places, faults: list[Fault]
) -> tuple[When, Length, bool]:
    starts = [when for given in component.every("DTSTART") if (when := _read_start(given)) is not None]
    if not starts:
        start = _start_by_other_means(component, recurrence_id)
        faults.append(_unreadable("has a start that cannot be read, so its time is a guess"))
        return start, ONE_DAY if start.is_date else ONE_HOUR, True
    if not _are_at_odds(component.every("DTSTART")):
        return starts[0], _length_or_least(component, starts[0], places, faults), False
    if "RRULE" in component.properties or "RDATE" in component.properties:
        faults.append(_unreadable("has more than one start, of which the first that can be read counts"))
        return starts[0], _length_or_least(component, starts[0], places, faults), False
    faults.append(_unreadable("has more than one start: it is blocked from the earliest to its latest end"))
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
        faults.append(
            _unreadable(f"has an end that cannot be read or is before its start, so {what} blocked")
        )
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
        faults.append(_unreadable("has more than one end, of which the latest counts"))
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
    on_clock = end.wall - start.wall
    if start.is_date:
        if not end.is_date:
            shown = places.of(start).zone.wall(places.of(end).latest(end.wall))
            on_clock = max(on_clock, shown - start.wall)
        if on_clock < 0:
            raise ValueError("it ends before it starts")
        return Length(None, max(1, -(-on_clock // DAY)) * DAY)
    place = places.of(start)
    is_same_clock = start.tzid == end.tzid and start.is_utc == end.is_utc
    if is_same_clock and start.wall <= end.wall < place.zone.steady_until(start.wall):
        return tuple.__new__(Length, (on_clock, on_clock, 0))
    place_of_end = places.of(end)
    exact = place_of_end.shown(end.wall) - place.shown(start.wall)
    if not (place.is_known and place_of_end.is_known) and start.tzid != end.tzid:
        # Each may be anywhere by itself: to the latest end that either can mean.
        exact = max(exact, HOUR)
        return Length(exact, 0, max(exact, place_of_end.latest(end.wall) - place.earliest(start.wall)))
    if is_same_clock and (not place.is_known or place.zone.is_in_gap(start.wall)):
        # In a gap the start is read an hour later on the clock, and its end with it.
        exact = max(exact, on_clock)
    if exact < 0:
        raise ValueError("it ends before it starts")
    # To the second hour of a fold, where the end lies in one.
    latest = exact + place_of_end.latest(end.wall) - place_of_end.shown(end.wall)
    return Length(exact, on_clock) if is_same_clock else Length(exact, 0, latest)


# --- Facts


def show_as_of(transparency: str) -> ShowAs:
    return ShowAs.FREE if transparency.upper() == "TRANSPARENT" else ShowAs.BUSY


def status_of(text: str) -> EventStatus:
    match text.upper():
        case "CANCELLED":
            return EventStatus.CANCELLED
        case "TENTATIVE":
            return EventStatus.TENTATIVE
        case _:
            return EventStatus.CONFIRMED


def participation_of(attendees: list[Property], addresses: frozenset[str]) -> Participation | None:
    """The owner is named by the attendee's EMAIL, by a mailto: or by a principal's path."""
    if not addresses or not attendees:
        return None
    own = _normal_addresses(addresses)
    answers = {_answer(given) for given in attendees if _is_own(given, own)}
    return next((answer for answer in _ANSWERS.values() if answer in answers), None)


def _is_own(attendee: Property, own: frozenset[str]) -> bool:
    if _normal(attendee.value) in own:
        return True
    written = attendee.params.lower()
    # Most guests are others: what is in none of the parameters is not looked for in each.
    is_named = any(address in written for address in own)
    return is_named and _normal(attendee.param("EMAIL") or "") in own


def _answer(attendee: Property) -> Participation:
    """RFC 5545 3.2.12: missing, or not known to us, is NEEDS-ACTION."""
    return _ANSWERS.get((attendee.param("PARTSTAT") or "").upper(), Participation.NEEDS_ACTION)


def _said(component: Component, name: str, *, opens: tuple[str, ...]) -> str:
    """What may stand once (RFC 5545 3.6.1), and of several at odds the one that opens least; `opens` from the most."""
    values = [given.value.strip() for given in component.every(name)]
    return max(
        values,
        key=lambda value: opens.index(value.upper()) if value.upper() in opens else len(opens),
        default="",
    )


def _travel(component: Component, name: str, faults: list[Fault]) -> int:
    """Of several, the longest."""
    longest = 0
    for given in component.every(name):
        try:
            longest = max(longest, read_duration(given.value).total)
        except ValueError:
            faults.append(_unreadable("has a travel time that cannot be read, so the event alone is blocked"))
    return min(longest, LONGEST_TRAVEL)


def _unreadable(text: str) -> Fault:
    return Fault(ProblemCode.UNREADABLE, text)
