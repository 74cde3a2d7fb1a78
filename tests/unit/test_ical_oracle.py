"""Held to recurring-ical-events, over calendars that Hypothesis makes: the same occurrences, by start and end.

Where the oracle is wrong, the case is left out or its end allowed for, each by name:
* ends over a change of the clocks: it adds on the clock, also what RFC 5545 3.3.6 and 3.8.5.3 call exact;
* COUNT with a start that the rule does not give is counted without it by both, and the start is kept by both;
* plain and numbered weekdays in one BYDAY, UNTIL of another type than DTSTART, BYWEEKNO without BYDAY,
  RECURRENCE-ID of another type, unknown zones: by hand in the corpus.

`python -m benchmarks.ical_oracle` makes as many as are wanted.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import icalendar
import recurring_ical_events
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.interval import Span
from sync.ical import read_resource

IN_CI = os.environ.get("CI") == "true"
OWNER = "Europe/Berlin"
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca"]
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
    moved: tuple[int, int] | None

    def stamp(self, at: datetime) -> str:
        if self.zone is None:
            return f";VALUE=DATE:{at:%Y%m%d}"
        return f";TZID={self.zone}:{at:%Y%m%dT%H%M%S}"

    def times(self, at: datetime) -> list[str]:
        length = timedelta(days=self.minutes) if self.zone is None else timedelta(minutes=self.minutes)
        if self.is_duration:
            text = f"P{self.minutes}D" if self.zone is None else f"PT{self.minutes}M"
            return [f"DTSTART{self.stamp(at)}", f"DURATION:{text}"]
        return [f"DTSTART{self.stamp(at)}", f"DTEND{self.stamp(at + length)}"]

    def text(self) -> str:
        lines = [*self.times(self.start), f"RRULE:{self.rule}"]
        lines += [f"EXDATE{self.stamp(self.start + timedelta(days=day))}" for day in sorted(self.excepted)]
        events = [lines]
        if self.moved is not None:
            day, hours = self.moved
            original = self.start + timedelta(days=day)
            changed = self.times(original + timedelta(hours=hours))
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
        moved=draw(st.none() | st.tuples(st.integers(61, 120), st.integers(-72, 72))),
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


@settings(max_examples=2_000 if IN_CI else 200, deadline=None)
@given(series())
def test_the_oracle_finds_the_same_occurrences(made: Series) -> None:
    check(made)


def check(made: Series) -> None:
    text = made.text()
    reading = read_resource(text, zone=OWNER, addresses=frozenset(), window=WINDOW)
    assert not [problem for problem in reading.problems if "before it begins" not in problem.message]
    zone = made.zone or OWNER
    first = (int(_in_utc(made.start, zone).timestamp()), int(_in_utc(made.start, zone).timestamp()))
    is_near = {span for span in _theirs(text) if made.zone and _is_over_a_change(span, zone)}
    ours = sorted((occurrence.busy.start, occurrence.busy.end) for occurrence in reading.occurrences)
    theirs = _theirs(text)
    if made.zone and _is_over_a_change(first, zone):
        assert [start for start, _ in ours] == [start for start, _ in theirs]
        return
    assert [span for span in ours if not (made.zone and _is_over_a_change(span, zone))] == [
        span for span in theirs if span not in is_near
    ]
    # Near a change ours may be the longer, never the shorter by more than the oracle's own fault.
    assert len(ours) == len(theirs)
