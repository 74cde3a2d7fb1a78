"""The plain series: one rule of days, weeks, months or years, with dates taken out and others changed.

By the clock of its first date throughout, and with no date over a change of the clocks. All else is None here and read
in general (sync.ical.series); where this answers, the two agree.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right, insort
from typing import NamedTuple

from domain.busy import Occurrence
from domain.interval import Span
from domain.recurrence import expand
from domain.rule import STEP, BadRuleError, Rule, parse_rule
from domain.zone_table import DAY, FIRST_INSTANT, LAST_INSTANT, NEVER
from sync.ical.dates import REACH
from sync.ical.instances import last_start
from sync.ical.keys import day_key, instant_key, iso_day, time_key
from sync.ical.plain import Dates, Facts, Plain, Setting, dates_of, excepted_by, facts_of, original_of, uid_of
from sync.ical.reading import IN_ORDER, Reading
from sync.ical.single import meets, occurrence_of
from sync.ical.times import Place, When

_RULE = re.compile(r":([A-Z0-9=;,+-]{1,300})")
_MOST, _FARTHEST = 1_000, 1_000
_new = tuple.__new__  # What a NamedTuple does in the end, in a third of the time.


class _Series(NamedTuple):
    uid: str
    rule: Rule
    dates: Dates
    """Of its first date."""
    facts: Facts
    gone: set[int]
    """The starts that its rule may give and that are not to stand."""


class _Change(NamedTuple):
    key: str
    dates: Dates
    event: Plain


def read_regular(events: list[Plain], setting: Setting) -> Reading | None:
    master, *others = events if len(events) == 1 else sorted(events, key=_is_change)
    series = _series_of(master, setting)
    changes = None if series is None else _changes(others, series, setting)
    if series is None or changes is None:
        return None
    expanded = _walls(series, setting.window)
    made = None if expanded is None else _occurrences(expanded[0], series, setting.window)
    if expanded is None or made is None:
        return None
    occurrences, goes_on = made[0], made[1] or expanded[1]
    for key, dates, event in changes:
        if meets(dates, setting):
            found = occurrence_of(event, dates, setting, uid=series.uid, key=key, is_recurring=True)
            insort(occurrences, found, key=IN_ORDER)
        goes_on = goes_on or dates.span.start >= setting.window.end
    return _new(Reading, (series.uid or None, tuple(occurrences), (), True, goes_on))


def _is_change(event: Plain) -> bool:
    return event.is_change


def _series_of(event: Plain, setting: Setting) -> _Series | None:
    rule = _rule_of(event.said["RRULE"]) if event.is_series else None
    dates = None if rule is None else dates_of(event, setting)
    gone = None if dates is None else excepted_by(event, dates.clock)
    if rule is None or dates is None or gone is None:
        return None
    if any(wall % DAY != dates.wall % DAY for wall in gone):
        return None  # It could name one of its starts all the same, in a gap.
    return _new(_Series, (uid_of(event), rule, dates, facts_of(event, setting.addresses), gone))


def _rule_of(written: str) -> Rule | None:
    """One that gives a time of day alone, and nothing to report: its starts keep their order in any zone."""
    given = _RULE.fullmatch(written)
    if given is None:
        return None
    try:
        rule = parse_rule(given[1])
    except BadRuleError:
        return None
    is_of_times = rule.frequency in STEP or rule.by_hour or rule.by_minute or rule.by_second
    return None if is_of_times or rule.breach else rule


def _changes(events: list[Plain], series: _Series, setting: Setting) -> list[_Change] | None:
    """What takes a date's place is gone from the series."""
    _, zone, first, _, _ = series.dates
    found: dict[int, _Change] = {}
    for event in events:
        original = original_of(event) if event.is_change else None
        dates = None if original is None else dates_of(event, setting)
        if original is None or dates is None or uid_of(event) != series.uid:
            return None
        clock, wall = original
        # At another time of day than the series, it could fall on one of its instants all the same, in a gap.
        if clock != series.dates.clock or wall % DAY != first % DAY or wall in found:
            return None
        instant = zone.earliest(wall)
        if not FIRST_INSTANT <= instant <= LAST_INSTANT:
            return None
        key = day_key(wall // DAY) if clock[2] else instant_key(instant)
        found[wall] = _new(_Change, (key, dates, event))
    series.gone.update(found)
    return list(found.values())


def _walls(series: _Series, window: Span) -> tuple[list[int], bool] | None:
    """The starts that stand and could meet the window, in order, and whether there may be more after it."""
    rule, ((tzid, utc, is_date), zone, first, end, _) = series.rule, series.dates
    last = None
    if rule.until is not None:
        place = Place(zone, is_floating=is_date)
        try:
            last = last_start(rule.until, When(first, is_date, utc is not None, tzid), place)
        except BadRuleError:
            return None
    reach = _new(Span, (window.start - (end - first) - REACH, window.end + REACH))
    expansion = expand(rule, first, until=last, within=reach, most=_MOST, walk=_FARTHEST)
    walls = expansion.starts
    if expansion.is_cut or expansion.is_uncounted:
        return None
    if first >= reach.start and (not walls or walls[0] != first):
        walls = [first, *walls]  # It stands whatever the rule gives.
    if series.gone:
        walls = [wall for wall in walls if wall not in series.gone]
    return walls, expansion.goes_on


def _occurrences(walls: list[int], series: _Series, window: Span) -> tuple[list[Occurrence], bool] | None:
    """Those that meet the window, and whether there are more after it."""
    found = _of_days(walls, series, window) if series.dates.clock[2] else _of_times(walls, series, window)
    if found and found[0] and (found[0][0].start < FIRST_INSTANT or found[0][-1].end > LAST_INSTANT):
        return None
    return found


def _of_times(walls: list[int], series: _Series, window: Span) -> tuple[list[Occurrence], bool] | None:
    """A stretch at a time in which the clocks keep."""
    uid, _, (_, zone, first, until, _), (title, show_as, status, participation), _ = series
    new, kind, span = tuple.__new__, Occurrence, Span
    lasting, low, goes_on, latest = until - first, 0, False, -NEVER
    found: list[Occurrence] = []
    while low < len(walls):
        nth = bisect_right(zone.first_breaks, walls[low])
        stop = zone.last_breaks[nth] - lasting if nth < len(zone.last_breaks) else NEVER
        if walls[low] >= stop:
            return None
        offset, high = zone.offsets[nth], bisect_left(walls, stop, low)
        if walls[low] - offset <= latest:
            return None  # A gap as long as a day, as at the date line: two dates are one instant.
        latest = walls[high - 1] - offset
        # One of no length meets a window that begins at its instant.
        inside = bisect_left(walls, window.start + offset - lasting + (lasting > 0), low, high)
        beyond = bisect_left(walls, window.end + offset, inside, high)
        time = time_key((first - offset) % DAY)
        found += [
            new(kind, (
                uid, day_key((start := wall - offset) // DAY) + time, start, end := start + lasting,
                new(span, (start, end)), False, None, None,
                title, True, show_as, status, participation, 0, 0,
            ))
            for wall in walls[inside:beyond]
        ]  # fmt: skip
        goes_on = goes_on or beyond < high
        low = high
    return found, goes_on


def _of_days(walls: list[int], series: _Series, window: Span) -> tuple[list[Occurrence], bool]:
    uid, _, (_, zone, first, until, _), (title, show_as, status, participation), _ = series
    new, kind, span = tuple.__new__, Occurrence, Span
    starts, ends = zone.instants(walls), zone.instants([wall + until - first for wall in walls])
    days = (until - first) // DAY
    found = [
        new(kind, (
            uid, day_key(day := wall // DAY), start, end, new(span, (start, end)), True,
            iso_day(day), iso_day(day + days), title, True, show_as, status, participation, 0, 0,
        ))
        for wall, start, end in zip(walls, starts, ends, strict=True)
        if start < window.end and (end > window.start or start == end == window.start)
    ]  # fmt: skip
    return found, bool(starts) and starts[-1] >= window.end
