"""A calendar resource into what it blocks, and an appointment into a resource. Alone in knowing icalendar."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache

import icalendar
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from domain.busy import BusyPolicy, BusyRule, EventProblemCode, EventStatus, Occurrence, ShowAs, blocked_span
from domain.interval import Span
from domain.zone_table import UTC_ZONE, Zone, find_zone
from sync.ical.dates import Fault
from sync.ical.event import LONGEST_TEXT, Event, read_event
from sync.ical.frame import Framed, take_apart
from sync.ical.instances import Budget
from sync.ical.patch import lines_of, splice
from sync.ical.plain import Setting, plain_of
from sync.ical.reading import IN_ORDER, Problem, Reading
from sync.ical.regular import read_regular
from sync.ical.series import Scope, read_series
from sync.ical.single import read_single
from sync.ical.text import Component, Document, plain_text, read_document, without_controls
from sync.ical.times import Places

__all__ = [
    "AppointmentText",
    "Problem",
    "Reading",
    "Written",
    "patch_written",
    "read_in_general",
    "read_resource",
    "read_written",
    "write_appointment",
]

_PRODID = "-//Slotwire//Slotwire//EN"
_LONGEST_TITLE = 80
_LONGEST_NOTE = 10_000
_LONGEST_TZID = 255
_PATCHED = ("DTSTART", "DTEND", "SEQUENCE", "STATUS", "LAST-MODIFIED", "DTSTAMP")
_WINDOWS = {name.lower(): zone for name, zone in WINDOWS_TO_OLSON.items()}
_NO_ONE: frozenset[str] = frozenset()
_STRICTEST = BusyPolicy(declined=BusyRule.BLOCK, all_day_free=BusyRule.BLOCK)
_UNDATED = Fault(EventProblemCode.UNREADABLE, "has no start that can be read, so it could not be placed")


@dataclass(frozen=True, slots=True)
class AppointmentText:
    """What is written of an appointment. Nobody is invited by it: it has no attendee, no organizer and no alarm."""

    uid: str
    sequence: int
    start: int
    end: int
    title: str
    description: str
    created_at: float
    modified_at: float


@dataclass(frozen=True, slots=True)
class Written:
    """Our own copy as the calendar has it now, perhaps edited by the owner."""

    uid: str
    sequence: int
    start: int
    end: int
    title: str
    description: str
    status: EventStatus
    is_recurring: bool
    is_alone: bool
    "One event, once: neither a series nor beside others in its object."
    is_fixed: bool
    "Its start is one instant, wherever it is read: not floating, no date, and of no zone that is not known."


def read_resource(text: bytes | str, *, zone: str, addresses: frozenset[str], window: Span) -> Reading:
    """Never raises: what cannot be read is a problem, and blocks what time can be made out.

    `zone` is the owner's, for all-day events and floating times. `addresses` are the owner's own, without
    mailto:, with the principal's paths.
    """
    owner, framed = find_zone(zone), take_apart(text)
    if framed is None:
        return _read(read_document(text), owner, addresses, window)
    plain = None if owner is None else _read_plain(framed, Setting(owner, _named_zone, addresses, window))
    return _read(framed.document(), owner, addresses, window) if plain is None else plain


def read_in_general(text: bytes | str, *, zone: str, addresses: frozenset[str], window: Span) -> Reading:
    """As read_resource, but without its short ways: what they are held to."""
    return _read(read_document(text), find_zone(zone), addresses, window)


def write_appointment(appointment: AppointmentText) -> str:
    """In UTC and always with an end: iCloud refuses an event without one, and no VTIMEZONE has to be right."""
    event = icalendar.Event()
    event.add("UID", appointment.uid)
    event.add("SEQUENCE", appointment.sequence)
    event.add("DTSTART", _datetime(appointment.start))
    event.add("DTEND", _datetime(appointment.end))
    event.add("SUMMARY", _line(appointment.title))
    if appointment.description:
        event.add("DESCRIPTION", _lines(appointment.description))
    event.add("TRANSP", "OPAQUE")
    event.add("STATUS", "CONFIRMED")
    event.add("CREATED", _datetime(int(appointment.created_at)))
    event.add("LAST-MODIFIED", _datetime(int(appointment.modified_at)))
    event.add("DTSTAMP", _datetime(int(appointment.modified_at)))
    calendar = icalendar.Calendar()
    calendar.add("VERSION", "2.0")
    calendar.add("PRODID", _PRODID)
    calendar.add_component(event)
    written: bytes = calendar.to_ical()
    return written.decode()


def patch_written(text: str, appointment: AppointmentText) -> str | None:
    """The event with the appointment's time, and with all else that its owner put there: place, guests, alarms, words.

    The words of an appointment do not change: those that differ are the owner's. None of what is not this event alone.
    """
    seen = read_written(text)
    if seen is None or seen.uid != appointment.uid or not seen.is_alone:
        return None
    # Devices count edits too: an older number can be taken for an older state (RFC 5546 section 2.1.5).
    sequence = max(appointment.sequence, seen.sequence + 1)
    ours = lines_of(write_appointment(replace(appointment, sequence=sequence)))
    patched = splice(text.removeprefix("\ufeff"), {name: ours[name] for name in _PATCHED})
    again = None if patched is None else read_written(patched)
    is_so = again is not None and (again.uid, again.start, again.end, again.status) == (
        appointment.uid,
        appointment.start,
        appointment.end,
        EventStatus.CONFIRMED,
    )
    return patched if is_so else None


def read_written(text: bytes | str) -> Written | None:
    """The first event as it stands, whoever edited it; None where it can't be read. What floats counts as UTC."""
    document = read_document(text)
    places = Places(UTC_ZONE, _named_zone, document.zones)
    events, _ = _read_events(document.events, places, _NO_ONE)
    event = next((event for event in events if event.recurrence_id is None and not event.is_guess), None)
    if event is None or not document.is_whole:
        return None
    start, end, _ = event.times(event.start.wall, event.length)
    is_recurring = event.component.repeats
    return Written(
        uid=event.uid,
        sequence=event.sequence,
        start=start,
        end=end,
        title=event.title,
        description=plain_text(event.component.value("DESCRIPTION"), _LONGEST_NOTE),
        status=event.status,
        is_recurring=is_recurring,
        is_alone=len(document.events) == 1 and not is_recurring,
        is_fixed=event.place.is_known and not event.place.is_floating,
    )


# --- Reading


def _read_plain(framed: Framed, setting: Setting) -> Reading | None:
    events = [event for lines in framed.bodies if (event := plain_of(lines)) is not None]
    if len(events) < len(framed.bodies):
        return None
    is_single = len(events) == 1 and events[0].is_single
    return read_single(events[0], setting) if is_single else read_regular(events, setting)


def _read(document: Document, owner: Zone | None, addresses: frozenset[str], window: Span) -> Reading:
    scope = Scope(Places(owner, _named_zone, document.zones), window, Budget())
    events, undated = _read_events(document.events, scope.places, addresses)
    problems = [_problem(_uid(each), _title(each), _UNDATED, None) for each in undated]
    is_readable = document.is_whole and _may_replace(events, undated)
    occurrences: list[Occurrence] = []
    goes_on = False
    for uid, group in _by_uid(events).items():
        try:
            found = read_series(group, scope)
        except (ArithmeticError, ValueError):
            problems.append(_problem(uid, group[0].title, _UNDATED, None))
            is_readable = False
            continue
        occurrences += _one_a_key(found.occurrences)
        goes_on |= found.goes_on
        problems += [
            _problem(uid, event.title, fault, _hull(found.occurrences, window))
            for event, fault in found.faults
        ]
    occurrences.sort(key=IN_ORDER)
    if document.fault is not None:
        problems.append(_document_problem(document, events, _hull(occurrences, window)))
    known = next((event.uid for event in events if event.uid), None)
    return Reading(known, tuple(occurrences), tuple(dict.fromkeys(problems)), is_readable, goes_on)


@lru_cache(maxsize=1024)
def _known_zone(tzid: str) -> Zone | None:
    """IANA, then Windows, then what follows a vendor's prefix: `/freeassociation.sourceforge.net/Europe/Berlin`."""
    zone = find_zone(tzid) or find_zone(_WINDOWS.get(tzid.lower(), ""))
    if zone is None and tzid.upper() == "Z":
        return UTC_ZONE
    segments = tzid.split("/")
    for count in (3, 2, 1):
        if zone is None and len(segments) > count:
            zone = find_zone("/".join(segments[-count:]))
    return zone


def _named_zone(tzid: str) -> Zone | None:
    return _known_zone(tzid) if len(tzid) <= _LONGEST_TZID else None


def _read_events(
    components: Iterable[Component], places: Places, addresses: frozenset[str]
) -> tuple[list[Event], list[Component]]:
    """And those that cannot be dated: one bad component costs only itself."""
    events: list[Event] = []
    undated: list[Component] = []
    for component in components:
        try:
            events.append(read_event(component, places, addresses))
        except (ArithmeticError, ValueError):
            undated.append(component)
    return events, undated


def _may_replace(events: list[Event], undated: list[Component]) -> bool:
    """Whether the events can take the place of what was held: not where they are a series' changes without it."""
    known = {event.uid for event in events}
    series = {_uid(each) for each in undated if "RECURRENCE-ID" not in each.properties}
    return not undated or (bool(events) and "" not in series and known.isdisjoint(series))


def _uid(component: Component) -> str:
    return plain_text(component.value("UID"), LONGEST_TEXT)


def _title(component: Component) -> str:
    return plain_text(component.value("SUMMARY"), _LONGEST_TITLE)


def _by_uid(events: list[Event]) -> dict[str, list[Event]]:
    groups: dict[str, list[Event]] = {}
    for event in events:
        groups.setdefault(event.uid, []).append(event)
    return groups


def _one_a_key(occurrences: list[Occurrence]) -> list[Occurrence]:
    """Two that claim the same original start become one, which blocks as long as both."""
    if len({occurrence.key for occurrence in occurrences}) == len(occurrences):
        return occurrences
    kept: dict[str, Occurrence] = {}
    for occurrence in occurrences:
        other = kept.setdefault(occurrence.key, occurrence)
        if other is not occurrence:
            kept[occurrence.key] = _merged(other, occurrence)
    return list(kept.values())


def _merged(one: Occurrence, other: Occurrence) -> Occurrence:
    """No policy opens it that keeps either closed."""
    if blocked_span(one, _STRICTEST) is None:
        return other
    if blocked_span(other, _STRICTEST) is None:
        return one
    base = other if one.is_all_day and not other.is_all_day else one
    return base._replace(
        busy=Span(min(one.busy.start, other.busy.start), max(one.busy.end, other.busy.end)),
        show_as=base.show_as if one.show_as is other.show_as else ShowAs.BUSY,
        status=one.status if one.status is other.status else EventStatus.CONFIRMED,
        participation=one.participation if one.participation is other.participation else None,
        travel_before=max(one.travel_before, other.travel_before),
        travel_after=max(one.travel_after, other.travel_after),
    )


# --- Problems


def _problem(uid: str, title: str, fault: Fault, blocked: Span | None) -> Problem:
    name = f"“{title[:_LONGEST_TITLE]}”" if title else "An event without a title"
    return Problem(uid or None, fault.code, f"{name} {fault.text}.", blocked)


def _document_problem(document: Document, events: list[Event], blocked: Span | None) -> Problem:
    uid, title = (events[0].uid, events[0].title) if events else ("", "")
    name = f"What iCloud holds for “{title[:_LONGEST_TITLE]}”" if title else "What iCloud holds for an event"
    return Problem(uid or None, EventProblemCode.UNREADABLE, f"{name} {document.fault}.", blocked)


def _hull(occurrences: list[Occurrence], window: Span) -> Span | None:
    spans = [occurrence.busy for occurrence in occurrences if not occurrence.busy.is_empty]
    if not spans:
        return None
    hull = Span(min(span.start for span in spans), max(span.end for span in spans)).clipped(window)
    return None if hull.is_empty else hull


# --- Writing


def _datetime(instant: int) -> datetime:
    return datetime.fromtimestamp(instant, UTC)


def _lines(text: str) -> str:
    """Line ends as iCalendar escapes them; a lone CR would end the content line."""
    return without_controls(text.replace("\r\n", "\n").replace("\r", "\n"))


def _line(text: str) -> str:
    return " ".join(_lines(text).split())
