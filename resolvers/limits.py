"""How often one caller may ask: token buckets, one a rule and caller, in this process's memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address


class Rule(StrEnum):
    """What is limited, and whose calls are counted together."""

    AVAILABILITY = "availability"  # An address at a subaccount, with BOOKING keys.
    FOLLOWING = "following"  # The same: availability as it changes. What comes beyond it takes its turn.
    BOOKING = "booking"  # An address at a subaccount, with BOOKING keys: book, reschedule, cancel.
    HOLD = "hold"  # An address at a subaccount, with BOOKING keys; how many live at once is counted in the database.
    CONNECT = "connect"  # A user: refusals by Apple alone (`refund` what was not refused).
    REFRESH = "refresh"  # An account.
    WRONG_KEY = "wrong key"  # An address.


@dataclass(frozen=True, slots=True)
class Rate:
    """`calls` in `seconds`: all of them at once, or spread evenly."""

    calls: int
    seconds: float

    @property
    def refill(self) -> float:
        """Seconds until one call more is allowed."""
        return self.seconds / self.calls


RATES: Mapping[Rule, Rate] = {
    Rule.AVAILABILITY: Rate(60, 60),
    Rule.FOLLOWING: Rate(60, 60),
    Rule.BOOKING: Rate(10, 60),
    Rule.HOLD: Rate(30, 60),
    Rule.CONNECT: Rate(3, 3600),
    Rule.REFRESH: Rate(1, 10),
    Rule.WRONG_KEY: Rate(30, 60),
}

MOST_BUCKETS = 100_000
"""Past this many callers the one longest unseen is forgotten: memory is bounded, its bucket starts full again."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Limits:
    def __init__(
        self,
        clock: Callable[[], float],
        rates: Mapping[Rule, Rate] = RATES,
        *,
        most_buckets: int = MOST_BUCKETS,
    ) -> None:
        self._clock = clock
        self._rates = {**RATES, **rates}
        self._most_buckets = most_buckets
        self._buckets: OrderedDict[tuple[Rule, str], _Bucket] = OrderedDict()

    def take(self, rule: Rule, who: str) -> float | None:
        """Counts one call. None: go on; else the moment at which one more is allowed, and nothing was counted."""
        bucket, rate = self._filled(rule, who), self._rates[rule]
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return None
        return self._clock() + (1 - bucket.tokens) * rate.refill

    def queue(self, rule: Rule, who: str) -> float:
        """Counts one call in any case: seconds until its turn. `refund` it where it is not made after all."""
        bucket = self._filled(rule, who)
        bucket.tokens -= 1
        return max(-bucket.tokens, 0.0) * self._rates[rule].refill

    def refund(self, rule: Rule, who: str) -> None:
        """Gives back one call that turned out not to count."""
        bucket = self._filled(rule, who)
        bucket.tokens = min(bucket.tokens + 1, self._rates[rule].calls)

    def _filled(self, rule: Rule, who: str) -> _Bucket:
        now, rate = self._clock(), self._rates[rule]
        bucket = self._buckets.get((rule, who))
        if bucket is None:
            bucket = self._buckets[rule, who] = _Bucket(rate.calls, now)
            if len(self._buckets) > self._most_buckets:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end((rule, who))
        # A clock set back gives nothing and takes nothing.
        bucket.tokens = min(bucket.tokens + max(now - bucket.at, 0) / rate.refill, rate.calls)
        bucket.at = now
        return bucket


def network_of(address: str) -> str:
    """Who an address stands for: one of IPv6 is any of its /64, which one household has whole."""
    try:
        parsed: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((parsed, 64), strict=False))
