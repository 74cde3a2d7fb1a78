"""Events as iCloud and its devices write them: with their VTIMEZONE, VALARM and X-APPLE lines."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_ESCAPED = re.compile(r"\\(.)")
_PRODUCT = "-//Apple Inc.//iPhone OS 19.1//EN"


@dataclass(frozen=True, slots=True)
class Guest:
    name: str
    email: str
    status: str = "ACCEPTED"
    is_owner: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A moment is a date for all-day, naive for floating, in UTC for `Z`, else with its ZoneInfo's name as TZID."""

    uid: str
    title: str
    start: date | datetime
    end: date | datetime
    written: datetime
    occurrence: date | datetime | None = None  # What RECURRENCE-ID says.
    rule: str = ""
    left_out: tuple[date | datetime, ...] = ()
    free: bool = False
    status: str = ""
    place: str = ""
    travel: timedelta = timedelta()
    alarm: str = ""  # As `-PT15M`; empty for none.
    principal: str = ""  # The owner's, to which iCloud rewrites their address.
    organizer: Guest | None = None
    guests: tuple[Guest, ...] = ()


def resource(events: Sequence[Event]) -> str:
    """One resource: the zones it needs, the master and its overrides."""
    zones = sorted({zone for event in events for zone in _zones(event)})
    lines = ["BEGIN:VCALENDAR", "CALSCALE:GREGORIAN", f"PRODID:{_PRODUCT}", "VERSION:2.0"]
    for zone in zones:
        lines += zone_lines(zone, events[0].start.year)
    for event in events:
        lines += event_lines(event)
    return as_text([*lines, "END:VCALENDAR"])


def task(uid: str, title: str, due: datetime, written: datetime) -> str:
    return as_text(
        [
            *("BEGIN:VCALENDAR", "CALSCALE:GREGORIAN", f"PRODID:{_PRODUCT}", "VERSION:2.0", "BEGIN:VTODO"),
            *(f"UID:{uid}", f"DTSTAMP:{_utc(written)}", f"SUMMARY:{escaped(title)}", f"DUE:{_utc(due)}"),
            *("STATUS:NEEDS-ACTION", "END:VTODO", "END:VCALENDAR"),
        ]
    )


def as_text(lines: Iterable[str]) -> str:
    return "".join(f"{folded}\r\n" for line in lines for folded in _folds(line))


def event_lines(event: Event) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"CREATED:{_utc(event.written - timedelta(days=3))}"
    yield f"DTSTAMP:{_utc(event.written)}"
    yield f"LAST-MODIFIED:{_utc(event.written)}"
    yield f"UID:{event.uid}"
    yield f"DTSTART{moment(event.start)}"
    yield f"DTEND{moment(event.end)}"
    if event.occurrence is not None:
        yield f"RECURRENCE-ID{moment(event.occurrence)}"
    if event.rule:
        yield f"RRULE:{event.rule}"
    for left_out in event.left_out:
        yield f"EXDATE{moment(left_out)}"
    yield f"SUMMARY:{escaped(event.title)}"
    yield f"TRANSP:{'TRANSPARENT' if event.free else 'OPAQUE'}"
    yield "SEQUENCE:0"
    if event.status:
        yield f"STATUS:{event.status}"
    yield from _place_lines(event)
    yield from _guest_lines(event)
    yield from _alarm_lines(event)
    yield "X-APPLE-CREATOR-IDENTITY:com.apple.mobilecal"
    yield "X-APPLE-CREATOR-TEAM-IDENTITY:0000000000"
    yield "END:VEVENT"


def moment(at: date | datetime) -> str:
    """From the parameters to the value, as it follows the property's name."""
    if not isinstance(at, datetime):
        return f";VALUE=DATE:{at:%Y%m%d}"
    match at.tzinfo:
        case None:
            return f":{at:%Y%m%dT%H%M%S}"
        case ZoneInfo(key=str(key)) if key != "UTC":
            return f";TZID={key}:{at:%Y%m%dT%H%M%S}"
        case _:
            return f":{_utc(at)}"


@cache
def zone_lines(zone: str, year: int) -> tuple[str, ...]:
    """A VTIMEZONE from the changes of one year, each said to come again every year."""
    return tuple(_zone_lines(zone, year))


def _zone_lines(zone: str, year: int) -> Iterator[str]:
    tz = ZoneInfo(zone)
    yield "BEGIN:VTIMEZONE"
    yield f"TZID:{zone}"
    changes = list(_changes(tz, year))
    for change in changes:
        before, after = (change - timedelta(seconds=1)).astimezone(tz), change.astimezone(tz)
        local = change.astimezone(UTC).replace(tzinfo=None) + (before.utcoffset() or timedelta())
        yield from _observance(before, after, local, f"FREQ=YEARLY;{_yearly(local)}")
    if not changes:
        always = datetime(year, 1, 1, tzinfo=tz)
        yield from _observance(always, always, datetime(1970, 1, 1), "")  # noqa: DTZ001 - a local time.
    yield "END:VTIMEZONE"


def _observance(before: datetime, after: datetime, local: datetime, rule: str) -> Iterator[str]:
    kind = "DAYLIGHT" if after.dst() else "STANDARD"
    yield f"BEGIN:{kind}"
    yield f"DTSTART:{local:%Y%m%dT%H%M%S}"
    if rule:
        yield f"RRULE:{rule}"
    yield f"TZNAME:{after.tzname()}"
    yield f"TZOFFSETFROM:{before:%z}"
    yield f"TZOFFSETTO:{after:%z}"
    yield f"END:{kind}"


def _changes(tz: ZoneInfo, year: int) -> Iterator[datetime]:
    """The instants in `year` at which the offset changes: by day, then halved down to the minute."""
    for number in range(365):
        low = datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=number)
        high = low + timedelta(days=1)
        if low.astimezone(tz).utcoffset() == high.astimezone(tz).utcoffset():
            continue
        while high - low > timedelta(minutes=1):
            middle = low + timedelta(minutes=(high - low) // timedelta(minutes=2))
            if middle.astimezone(tz).utcoffset() == low.astimezone(tz).utcoffset():
                low = middle
            else:
                high = middle
        yield high


def _yearly(local: datetime) -> str:
    last_week = (local + timedelta(days=7)).month != local.month
    nth = -1 if last_week else (local.day - 1) // 7 + 1
    return f"BYMONTH={local.month};BYDAY={nth}{_WEEKDAYS[local.weekday()]}"


def _place_lines(event: Event) -> Iterator[str]:
    if event.place:
        yield f"LOCATION:{escaped(event.place)}"
        title = event.place.replace('"', "'")
        yield (
            f'X-APPLE-STRUCTURED-LOCATION;VALUE=URI;X-ADDRESS="{title}";'
            f'X-APPLE-RADIUS=70;X-TITLE="{title}":geo:52.520008,13.404954'
        )
    if event.travel:
        minutes = event.travel // timedelta(minutes=1)
        yield f"X-APPLE-TRAVEL-DURATION;VALUE=DURATION:PT{minutes}M"
        yield 'X-APPLE-TRAVEL-START;ROUTING=CAR;VALUE=URI;X-TITLE="Home":geo:52.5,13.4'
        yield "X-APPLE-TRAVEL-ADVISORY-BEHAVIOR:AUTOMATIC"


def _guest_lines(event: Event) -> Iterator[str]:
    if event.organizer is not None:
        yield f"ORGANIZER{_person(event.organizer, event.principal, status=False)}"
    for guest in event.guests:
        yield f"ATTENDEE{_person(guest, event.principal, status=True)}"


def _person(guest: Guest, principal: str, *, status: bool) -> str:
    # iCloud rewrites the owner's address to their principal; EMAIL= is what still names them.
    address = principal if guest.is_owner and principal else f"mailto:{guest.email}"
    said = f";CUTYPE=INDIVIDUAL;PARTSTAT={guest.status};ROLE=REQ-PARTICIPANT" if status else ""
    return f';CN="{guest.name}";EMAIL={guest.email}{said}:{address}'


def _alarm_lines(event: Event) -> Iterator[str]:
    if event.alarm:
        yield "BEGIN:VALARM"
        yield "ACTION:DISPLAY"
        yield "DESCRIPTION:Reminder"
        yield f"TRIGGER:{event.alarm}"
        yield f"UID:{event.uid[:23]}-ALARM0000001"
        yield f"X-WR-ALARMUID:{event.uid[:23]}-ALARM0000001"
        yield "END:VALARM"


def _zones(event: Event) -> Iterator[str]:
    moments = (event.start, event.end, event.occurrence, *event.left_out)
    for at in moments:
        match at:
            case datetime(tzinfo=ZoneInfo(key=str(key))) if key != "UTC":
                yield key


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: "\n" if found[1] in "nN" else found[1], text)


def _folds(line: str) -> Iterator[str]:
    """RFC 5545 3.1: at most 75 octets a line; counted in characters of at most four octets where not ASCII."""
    width = 74 if line.isascii() else 18
    yield line[:width]
    for at in range(width, len(line), width):
        yield " " + line[at : at + width]
