"""Rate limits: what is counted together, and when one more is allowed."""

from __future__ import annotations

import pytest

from resolvers.limits import RATES, Limits, Rate, Rule, network_of


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize("rule", list(Rule))
def test_exactly_as_many_calls_pass_at_once_as_the_table_says(rule: Rule, clock: Clock) -> None:
    limits = Limits(clock)
    assert [limits.take(rule, "who") for _ in range(RATES[rule].calls)] == [None] * RATES[rule].calls
    assert limits.take(rule, "who") is not None


def test_the_promised_numbers_stand_in_the_table() -> None:
    assert RATES[Rule.AVAILABILITY] == Rate(60, 60)
    assert RATES[Rule.FOLLOWING] == Rate(60, 60)
    assert RATES[Rule.BOOKING] == Rate(10, 60)
    assert RATES[Rule.CONNECT] == Rate(3, 3600)
    assert RATES[Rule.REFRESH] == Rate(1, 10)
    assert RATES[Rule.WRONG_KEY] == Rate(30, 60)


def test_a_refused_caller_passes_at_the_moment_it_was_told(clock: Clock) -> None:
    limits = Limits(clock, {Rule.REFRESH: Rate(1, 10)})
    limits.take(Rule.REFRESH, "acc_1")
    clock.now += 3
    retry_at = limits.take(Rule.REFRESH, "acc_1")
    assert retry_at is not None
    assert retry_at == pytest.approx(1_000_010)
    clock.now = retry_at - 0.01
    assert limits.take(Rule.REFRESH, "acc_1") == pytest.approx(retry_at)
    clock.now = retry_at + 0.001
    assert limits.take(Rule.REFRESH, "acc_1") is None


def test_callers_and_rules_do_not_share_a_bucket(clock: Clock) -> None:
    limits = Limits(clock, {Rule.REFRESH: Rate(1, 10), Rule.CONNECT: Rate(1, 10)})
    assert limits.take(Rule.REFRESH, "one") is None
    assert limits.take(Rule.REFRESH, "two") is None
    assert limits.take(Rule.CONNECT, "one") is None
    assert limits.take(Rule.REFRESH, "one") is not None


def test_a_refund_gives_back_one_call_and_never_more_than_all(clock: Clock) -> None:
    limits = Limits(clock, {Rule.CONNECT: Rate(1, 3600)})
    limits.take(Rule.CONNECT, "usr_1")
    limits.refund(Rule.CONNECT, "usr_1")
    limits.refund(Rule.CONNECT, "usr_1")
    assert limits.take(Rule.CONNECT, "usr_1") is None
    assert limits.take(Rule.CONNECT, "usr_1") is not None


def test_who_takes_its_turn_waits_as_long_as_those_before_it_take(clock: Clock) -> None:
    limits = Limits(clock, {Rule.FOLLOWING: Rate(2, 20)})
    assert [limits.queue(Rule.FOLLOWING, "who") for _ in range(4)] == [0, 0, 10, 20]
    clock.now += 15
    assert limits.queue(Rule.FOLLOWING, "who") == pytest.approx(15)


def test_a_clock_set_back_grants_nothing(clock: Clock) -> None:
    limits = Limits(clock, {Rule.REFRESH: Rate(1, 10)})
    limits.take(Rule.REFRESH, "acc_1")
    clock.now -= 3600
    assert limits.take(Rule.REFRESH, "acc_1") is not None
    clock.now += 11
    assert limits.take(Rule.REFRESH, "acc_1") is None


def test_callers_past_the_most_forget_the_one_longest_unseen(clock: Clock) -> None:
    limits = Limits(clock, {Rule.REFRESH: Rate(1, 10)}, most_buckets=2)
    for who in ("old", "newer", "newest"):
        limits.take(Rule.REFRESH, who)
    assert limits.take(Rule.REFRESH, "newest") is not None
    assert limits.take(Rule.REFRESH, "old") is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("unix socket", "unix socket", True),
    ],
)
def test_an_ipv6_address_stands_for_its_64(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same
