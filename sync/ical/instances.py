"""The starts of one series: what its rules and extra dates give, and what its exceptions take away.

They are wall times in the series' own zone: by them an EXDATE or a RECURRENCE-ID finds its instance.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from domain.busy import EventProblemCode
from domain.interval import Span
from domain.recurrence import MOST_OCCURRENCES, MOST_WALKED, expand, last_possible
from domain.rule import STEP, BadRuleError, Rule, for_dates, parse_rule
from domain.zone_table import DAY
from sync.ical.dates import ONE_HOUR, REACH, Fault, Length, length_of, length_to
from sync.ical.event import Event
from sync.ical.text import Property
from sync.ical.times import (
    MOST_AHEAD,
    MOST_BEHIND,
    Duration,
    Place,
    Places,
    When,
    read_list,
    read_period,
    read_when,
)

_MOST_DATES = 10_000


@dataclass(slots=True)
class Budget:
    """What one resource may cost, however many events and rules it has."""

    rules: int = 50
    occurrences: int = MOST_OCCURRENCES
    walk: int = MOST_WALKED


@dataclass(slots=True)
class Instances:
    walls: set[int]
    lengths: dict[int, Length] = field(default_factory=dict)
    goes_on: bool = False
    rest: tuple[int, int | None] | None = None
    """Where it is too much to go through: busy from here on, to the last day where that is known."""


def find_instances(master: Event, reach: Span, places: Places, budget: Budget) -> Instances:
    instances = Instances({master.start.wall})
    for given in master.component.every("RRULE"):
        try:
            rule, last = _read_rule(given.value, master)
        except BadRuleError as error:
            _report(
                master, f"repeats by a rule that cannot be followed ({error}): its first date alone blocks"
            )
            continue
        if rule.breach is not None:
            _report(master, f"repeats by a rule that RFC 5545 forbids: it has {rule.breach}")
        for each, end in _readings(rule, last):
            _follow(each, end, master, instances, reach=reach, budget=budget)
    if instances.rest is not None:
        report_too_many(master, "repeats too often to be gone through")
        start, last = instances.rest
        instances.walls = {w for w in instances.walls if w < start or (last is not None and w > last)}
    if "EXRULE" in master.component.properties:
        _report(master, "has an exception rule, which is not followed: the dates that it takes out block")
    _add_dates(master, instances, places)
    return instances


def _follow(
    rule: Rule, last: int | None, master: Event, instances: Instances, *, reach: Span, budget: Budget
) -> None:
    first = master.start.wall
    most = budget.occurrences - len(instances.walls)
    # A whole day cannot repeat within a day: whatever is meant, it is not meant to be free.
    is_too_frequent = rule.is_too_frequent or (master.start.is_date and rule.frequency in STEP)
    if is_too_frequent or budget.rules <= 0 or most <= 0:
        _leave(instances, first - first % DAY, last_possible(rule, first, last))
        return
    budget.rules -= 1
    expansion = expand(rule, first, until=last, within=reach, most=most, walk=budget.walk)
    budget.walk -= expansion.walked
    if expansion.is_uncounted:
        what = "has repeated for too long to count its dates, so it is taken to go on"
        master.faults.append(Fault(EventProblemCode.TOO_MANY_OCCURRENCES, what))
    instances.walls.update(expansion.starts)
    instances.goes_on |= expansion.goes_on
    if expansion.is_cut:
        _leave(instances, expansion.starts[-1], last_possible(rule, first, last))


def _leave(instances: Instances, wall: int, last: int | None) -> None:
    """Of two rules that are too much, the earlier start and the later end."""
    if instances.rest is None:
        instances.rest = wall, last
        return
    known, end = instances.rest
    instances.rest = min(known, wall), None if end is None or last is None else max(end, last)


def _readings(rule: Rule, last: int | None) -> list[tuple[Rule, int | None]]:
    """Of two ends, nobody knows which is meant: it goes on to the later."""
    if rule.count is None or last is None:
        return [(rule, last)]
    return [(replace(rule, count=None), last), (replace(rule, until=None), None)]


def _read_rule(text: str, master: Event) -> tuple[Rule, int | None]:
    rule = parse_rule(text)
    if master.start.is_date:
        rule = for_dates(rule)
    if rule.until is None:
        return rule, None
    try:
        return rule, last_start(rule.until, master.start, master.place)
    except BadRuleError:
        if rule.count is None:
            raise
        return replace(rule, until=None), None  # Its COUNT is an end that can be read.


def last_start(until: str, first: When, place: Place) -> int:
    """The last wall time that UNTIL lets stand in a series that starts at `first`. Raises BadRuleError."""
    try:
        last = _last_wall(read_when(Property("", until)), first, place)
    except ValueError:
        raise BadRuleError("its end cannot be read") from None
    if last < first.wall:
        raise BadRuleError("it ends before it begins")
    return last


def _last_wall(until: When, first: When, place: Place) -> int:
    """UNTIL on the series' own clock. Where it does not fit DTSTART's type, what it can mean at the latest."""
    if first.is_date:
        day = until.wall - until.wall % DAY
        local = place.zone.wall(until.wall) if until.is_utc else day
        return max(day, local - local % DAY)
    if until.is_date:
        return until.wall + DAY - 1
    if not place.is_known:
        return until.wall + REACH
    wall = place.zone.wall(until.wall)
    # In the second hour of a fold, all of the first is before it.
    last = wall + until.wall - place.zone.earliest(wall)
    # It has to be in UTC (3.3.10): without a Z, it may be that all the same.
    return last if until.is_utc else max(last, until.wall)


def _add_dates(master: Event, instances: Instances, places: Places) -> None:
    count = 0
    for given in master.component.every("RDATE"):
        for item in given.value.split(","):
            count += 1
            try:
                wall, length = _extra_date(item, given, master, places)
            except ValueError:
                _report(master, "has an extra date that cannot be read")
                continue
            if wall in instances.walls:  # Of two lengths of one date, the longer blocks.
                known = instances.lengths.get(wall, master.length)
                length = max(known, length or master.length, key=lambda each: each.most)
            instances.walls.add(wall)
            if length is not None:
                instances.lengths[wall] = length
    if count > _MOST_DATES:
        report_too_many(master, "has over 10,000 extra dates")


def _extra_date(item: str, given: Property, master: Event, places: Places) -> tuple[int, Length | None]:
    length = None
    if "/" in item:
        when, length = _period(item, given, master, places)
    else:
        when = read_when(Property(given.params, item))
    if when.is_date and not master.start.is_date:
        return when.wall + master.start.wall % DAY, length
    wall = wall_in(master, when, places)
    if wall is None and master.place.is_known:
        report_zone(master, "has an extra date", "every time that it could mean is blocked")
        lasting = (master.length if length is None else length).most
        length = Length(None, 0, MOST_AHEAD + MOST_BEHIND + lasting)
        return master.place.zone.wall(when.wall - MOST_AHEAD), length
    return (when.wall if wall is None else wall), length


def _period(item: str, given: Property, master: Event, places: Places) -> tuple[When, Length]:
    try:
        when, end = read_period(item, given.param("TZID"))
        return when, length_of(when, end) if isinstance(end, Duration) else length_to(when, end, places)
    except ValueError:
        when = read_when(Property(given.params.replace("PERIOD", "DATE-TIME"), item.partition("/")[0]))
        _report(
            master, "has an extra date whose end cannot be read, or is before it: an hour of it is blocked"
        )
        return when, ONE_HOUR


def find_exceptions(master: Event, places: Places) -> tuple[set[int], set[int]]:
    """The excepted wall times, and days: EXDATE may name a day of a timed series (RFC 5545 3.8.5.1)."""
    walls: set[int] = set()
    days: set[int] = set()
    count = 0
    for given in master.component.every("EXDATE"):
        for when in read_list(given):
            count += 1
            if count > _MOST_DATES:
                report_too_many(master, "has over 10,000 excepted dates")
                return walls, days
            if isinstance(when, ValueError):
                _report(master, "has an excepted date that cannot be read, so that date is blocked")
            elif when.is_date and not master.start.is_date:
                days.add(when.wall)
            elif (wall := wall_in(master, when, places)) is not None:
                walls.add(wall)
                walls.update(same_in_gap(master, wall))
            else:
                report_zone(master, "has an excepted date", "that date is blocked")
    return walls, days


def wall_in(master: Event, when: When, places: Places) -> int | None:
    """A time as the series' own clock shows it; None where it can't be told."""
    if master.start.is_date:
        local = when.wall
        if when.is_utc:
            # A midnight of the owner's, written in UTC, is meant as a date there.
            shown = master.place.zone.wall(when.wall)
            local = shown if shown % DAY == 0 else when.wall
        return local - local % DAY
    if (when.tzid, when.is_utc) == (master.start.tzid, master.start.is_utc) or (
        when.tzid is None and not when.is_utc
    ):
        return when.wall
    place = places.of(when)
    if not (place.is_known and master.place.is_known):
        return None
    return master.place.zone.wall(place.shown(when.wall))


def same_in_gap(master: Event, wall: int) -> Iterable[int]:
    """The start in a gap that is read as this time: a device names it by what the clock shows then, or in UTC."""
    if master.start.is_date or not master.place.is_known:
        return ()
    zone = master.place.zone
    # A day that a zone skipped leaves its dates at their time of day: each is named by its own.
    return (each for each in zone.walls_in_gap(zone.earliest(wall)) if each % DAY != wall % DAY)


def report_own_rules(overrides: Iterable[Event]) -> None:
    """A changed date has none (RFC 5545 3.8.4.4); without its series nobody tells what is meant."""
    for override in overrides:
        if override.component.repeats:
            _report(override, "is a changed date that repeats by itself: its first date alone blocks")


def report_changed_twice(overrides: list[Event]) -> None:
    """Those of one date, each of the same SEQUENCE."""
    for override in overrides[1:]:
        _report(override, "changes a date that is changed otherwise too, so it is blocked as either says")


def report_too_many(event: Event, text: str) -> None:
    what = f"{text}, so what could not be told apart is blocked as a whole"
    event.faults.append(Fault(EventProblemCode.TOO_MANY_OCCURRENCES, what))


def report_zone(event: Event, what: str, outcome: str) -> None:
    text = f"{what} in a time zone that is not known, so {outcome}"
    event.faults.append(Fault(EventProblemCode.UNKNOWN_TIME_ZONE, text))


def _report(event: Event, text: str) -> None:
    event.faults.append(Fault(EventProblemCode.BAD_RECURRENCE, text))
