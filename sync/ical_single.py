"""The plain event, five of six: one that happens once, between two times of one known zone, or for whole days.

What decides is looked up in its text, and no component is made of it. All else is None here and read in general
(sync.ical_event, sync.ical_series); where this answers, the two agree.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable

from domain.busy import Occurrence, Participation
from domain.interval import Span
from domain.zone_table import DAY, FIRST_INSTANT, LAST_INSTANT, UTC_ZONE, Zone
from sync.ical_event import LONGEST_TEXT, participation_of, show_as_of, status_of
from sync.ical_keys import day_key, instant_key, iso_day
from sync.ical_reading import Reading
from sync.ical_text import plain_text, properties_of, unfold
from sync.ical_times import day_of, second_of

# What makes it more than one date, and what is not written as it is looked up below.
_ODD = re.compile(
    r"\n(?:R(?:RULE|DATE|ECURRENCE-ID)|EX(?:DATE|RULE)|DURATION|X-APPLE-TRAVEL-(?:DURATION|RETURN)|(?:UID|SUMMARY|STATUS|TRANSP);)"
)
_WHEN = r"(?:;TZID=([A-Za-z0-9_+/-]+)|;VALUE=(DATE))?:(\d{8})(?:T(\d{6})(Z)?)?\r?\n(?![ \t])"
_START = re.compile(rf"\nDTSTART{_WHEN}", re.ASCII)
_END = re.compile(rf"\nDTEND{_WHEN}", re.ASCII)
_BLANKS = (" ", "\t")
_new = tuple.__new__  # What a NamedTuple does in the end, in a third of the time.


def read_single(
    lines: str,
    *,
    owner: Zone,
    named: Callable[[str], Zone | None],
    addresses: frozenset[str],
    window: Span,
) -> Reading | None:
    """`lines` as in Framed.bodies."""
    if _ODD.search(lines):
        return None
    starts = _START.match(lines, lines.find("\nDTSTART"))
    ends = _END.match(lines, lines.find("\nDTEND"))
    if starts is None or ends is None:
        return None
    tzid, is_date, day, time, utc = starts.groups()
    end_tzid, end_is_date, end_day, end_time, end_utc = ends.groups()
    if tzid != end_tzid or is_date != end_is_date or utc != end_utc:
        return None
    try:
        if time is None and end_time is None and tzid is None:
            return _of_days(lines, (day, end_day), owner, addresses, window)
        if time is None or end_time is None or is_date or (tzid is None) is (utc is None):
            return None
        times = day_of(day) * DAY + second_of(time), day_of(end_day) * DAY + second_of(end_time)
    except ValueError:
        return None
    zone = UTC_ZONE if tzid is None else named(tzid)
    return None if zone is None else _of_times(lines, times, zone, addresses, window)


def _of_times(
    lines: str, walls: tuple[int, int], zone: Zone, addresses: frozenset[str], window: Span
) -> Reading | None:
    wall, until = walls
    nth = bisect_right(zone.first_breaks, wall)
    if until < wall or nth != bisect_right(zone.last_breaks, until):
        return None  # The clocks change in between.
    span = _new(Span, (wall - zone.offsets[nth], until - zone.offsets[nth]))
    return _read(lines, span, None, addresses, window)


def _of_days(
    lines: str, dates: tuple[str, str], owner: Zone, addresses: frozenset[str], window: Span
) -> Reading | None:
    first, until = day_of(dates[0]), day_of(dates[1])
    if until < first:
        return None
    days = range(first, max(until, first + 1))
    span = _new(Span, (owner.earliest(days.start * DAY), owner.earliest(days.stop * DAY)))
    return _read(lines, span, days, addresses, window)


def _read(
    lines: str, span: Span, days: range | None, addresses: frozenset[str], window: Span
) -> Reading | None:
    start, end = span
    if start < FIRST_INSTANT or end > LAST_INSTANT:
        return None
    uid = plain_text(_value(lines, "\nUID:"), LONGEST_TEXT)
    if start >= window.end:
        return _new(Reading, (uid or None, (), (), True, True))
    # One of no length meets a window that begins at its instant.
    if end < window.start or (end == window.start and start != end):
        return _new(Reading, (uid or None, (), (), True, False))
    transparency, status = _value(lines, "\nTRANSP:"), _value(lines, "\nSTATUS:")
    if _opens_and_more(lines, "\nTRANSP", transparency, "TRANSPARENT") or _opens_and_more(
        lines, "\nSTATUS", status, "CANCELLED"
    ):
        return None
    occurrence = (
        uid, instant_key(start) if days is None else day_key(days.start), start, end, span,
        days is not None, days and iso_day(days.start), days and iso_day(days.stop),
        plain_text(_value(lines, "\nSUMMARY:"), LONGEST_TEXT), False,
        show_as_of(transparency), status_of(status), _participation(lines, addresses),
        0, 0,
    )  # fmt: skip
    return _new(Reading, (uid or None, (_new(Occurrence, occurrence),), (), True, False))


def _opens_and_more(lines: str, name: str, value: str, opens: str) -> bool:
    """It says that no time is blocked, and perhaps something else beside."""
    return value.upper() == opens and lines.count(name) > 1


def _value(lines: str, name: str) -> str:
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
    if not addresses or "\nATTENDEE" not in lines:
        return None
    return participation_of(properties_of(unfold(lines)).get("ATTENDEE", []), addresses)
