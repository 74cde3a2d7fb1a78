"""The starts that a rule gives inside a window, in wall seconds: it jumps to the window and never walks there.

Complete for RFC 5545 3.3.10, so that no rule needs an engine whose time has no bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, product
from typing import NamedTuple

from domain.interval import Span
from domain.rule import STEP, Frequency, Rule
from domain.rule_days import civil, days_of_month, days_of_year, is_filtered, is_on_weekday, passes, week_of
from domain.zone_table import DAY, FIRST_INSTANT, LAST_INSTANT

MOST_OCCURRENCES = 5_000
MOST_WALKED = 80_000
"""Of about a microsecond each: what it may take to learn what COUNT leaves for the window."""
_COST = {Frequency.YEARLY: 60, Frequency.MONTHLY: 5, Frequency.WEEKLY: 8}
_COST_OF_A_DAY = 4
_ALL_TIME = Span(FIRST_INSTANT, LAST_INSTANT)


class Expansion(NamedTuple):
    starts: list[int]
    goes_on: bool
    """There may be more at or after the window's end."""
    is_cut: bool
    """There are more inside the window than we go through; the last start is where it was left."""
    walked: int = 0
    is_uncounted: bool = False
    """What COUNT leaves was too far to walk to: it is taken not to bite."""


class _Periods(NamedTuple):
    """The days, weeks, months or years that a rule goes through, numbered from DTSTART's."""

    at: Callable[[int], int]
    """The last period that begins on or before a day."""
    starts: Callable[[int], Sequence[int]]
    """What the rule gives in a period, in order; before DTSTART too."""


def expand(
    rule: Rule,
    first: int,
    *,
    until: int | None,
    within: Span,
    most: int = MOST_OCCURRENCES,
    walk: int = MOST_WALKED,
) -> Expansion:
    """The starts from `first` (DTSTART, given only where the rule does) to `until`, inside the window."""
    within = within.clipped(_ALL_TIME)
    last, left = _bounds(rule, first, until)
    stop = within.end if last is None else min(within.end, last + 1)
    start = max(first, within.start)
    goes_on = last is None or last >= within.end
    if stop <= start:
        return Expansion([], goes_on, is_cut=False)
    walked, is_uncounted = 0, False
    strides = _strides(rule, first) if left is None else ()
    if strides:
        found = _along(strides, start, stop, most)
    else:
        periods = _periods(rule, first)
        initial, final = periods.at(start // DAY), periods.at((stop - 1) // DAY)
        if left is not None:
            left, walked = _left_after(initial, left, rule, periods, first=first, walk=walk)
            is_uncounted = left is None
        found = []
        given: Sequence[int] = ()
        for index in range(initial, final + 1):
            if left == 0 or len(found) > most:
                break
            given = periods.starts(index)
            if left is not None:
                given = [s for s in given if s >= first][:left]
                left -= len(given)
            found += [s for s in given if start <= s < stop]
        if left == 0:
            goes_on = bool(given) and given[-1] >= within.end
    is_cut = len(found) > most
    return Expansion(found[: most + 1], goes_on or is_cut, is_cut, walked, is_uncounted)


def _left_after(
    index: int, left: int, rule: Rule, periods: _Periods, *, first: int, walk: int
) -> tuple[int | None, int]:
    """What the periods before this one leave of COUNT, None where that is too far to walk; and what it took."""
    walked = 0
    cost = _COST.get(rule.frequency, _COST_OF_A_DAY)
    for before in range(index):
        if walked >= walk:
            return None, walked
        given = periods.starts(before)
        left -= sum(start >= first for start in given) if before == 0 else len(given)
        walked += cost + len(given) // 4
        if left <= 0:
            return 0, walked
    return left, walked


def last_possible(rule: Rule, first: int, until: int | None) -> int | None:
    """A start after which the rule gives none, where that is known without walking."""
    return _bounds(rule, first, until)[0]


def _bounds(rule: Rule, first: int, until: int | None) -> tuple[int | None, int | None]:
    """UNTIL, and COUNT: as an end too where plain arithmetic gives it, else as what is left to count."""
    if rule.count is None:
        return until, None
    last = _last_of(rule, first, rule.count)
    if last is None:
        return until, rule.count
    return last if until is None else min(until, last), None


def _last_of(rule: Rule, first: int, count: int) -> int | None:
    if is_filtered(rule) or rule.by_hour or rule.by_minute or rule.by_second or rule.by_set_position:
        return None
    if rule.frequency is Frequency.WEEKLY:
        week, offsets = week_of(rule, first // DAY)
        position = sum(week + offset < first // DAY for offset in offsets) + count - 1
        weeks, nth = divmod(position, len(offsets))
        return (week + 7 * rule.interval * weeks + offsets[nth]) * DAY + first % DAY
    step = DAY if rule.frequency is Frequency.DAILY else STEP.get(rule.frequency)
    if step is None or rule.by_day:
        return None
    return first + (count - 1) * rule.interval * step


# --- Even steps


def _strides(rule: Rule, first: int) -> Sequence[tuple[int, int]]:
    """Origin and step of each even row of starts, where a rule is made of nothing else: nearly every one is."""
    if rule.by_set_position or is_filtered(rule):
        return ()
    if rule.frequency is Frequency.WEEKLY:
        week, offsets = week_of(rule, first // DAY)
        step = 7 * DAY * rule.interval
        return [((week + offset) * DAY + time, step) for offset in offsets for time in _times(rule, first)]
    if rule.frequency is Frequency.DAILY and not rule.by_day:
        midnight = first - first % DAY
        return [(midnight + time, DAY * rule.interval) for time in _times(rule, first)]
    return ()


def _along(strides: Sequence[tuple[int, int]], start: int, stop: int, most: int) -> list[int]:
    rows = [range(start + (origin - start) % step, stop, step)[: most + 1] for origin, step in strides]
    return list(rows[0]) if len(rows) == 1 else sorted(chain.from_iterable(rows))


# --- The periods of each frequency


def _periods(rule: Rule, first: int) -> _Periods:
    match rule.frequency:
        case Frequency.YEARLY:
            return _years(rule, first)
        case Frequency.MONTHLY:
            return _months(rule, first)
        case Frequency.WEEKLY:
            return _weeks(rule, first)
        case Frequency.DAILY:
            return _every_day(rule, first)
        case _:
            return _within_days(rule, first)


def _years(rule: Rule, first: int) -> _Periods:
    origin = civil(first // DAY)
    times = _times(rule, first)

    def starts(index: int) -> Sequence[int]:
        return _pick(days_of_year(rule, origin.year + index * rule.interval, origin), times, rule)

    return _Periods(lambda day: (civil(day).year - origin.year) // rule.interval, starts)


def _months(rule: Rule, first: int) -> _Periods:
    origin = civil(first // DAY)
    base = origin.year * 12 + origin.month - 1
    times = _times(rule, first)
    is_sifted = bool(rule.by_year_day or rule.by_week_number)
    by_month_day = rule.by_month_day or (() if rule.by_day else (origin.day,))

    def starts(index: int) -> Sequence[int]:
        year, month = divmod(base + index * rule.interval, 12)
        if rule.by_month and month + 1 not in rule.by_month:
            return ()
        days = days_of_month(year, month + 1, rule.by_day, by_month_day)
        if is_sifted:
            days = tuple(day for day in days if passes(rule, day))
        return _pick(days, times, rule)

    def at(day: int) -> int:
        date_ = civil(day)
        return (date_.year * 12 + date_.month - 1 - base) // rule.interval

    return _Periods(at, starts)


def _weeks(rule: Rule, first: int) -> _Periods:
    week, offsets = week_of(rule, first // DAY)
    times = _times(rule, first)
    stride = 7 * rule.interval
    is_sifted = is_filtered(rule)

    def starts(index: int) -> Sequence[int]:
        monday = week + stride * index
        days = [monday + offset for offset in offsets]
        if is_sifted:
            days = [day for day in days if passes(rule, day)]
        return _pick(days, times, rule)

    return _Periods(lambda day: (day - week) // stride, starts)


def _every_day(rule: Rule, first: int) -> _Periods:
    origin = first // DAY
    times = _times(rule, first)
    is_sifted = bool(rule.by_day) or is_filtered(rule)

    def starts(index: int) -> Sequence[int]:
        day = origin + index * rule.interval
        if is_sifted and not (passes(rule, day) and is_on_weekday(rule, day)):
            return ()
        return _pick([day], times, rule)

    return _Periods(lambda day: (day - origin) // rule.interval, starts)


def _within_days(rule: Rule, first: int) -> _Periods:
    """SECONDLY, MINUTELY and HOURLY, a day at a time. `Rule.is_too_frequent` holds them to 24 a day."""
    unit = STEP[rule.frequency]
    base = first // unit
    offsets = _offsets(rule, first, unit)
    clock = _clock(rule, unit)

    def starts(index: int) -> Sequence[int]:
        day = first // DAY + index
        if not (passes(rule, day) and is_on_weekday(rule, day)):
            return ()
        units = range(day * DAY // unit, (day + 1) * DAY // unit)
        aligned = units[(base - units.start) % rule.interval :: rule.interval]
        if clock is None:
            chosen: Iterable[int] = aligned
        elif len(clock) < len(aligned):
            chosen = [units.start + at for at in sorted(clock) if units.start + at in aligned]
        else:
            chosen = [at for at in aligned if at - units.start in clock]
        return [at * unit + offset for at in chosen for offset in offsets]

    return _Periods(lambda day: day - first // DAY, starts)


# --- Times of day


def _times(rule: Rule, first: int) -> list[int]:
    """The times of day, in seconds, that BYHOUR, BYMINUTE and BYSECOND name; else DTSTART's."""
    if not (rule.by_hour or rule.by_minute or rule.by_second):
        return [first % DAY]
    hour, minute, second = first % DAY // 3_600, first % 3_600 // 60, first % 60
    parts = product(rule.by_hour or (hour,), rule.by_minute or (minute,), rule.by_second or (second,))
    return [h * 3_600 + m * 60 + s for h, m, s in parts]


def _offsets(rule: Rule, first: int, unit: int) -> Sequence[int]:
    """The seconds into each hour, minute or second; BYSETPOS chooses among them."""
    minutes = (rule.by_minute or (first % 3_600 // 60,)) if unit > 60 else (0,)
    seconds = (rule.by_second or (first % 60,)) if unit > 1 else (0,)
    offsets = [m * 60 + s for m, s in product(minutes, seconds)]
    return [offsets[at] for at in _positions(rule, len(offsets))] if rule.by_set_position else offsets


def _clock(rule: Rule, unit: int) -> frozenset[int] | None:
    """The units of a day that BYHOUR, and what else is at least as long as the unit, let through."""
    named = rule.by_hour or (rule.by_minute and unit <= 60) or (rule.by_second and unit == 1)
    if not named:
        return None
    hours = rule.by_hour or range(24)
    minutes = (rule.by_minute or range(60)) if unit <= 60 else (0,)
    seconds = (rule.by_second or range(60)) if unit == 1 else (0,)
    return frozenset((h * 3_600 + m * 60 + s) // unit for h, m, s in product(hours, minutes, seconds))


def _pick(days: Sequence[int], times: Sequence[int], rule: Rule) -> Sequence[int]:
    if rule.by_set_position:  # By arithmetic: what is not chosen is never made.
        chosen = (divmod(at, len(times)) for at in _positions(rule, len(days) * len(times)))
        return [days[day] * DAY + times[time] for day, time in chosen]
    if len(times) == 1:
        (time,) = times
        return [day * DAY + time for day in days]
    return [day * DAY + time for day in days for time in times]


def _positions(rule: Rule, size: int) -> list[int]:
    """The indices in a set of this size that BYSETPOS chooses."""
    return sorted({at - 1 if at > 0 else size + at for at in rule.by_set_position if abs(at) <= size})
