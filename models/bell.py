"""The bell: says "look" to whoever waits for a user's changes. Losing a ring loses nothing; the log is the truth."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

SYNC = "sync"
"""The topic that wakes the sync loop: an account was chosen, asked for, or has something to write."""


class Wire(Protocol):
    """Carries rings to the other processes."""

    async def send(self, topic: str) -> None: ...


class Bell:
    """Rings by topic: a user's id, or SYNC. Rung after commit, never inside a transaction."""

    def __init__(self) -> None:
        self._listeners: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self.wire: Wire | None = None

    async def ring(self, topic: str) -> None:
        """Here at once, elsewhere by the wire."""
        self.ring_here(topic)
        if self.wire is not None:
            await self.wire.send(topic)

    def ring_here(self, topic: str) -> None:
        for event in self._listeners.get(topic, ()):
            event.set()

    def ring_all_here(self) -> None:
        """After the wire was down: everyone looks."""
        for events in list(self._listeners.values()):
            for event in events:
                event.set()

    @contextmanager
    def listen(self, *topics: str) -> Iterator[asyncio.Event]:
        """An event that is set at each ring; clear it before you read, so that what lands meanwhile rings again."""
        event = asyncio.Event()
        for topic in topics:
            self._listeners[topic].add(event)
        try:
            yield event
        finally:
            for topic in topics:
                self._listeners[topic].discard(event)
                if not self._listeners[topic]:
                    del self._listeners[topic]
