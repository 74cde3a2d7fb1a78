"""What decides in an event that is written plainly, looked up in its text: no component is made of it.

All else is None here and read in general (sync.ical_event). The lines are those of Framed.bodies.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from typing import NamedTuple

from domain.busy import EventStatus, Participation, ShowAs
from domain.interval import Span
from domain.zone_table import DAY, FIRST_INSTANT, LAST_INSTANT, UTC_ZONE, Zone
from sync.ical_event import LONGEST_TEXT, participation_of, show_as_of, status_of
from sync.ical_text import attendees_of, plain_text, unfold
from sync.ical_times import day_of, second_of

ODD = r"RDATE|EXRULE|DURATION|X-APPLE-TRAVEL-(?:DURATION|RETURN)|(?:UID|SUMMARY|STATUS|TRANSP);"
"""Names that say more of an event than is looked up below, or that are not written as it is."""
LINE_END = r"\r?\n(?![ \t])"
_PARAMS = r"(?:;TZID=([A-Za-z0-9_+/-]+)|;VALUE=(DATE))?"
_TIME = r"(\d{8})(?:T(\d{6})(Z)?)?"
_WHEN = rf"{_PARAMS}:{_TIME}{LINE_END}"
_START = re.compile(rf"\nDTSTART{_WHEN}", re.ASCII)
_END = re.compile(rf"\nDTEND{_WHEN}", re.ASCII)
_ORIGINAL = re.compile(rf"\nRECURRENCE-ID{_WHEN}", re.ASCII)
_EXCEPTED = re.compile(rf"\nEXDATE{_PARAMS}:([0-9TZ,]+){LINE_END}")
_EACH = re.compile(_TIME, re.ASCII)
_BLANKS = (" ", "\t")
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


def dates_of(lines: str, setting: Setting) -> Dates | None:
    starts = _START.match(lines, lines.find("\nDTSTART"))
    ends = _END.match(lines, lines.find("\nDTEND"))
    if starts is None or ends is None:
        return None
    if lines.find("\nDTSTART", starts.end() - 1) >= 0 or lines.find("\nDTEND", ends.end() - 1) >= 0:
        return None  # Perhaps at odds.
    try:
        first, until = _read(*starts.groups()), _read(*ends.groups())
    except ValueError:
        return None
    if first is None or until is None or first[0] != until[0]:
        return None
    clock, wall = first
    return _days(clock, wall, until[1], setting) if clock[2] else _times(clock, wall, until[1], setting)


def original_of(lines: str) -> tuple[Clock, int] | None:
    """RECURRENCE-ID, where it names one start."""
    given = _ORIGINAL.match(lines, lines.find("\nRECURRENCE-ID"))
    try:
        return None if given is None else _read(*given.groups())
    except ValueError:
        return None


def excepted_by(lines: str, clock: Clock) -> set[int] | None:
    """What EXDATEs take out of a series of this clock."""
    walls: set[int] = set()
    at = lines.find("\nEXDATE")
    while at >= 0:
        given = _EXCEPTED.match(lines, at)
        if given is None:
            return None
        tzid, is_date, items = given.groups()
        for item in items.split(","):
            each = _EACH.fullmatch(item)
            try:
                read = None if each is None else _read(tzid, is_date, *each.groups())
            except ValueError:
                return None
            if read is None or read[0] != clock:
                return None
            walls.add(read[1])
        at = lines.find("\nEXDATE", given.end() - 1)
    return walls


def _read(
    tzid: str | None, is_date: str | None, day: str, time: str | None, utc: str | None
) -> tuple[Clock, int] | None:
    """Raises ValueError where there is no such date or time."""
    if time is None:
        return None if tzid else (_DAYS, day_of(day) * DAY)
    if is_date or (tzid is None) is (utc is None):
        return None
    return (tzid, utc, False), day_of(day) * DAY + second_of(time)


def _times(clock: Clock, wall: int, until: int, setting: Setting) -> Dates | None:
    zone = UTC_ZONE if clock[0] is None else setting.named(clock[0])
    if zone is None or until < wall:
        return None
    nth = bisect_right(zone.first_breaks, wall)
    if nth != bisect_right(zone.last_breaks, until):
        return None  # The clocks change in between.
    span = _new(Span, (wall - zone.offsets[nth], until - zone.offsets[nth]))
    return _within_time(_new(Dates, (clock, zone, wall, until, span)))


def _days(clock: Clock, wall: int, until: int, setting: Setting) -> Dates | None:
    if until < wall:
        return None
    until, zone = max(until, wall + DAY), setting.owner
    span = _new(Span, (zone.earliest(wall), zone.earliest(until)))
    return _within_time(_new(Dates, (clock, zone, wall, until, span)))


def _within_time(dates: Dates) -> Dates | None:
    start, end = dates.span
    return dates if start >= FIRST_INSTANT and end <= LAST_INSTANT else None


def uid_of(lines: str) -> str:
    return plain_text(value_of(lines, "\nUID:"), LONGEST_TEXT)


def facts_of(lines: str, addresses: frozenset[str]) -> Facts | None:
    transparency, status = value_of(lines, "\nTRANSP:"), value_of(lines, "\nSTATUS:")
    if _opens_and_more(lines, "\nTRANSP", transparency, ("TRANSPARENT",)) or _opens_and_more(
        lines, "\nSTATUS", status, ("CANCELLED", "TENTATIVE")
    ):
        return None
    title = plain_text(value_of(lines, "\nSUMMARY:"), LONGEST_TEXT)
    participation = _participation(lines, addresses)
    return _new(Facts, (title, show_as_of(transparency), status_of(status), participation))


def _opens_and_more(lines: str, name: str, value: str, opens: tuple[str, ...]) -> bool:
    """It says what may open time, and perhaps something else beside."""
    return value.upper() in opens and lines.count(name) > 1


def value_of(lines: str, name: str) -> str:
    """Of the first line that begins so: `name` from the line end before it to the colon."""
    at = lines.find(name)
    if at < 0:
        return ""
    at += len(name)
    end = lines.find("\n", at)
    while lines[end + 1 : end + 2] in _BLANKS:
        end = lines.find("\n", end + 1)
    value = lines[at:end]
    return (unfold(value) if "\n" in value else value).strip()


def _participation(lines: str, addresses: frozenset[str]) -> Participation | None:
    at = lines.find("\nATTENDEE") if addresses else -1
    return None if at < 0 else participation_of(attendees_of(unfold(lines[at:])), addresses)
