"""Websockets by the thousand, as cheap for their process as can be: frames are counted, and parsed only when asked."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
import time
from collections.abc import Callable
from typing import Self

PROTOCOL = "graphql-transport-ws"
_PING = b'{"type":"ping"'


class Socket(asyncio.Protocol):
    """One that calls `told` with each text frame, but for pings; it is opened from one of many addresses."""

    def __init__(self, told: Callable[[bytes], None]) -> None:
        self._told = told
        self._buffer = bytearray()
        self._is_open = False
        self._transport: asyncio.Transport | None = None
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def to(cls, port: int, told: Callable[[bytes], None], *, number: int) -> Self:
        # The whole of 127/8 is this machine: no address has more than its share of sockets, nor of ports.
        local = (f"127.0.{1 + number // 200}.{1 + number % 200}", 0)
        _, socket = await asyncio.get_running_loop().create_connection(
            lambda: cls(told), "127.0.0.1", port, local_addr=local
        )
        key = base64.b64encode(os.urandom(16)).decode()
        head = (
            f"GET /graphql HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            f"sec-websocket-key: {key}\r\nsec-websocket-version: 13\r\nsec-websocket-protocol: {PROTOCOL}\r\n\r\n"
        )
        socket.write(head.encode())
        await asyncio.wait_for(socket.opened, 30)
        return socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("the server closed the socket"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._is_open:
            head, found, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            if not found:
                return
            assert b" 101 " in head, head
            self._is_open, self._buffer = True, bytearray(rest)
            self.opened.set_result(None)
        while (size := self._whole()) is not None:
            start, end = size
            payload = bytes(self._buffer[start:end])
            match self._buffer[0] & 15:
                case 1 if not payload.startswith(_PING):
                    self._told(payload)
                case 9:
                    # Masked with zeros, which is a mask too.
                    self.write(bytes([0x8A, 128 | len(payload)]) + bytes(4) + payload)
            del self._buffer[:end]

    def _whole(self) -> tuple[int, int] | None:
        """Where the first frame's payload begins and ends, once all of it is there. The server masks nothing."""
        if len(self._buffer) < 2:
            return None
        start, length = 2, self._buffer[1] & 127
        if length == 126:
            start, length = 4, int.from_bytes(self._buffer[2:4])
        elif length == 127:
            start, length = 10, int.from_bytes(self._buffer[2:10])
        return (start, start + length) if len(self._buffer) >= start + length else None

    def write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def send(self, frame: object) -> None:
        text = json.dumps(frame).encode()
        mask = os.urandom(4)
        size = bytes([128 | len(text)]) if len(text) < 126 else b"\xfe" + struct.pack(">H", len(text))
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(text))
        self.write(b"\x81" + size + mask + masked)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class Crowd:
    """Many sockets, and the moment at which the last of them had what was waited for."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.sockets: list[Socket] = []
        self.last: bytes = b""
        self._missing = 0
        self._all: asyncio.Future[float] | None = None

    async def open(self, port: int, *, key: str | None = None, subscribe: object = None) -> None:
        """Let in and subscribed, where a key is given; a few at a time, as a server's queue has it."""
        for start in range(0, self.size, 50):
            batch = range(start, min(start + 50, self.size))
            opened = await asyncio.gather(*(Socket.to(port, self._told, number=number) for number in batch))
            self.sockets += opened
            if key is None:
                continue
            for frame, is_answered in (
                ({"type": "connection_init", "payload": {"authorization": f"Bearer {key}"}}, True),
                ({"id": "1", "type": "subscribe", "payload": subscribe}, False),
            ):
                had = self.expect(len(opened)) if is_answered else None
                for socket in opened:
                    socket.send(frame)
                if had is not None:
                    await asyncio.wait_for(had, 30)

    def expect(self, count: int | None = None) -> asyncio.Future[float]:
        """Done with the moment at which so many frames more have come."""
        self._missing = self.size if count is None else count
        self._all = asyncio.get_running_loop().create_future()
        return self._all

    def _told(self, text: bytes) -> None:
        self.last = text
        self._missing -= 1
        if not self._missing and self._all is not None:
            self._all.set_result(time.perf_counter())

    def close(self) -> None:
        for socket in self.sockets:
            socket.close()
