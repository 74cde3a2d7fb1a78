"""The days that a rule's BY parts name in a week, a month or a year (the table of RFC 5545 3.3.10).

A day is counted from 1970-01-01 as day 0, a Thursday; no date object is made but to learn a day's year and month.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from domain.rule import Rule
from domain.zone_table import EPOCH_ORDINAL

_MONTH_STARTS = (
    (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365),
    (0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335, 366),
)


class Civil(NamedTuple):
    year: int
    month: int
    day: int


def civil(day: int) -> Civil:
    at = date.fromordinal(day + EPOCH_ORDINAL)
    return Civil(at.year, at.month, at.day)


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _year(year: int) -> range:
    """The days of a year. By arithmetic: the year after 9999 is asked for too."""
    before = year - 1
    start = 365 * before + before // 4 - before // 100 + before // 400 + 1 - EPOCH_ORDINAL
    return range(start, start + 365 + _is_leap(year))


def _month(year: int, month: int) -> range:
    starts = _MONTH_STARTS[_is_leap(year)]
    new_year = _year(year).start
    return range(new_year + starts[month - 1], new_year + starts[month])


def week_of(rule: Rule, day: int) -> tuple[int, list[int]]:
    """The first day of this day's week, and the rule's days in it. A number before a weekday says nothing here."""
    weekdays = {weekday for _, weekday in rule.by_day} or {(day + 3) % 7}
    start = day - (day + 3 - rule.week_start) % 7
    return start, sorted((weekday - rule.week_start) % 7 for weekday in weekdays)


def _nth(days: range, numbers: Iterable[int]) -> set[int]:
    """The days with these numbers, from 1, or from the end where negative."""
    size = len(days)
    return {days[n - 1 if n > 0 else n] for n in numbers if abs(n) <= size}


def _nth_weekdays(days: range, by_day: Iterable[tuple[int, int]]) -> set[int]:
    found: set[int] = set()
    for nth, weekday in by_day:
        same = days[(weekday - days.start - 3) % 7 :: 7]
        found.update(_nth(same, (nth,)) if nth else same)
    return found


@lru_cache(maxsize=8192)
def days_of_month(
    year: int, month: int, by_day: tuple[tuple[int, int], ...], by_month_day: tuple[int, ...]
) -> tuple[int, ...]:
    """Of two lists that are both there, what is in both. The series of a calendar share their months."""
    days = _month(year, month)
    if not by_day:
        return tuple(sorted(_nth(days, by_month_day)))
    found = _nth_weekdays(days, by_day)
    return tuple(sorted(found & _nth(days, by_month_day) if by_month_day else found))


def days_of_year(rule: Rule, year: int, origin: Civil) -> list[int]:
    """RFC 5545's table for YEARLY: the parts that are there, all at once; DTSTART fills what is left out."""
    days = _year(year)
    months = [_month(year, month) for month in rule.by_month]
    found = [*_yearly_sets(rule, year, days, months, origin)]
    if not found:
        months = months or [_month(year, origin.month)]
        return sorted(day for month in months for day in _nth(month, (origin.day,)))
    if months:
        found.append({day for month in months for day in month})
    return sorted(set.intersection(*found))


def _yearly_sets(
    rule: Rule, year: int, days: range, months: list[range], origin: Civil
) -> Iterable[set[int]]:
    by_day: Sequence[tuple[int, int]] = rule.by_day
    if rule.by_week_number:
        yield _days_of_weeks(rule.by_week_number, rule.week_start, year)
        # No number may stand before a weekday here.
        by_day = [(0, weekday) for _, weekday in rule.by_day]
        if not (by_day or rule.by_year_day or rule.by_month_day):
            by_day = [(0, date(*origin).weekday())]
    if rule.by_year_day:
        yield _nth(days, rule.by_year_day)
    if rule.by_month_day:
        every = months or [_month(year, month) for month in range(1, 13)]
        yield {day for month in every for day in _nth(month, rule.by_month_day)}
    if by_day:
        yield {day for part in months or [days] for day in _nth_weekdays(part, by_day)}


@lru_cache(maxsize=256)
def _days_of_weeks(numbers: tuple[int, ...], week_start: int, year: int) -> set[int]:
    """The days of this calendar year in the named weeks, which may be counted in the year before or after."""
    days = _year(year)
    found: set[int] = set()
    for counted in (year - 1, year, year + 1):
        start, end = _first_week(week_start, counted), _first_week(week_start, counted + 1)
        for week in _nth(range(start, end, 7), numbers):
            found.update(range(week, week + 7))
    return found.intersection(days)


def _first_week(week_start: int, year: int) -> int:
    """Week 1 is the first with at least four days in the year."""
    fourth = _year(year).start + 3
    return fourth - (fourth + 3 - week_start) % 7


def is_filtered(rule: Rule) -> bool:
    return bool(rule.by_month or rule.by_month_day or rule.by_year_day or rule.by_week_number)


def passes(rule: Rule, day: int) -> bool:
    """What BYMONTH, BYMONTHDAY, BYYEARDAY and BYWEEKNO let through, where they limit."""
    if not is_filtered(rule):
        return True
    at = civil(day)
    return (
        (not rule.by_month or at.month in rule.by_month)
        and (not rule.by_month_day or day in _nth(_month(at.year, at.month), rule.by_month_day))
        and (not rule.by_year_day or day in _nth(_year(at.year), rule.by_year_day))
        and (not rule.by_week_number or day in _days_of_weeks(rule.by_week_number, rule.week_start, at.year))
    )


def is_on_weekday(rule: Rule, day: int) -> bool:
    return not rule.by_day or any((day + 3) % 7 == weekday for _, weekday in rule.by_day)
