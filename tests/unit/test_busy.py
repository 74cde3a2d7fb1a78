"""The busy policy, rule by rule."""

from __future__ import annotations

import pytest

from domain.busy import (
    BusyPolicy,
    BusyRule,
    EventStatus,
    Occurrence,
    Participation,
    ShowAs,
    blocked_span,
)
from domain.interval import Span

MEETING = Occurrence(
    uid="meeting",
    key="20261110T080000Z",
    start=1_000,
    end=2_000,
    busy=Span(1_000, 2_000),
    is_all_day=False,
    start_date=None,
    end_date=None,
    title="Meeting",
    is_recurring=False,
    show_as=ShowAs.BUSY,
    status=EventStatus.CONFIRMED,
    participation=None,
    travel_before=0,
    travel_after=0,
)
DECLINED = MEETING._replace(participation=Participation.DECLINED)
UNANSWERED = MEETING._replace(participation=Participation.NEEDS_ACTION)
MAYBE = MEETING._replace(participation=Participation.TENTATIVE)
TENTATIVE = MEETING._replace(status=EventStatus.TENTATIVE)
FREE = MEETING._replace(show_as=ShowAs.FREE)
CANCELLED = MEETING._replace(status=EventStatus.CANCELLED)
HOLIDAY = MEETING._replace(is_all_day=True)
BIRTHDAY = HOLIDAY._replace(show_as=ShowAs.FREE)
TRIP = MEETING._replace(travel_before=300, travel_after=100)
ALL_BLOCK = BusyPolicy(declined=BusyRule.BLOCK, all_day_free=BusyRule.BLOCK)


@pytest.mark.parametrize("event", [MEETING, UNANSWERED, MAYBE, TENTATIVE, HOLIDAY])
def test_these_block_unless_the_policy_says_otherwise(event: Occurrence) -> None:
    assert blocked_span(event, BusyPolicy()) == Span(1_000, 2_000)


@pytest.mark.parametrize("event", [FREE, CANCELLED, DECLINED, BIRTHDAY])
def test_these_do_not_block_unless_the_policy_says_otherwise(event: Occurrence) -> None:
    assert blocked_span(event, BusyPolicy()) is None


@pytest.mark.parametrize("event", [FREE, CANCELLED, HOLIDAY._replace(status=EventStatus.CANCELLED)])
def test_no_policy_makes_these_block(event: Occurrence) -> None:
    assert blocked_span(event, ALL_BLOCK) is None


@pytest.mark.parametrize("event", [DECLINED, BIRTHDAY])
def test_the_policy_can_make_these_block(event: Occurrence) -> None:
    assert blocked_span(event, ALL_BLOCK) == Span(1_000, 2_000)


@pytest.mark.parametrize(
    ("event", "policy"),
    [
        (UNANSWERED, BusyPolicy(unanswered=BusyRule.IGNORE)),
        (MAYBE, BusyPolicy(tentative=BusyRule.IGNORE)),
        (TENTATIVE, BusyPolicy(tentative=BusyRule.IGNORE)),
        (HOLIDAY, BusyPolicy(all_day_busy=BusyRule.IGNORE)),
        (HOLIDAY._replace(participation=Participation.DECLINED), BusyPolicy()),
    ],
)
def test_the_policy_can_open_these(event: Occurrence, policy: BusyPolicy) -> None:
    assert blocked_span(event, policy) is None


def test_an_accepted_invitation_blocks_whatever_the_policy_says_of_others() -> None:
    policy = BusyPolicy(unanswered=BusyRule.IGNORE, tentative=BusyRule.IGNORE)
    assert blocked_span(MEETING._replace(participation=Participation.ACCEPTED), policy) == Span(1_000, 2_000)


def test_travel_widens_on_both_sides() -> None:
    assert blocked_span(TRIP, BusyPolicy()) == Span(700, 2_100)


def test_travel_is_left_out_where_the_policy_ignores_it() -> None:
    assert blocked_span(TRIP, BusyPolicy(travel_time=BusyRule.IGNORE)) == Span(1_000, 2_000)


def test_travel_that_is_ignored_does_not_close_a_free_event() -> None:
    assert blocked_span(TRIP._replace(show_as=ShowAs.FREE), BusyPolicy()) is None


def test_no_length_blocks_nothing() -> None:
    assert blocked_span(MEETING._replace(busy=Span(1_000, 1_000)), BusyPolicy()) is None


def test_the_widest_time_blocks_not_the_time_shown() -> None:
    assert blocked_span(MEETING._replace(busy=Span(900, 2_600)), BusyPolicy()) == Span(900, 2_600)
