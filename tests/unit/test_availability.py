"""Availability at its edges: to the second, half-open everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import pytest

from domain.availability import (
    Booked,
    Match,
    NothingChosen,
    Rules,
    Stale,
    Starts,
    UserTime,
    find_starts,
    find_windows,
    last_start_of,
    merge_busy,
    next_change,
)
from domain.hours import DEFAULT_HOURS
from domain.interval import Span
from tests.unit.availability_oracle import ALWAYS, DAY, HOUR, USER, at

MIDNIGHT = at("2026-06-01T00:00Z")
TODAY = Span(MIDNIGHT, MIDNIGHT + DAY)
FREE = UserTime(user=USER, zone="UTC", hours=ALWAYS)
HOURLY = Rules(duration=HOUR, step=HOUR)


def _hour(number: float) -> int:
    return MIDNIGHT + int(number * HOUR)


def _span(start: float, end: float) -> Span:
    return Span(_hour(start), _hour(end))


def _blocked(*spans: Span) -> UserTime:
    return replace(FREE, busy=merge_busy(spans))


def _starts(
    user: UserTime, rules: Rules = HOURLY, *, within: Span = TODAY, now: int = MIDNIGHT
) -> list[float]:
    found = find_starts([user], rules, within=within, now=now).at
    return [(start - MIDNIGHT) / HOUR for start in found]


def _windows(
    user: UserTime, rules: Rules = HOURLY, *, within: Span = TODAY, now: int = MIDNIGHT
) -> list[Span]:
    return find_windows([user], rules, within=within, now=now)


def test_a_start_may_touch_a_blocked_slot_on_either_side() -> None:
    assert _starts(_blocked(_span(0, 9), _span(10, 24))) == [9]
    assert _starts(_blocked(_span(0, 9), Span(_hour(10) - 1, _hour(24)))) == []
    assert _starts(_blocked(Span(MIDNIGHT, _hour(9) + 1), _span(10, 24))) == []


def test_the_start_at_the_questions_end_is_not_in_it() -> None:
    assert _starts(FREE, within=_span(9, 11)) == [9, 10]


def test_a_span_may_end_beyond_the_question() -> None:
    assert _starts(FREE, replace(HOURLY, duration=5 * HOUR), within=_span(9, 11)) == [9, 10]


def test_a_buffer_may_lie_outside_working_hours_and_the_span_may_not() -> None:
    user = replace(FREE, hours=DEFAULT_HOURS)
    rules = replace(HOURLY, buffer_before=HOUR, buffer_after=HOUR)
    assert _starts(user, rules) == [9, 10, 11, 12, 13, 14, 15, 16]


def test_the_asked_buffers_keep_off_blocked_slots() -> None:
    rules = replace(HOURLY, buffer_before=HOUR, buffer_after=2 * HOUR)
    assert _starts(_blocked(_span(5, 6)), rules, within=_span(0, 10)) == [0, 1, 2, 7, 8, 9]


def test_a_gap_no_wider_than_the_buffers_is_no_window() -> None:
    rules = replace(HOURLY, buffer_before=HOUR, buffer_after=HOUR)
    user = _blocked(_span(0, 5), _span(7, 20))
    assert _windows(user, rules) == [_span(21, 24)]
    assert _windows(user, replace(rules, buffer_after=HOUR - 1))[0] == Span(_hour(6), _hour(6) + 1)


def test_the_buffers_of_an_appointment_keep_off_spans_and_may_overlap_other_buffers() -> None:
    user = replace(FREE, appointments=(Booked(_span(5, 6), before=HOUR, after=HOUR),))
    assert _starts(user, within=_span(2, 9)) == [2, 3, 7, 8]
    assert _starts(user, replace(HOURLY, buffer_before=HOUR, buffer_after=HOUR), within=_span(2, 9)) == [
        2,
        3,
        7,
        8,
    ]


def test_a_hold_closes_time_until_it_ends() -> None:
    user = replace(FREE, holds=(Booked(_span(9, 10), until=MIDNIGHT + 300),))
    assert 9 not in _starts(user, now=MIDNIGHT + 299, within=_span(5, 12))
    assert 9 in _starts(user, now=MIDNIGHT + 300, within=_span(5, 12))


def test_the_notice_and_the_horizon_both_include_their_instant() -> None:
    rules = replace(HOURLY, notice=3 * HOUR, last_start=_hour(5))
    assert _starts(FREE, rules) == [3, 4, 5]
    assert _starts(FREE, rules, now=MIDNIGHT + 1) == [4, 5]
    assert _starts(FREE, replace(rules, last_start=_hour(5) - 1)) == [3, 4]


def test_windows_begin_at_the_notice_and_end_at_the_horizon() -> None:
    rules = replace(HOURLY, notice=3 * HOUR, last_start=_hour(5) - 1)
    assert _windows(FREE, rules) == [_span(3, 5)]


def test_the_past_is_never_open() -> None:
    assert _starts(FREE, now=_hour(22)) == [22, 23]
    assert _starts(FREE, now=_hour(24)) == []


def test_the_buffer_after_may_not_reach_into_what_is_not_known() -> None:
    user = replace(FREE, known_until=_hour(6))
    assert _starts(user) == [0, 1, 2, 3, 4, 5]
    assert _starts(user, replace(HOURLY, buffer_after=1)) == [0, 1, 2, 3, 4]


def test_a_full_day_is_cut_by_the_users_own_zone() -> None:
    counts: Mapping[int, int] = {date(2026, 6, 1).toordinal(): 2}
    user = replace(FREE, zone="Asia/Tokyo", counts=counts)
    assert _starts(user, replace(HOURLY, maximum_per_day=2))[0] == 15
    assert _starts(user, replace(HOURLY, maximum_per_day=3))[0] == 0


def test_a_span_may_run_into_a_full_day() -> None:
    user = replace(FREE, counts={date(2026, 6, 2).toordinal(): 1})
    rules = replace(HOURLY, duration=4 * HOUR, maximum_per_day=1)
    assert _starts(user, rules, within=_span(22, 26)) == [22, 23]


@pytest.mark.parametrize("closed", [Stale(("work",)), Stale(), NothingChosen()])
def test_a_user_whose_calendars_are_not_known_has_no_time(closed: Stale | NothingChosen) -> None:
    user = replace(FREE, closed=closed)
    assert _windows(user) == []
    assert _starts(user) == []


def test_a_stale_user_closes_everyones_time_and_leaves_anyones() -> None:
    users = [replace(FREE, closed=Stale()), FREE]
    within = _span(0, 2)
    assert find_starts(users, HOURLY, within=within, now=MIDNIGHT) == Starts([], [])
    anyone = find_starts(users, HOURLY, within=within, now=MIDNIGHT, match=Match.ANYONE)
    assert anyone == Starts([_hour(0), _hour(1)], [(1,), (1,)])
    assert find_windows(users, HOURLY, within=within, now=MIDNIGHT, match=Match.ANYONE) == [within]


def test_half_of_one_and_half_of_another_are_a_window_of_anyone_but_no_start() -> None:
    users = [_blocked(Span(_hour(0.5), _hour(2))), _blocked(_span(0, 0.5))]
    within = _span(0, 1)
    assert find_windows(users, HOURLY, within=within, now=MIDNIGHT, match=Match.ANYONE) == [within]
    assert find_starts(users, HOURLY, within=within, now=MIDNIGHT, match=Match.ANYONE).at == []


def test_nobody_asked_has_no_time() -> None:
    for match in Match:
        assert find_windows([], HOURLY, within=TODAY, now=MIDNIGHT, match=match) == []
        assert find_starts([], HOURLY, within=TODAY, now=MIDNIGHT, match=match).at == []


def test_a_reversed_question_has_no_answer() -> None:
    assert _windows(FREE, within=_span(9, 8)) == []
    assert _starts(FREE, within=_span(9, 8)) == []
    assert _windows(FREE, within=_span(9, 9)) == []


def test_a_horizon_in_days_ends_with_its_last_day_in_the_users_zone() -> None:
    now = at("2026-03-28T23:30+01:00")
    assert last_start_of(now, "Europe/Paris", 1) == at("2026-03-30T00:00+02:00") - 1
    assert last_start_of(now, "UTC", 1) == at("2026-03-30T00:00Z") - 1


def test_the_next_change_is_when_the_soonest_start_passes_the_notice() -> None:
    rules = replace(HOURLY, notice=HOUR)
    assert next_change([FREE], rules, within=TODAY, now=MIDNIGHT) == MIDNIGHT + 1
    assert next_change([FREE], rules, within=TODAY, now=MIDNIGHT + 1) == _hour(1) + 1


def test_the_next_change_is_when_a_hold_ends() -> None:
    user = replace(FREE, holds=(Booked(_span(0, 24), until=MIDNIGHT + 90),))
    assert next_change([user], HOURLY, within=TODAY, now=MIDNIGHT) == MIDNIGHT + 90
    assert next_change([user], HOURLY, within=_span(30, 31), now=MIDNIGHT + 90) == _hour(30) + 1


def test_the_next_change_is_when_a_day_enters_the_horizon() -> None:
    user = replace(_blocked(_span(0, 48)), zone="Europe/Paris")
    rules = replace(HOURLY, last_start=last_start_of(MIDNIGHT, "Europe/Paris", 1))
    within = Span(MIDNIGHT, MIDNIGHT + 5 * DAY)
    assert next_change([user], rules, within=within, now=MIDNIGHT) == at("2026-06-02T00:00+02:00")


def test_nothing_open_and_nothing_held_never_changes_by_itself() -> None:
    assert next_change([_blocked(_span(0, 48))], HOURLY, within=TODAY, now=MIDNIGHT) is None
