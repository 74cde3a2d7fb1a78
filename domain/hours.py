"""Working hours: spans of the wall clock by weekday, exceptions by date, and the time they open.

An instant is within working hours when the wall clock of the user's zone then reads a time within them. So of a
span that meets a gap only what exists is open (one that begins in it opens at the instant after it), a span over a fold
has both hours, and one that ends or begins inside a fold has its part of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from domain.edges import Edges, clip, extend, merge
from domain.memory import BLOCK
from domain.zone_table import EPOCH_ORDINAL
from domain.zones import DAY, stretches

MINUTES_A_DAY = 1440
MOST_WEEKLY_SPANS = 50
MOST_OVERRIDES = 400


class HoursSpan(NamedTuple):
    """Minutes of the wall clock after midnight, 0 to 1440: `[start, end)`."""

    start: int
    end: int


class WeeklyHours(NamedTuple):
    """`day` 0 is Monday."""

    day: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class DateOverride:
    """The hours of one date, in place of its weekday's. Empty: off all day."""

    date: date
    hours: tuple[HoursSpan, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkingHours:
    """Weekly hours by day, then start; overrides by date, their hours by start."""

    weekly: tuple[WeeklyHours, ...]
    overrides: tuple[DateOverride, ...] = ()

    def __hash__(self) -> int:
        # A key of the cache below: hundreds of overrides are compared where they must be, never hashed.
        return hash((self.weekly, len(self.overrides)))


DEFAULT_HOURS = WorkingHours(tuple(WeeklyHours(day, 9 * 60, 17 * 60) for day in range(5)))


@dataclass(frozen=True, slots=True)
class InvalidHours:
    """`field` is the path in the input, such as `weekly.2.end`."""

    field: str
    message: str


def open_hours(hours: WorkingHours, zone: str, start: int, end: int) -> Edges:
    """The instants of `[start, end)` within working hours. Hours that touch, over midnight too, are one."""
    opened: Edges = []
    for index in range(start // BLOCK, (end - 1) // BLOCK + 1):
        extend(opened, clip(_open_in_block(hours, zone, index), start, end))
    return opened


@lru_cache(maxsize=2048)
def _open_in_block(hours: WorkingHours, zone: str, index: int) -> Edges:
    weekly: list[list[HoursSpan]] = [[] for _ in range(7)]
    for day, start, end in hours.weekly:
        weekly[day].append(HoursSpan(start, end))
    overrides = {override.date.toordinal() - EPOCH_ORDINAL: override.hours for override in hours.overrides}
    found: list[tuple[int, int]] = []
    for since, until, offset in stretches(zone, index * BLOCK, (index + 1) * BLOCK):
        for day in range((since + offset) // DAY, (until - 1 + offset) // DAY + 1):
            midnight = day * DAY - offset
            spans: Sequence[HoursSpan] = overrides.get(day, weekly[(day + 3) % 7])  # Day 0 was a Thursday.
            for start, end in spans:
                found.append((max(midnight + start * 60, since), min(midnight + end * 60, until)))
    return merge(found)


def validate_hours(
    weekly: Sequence[WeeklyHours], overrides: Sequence[DateOverride]
) -> WorkingHours | InvalidHours:
    """The hours in their order, or the first thing wrong with them."""
    if len(weekly) > MOST_WEEKLY_SPANS:
        return InvalidHours("weekly", f"Give at most {MOST_WEEKLY_SPANS} weekly spans, not {len(weekly)}.")
    if len(overrides) > MOST_OVERRIDES:
        return InvalidHours("overrides", f"Give at most {MOST_OVERRIDES} overrides, not {len(overrides)}.")
    return (
        _weekly_problem(weekly)
        or _overrides_problem(overrides)
        or WorkingHours(
            tuple(sorted(weekly)),
            tuple(
                DateOverride(override.date, tuple(sorted(override.hours)))
                for override in sorted(overrides, key=lambda override: override.date)
            ),
        )
    )


def _weekly_problem(weekly: Sequence[WeeklyHours]) -> InvalidHours | None:
    by_day: dict[int, list[tuple[str, HoursSpan]]] = {}
    for place, (day, start, end) in enumerate(weekly):
        if not 0 <= day <= 6:
            return InvalidHours(f"weekly.{place}.day", "Give a day from Monday (0) to Sunday (6).")
        by_day.setdefault(day, []).append((f"weekly.{place}", HoursSpan(start, end)))
    problems = (_day_problem(spans) for spans in by_day.values())
    return next((problem for problem in problems if problem), None)


def _overrides_problem(overrides: Sequence[DateOverride]) -> InvalidHours | None:
    seen: set[date] = set()
    for place, override in enumerate(overrides):
        if override.date in seen:
            return InvalidHours(
                f"overrides.{place}.date",
                f"The date {override.date} is given twice: put all its hours into one override.",
            )
        seen.add(override.date)
        named = [(f"overrides.{place}.hours.{index}", span) for index, span in enumerate(override.hours)]
        if len(named) > MOST_WEEKLY_SPANS:
            return InvalidHours(f"overrides.{place}.hours", f"Give a date at most {MOST_WEEKLY_SPANS} spans.")
        if problem := _day_problem(named):
            return problem
    return None


def _day_problem(spans: Sequence[tuple[str, HoursSpan]]) -> InvalidHours | None:
    for path, (start, end) in spans:
        if not 0 <= start < MINUTES_A_DAY:
            return InvalidHours(
                f"{path}.start", "Let it start between 00:00 and 23:59: 24:00 can only be an end."
            )
        if not 0 <= end <= MINUTES_A_DAY:
            return InvalidHours(f"{path}.end", "Let it end between 00:01 and 24:00.")
        if end <= start:
            return InvalidHours(
                f"{path}.end",
                "Let it end after it starts; for hours past midnight, give each day its own span.",
            )
    for place, (path, span) in enumerate(spans):
        if any(span.start < other.end and other.start < span.end for _, other in spans[:place]):
            return InvalidHours(
                f"{path}.start", "Give spans of one day that do not overlap, or join them into one."
            )
    return None
