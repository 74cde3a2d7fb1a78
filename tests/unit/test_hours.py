"""Working hours: what they open, and what may be set."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.availability import UserTime
from domain.edges import pairs
from domain.hours import (
    DEFAULT_HOURS,
    DateOverride,
    HoursSpan,
    InvalidHours,
    WeeklyHours,
    WorkingHours,
    open_hours,
    validate_hours,
)
from tests.unit.availability_oracle import (
    ALWAYS,
    CHANGES,
    DAY,
    QUANTUM,
    USER,
    ZONES,
    at,
    local,
    working_hours,
    works,
)

SUNDAY = 6


def _opened(hours: WorkingHours, zone: str, start: str, end: str) -> list[str]:
    """The edges as the clock on the wall shows them."""
    return [local(edge, zone).strftime("%d %H:%M") for edge in open_hours(hours, zone, at(start), at(end))]


@settings(max_examples=150)
@given(st.data())
def test_open_is_every_instant_at_which_the_clock_reads_a_working_time(data: st.DataObject) -> None:
    zone = data.draw(st.sampled_from(ZONES))
    around = data.draw(st.sampled_from(CHANGES[zone]))
    user = UserTime(user=USER, zone=zone, hours=data.draw(working_hours(zone, around)))
    opened = open_hours(user.hours, zone, around - DAY, around + DAY)
    found = [t for start, end in pairs(opened) for t in range(start, end, QUANTUM)]
    assert found == [t for t in range(around - DAY, around + DAY, QUANTUM) if works(user, t)]


def test_by_default_people_work_nine_to_five_from_monday_to_friday() -> None:
    week = _opened(DEFAULT_HOURS, "Europe/Paris", "2026-06-05T00:00+02:00", "2026-06-09T00:00+02:00")
    assert week == ["05 09:00", "05 17:00", "08 09:00", "08 17:00"]


def test_hours_that_touch_are_one_over_midnight_too() -> None:
    hours = WorkingHours((WeeklyHours(0, 540, 720), WeeklyHours(0, 720, 1440), WeeklyHours(1, 0, 60)))
    opened = _opened(hours, "Europe/Paris", "2026-06-01T00:00+02:00", "2026-06-03T00:00+02:00")
    assert opened == ["01 09:00", "02 01:00"]


def test_hours_round_the_clock_are_one_span_over_many_weeks() -> None:
    start = at("2026-01-01T00:00Z")
    assert open_hours(ALWAYS, "Europe/Paris", start, start + 400 * DAY) == [start, start + 400 * DAY]


def test_an_override_takes_the_place_of_its_weekday() -> None:
    hours = WorkingHours(
        DEFAULT_HOURS.weekly,
        (DateOverride(date(2026, 6, 1)), DateOverride(date(2026, 6, 7), (HoursSpan(600, 660),))),
    )
    opened = _opened(hours, "Europe/Paris", "2026-06-01T00:00+02:00", "2026-06-02T00:00+02:00")
    assert opened == []
    opened = _opened(hours, "Europe/Paris", "2026-06-07T00:00+02:00", "2026-06-08T00:00+02:00")
    assert opened == ["07 10:00", "07 11:00"]


@pytest.mark.parametrize(
    ("start", "end", "opened"),
    [
        (150, 300, ["29 03:00", "29 05:00"]),  # Begins in the gap: the instant after it.
        (60, 150, ["29 01:00", "29 03:00"]),  # Ends in the gap: at it.
        (130, 170, []),  # Within the gap.
        (0, 1440, ["29 00:00", "30 00:00"]),
    ],
)
def test_of_hours_that_meet_a_gap_only_what_exists_is_open(start: int, end: int, opened: list[str]) -> None:
    hours = WorkingHours((WeeklyHours(SUNDAY, start, end),))
    assert _opened(hours, "Europe/Paris", "2026-03-29T00:00+01:00", "2026-03-30T12:00+02:00") == opened


@pytest.mark.parametrize(
    ("start", "end", "minutes"),
    [(60, 240, [(60, 300)]), (120, 180, [(120, 240)]), (150, 240, [(150, 180), (210, 300)])],
)
def test_a_fold_gives_both_of_its_hours(start: int, end: int, minutes: list[tuple[int, int]]) -> None:
    hours = WorkingHours((WeeklyHours(SUNDAY, start, end),))
    midnight = at("2026-10-25T00:00+02:00")
    opened = open_hours(hours, "Europe/Paris", midnight, midnight + DAY)
    assert [((a - midnight) // 60, (b - midnight) // 60) for a, b in pairs(opened)] == minutes


def test_valid_hours_come_back_in_their_order() -> None:
    late, early, sunday = WeeklyHours(0, 780, 1440), WeeklyHours(0, 540, 780), WeeklyHours(6, 0, 60)
    second = DateOverride(date(2026, 6, 2), (HoursSpan(60, 120), HoursSpan(0, 60)))
    first = DateOverride(date(2026, 6, 1))
    assert validate_hours([sunday, late, early], [second, first]) == WorkingHours(
        (early, late, sunday), (first, DateOverride(second.date, (HoursSpan(0, 60), HoursSpan(60, 120))))
    )


def test_spans_of_a_day_may_touch_in_any_order() -> None:
    early, late = WeeklyHours(0, 540, 720), WeeklyHours(0, 720, 780)
    assert (
        validate_hours([early, late], []) == validate_hours([late, early], []) == WorkingHours((early, late))
    )


def test_no_hours_at_all_are_valid() -> None:
    assert validate_hours([], []) == WorkingHours(())


FINE = WeeklyHours(0, 540, 600)
CHRISTMAS = date(2026, 12, 25)


@pytest.mark.parametrize(
    ("weekly", "overrides", "field"),
    [
        ([FINE, WeeklyHours(0, 600, 600)], [], "weekly.1.end"),
        ([FINE, WeeklyHours(0, 700, 660)], [], "weekly.1.end"),
        ([WeeklyHours(0, 1320, 120)], [], "weekly.0.end"),
        ([WeeklyHours(0, 1440, 1440)], [], "weekly.0.start"),
        ([WeeklyHours(0, -1, 60)], [], "weekly.0.start"),
        ([WeeklyHours(0, 0, 1441)], [], "weekly.0.end"),
        ([WeeklyHours(7, 0, 60)], [], "weekly.0.day"),
        ([FINE, WeeklyHours(1, 0, 60), WeeklyHours(0, 599, 700)], [], "weekly.2.start"),
        ([WeeklyHours(0, 0, 1440), FINE], [], "weekly.1.start"),
        ([WeeklyHours(i % 7, i, i + 1) for i in range(51)], [], "weekly"),
        ([], [DateOverride(CHRISTMAS), DateOverride(CHRISTMAS)], "overrides.1.date"),
        ([], [DateOverride(CHRISTMAS, (HoursSpan(0, 60), HoursSpan(30, 90)))], "overrides.0.hours.1.start"),
        ([], [DateOverride(CHRISTMAS, (HoursSpan(1440, 1440),))], "overrides.0.hours.0.start"),
        ([], [DateOverride(CHRISTMAS, (HoursSpan(60, 60),))], "overrides.0.hours.0.end"),
        ([], [DateOverride(CHRISTMAS, tuple(HoursSpan(i, i + 1) for i in range(51)))], "overrides.0.hours"),
        ([], [DateOverride(date.fromordinal(739_000 + i)) for i in range(401)], "overrides"),
    ],
)
def test_hours_that_cannot_be_are_refused_by_the_path_of_their_field(
    weekly: list[WeeklyHours], overrides: list[DateOverride], field: str
) -> None:
    refused = validate_hours(weekly, overrides)
    assert isinstance(refused, InvalidHours)
    assert refused.field == field
    assert refused.message.endswith(".")


def test_the_most_that_may_be_given_is_accepted() -> None:
    weekly = [WeeklyHours(i % 7, i, i + 1) for i in range(50)]
    overrides = [DateOverride(date.fromordinal(739_000 + i)) for i in range(400)]
    assert isinstance(validate_hours(weekly, overrides), WorkingHours)
