"""What goes out on one websocket: as fast as its reader takes it, and with little waiting for it."""

from __future__ import annotations

import asyncio

from server.closing import TOO_SLOW, ClosedError
from server.sockets import Sockets
from server.wire import WebSocketWire

# A reader that takes nothing for so long is let go; it resumes from its cursor.
SEND_WITHIN = 10.0
# What may wait beside what the connection itself holds back, which is some 64 KiB.
MOST_WAITING = 4 * 1024 * 1024
MOST_WAITING_IN_ALL = 16 * 1024 * 1024


class Outgoing:
    def __init__(self, wire: WebSocketWire, sockets: Sockets) -> None:
        self._wire = wire
        self._sockets = sockets
        self._turn = asyncio.Lock()
        self._waiting = 0

    def send_at_once(self, text: bytes) -> bool:
        """Whether it could be; not where the reader is behind. Raises GoneError where there is none."""
        if not self._wire.is_writable or self._turn.locked():
            return False
        self._wire.write(text)
        return True

    async def send(self, text: bytes) -> None:
        """Raises ClosedError where the reader is too slow, GoneError where there is none."""
        if self.send_at_once(text):
            return
        size = len(text)
        if self._waiting + size > MOST_WAITING or self._sockets.waiting + size > MOST_WAITING_IN_ALL:
            raise _too_slow()
        self._wait_with(size)
        try:
            async with asyncio.timeout(SEND_WITHIN), self._turn:
                await self._wire.writable.wait()
                self._wire.write(text)
        except TimeoutError:
            raise _too_slow() from None
        finally:
            self._wait_with(-size)

    async def calm(self) -> None:
        """Until the reader has taken what waits for it: an answer is not worked out to lie about."""
        if self._wire.is_writable and not self._turn.locked():
            return
        try:
            async with asyncio.timeout(SEND_WITHIN), self._turn:
                await self._wire.writable.wait()
        except TimeoutError:
            raise _too_slow() from None

    def _wait_with(self, size: int) -> None:
        self._waiting += size
        self._sockets.waiting += size


def _too_slow() -> ClosedError:
    return ClosedError(TOO_SLOW, "Too slow: connect anew and go on from the last cursor")
