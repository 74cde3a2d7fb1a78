"""iCalendar's dates, durations and zones, as wall seconds and tables (RFC 5545 3.3.4 to 3.3.6, 3.3.14, 3.6.5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from domain.interval import Span
from domain.recurrence import MOST_OCCURRENCES, expand
from domain.rule import BadRuleError, Frequency, parse_rule
from domain.zone_table import DAY, EPOCH_ORDINAL, UTC_ZONE, Zone, zone_of_changes
from sync.ical.text import Component, Property, plain_text

HOUR = 3_600
# What a wall time of an unknown zone can mean: any offset from UTC+14 (Kiritimati) to UTC-12.
MOST_AHEAD, MOST_BEHIND = 14 * HOUR, 12 * HOUR

_DURATION = re.compile(
    r"([+-]?)P(?=.*\d)(?:(\d{1,9})W)?(?:(\d{1,9})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})S)?)?"
)
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d):?(\d\d)?")
# Where a VTIMEZONE's own rules are followed: what any window can ask for, and a year before it.
_ZONE_RANGE = Span(-365 * DAY, 4_102_444_800)
_MOST_OBSERVANCES = 500
_MOST_ZONE_RULES = 20
"""In all of a resource's own zones that its times are in: each takes up to some 20 ms to follow. Most have two."""
_LONGEST_NAME = 1_000


class When(NamedTuple):
    """A DATE or DATE-TIME as written: what the clock shows, and where."""

    wall: int
    is_date: bool
    is_utc: bool
    tzid: str | None


class Duration(NamedTuple):
    """Days are nominal and follow the clock; seconds are exact (RFC 5545 3.3.6)."""

    days: int
    seconds: int

    @property
    def total(self) -> int:
        return self.days * DAY + self.seconds


@dataclass(frozen=True, slots=True)
class Place:
    """A zone to read wall times in; where it is unknown, the owner's to show them and every one to block."""

    zone: Zone
    is_known: bool = True
    is_floating: bool = False

    def shown(self, wall: int) -> int:
        return self.zone.earliest(wall)

    def earliest(self, wall: int) -> int:
        return self.zone.earliest(wall) if self.is_known else wall - MOST_AHEAD

    def latest(self, wall: int) -> int:
        return self.zone.latest(wall) if self.is_known else wall + MOST_BEHIND


_UTC = Place(UTC_ZONE)
_new = tuple.__new__  # What a NamedTuple does in the end, in a third of the time.


@dataclass(slots=True)
class Places:
    """Finds the place of each time in one resource."""

    owner: Zone | None
    named: Callable[[str], Zone | None]
    """IANA, Windows and vendors' names. They win over a VTIMEZONE of the same name, as they do at Apple."""
    components: list[Component]
    _found: dict[str, Place] = field(default_factory=dict)
    _rules: int = 0
    """Followed so far, or found too many."""

    def of(self, when: When) -> Place:
        if when.is_utc:
            return _UTC
        if when.is_date or when.tzid is None:
            return Place(self.owner or UTC_ZONE, is_known=self.owner is not None, is_floating=True)
        return self._found.get(when.tzid) or self._find(when.tzid)

    def _find(self, tzid: str) -> Place:
        named = self.named(tzid)
        self._found[tzid] = Place(named) if named is not None else self._of_component(tzid)
        return self._found[tzid]

    def _of_component(self, tzid: str) -> Place:
        alike = [each for each in self.components if _name_of(each) == tzid] or self._alike(tzid)
        self._rules += sum(len(part.every("RRULE")) for each in alike[:1] for part in each.parts)
        zone = custom_zone(alike[0]) if alike and self._rules <= _MOST_ZONE_RULES else None
        return Place(self.owner or UTC_ZONE, is_known=False) if zone is None else Place(zone)

    def _alike(self, tzid: str) -> list[Component]:
        """But for the case of its letters, where just one is."""
        alike = [each for each in self.components if _name_of(each).lower() == tzid.lower()]
        return alike if len(alike) == 1 else []


def _name_of(zone: Component) -> str:
    r"""A TEXT, with escapes that a parameter has not: `Amsterdam\, Berlin` (RFC 5545 3.8.3.1)."""
    return plain_text(zone.value("TZID"), _LONGEST_NAME).strip('"')


def read_when(given: Property) -> When:
    """Raises ValueError. A date without VALUE=DATE is one all the same."""
    params, value = given.params, given.value.strip()
    if not params:
        return _when(value, None)
    if ":" in value:  # A zone's name that should be quoted: `TZID=(UTC+01:00) Berlin:20261110T090000`.
        more, _, value = value.rpartition(":")
        params = f"{params}:{more}"
    tzid, is_date = _known_params(params) if len(params) < _LONGEST_KNOWN else _read_params(params)
    return _when(value[:8] if is_date else value, tzid)


def _read_params(params: str) -> tuple[str | None, bool]:
    """TZID, and whether a DATE is said to follow."""
    if params.startswith(";TZID=") and ";" not in params[6:]:
        return params[6:].strip('"').strip(), False
    given = Property(params, "")
    return given.param("TZID"), (given.param("VALUE") or "").upper() == "DATE"


_LONGEST_KNOWN = 200
_known_params = lru_cache(maxsize=1024)(_read_params)  # A calendar has few.


def read_list(given: Property) -> Iterator[When | ValueError]:
    """The times of an EXDATE, each by itself."""
    for item in given.value.split(","):
        try:
            yield read_when(Property(given.params, item))
        except ValueError as error:
            yield error


def read_period(item: str, tzid: str | None) -> tuple[When, When | Duration]:
    """A PERIOD: a start, and an end or a duration."""
    start, _, end = item.strip().partition("/")
    return _when(start, tzid), read_duration(end) if "P" in end.upper() else _when(end, tzid)


def read_duration(text: str) -> Duration:
    found = _DURATION.fullmatch(text.strip().upper())
    if not found:
        raise ValueError("a duration cannot be read")
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups()[1:])
    sign = -1 if found[1] == "-" else 1
    return Duration(sign * (7 * weeks + days), sign * (hours * HOUR + minutes * 60 + seconds))


def _when(value: str, tzid: str | None) -> When:
    if len(value) == 8:
        return _new(When, (day_of(value) * DAY, True, False, None))
    is_utc = len(value) == 16 and value[15] in "Zz"
    if (len(value) != 15 and not is_utc) or value[8] not in "Tt":
        raise ValueError("a date or time cannot be read")
    wall = day_of(value[:8]) * DAY + second_of(value[9:15])
    return _new(When, (wall, False, is_utc, None if is_utc else tzid))


@lru_cache(maxsize=4096)
def day_of(value: str) -> int:
    """Of eight digits, from 1970 on. The events of a calendar share its days."""
    if not value.isdecimal():
        raise ValueError("a date cannot be read")
    return date(int(value[:4]), int(value[4:6]), int(value[6:8])).toordinal() - EPOCH_ORDINAL


@lru_cache(maxsize=2048)
def second_of(value: str) -> int:
    """Of six digits, from midnight on."""
    if not value.isdecimal():
        raise ValueError("a time cannot be read")
    hour, minute, second = int(value[:2]), int(value[2:4]), int(value[4:])
    # 24:00:00 and the leap second :60 are written by some; both are the instant that follows.
    if hour > 24 or minute > 59 or second > 60 or (hour == 24 and (minute or second)):
        raise ValueError("a time of day is out of range")
    return hour * HOUR + minute * 60 + second


# --- A zone that an object brings along


class _Observance(NamedTuple):
    start: str
    before: str
    after: str
    rules: tuple[str, ...]
    dates: tuple[str, ...]


def custom_zone(component: Component) -> Zone | None:
    """The zone by its own STANDARD and DAYLIGHT parts; None where they can't be followed."""
    observances = tuple(
        _Observance(
            part.value("DTSTART"),
            part.value("TZOFFSETFROM"),
            part.value("TZOFFSETTO"),
            tuple(rule.value for rule in part.every("RRULE")),
            tuple(item for dates in part.every("RDATE") for item in dates.value.split(",")),
        )
        for part in component.parts
        if part.name in {"STANDARD", "DAYLIGHT"}
    )
    return _zone_of(observances) if 0 < len(observances) <= _MOST_OBSERVANCES else None


@lru_cache(maxsize=256)
def _zone_of(observances: tuple[_Observance, ...]) -> Zone | None:
    changes: list[tuple[int, int]] = []
    starts: list[tuple[int, int]] = []
    try:
        for observance in observances:
            before, after = _offset(observance.before), _offset(observance.after)
            onsets = _onsets(observance, before)
            starts.append((min(onsets) - before, before))
            changes += [(onset - before, after) for onset in onsets]
            if len(changes) > MOST_OCCURRENCES:
                return None
    except ValueError:
        return None
    return zone_of_changes("", min(starts)[1], sorted(changes))


def _onsets(observance: _Observance, before: int) -> set[int]:
    """The wall times, by the clock before the change, at which it begins."""
    first = _when(observance.start.strip(), None).wall
    onsets = {first, *(_when(item.strip().partition("/")[0], None).wall for item in observance.dates)}
    for text in observance.rules:
        rule = parse_rule(text)
        if rule.is_too_frequent or rule.frequency is not Frequency.YEARLY:
            raise BadRuleError("a zone cannot change so often")
        last = None if rule.until is None else _last_onset(_when(rule.until, None), before)
        onsets.update(expand(rule, first, until=last, within=_ZONE_RANGE).starts)
    return onsets


def _last_onset(until: When, before: int) -> int:
    """By the same clock. It has to be in UTC (3.6.5); a date takes in that whole day, as a series' does."""
    if until.is_date:
        return until.wall + DAY - 1
    return until.wall + (before if until.is_utc else 0)


def _offset(text: str) -> int:
    found = _OFFSET.fullmatch(text.strip())
    if not found or int(found[2]) > 23 or int(found[3]) > 59:
        raise ValueError("an offset cannot be read")
    seconds = int(found[2]) * HOUR + int(found[3]) * 60 + int(found[4] or 0)
    return -seconds if found[1] == "-" else seconds
