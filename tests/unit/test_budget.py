"""What an account may ask in a minute, by a clock that the test sets."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.icloud.budget import Budget, Budgets


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_minutes_requests_may_go_out_at_once_and_no_more() -> None:
    budget = Budget(240, Clock())
    assert [budget.reserve() for _ in range(240)] == [0.0] * 240
    assert [budget.reserve() for _ in range(3)] == [0.25, 0.5, 0.75]


def test_what_was_not_used_is_not_saved_up() -> None:
    clock = Clock()
    budget = Budget(60, clock)
    clock.now += 3600
    assert [budget.reserve() for _ in range(61)] == [0.0] * 60 + [1.0]


@given(st.lists(st.floats(0, 30), min_size=1, max_size=400), st.integers(10, 300))
def test_no_minute_sees_more_than_two_minutes_worth(gaps: list[float], per_minute: int) -> None:
    """A full minute's burst, and what comes back meanwhile: so a bucket bounds it."""
    clock = Clock()
    budget = Budget(per_minute, clock)
    sent = []
    for gap in gaps:
        clock.now += gap
        sent.append(clock.now + budget.reserve())
    for start in sent:
        assert sum(start <= each < start + 60 for each in sent) <= 2 * per_minute + 1


async def test_one_who_gives_up_waiting_takes_nothing() -> None:
    budget = Budget(60, Clock())
    for _ in range(60):
        budget.reserve()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await budget.take()
    assert budget.reserve() == 1.0


def test_each_account_has_its_own_however_it_is_spelled() -> None:
    budgets = Budgets(60, Clock())
    assert budgets.of("Anna@iCloud.com") is budgets.of("anna@icloud.com")
    assert budgets.of("otto@icloud.com") is not budgets.of("anna@icloud.com")


def test_accounts_that_rest_are_let_go_and_busy_ones_are_not() -> None:
    clock = Clock()
    budgets = Budgets(60, clock)
    busy = budgets.of("busy")
    for _ in range(120):
        busy.reserve()
    for number in range(10_000):
        budgets.of(f"{number}@icloud.com")
    assert len(budgets) < 5000
    assert budgets.of("busy") is busy
