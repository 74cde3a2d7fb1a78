"""How often an account may be asked for in a minute: we slow down by ourselves, before Apple tells us to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_LOOK_THROUGH_AT = 4096
"""So many accounts in memory before those that rest are let go."""


class Budget:
    """A minute's requests at once at most, then as they come back. Those who wait are served in turn."""

    __slots__ = ("_at", "_clock", "_left", "_most", "_rate")

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._most = float(per_minute)
        self._rate = per_minute / 60
        self._left = self._most
        self._at = clock()
        self._clock = clock

    async def take(self) -> None:
        wait = self.reserve()
        if not wait:
            return
        try:
            await asyncio.sleep(wait)
        except asyncio.CancelledError:
            self._left += 1
            raise

    def reserve(self) -> float:
        """Seconds until the request may go out."""
        self._refill()
        self._left -= 1
        return -self._left / self._rate if self._left < 0 else 0.0

    @property
    def is_full(self) -> bool:
        self._refill()
        return self._left >= self._most

    def _refill(self) -> None:
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now


class Budgets:
    """One for each Apple ID, whoever polls it or writes to it: the server counts by account too."""

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._of: dict[str, Budget] = {}
        self._look_through_at = _LOOK_THROUGH_AT

    def of(self, apple_id: str) -> Budget:
        key = apple_id.lower()
        found = self._of.get(key)
        if found is None:
            if len(self._of) >= self._look_through_at:
                self._let_go()
            found = self._of[key] = Budget(self._per_minute, self._clock)
        return found

    def __len__(self) -> int:
        return len(self._of)

    def _let_go(self) -> None:
        self._of = {key: budget for key, budget in self._of.items() if not budget.is_full}
        self._look_through_at = max(_LOOK_THROUGH_AT, 2 * len(self._of))
