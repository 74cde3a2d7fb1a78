"""Faults of our own in a poll or a write: told whole once, so that thousands of accounts that meet one fill no log."""

from __future__ import annotations

import logging
import traceback

log = logging.getLogger(__name__)


class Faults:
    """Those that this process has met, each by the way that led to it."""

    def __init__(self) -> None:
        self._told: set[tuple[str, ...]] = set()

    def tell(self, error: BaseException, what: str) -> None:
        way = _way(error)
        is_known = way in self._told
        self._told.add(way)
        if is_known:
            log.error("%s, as before: %s", what, type(error).__name__)
        else:
            log.error("%s", what, exc_info=error)


def _way(error: BaseException) -> tuple[str, ...]:
    frames = traceback.walk_tb(error.__traceback__)
    return type(error).__name__, *(f"{frame.f_code.co_filename}:{line}" for frame, line in frames)
