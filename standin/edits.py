"""What a device does to an object's text: each edit is a function from its lines to new ones."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from typing import Self

from dateutil.rrule import rrulestr

from standin.event_text import Event, event_lines, moment, unescaped

Edit = Callable[[list[str]], list[str]]
_LINKED = "RELATED-TO;RELTYPE=X-CALENDARSERVER-RECURRENCE-SET"
_KEPT = frozenset({"TRANSP", "STATUS", "LOCATION", "X-APPLE-TRAVEL-DURATION"})
_LOCAL = "%Y%m%dT%H%M%S"


@dataclass(frozen=True, slots=True)
class Object:
    """An object taken apart: what is before its events, each event, what is after."""

    head: list[str]
    events: list[list[str]]
    tail: list[str]

    @classmethod
    def of(cls, lines: Iterable[str]) -> Self:
        parts = cls([], [], [])
        inside = False
        for line in lines:
            if line == "BEGIN:VEVENT":
                inside = True
                parts.events.append([])
            if inside:
                parts.events[-1].append(line)
            else:
                (parts.tail if parts.events else parts.head).append(line)
            inside = inside and line != "END:VEVENT"
        return parts

    @property
    def master(self) -> list[str]:
        """The event that is not one occurrence of another."""
        if not self.events:
            raise ValueError("there is no event in it")
        return next((event for event in self.events if not value(event, "RECURRENCE-ID")), self.events[0])

    @property
    def lines(self) -> list[str]:
        return [*self.head, *(line for event in self.events for line in event), *self.tail]

    def with_master(self, master: list[str]) -> "Object":
        return Object(self.head, [master if each is self.master else each for each in self.events], self.tail)

    def without_occurrence(self, occurrence: date | datetime) -> "Object":
        at = f"RECURRENCE-ID{moment(occurrence)}"
        return Object(self.head, [each for each in self.events if at not in each], self.tail)


def setting(properties: Mapping[str, str]) -> Edit:
    """The master with these lines in place of its own; an empty one takes the property away."""

    def edited(lines: list[str]) -> list[str]:
        found = Object.of(lines)
        kept = [line for line in found.master if name(line) not in properties]
        return found.with_master(_with(kept, filter(None, properties.values()))).lines

    return edited


def declining(email: str) -> Edit:
    """The owner's own answer to an invitation, of the series and of each occurrence that stands alone."""

    def edited(lines: list[str]) -> list[str]:
        if not any(_is_of(line, email) for line in lines):
            raise ValueError(f"{email} is not invited to it")
        return [_declined(line) if _is_of(line, email) else line for line in lines]

    return edited


def leaving_out(occurrence: date | datetime) -> Edit:
    def edited(lines: list[str]) -> list[str]:
        found = Object.of(lines).without_occurrence(occurrence)
        _rule(found.master)  # It has to recur.
        _require_form(found.master, occurrence)
        return found.with_master(_with(found.master, [f"EXDATE{moment(occurrence)}"])).lines

    return edited


def overriding(occurrence: date | datetime, start: date | datetime, end: date | datetime) -> Edit:
    """One occurrence elsewhere, as free or busy, and as far away, as its series.

    `occurrence` is where the series has it, however often it was moved.
    """

    def edited(lines: list[str]) -> list[str]:
        found = Object.of(lines).without_occurrence(occurrence)
        _require_form(found.master, occurrence)
        event = Event(
            uid=value(found.master, "UID"),
            title=unescaped(value(found.master, "SUMMARY")),
            start=start,
            end=end,
            written=datetime.now(UTC),
            occurrence=occurrence,
        )
        moved = _in_place(list(event_lines(event)), _kept(found.master))
        return Object(found.head, [*found.events, moved], found.tail).lines

    return edited


def ending_before(occurrence: date | datetime, series: str) -> Edit:
    """The series up to `occurrence`, and the mark by which devices know what goes on after it."""

    def edited(lines: list[str]) -> list[str]:
        found = Object.of(lines)
        _require_form(found.master, occurrence)
        kept = [each for each in found.events if each is found.master or _is_before(each, occurrence)]
        rule = ";".join([*_rule(found.master), f"UNTIL={_last(occurrence)}"])
        master = [line for line in found.master if name(line) != "RRULE"]
        ended = Object(found.head, kept, found.tail)
        return ended.with_master(_with(master, [f"RRULE:{rule}", f"{_LINKED}:{series}"])).lines

    return edited


def going_on(lines: list[str], occurrence: date | datetime, series: str) -> list[str]:
    """What the new series that follows `ending_before` has of the old one."""
    master = Object.of(lines).master
    rule, told = _rule(master), value(master, "RRULE")
    for part in told.split(";"):
        match part.partition("="):
            case "COUNT", _, total:
                rule.append(f"COUNT={max(int(total) - _occurrences_before(master, occurrence), 1)}")
            case "UNTIL", _, _:
                rule.append(part)
    return [f"RRULE:{';'.join(rule)}", *_kept(master), f"{_LINKED}:{series}"]


def adding(lines: list[str], added: Iterable[str]) -> list[str]:
    """The master with these lines, in place of those of the same names."""
    found = Object.of(lines)
    return found.with_master(_in_place(found.master, list(added))).lines


def name(line: str) -> str:
    return re.split("[:;]", line, maxsplit=1)[0].upper()


def value(lines: Iterable[str], wanted: str) -> str:
    return next((line.partition(":")[2] for line in lines if name(line) == wanted), "")


def _kept(master: Iterable[str]) -> list[str]:
    """What a device copies from a series to what it makes of it: an occurrence elsewhere, or what goes on after it."""
    return [line for line in master if name(line) in _KEPT]


def _in_place(event: list[str], told: Sequence[str]) -> list[str]:
    names = {name(line) for line in told}
    return _with([line for line in event if name(line) not in names], told)


def _with(event: list[str], added: Iterable[str]) -> list[str]:
    """Before its alarms, where it has any: a property after them would still be the event's, but reads oddly."""
    at = event.index("BEGIN:VALARM") if "BEGIN:VALARM" in event else len(event) - 1
    return [*event[:at], *added, *event[at:]]


def _is_of(line: str, email: str) -> bool:
    """Of that guest, and of no other whose address ends or begins alike. The owner's own stands in EMAIL.

    What stands in quotes is of another: of who sent them, or whom they sent.
    """
    address = rf'(?:(?<!")mailto:|;EMAIL="?){re.escape(email)}(?=[";:]|$)'
    return name(line) == "ATTENDEE" and re.search(address, line, re.IGNORECASE) is not None


def _declined(line: str) -> str:
    if "PARTSTAT=" not in line:
        return line.replace("ATTENDEE", "ATTENDEE;PARTSTAT=DECLINED", 1)
    return re.sub(r"PARTSTAT=[A-Z-]+", "PARTSTAT=DECLINED", line)


def _rule(master: list[str]) -> list[str]:
    told = value(master, "RRULE")
    if not told:
        raise ValueError("the event does not recur")
    return [part for part in told.split(";") if not part.startswith(("COUNT=", "UNTIL="))]


def _require_form(master: list[str], occurrence: date | datetime) -> None:
    """A device names a date of a series as the series has it: in another zone it would name none, or one more."""
    start = next((line for line in master if name(line) == "DTSTART"), "")
    told, has = (text.partition(":")[0] for text in (f"DTSTART{moment(occurrence)}", start))
    is_utc = [text.endswith("Z") for text in (moment(occurrence), start)]
    if told != has or is_utc[0] != is_utc[1]:
        raise ValueError(f"the series begins at {start}, and has its dates in that form and zone alone")


def _last(occurrence: date | datetime) -> str:
    """RFC 5545 3.3.10: of the same type as DTSTART, and in UTC where that has a zone."""
    if not isinstance(occurrence, datetime):
        return f"{occurrence - timedelta(days=1):%Y%m%d}"
    before = occurrence - timedelta(seconds=1)
    return f"{before:%Y%m%dT%H%M%S}" if before.tzinfo is None else f"{before.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _is_before(event: list[str], occurrence: date | datetime) -> bool:
    """By the digits as they are written: an override and its series share a zone."""
    return value(event, "RECURRENCE-ID") < moment(occurrence).rpartition(":")[2]


def _occurrences_before(master: list[str], occurrence: date | datetime) -> int:
    """By the local digits: what recurs has its occurrences in the zone of its start."""
    start = value(master, "DTSTART").removesuffix("Z")
    begins = datetime.strptime(start if "T" in start else f"{start}T000000", _LOCAL)  # noqa: DTZ007 - digits.
    ends = datetime.strptime(f"{occurrence:%Y%m%dT%H%M%S}", _LOCAL)  # noqa: DTZ007 - digits.
    every = rrulestr(value(master, "RRULE"), dtstart=begins)
    return sum(1 for _ in takewhile(lambda each: each < ends, every))
