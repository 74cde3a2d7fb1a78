"""One VEVENT into the facts that decide what it blocks; what is odd in it is named, and blocks the wider time."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache

from domain.busy import EventProblemCode, EventStatus, Participation, ShowAs
from domain.interval import Span
from domain.zone_table import DAY
from sync.ical.dates import Fault, Length, read_dates, read_recurrence_id, unreadable
from sync.ical.text import Component, Property, plain_text
from sync.ical.times import Place, Places, When, read_duration

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
    recurrence_id = read_recurrence_id(component, faults)
    start, length, is_guess = read_dates(component, recurrence_id, places, faults)
    place = places.of(start)
    if not place.is_known:
        faults.append(
            Fault(
                EventProblemCode.UNKNOWN_TIME_ZONE,
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
    """Of a property that may stand once (RFC 5545 3.6.1) and stands more often, the value that closes most.

    `opens`: the values that open time, first the one that opens most.
    """
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
            faults.append(unreadable("has a travel time that cannot be read, so the event alone is blocked"))
    return min(longest, LONGEST_TRAVEL)
