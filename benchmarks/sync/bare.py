"""The floors of a poll: the home's PROPFIND asked and answered, the tokens found by a regex, and nothing else.

One of a blocking socket, which no event loop can reach: it waits for one answer at a time and is never woken for
another. One of an event loop with twenty requests under way, back to back. One of the same event loop at a pace, where
requests begin when they are due, a hundredth of a second's together: who polls accounts in time can do no less.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from benchmarks.sync import raw
from sync.icloud import queries

_TOKENS = re.compile(rb"<getctag[^>]*>([^<]*)<")
_BODY = queries.LISTING_QUERY.encode()
_GRAIN = 0.01
_AT_ONCE = 20


def block(url: str, count: int) -> None:
    with raw.Socket(url) as socket:
        for number in range(count):
            assert _TOKENS.findall(raw.home(socket, f"a{number:05}"))


async def back_to_back(url: str, count: int) -> None:
    left = count
    done = asyncio.get_running_loop().create_future()

    def go_on(connection: Connection) -> None:
        nonlocal left
        left -= 1
        if left >= _AT_ONCE:
            connection.ask(left)
        elif left == 0:
            done.set_result(None)

    opened = [await _open(url, go_on) for _ in range(_AT_ONCE)]
    for number, connection in enumerate(opened):
        connection.ask(number)
    await done
    for connection in opened:
        connection.close()


async def paced(url: str, *, rate: float, seconds: float) -> int:
    """How many it was in the end."""
    idle: list[Connection] = []
    loop = asyncio.get_running_loop()
    began, asked, opened = loop.time(), 0, 0
    while (now := loop.time()) < began + seconds:
        for number in range(asked, int((now - began) * rate)):
            if not idle:
                idle.append(await _open(url, idle.append))
                opened += 1
            idle.pop().ask(number)
            asked += 1
        await asyncio.sleep(_GRAIN)
    while len(idle) < opened:
        await asyncio.sleep(_GRAIN)
    for connection in idle:
        connection.close()
    return asked


async def _open(url: str, when_done: Callable[[Connection], None]) -> Connection:
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    host, port = parts.hostname or "", parts.port or 80
    _, connection = await loop.create_connection(lambda: Connection(when_done), host, port)
    return connection


class Connection(asyncio.Protocol):
    """An answer with a length, and tokens in it."""

    def __init__(self, when_done: Callable[[Connection], None]) -> None:
        self._when_done = when_done
        self._got = b""
        self._length = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # uvloop's is none of asyncio's.

    def ask(self, number: int) -> None:
        head = (
            f"PROPFIND /a{number % 10_000:05}/calendars/ HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YTpi\r\n"
            f"Depth: 1\r\nContent-Length: {len(_BODY)}\r\n\r\n"
        )
        self._got, self._length = b"", 0
        self._transport.write(head.encode() + _BODY)

    def data_received(self, data: bytes) -> None:
        self._got = self._got + data if self._got else data
        if not self._length:
            end = self._got.find(b"\r\n\r\n")
            if end < 0:
                return
            told = self._got[:end].lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            self._length = end + 4 + int(told)
        if len(self._got) >= self._length:
            assert _TOKENS.findall(self._got)
            self._when_done(self)

    def close(self) -> None:
        self._transport.close()
