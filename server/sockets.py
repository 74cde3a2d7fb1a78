"""The websockets that are open, by their key: how a revoked key's are found and closed."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from resolvers.context import Services
from resolvers.keys import authenticate

log = logging.getLogger(__name__)

LOOK_EVERY = 2.0
"""Seconds. With what a key is trusted for between two looks, a revoked one is out within 5 s."""

Close = Callable[[], Awaitable[None]]


class Sockets:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._open: defaultdict[str, set[Close]] = defaultdict(set)

    @contextmanager
    def holding(self, secret: str, close: Close) -> Iterator[None]:
        """While the socket is open; `close` is called once the key is no longer good."""
        self._open[secret].add(close)
        try:
            yield
        finally:
            self._open[secret].discard(close)
            if not self._open[secret]:
                del self._open[secret]

    async def watch(self) -> None:
        """Until it is cancelled. One look a key, however many sockets it has."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            for secret in list(self._open):
                try:
                    is_good = await authenticate(self._services, secret) is not None
                except Exception:
                    # A database that can't be asked revokes nothing.
                    log.warning("Keys can't be looked at right now; sockets stay open.", exc_info=True)
                    break
                if not is_good:
                    await asyncio.gather(
                        *(close() for close in list(self._open[secret])), return_exceptions=True
                    )
