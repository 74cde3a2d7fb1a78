"""A recurrence rule (RFC 5545 3.3.10): its parts, read from text and screened before anyone expands it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

MOST_A_DAY = 24
_MOST_TIMES = 1_000  # Times of day that a BYSETPOS may choose from.
_LONGEST = 4_000  # Characters: every day of a year, by number, and more.


class Frequency(StrEnum):
    SECONDLY = "SECONDLY"
    MINUTELY = "MINUTELY"
    HOURLY = "HOURLY"
    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"
    YEARLY = "YEARLY"


STEP = {Frequency.SECONDLY: 1, Frequency.MINUTELY: 60, Frequency.HOURLY: 3_600}
WEEKDAYS = {name: index for index, name in enumerate(("MO", "TU", "WE", "TH", "FR", "SA", "SU"))}


@dataclass(frozen=True, slots=True)
class Rule:
    """The BY parts are sorted and without repeats. `by_day` holds (nth, weekday), nth 0 for every one."""

    frequency: Frequency
    interval: int = 1
    count: int | None = None
    until: str | None = None
    """As written: only who knows DTSTART's type and zone can tell what it means."""
    week_start: int = 0
    by_month: tuple[int, ...] = ()
    by_week_number: tuple[int, ...] = ()
    by_year_day: tuple[int, ...] = ()
    by_month_day: tuple[int, ...] = ()
    by_day: tuple[tuple[int, int], ...] = ()
    by_hour: tuple[int, ...] = ()
    by_minute: tuple[int, ...] = ()
    by_second: tuple[int, ...] = ()
    by_set_position: tuple[int, ...] = ()
    breach: str | None = None
    """What RFC 5545 forbids and it has all the same; it is read for what it says."""

    @property
    def is_too_frequent(self) -> bool:
        """More than 24 a day, or too many times of day to choose from."""
        product = len(self.by_hour or (0,)) * len(self.by_minute or (0,)) * len(self.by_second or (0,))
        step = STEP.get(self.frequency)
        if step is None:
            return product > (_MOST_TIMES if self.by_set_position else MOST_A_DAY)
        steps = -(-86_400 // (step * self.interval))
        hours = len(self.by_hour) or 24
        minutes = len(self.by_minute) or (60 if step < 3_600 else 1)
        seconds = len(self.by_second) or (60 if step < 60 else 1)
        # A step is kept by the parts at least as long as it, and multiplied by the shorter ones.
        shorter = {3_600: minutes * seconds, 60: seconds, 1: 1}[step]
        return min(steps * shorter, hours * minutes * seconds) > MOST_A_DAY


class BadRuleError(ValueError):
    """A rule against RFC 5545, or one we don't take. The text says why."""


def parse_rule(text: str) -> Rule:
    """Raises BadRuleError."""
    if len(text) > _LONGEST:
        raise BadRuleError("it is too long")
    return _parse(text)


def for_dates(rule: Rule) -> Rule:
    """The rule for an all-day series: there is no time of day to speak of (RFC 5545 3.3.10)."""
    return replace(rule, by_hour=(), by_minute=(), by_second=())


@lru_cache(maxsize=1024)
def _parse(text: str) -> Rule:
    """A calendar repeats few rules many times."""
    given = {_part(piece) for piece in text.strip().upper().split(";") if piece.strip()}
    parts = dict(given)
    if len(parts) < len(given):
        raise BadRuleError("one of its parts is there twice")
    frequency = parts.pop("FREQ", None)
    if frequency not in Frequency.__members__:
        raise BadRuleError("its FREQ is missing or unknown")
    fields: dict[str, object] = {}
    for name, value in parts.items():
        if name.startswith("X-") or (name, value) in _SAID_ANYWAY:
            continue
        if name not in _READERS:
            raise BadRuleError(f"it uses {name[:20]}, which is not supported")
        field, read = _READERS[name]
        fields[field] = read(value)
    breach = _breach(frequency, parts)
    return Rule(Frequency(frequency), **fields, breach=breach)  # type: ignore[arg-type]  # Readers give fields' types.


_SAID_ANYWAY = {("RSCALE", "GREGORIAN"), ("SKIP", "OMIT")}
"""What a rule without them means (RFC 7529 section 4.1)."""


def _breach(frequency: str | None, parts: Mapping[str, str]) -> str | None:
    if "COUNT" in parts and "UNTIL" in parts:
        return "both a COUNT and an UNTIL, of which the later end counts"
    if "BYWEEKNO" in parts and frequency != Frequency.YEARLY:
        return "weeks of the year, and is not yearly"
    if "BYYEARDAY" in parts and frequency in {Frequency.DAILY, Frequency.WEEKLY, Frequency.MONTHLY}:
        return "days of the year, and is none of a year"
    if "BYMONTHDAY" in parts and frequency == Frequency.WEEKLY:
        return "days of the month, and is weekly"
    return None


def _part(piece: str) -> tuple[str, str]:
    name, equals, value = piece.partition("=")
    if not equals or not value.strip():
        raise BadRuleError("one of its parts has no value")
    return name.strip(), value.strip()


def _number(text: str, low: int, high: int) -> int:
    digits = text.strip().removeprefix("+")
    if not digits.removeprefix("-").isdecimal() or len(digits) > 18 or not low <= int(digits) <= high:
        raise BadRuleError("one of its numbers is out of range")
    return int(digits)


def _positive(text: str) -> int:
    return _number(text, 1, 10**17)


def _numbers(low: int, high: int, *, signed: bool = False) -> Callable[[str], tuple[int, ...]]:
    def read(text: str) -> tuple[int, ...]:
        found = {_number(item, -high if signed else low, high) for item in text.split(",")}
        if signed and 0 in found:
            raise BadRuleError("one of its numbers is out of range")
        return tuple(sorted(found))

    return read


def _days(text: str) -> tuple[tuple[int, int], ...]:
    return tuple(sorted({_day(item.strip()) for item in text.split(",")}))


def _day(item: str) -> tuple[int, int]:
    if item[-2:] not in WEEKDAYS:
        raise BadRuleError("one of its weekdays is unknown")
    return _number(item[:-2], -53, 53) if item[:-2] else 0, WEEKDAYS[item[-2:]]


def _weekday(text: str) -> int:
    if text not in WEEKDAYS:
        raise BadRuleError("its first day of the week is unknown")
    return WEEKDAYS[text]


_READERS: dict[str, tuple[str, Callable[[str], object]]] = {
    "INTERVAL": ("interval", _positive),
    "COUNT": ("count", _positive),
    "UNTIL": ("until", str),
    "WKST": ("week_start", _weekday),
    "BYMONTH": ("by_month", _numbers(1, 12)),
    "BYWEEKNO": ("by_week_number", _numbers(1, 53, signed=True)),
    "BYYEARDAY": ("by_year_day", _numbers(1, 366, signed=True)),
    "BYMONTHDAY": ("by_month_day", _numbers(1, 31, signed=True)),
    "BYDAY": ("by_day", _days),
    "BYHOUR": ("by_hour", _numbers(0, 23)),
    "BYMINUTE": ("by_minute", _numbers(0, 59)),
    # RFC 5545 allows a leap second; it is read as the last one there is.
    "BYSECOND": ("by_second", lambda text: tuple(sorted({min(s, 59) for s in _numbers(0, 60)(text)}))),
    "BYSETPOS": ("by_set_position", _numbers(1, 366, signed=True)),
}
