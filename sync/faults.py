"""Faults in a poll, a write, a turn or a look: told whole once, so that thousands, or an outage, fill no log."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable

log = logging.getLogger(__name__)


AGAIN_AFTER = 60.0
"""Seconds until the same is told again, in a line."""
_MOST_KEPT = 1_000


class Faults:
    """Those that this process has met, each by the way that led to it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ways: set[tuple[str, ...]] = set()
        self._told_at: dict[tuple[str, str], float] = {}

    def tell(self, error: BaseException, what: str) -> None:
        way = _way(error)
        if way not in self._ways:
            self._ways.add(way)
            log.error("%s", what, exc_info=error)
        elif not self._was_just_told(what, name := type(error).__name__):
            log.error("%s, as before: %s", what, name)

    def _was_just_told(self, what: str, name: str) -> bool:
        now = self._clock()
        if self._told_at.get((what, name), -AGAIN_AFTER) > now - AGAIN_AFTER:
            return True
        if len(self._told_at) >= _MOST_KEPT:
            self._told_at = {each: at for each, at in self._told_at.items() if at > now - AGAIN_AFTER}
        self._told_at[what, name] = now
        return False


def _way(error: BaseException) -> tuple[str, ...]:
    frames = traceback.walk_tb(error.__traceback__)
    return type(error).__name__, *(f"{frame.f_code.co_filename}:{line}" for frame, line in frames)
