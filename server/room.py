"""How many connections may be open at once: past them, one on which nothing is asked makes room for another."""

from __future__ import annotations

import logging
import time
from typing import Protocol

import uvicorn

log = logging.getLogger(__name__)

_TOLD_EVERY = 60.0


class Idle(Protocol):
    def cut(self) -> None: ...


class Room:
    """Who sends no request holds a connection that others, and our own files, may need: the process has so many."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.idle: dict[Idle, None] = {}
        """Those on which no request is under way; the one that waits longest comes first."""
        self._told_at = -_TOLD_EVERY

    def is_made(self) -> bool:
        """By the end of another connection. False where all are in use."""
        self._tell()
        longest = next(iter(self.idle), None)
        if longest is None:
            return False
        del self.idle[longest]
        longest.cut()
        return True

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._told_at >= _TOLD_EVERY:
            self._told_at = now
            log.warning("Over %d connections: those that ask nothing are closed for new ones.", self.most)


class Config(uvicorn.Config):
    """uvicorn's, which is what each connection is handed."""

    room: Room
