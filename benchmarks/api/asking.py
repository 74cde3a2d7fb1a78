"""A client that costs little: one connection kept alive, one request at a time, nothing parsed that need not be."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Asked:
    """What is sent, whole."""

    request: bytes

    @classmethod
    def of(cls, path: str, body: bytes, key: str) -> Self:
        head = (
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\naccept: application/json\r\n"
            f"authorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return cls(head.encode() + body)


class Connection:
    def __init__(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._port = port
        self._reader = reader
        self._writer = writer

    @classmethod
    async def to(cls, port: int) -> Self:
        return cls(port, *await _opened(port))

    async def ask(self, asked: Asked) -> tuple[int, bytes]:
        """The status and the body. What the server has closed since, being idle, is opened anew."""
        if self._reader.at_eof():
            self._writer.close()
            self._reader, self._writer = await _opened(self._port)
        self._writer.write(asked.request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))
        return int(head[9:12]), await self._reader.readexactly(length)

    async def times(self, asked: Asked, count: int) -> list[float]:
        """Seconds each."""
        taken = []
        for _ in range(count):
            since = time.perf_counter()
            status, _ = await self.ask(asked)
            taken.append(time.perf_counter() - since)
            assert status == 200
        return taken

    def close(self) -> None:
        self._writer.close()


async def _opened(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
