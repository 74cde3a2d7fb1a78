"""What decides in an event that is written plainly, looked up in its text: no component is made of it.

All else is None here and read in general (sync.ical.event). The lines are those of Framed.bodies.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from domain.busy import EventStatus, Participation, ShowAs
from domain.interval import Span
from domain.zone_table import DAY, FIRST_INSTANT, LAST_INSTANT, UTC_ZONE, Zone
from sync.ical.event import LONGEST_TEXT, participation_of, show_as_of, status_of
from sync.ical.text import attendees_of, plain_text, unfold
from sync.ical.times import day_of, second_of

_SAID = re.compile(
    r"\n(UID[:;]|S(?:UMMARY|TATUS)[:;]|TRANSP[:;]|D(?:TSTART|TEND|URATION)|R(?:RULE|ECURRENCE-ID|DATE)|EX(?:DATE|RULE)"
    r"|X-APPLE-TRAVEL-(?:DURATION|RETURN))(.*(?:\n[ \t].*)*)"
)
_OF_ANY = frozenset({"UID:", "SUMMARY:", "STATUS:", "TRANSP:", "DTSTART", "DTEND"})
_OF_A_SERIES = _OF_ANY | {"RRULE", "EXDATE"}
_OF_A_CHANGE = _OF_ANY | {"RECURRENCE-ID"}
_ZONED = re.compile(r";TZID=([A-Za-z0-9_+/-]+)", re.ASCII)
_LONGEST_PARAMS = 200
_new = tuple.__new__  # What a NamedTuple does in the end, in a third of the time.

Clock = tuple[str | None, str | None, bool]
"""TZID, Z, and whether it is for whole days: times that are alike in these are of one clock."""
_DAYS: Clock = (None, None, True)


class Setting(NamedTuple):
    """What a resource is read for. The owner's zone is known."""

    owner: Zone
    named: Callable[[str], Zone | None]
    addresses: frozenset[str]
    window: Span


class Dates(NamedTuple):
    """From when until when, as the clock shows it, in one zone and by one of its offsets if not for whole days."""

    clock: Clock
    zone: Zone
    wall: int
    until: int
    span: Span


class Facts(NamedTuple):
    title: str
    show_as: ShowAs
    status: EventStatus
    participation: Participation | None


class Plain(NamedTuple):
    """An event in which each thing that decides is said once, EXDATE aside."""

    lines: str
    said: dict[str, str]
    """What follows each name, as it is folded. A text's name has its colon: with parameters it is odd."""

    @property
    def is_single(self) -> bool:
        return self.said.keys() <= _OF_ANY

    @property
    def is_series(self) -> bool:
        return "RRULE" in self.said and self.said.keys() <= _OF_A_SERIES

    @property
    def is_change(self) -> bool:
        return "RECURRENCE-ID" in self.said and self.said.keys() <= _OF_A_CHANGE


def plain_of(lines: str) -> Plain | None:
    """`lines` as in Framed.bodies."""
    found = _SAID.findall(lines)
    said = dict(found)
    if len(said) < len(found):
        excepted = [written for name, written in found if name == "EXDATE"]
        if len(found) - len(said) >= len(excepted):
            return None  # Something else is said twice, perhaps at odds.
        said["EXDATE"] = "\n".join(excepted)
    return _new(Plain, (lines, said))


def dates_of(event: Plain, setting: Setting) -> Dates | None:
    said = event.said
    params, _, start = said.get("DTSTART", "").partition(":")
    params_of_end, _, end = said.get("DTEND", "").partition(":")
    clock = _clock_of(params, start)
    if clock is None or _clock_of(params_of_end, end) != clock:
        return None
    try:
        wall, until = _wall(start), _wall(end)
    except ValueError:
        return None
    if until < wall:
        return None
    return _days(clock, wall, until, setting) if clock[2] else _times(clock, wall, until, setting)


def original_of(event: Plain) -> tuple[Clock, int] | None:
    """RECURRENCE-ID, where it names one start."""
    params, _, value = event.said["RECURRENCE-ID"].partition(":")
    clock = _clock_of(params, value)
    try:
        return None if clock is None else (clock, _wall(value))
    except ValueError:
        return None


def excepted_by(event: Plain, clock: Clock) -> set[int] | None:
    """What EXDATEs take out of a series of this clock."""
    walls: set[int] = set()
    written = event.said.get("EXDATE")
    for line in () if written is None else written.split("\n"):
        params, _, values = line.partition(":")
        for value in values.split(","):
            if _clock_of(params, value) != clock:
                return None
            try:
                walls.add(_wall(value))
            except ValueError:
                return None
    return walls


def _clock_of(params: str, value: str) -> Clock | None:
    """None where it is no time, or one that floats: that is the owner's, and moves."""
    if len(value) == 8:
        return _DAYS if params in {"", ";VALUE=DATE"} else None
    is_time = 15 <= len(value) <= 16 and value[8] == "T" and len(params) <= _LONGEST_PARAMS
    return _clock(params, value[15:]) if is_time else None


def _wall(value: str) -> int:
    """Of eight digits, or of fifteen signs and more. Raises ValueError where there is no such date or time."""
    day = day_of(value[:8]) * DAY
    return day if len(value) == 8 else day + second_of(value[9:15])


@lru_cache(maxsize=1024)
def _clock(params: str, utc: str) -> Clock | None:
    """A calendar has few."""
    if not params:
        return (None, utc, False) if utc == "Z" else None
    zoned = None if utc else _ZONED.fullmatch(params)
    return None if zoned is None else (zoned[1], None, False)


def _times(clock: Clock, wall: int, until: int, setting: Setting) -> Dates | None:
    zone = UTC_ZONE if clock[0] is None else setting.named(clock[0])
    if zone is None:
        return None
    nth = bisect_right(zone.first_breaks, wall)
    if nth != bisect_right(zone.last_breaks, until):
        return None  # The clocks change in between.
    span = _new(Span, (wall - zone.offsets[nth], until - zone.offsets[nth]))
    return _within_time(_new(Dates, (clock, zone, wall, until, span)))


def _days(clock: Clock, wall: int, until: int, setting: Setting) -> Dates | None:
    until, zone = max(until, wall + DAY), setting.owner
    span = _new(Span, (zone.earliest(wall), zone.earliest(until)))
    return _within_time(_new(Dates, (clock, zone, wall, until, span)))


def _within_time(dates: Dates) -> Dates | None:
    start, end = dates.span
    return dates if start >= FIRST_INSTANT and end <= LAST_INSTANT else None


def uid_of(event: Plain) -> str:
    return plain_text(_text(event, "UID:"), LONGEST_TEXT)


def facts_of(event: Plain, addresses: frozenset[str]) -> Facts:
    title = plain_text(_text(event, "SUMMARY:"), LONGEST_TEXT)
    show_as, status = show_as_of(_text(event, "TRANSP:")), status_of(_text(event, "STATUS:"))
    return _new(Facts, (title, show_as, status, _participation(event.lines, addresses)))


def _text(event: Plain, name: str) -> str:
    value = event.said.get(name, "")
    return (unfold(value) if "\n" in value else value).strip()


def _participation(lines: str, addresses: frozenset[str]) -> Participation | None:
    at = lines.find("\nATTENDEE") if addresses else -1
    return None if at < 0 else participation_of(attendees_of(unfold(lines[at:])), addresses)
