"""Whether a start can be booked, and what is offered where it cannot."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from domain.availability import Booked, NothingChosen, Rules, Stale, UserTime, merge_busy
from domain.booking import NotOpen, Open, Refusal, decide, nearest_starts
from domain.hours import DEFAULT_HOURS
from domain.interval import Span
from tests.unit.availability_oracle import ALWAYS, DAY, HOUR, USER, at

MONDAY = at("2026-06-01T00:00Z")
NOW = MONDAY
FREE = UserTime(user=USER, zone="UTC", hours=ALWAYS)
RULES = Rules(duration=HOUR, step=HOUR)
NINE = MONDAY + 9 * HOUR
TAKEN = replace(FREE, busy=merge_busy([(NINE, NINE + HOUR)]))
BOOKED = replace(FREE, appointments=(Booked(Span(NINE, NINE + HOUR), HOUR, HOUR),))
HELD = replace(FREE, holds=(Booked(Span(NINE, NINE + HOUR), until=NOW + 60),))
FULL = replace(FREE, counts={date(2026, 6, 1).toordinal(): 1})


def _refusals(
    start: int, user: UserTime = FREE, rules: Rules = RULES, *, now: int = NOW
) -> tuple[Refusal, ...]:
    match decide(start, user=user, rules=rules, now=now):
        case NotOpen(refusals):
            return refusals
        case Open():
            return ()


@pytest.mark.parametrize(
    ("user", "rules", "start", "refusal"),
    [
        (TAKEN, RULES, NINE, Refusal.TAKEN),
        (HELD, RULES, NINE, Refusal.TAKEN),
        (BOOKED, RULES, NINE, Refusal.TAKEN),
        (BOOKED, RULES, NINE + HOUR, Refusal.TAKEN),  # In its buffer.
        (TAKEN, replace(RULES, buffer_before=1), NINE + HOUR, Refusal.TAKEN),
        (TAKEN, replace(RULES, buffer_after=1), NINE - HOUR, Refusal.TAKEN),
        (FREE, RULES, NOW - HOUR, Refusal.TOO_SOON),
        (FREE, replace(RULES, notice=DAY), NINE, Refusal.TOO_SOON),
        (FREE, replace(RULES, last_start=NINE - 1), NINE, Refusal.BEYOND_HORIZON),
        (replace(FREE, known_until=NINE + HOUR - 1), RULES, NINE, Refusal.BEYOND_HORIZON),
        (replace(FREE, hours=DEFAULT_HOURS), RULES, MONDAY + 17 * HOUR, Refusal.OUTSIDE_WORKING_HOURS),
        (FULL, replace(RULES, maximum_per_day=1), NINE, Refusal.DAY_FULL),
        (FREE, RULES, NINE + 1800, Refusal.OFF_GRID),
        (replace(FREE, closed=Stale(("work",))), RULES, NINE, Refusal.UNKNOWN),
        (replace(FREE, closed=NothingChosen()), RULES, NINE, Refusal.UNKNOWN),
    ],
)
def test_each_rule_alone_refuses(user: UserTime, rules: Rules, start: int, refusal: Refusal) -> None:
    assert _refusals(start, user, rules) == (refusal,)


@pytest.mark.parametrize(
    ("user", "rules", "start"),
    [
        (TAKEN, RULES, NINE + HOUR),
        (TAKEN, RULES, NINE - HOUR),
        (BOOKED, replace(RULES, buffer_before=HOUR, buffer_after=HOUR), NINE + 2 * HOUR),
        (FREE, replace(RULES, notice=9 * HOUR, last_start=NINE), NINE),
        (replace(FREE, known_until=NINE + HOUR), RULES, NINE),
        (replace(FREE, hours=DEFAULT_HOURS), RULES, MONDAY + 16 * HOUR),
        (FULL, replace(RULES, maximum_per_day=2), NINE),
        (FREE, RULES, NOW),
    ],
)
def test_a_start_at_the_very_edge_of_a_rule_is_open(user: UserTime, rules: Rules, start: int) -> None:
    assert decide(start, user=user, rules=rules, now=NOW) == Open(Span(start, start + HOUR))


def test_a_hold_that_has_ended_takes_nothing() -> None:
    assert _refusals(NINE, HELD, now=NOW + 59) == (Refusal.TAKEN,)
    assert _refusals(NINE, HELD, now=NOW + 60) == ()


def test_every_refusal_is_told_the_one_to_act_on_first() -> None:
    refused = decide(NOW - HOUR - 1, user=replace(FREE, closed=Stale()), rules=RULES, now=NOW)
    assert refused == NotOpen((Refusal.UNKNOWN, Refusal.TOO_SOON, Refusal.OFF_GRID))
    assert refused.message.startswith("The calendar could not be checked")


@pytest.mark.parametrize("refusal", Refusal)
def test_every_refusal_has_its_sentence(refusal: Refusal) -> None:
    assert NotOpen((refusal,)).message.endswith(".")


@pytest.mark.parametrize(
    ("user", "start"),
    [
        (replace(FREE, hours=DEFAULT_HOURS), MONDAY + 20 * HOUR),
        (FREE, NOW - DAY),
        (FREE, NINE + 7),
        (FREE, NOW + 900 * DAY),
        (BOOKED, NINE + HOUR),
        (FULL, NINE),
        (replace(FREE, closed=Stale(("work",))), NINE),
    ],
)
def test_the_owner_is_not_asked_the_pages_rules(user: UserTime, start: int) -> None:
    rules = replace(
        RULES, notice=HOUR, last_start=NOW + DAY, maximum_per_day=1, buffer_before=HOUR, buffer_after=HOUR
    )
    decision = decide(start, user=user, rules=rules, now=NOW, ignore_page_rules=True)
    assert decision == Open(Span(start, start + HOUR))


@pytest.mark.parametrize("user", [TAKEN, BOOKED, HELD])
@pytest.mark.parametrize("start", [NINE - HOUR + 1, NINE, NINE + HOUR - 1])
def test_the_owner_too_may_overlap_nothing(user: UserTime, start: int) -> None:
    decision = decide(start, user=user, rules=RULES, now=NOW, ignore_page_rules=True)
    assert decision == NotOpen((Refusal.TAKEN,))


def _nearest(user: UserTime, around: int, rules: Rules = RULES) -> list[int]:
    return [(start - MONDAY) // HOUR for start in nearest_starts(user, rules, around=around, now=NOW)]


def test_the_nearest_starts_are_the_next_five_soonest_first() -> None:
    assert _nearest(TAKEN, NINE) == [10, 11, 12, 13, 14]


def test_a_start_off_the_grid_is_answered_with_the_next_on_it() -> None:
    assert _nearest(TAKEN, NINE - 1800) == [10, 11, 12, 13, 14]


def test_a_start_in_the_past_is_answered_from_the_notice_on() -> None:
    assert _nearest(FREE, NOW - 100 * DAY, replace(RULES, notice=2 * HOUR)) == [2, 3, 4, 5, 6]


def test_where_none_follow_the_last_before_are_offered() -> None:
    rules = replace(RULES, last_start=MONDAY + 8 * HOUR)
    assert _nearest(FREE, MONDAY + 9 * HOUR, rules) == [4, 5, 6, 7, 8]
    assert _nearest(FREE, MONDAY + 99 * DAY, rules) == [4, 5, 6, 7, 8]


def test_fewer_than_five_that_follow_are_not_filled_up_from_before() -> None:
    rules = replace(RULES, last_start=MONDAY + 10 * HOUR)
    assert _nearest(TAKEN, NINE, rules) == [10]


def test_nothing_is_offered_where_nothing_is_open() -> None:
    assert _nearest(replace(FREE, closed=NothingChosen()), NINE) == []
    assert _nearest(FREE, NINE, replace(RULES, notice=2 * DAY, last_start=MONDAY + DAY)) == []
