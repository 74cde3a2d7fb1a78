"""Held to recurring-ical-events, over calendars that Hypothesis makes: the same occurrences, by start and end.

Starts are compared everywhere. Where the oracle is wrong, the case is left out or named here:
* ends within a day and a half of a change of the clocks: it adds on the clock, also what RFC 5545 3.3.6 (a DURATION's
  hours) and 3.8.5.3 (DTEND's length) call exact. There the end is held to `ends_by_the_rfc`, over zoneinfo alone;
* COUNT with a start that the rule does not give is counted without it by both, and the start is kept by both;
* plain and numbered weekdays in one BYDAY, UNTIL of another type than DTSTART, BYWEEKNO without BYDAY,
  RECURRENCE-ID of another type, unknown zones: by hand in the corpus.

`python -m benchmarks.ical_oracle` makes as many as are wanted.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import icalendar
import recurring_ical_events
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.interval import Span
from sync.ical.resource import read_resource

IN_CI = os.environ.get("CI") == "true"
OWNER = "Europe/Berlin"
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca"]
DAY = 86_400
START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2027, 4, 15, tzinfo=UTC)
WINDOW = Span(int(START.timestamp()), int(END.timestamp()))


@dataclass(frozen=True)
class Series:
    zone: str | None
    """None for an all-day one."""
    start: datetime
    minutes: int
    is_duration: bool
    rule: str
    excepted: frozenset[int]
    is_excepted_in_utc: bool
    extra: frozenset[tuple[int, int]]
    """RDATEs: days and half hours after the start."""
    moved: tuple[int, int] | None
    moved_to: str | None
    """The zone that the moved instance's new time is in; None for the series' own."""

    @property
    def zones(self) -> set[str]:
        return {zone for zone in (self.zone, self.moved_to if self.moved else None) if zone is not None}

    @property
    def origins(self) -> list[datetime]:
        """The starts on the clock from which a length was written: the series' own, and the moved instance's."""
        if self.moved is None:
            return [self.start]
        return [self.start, self.start + timedelta(days=self.moved[0], hours=self.moved[1])]

    def first(self, zone: str) -> tuple[int, int]:
        at = int(_in_utc(self.start, zone).timestamp())
        return at, at

    @property
    def length(self) -> timedelta:
        return timedelta(days=self.minutes) if self.zone is None else timedelta(minutes=self.minutes)

    def stamp(self, at: datetime, zone: str | None = None) -> str:
        if self.zone is None:
            return f";VALUE=DATE:{at:%Y%m%d}"
        return f";TZID={zone or self.zone}:{at:%Y%m%dT%H%M%S}"

    def times(self, at: datetime, zone: str | None = None) -> list[str]:
        if self.is_duration:
            text = f"P{self.minutes}D" if self.zone is None else f"PT{self.minutes}M"
            return [f"DTSTART{self.stamp(at, zone)}", f"DURATION:{text}"]
        return [f"DTSTART{self.stamp(at, zone)}", f"DTEND{self.stamp(at + self.length, zone)}"]

    def exception(self, day: int) -> str:
        at = self.start + timedelta(days=day)
        if self.zone is None or not self.is_excepted_in_utc:
            return f"EXDATE{self.stamp(at)}"
        return f"EXDATE:{_in_utc(at, self.zone):%Y%m%dT%H%M%SZ}"

    def text(self) -> str:
        lines = [*self.times(self.start), f"RRULE:{self.rule}"]
        lines += [self.exception(day) for day in sorted(self.excepted)]
        extra = [self.start + timedelta(days=day, minutes=30 * halves) for day, halves in sorted(self.extra)]
        lines += [f"RDATE{self.stamp(at)}" for at in extra]
        events = [lines]
        if self.moved is not None:
            day, hours = self.moved
            original = self.start + timedelta(days=day)
            changed = self.times(original + timedelta(hours=hours), self.moved_to)
            events.append([f"RECURRENCE-ID{self.stamp(original)}", *changed])
        head = ["BEGIN:VEVENT", "UID:series", "DTSTAMP:20260101T000000Z"]
        body = [line for event in events for line in [*head, *event, "END:VEVENT"]]
        return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:test", *body, "END:VCALENDAR", ""])


weekdays = st.lists(
    st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]), min_size=1, max_size=4, unique=True
).map(",".join)
rules = st.one_of(
    st.builds("FREQ=DAILY;INTERVAL={}".format, st.integers(1, 9)),
    st.builds("FREQ=WEEKLY;INTERVAL={};BYDAY={};WKST=MO".format, st.integers(1, 3), weekdays),
    st.builds("FREQ=WEEKLY;INTERVAL={};BYDAY={};WKST=SU".format, st.integers(1, 3), weekdays),
    st.builds("FREQ=MONTHLY;BYMONTHDAY={}".format, st.sampled_from([1, 15, 29, 30, 31, -1, -2])),
    st.builds("FREQ=MONTHLY;BYDAY={}{}".format, st.sampled_from([1, 2, 4, 5, -1]), st.sampled_from(["MO", "FR", "SU"])),
    st.builds("FREQ=MONTHLY;BYDAY={};BYSETPOS={}".format, weekdays, st.sampled_from([1, 2, -1])),
    st.builds("FREQ=YEARLY;BYMONTH={};BYDAY={}SU".format, st.integers(1, 12), st.sampled_from([1, -1])),
    st.just("FREQ=YEARLY"),
)  # fmt: skip


@st.composite
def series(draw: st.DrawFn) -> Series:
    zone = draw(st.one_of(st.none(), st.sampled_from(ZONES), st.sampled_from(ZONES)))
    start = datetime(2025, 1, 1) + timedelta(
        days=draw(st.integers(0, 730)), minutes=30 * draw(st.integers(0, 47))
    )
    rule = draw(rules)
    match draw(st.integers(0, 3)):
        case 0:
            rule += f";COUNT={draw(st.integers(1, 40))}"
        case 1:
            end = start + timedelta(days=draw(st.integers(0, 500)))
            rule += f";UNTIL={end:%Y%m%d}" if zone is None else f";UNTIL={_in_utc(end, zone):%Y%m%dT%H%M%SZ}"
    return Series(
        zone=zone,
        start=start,
        minutes=draw(st.integers(1, 3)) if zone is None else 30 * draw(st.integers(1, 60)),
        is_duration=draw(st.booleans()),
        rule=rule,
        excepted=draw(st.frozensets(st.integers(0, 60), max_size=4)),
        is_excepted_in_utc=draw(st.booleans()),
        extra=draw(
            st.frozensets(
                st.tuples(st.integers(121, 500), st.just(0) if zone is None else st.integers(0, 47)),
                max_size=3,
            )
        ),
        moved=draw(st.none() | st.tuples(st.integers(61, 120), st.integers(-72, 72))),
        moved_to=draw(st.none() | st.sampled_from(ZONES)),
    )


def _in_utc(at: datetime, zone: str) -> datetime:
    return at.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def _instant(at: date) -> int:
    if not isinstance(at, datetime):
        at = datetime(at.year, at.month, at.day, tzinfo=ZoneInfo(OWNER))
    return int(at.timestamp())


def _theirs(text: str) -> list[tuple[int, int]]:
    # A day wider, and cut by our own rule: the oracle sees all-day events in UTC, not in the owner's zone.
    query = recurring_ical_events.of(icalendar.Calendar.from_ical(text))
    found = query.between(START - timedelta(days=5), END + timedelta(days=5))
    spans = [(_instant(event.start), _instant(event.end)) for event in found]
    return sorted(span for span in spans if span[0] < WINDOW.end and span[1] > WINDOW.start)


def _is_over_a_change(span: tuple[int, int], zone: str) -> bool:
    """Within a day and a half of a change of the clocks."""
    info = ZoneInfo(zone)
    near = (span[0] - 130_000, span[1] + 130_000)
    first, last = (datetime.fromtimestamp(at, info).utcoffset() for at in near)
    return first != last


def _clock(at: int, zone: str) -> datetime:
    return datetime.fromtimestamp(at, ZoneInfo(zone)).replace(tzinfo=None)


def _is_in_gap(at: datetime, zone: str) -> bool:
    return _clock(int(_in_utc(at, zone).timestamp()), zone) != at


def ends_by_the_rfc(made: Series, start: int) -> set[int]:
    """The ends that an occurrence from this instant may block to, by zoneinfo alone.

    RFC 5545 3.8.5.3: as many seconds as from DTSTART to DTEND, or the time on the clock: the later. 3.3.6: a
    DURATION in minutes is exact, from the second of a fold's two hours. An instance moved to another zone has
    that zone's clock.
    """
    found = set()
    for zone in {made.zone, made.moved_to} - {None}:
        assert zone is not None
        wall = _clock(start, zone)
        latest = int(wall.replace(tzinfo=ZoneInfo(zone), fold=1).timestamp())
        if made.is_duration:
            found.add(max(start, latest) + made.minutes * 60)
            continue
        on_clock = (wall + made.length).replace(tzinfo=ZoneInfo(zone), fold=1).timestamp()
        for origin in made.origins:
            exact = _in_utc(origin + made.length, zone) - _in_utc(origin, zone)
            found.add(max(start + int(exact.total_seconds()), int(on_clock)))
    return found


@settings(max_examples=2_000 if IN_CI else 200)
@given(series())
def test_the_oracle_finds_the_same_occurrences(made: Series) -> None:
    check(made)


def check(made: Series) -> None:
    text = made.text()
    reading = read_resource(text, zone=OWNER, addresses=frozenset(), window=WINDOW)
    assert not [problem for problem in reading.problems if "before it begins" not in problem.message]
    ours = sorted((occurrence.busy.start, occurrence.busy.end) for occurrence in reading.occurrences)
    theirs = _theirs(text)
    assert [start for start, _ in _well_inside(ours)] == [start for start, _ in _well_inside(theirs)]
    if made.zone is None:
        assert ours == theirs
        return
    for start, end in ours:
        assert end in ends_by_the_rfc(made, start) or _starts_in_a_gap(made, start)
    if not any(_is_over_a_change(made.first(zone), zone) for zone in made.zones):
        assert _away_from_changes(made, ours) == _away_from_changes(made, theirs)


def _well_inside(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """An end that is told apart decides nothing here."""
    return [span for span in spans if WINDOW.start + 3 * DAY <= span[0] < WINDOW.end - 3 * DAY]


def _away_from_changes(made: Series, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [span for span in spans if not any(_is_over_a_change(span, zone) for zone in made.zones)]


def _starts_in_a_gap(made: Series, start: int) -> bool:
    """Read by the offset before the gap (3.3.5), it stands an hour later on the clock: by hand in the corpus."""
    return any(
        _is_in_gap(_clock(start, zone) - timedelta(minutes=minutes), zone)
        for zone in made.zones
        for minutes in (30, 60)
    )


@dataclass(frozen=True)
class Split:
    """A series whose instances from the nth on are moved and last otherwise (RANGE=THISANDFUTURE, RFC 5545 3.8.4.4)."""

    series: Series
    step: int
    nth: int
    by: int
    """Half hours, or days of an all-day series."""
    minutes: int

    def text(self) -> str:
        original = self.series.start + timedelta(days=self.nth * self.step)
        shift = timedelta(days=self.by) if self.series.zone is None else timedelta(minutes=30 * self.by)
        changed = replace(self.series, minutes=self.minutes).times(original + shift)
        event = ["BEGIN:VEVENT", "UID:series", "DTSTAMP:20260101T000000Z"]
        event += [f"RECURRENCE-ID;RANGE=THISANDFUTURE{self.series.stamp(original)}", *changed, "END:VEVENT"]
        return self.series.text().replace("END:VCALENDAR", "\r\n".join([*event, "END:VCALENDAR"]))


@st.composite
def splits(draw: st.DrawFn) -> Split:
    zone = draw(st.none() | st.sampled_from(["UTC", "Asia/Kathmandu", *ZONES]))
    step = draw(st.integers(1, 9))
    made = Series(
        zone=zone,
        start=datetime(2026, 1, 5)
        + timedelta(days=draw(st.integers(0, 200)), minutes=30 * draw(st.integers(0, 47))),
        minutes=draw(st.integers(1, 2)) if zone is None else 30 * draw(st.integers(1, 20)),
        is_duration=draw(st.booleans()),
        rule=f"FREQ=DAILY;INTERVAL={step};COUNT={draw(st.integers(2, 40))}",
        excepted=frozenset(),
        is_excepted_in_utc=False,
        extra=frozenset(),
        moved=None,
        moved_to=None,
    )
    nth = draw(st.integers(1, int(made.rule.rpartition("=")[2]) - 1))
    return Split(
        made,
        step,
        nth,
        by=draw(st.integers(-5, 5)),
        minutes=draw(st.integers(1, 2)) * (1 if zone is None else 30),
    )


@settings(max_examples=500 if IN_CI else 100)
@given(splits())
def test_the_oracle_moves_this_and_future_alike(split: Split) -> None:
    reading = read_resource(split.text(), zone=OWNER, addresses=frozenset(), window=WINDOW)
    ours = sorted((occurrence.busy.start, occurrence.busy.end) for occurrence in reading.occurrences)
    theirs = _theirs(split.text())
    assert not reading.problems
    assert _away_from_changes(split.series, ours) == _away_from_changes(split.series, theirs)
    assert len(_well_inside(ours)) == len(_well_inside(theirs))
