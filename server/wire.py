"""uvicorn's connections, with an end to what it would wait for without one: a head, a reader, a peer that is gone."""

from __future__ import annotations

import asyncio
import socket
import struct
from asyncio.transports import BaseTransport
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Scope, Send
from uvicorn.protocols.http.httptools_impl import (
    HEADER_VALUE_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

from domain.work import LeftError
from server.closing import NOT_UTF8
from server.room import Config, Room

if TYPE_CHECKING:
    from websockets.http11 import Request

T = TypeVar("T")
Headers = list[tuple[bytes, bytes]]

# A request's line and headers, from their first byte to their last.
HEAD_WITHIN = 10.0
MOST_HEAD_BYTES = 64 * 1024
# What a connection gives in one go can hold thousands of requests, of some 2 KB each once they are read.
MOST_AHEAD = 100
# For a peer to take the goodbye, and what was sent before it, after which it is gone either way.
PART_WITHIN = 5.0
STOP_WITHIN = 2.0
# For a reader to take something of what waits for it: as many looks in a row, of which each finds as much waiting.
LOOK_EVERY = 10.0
_MOST_LOOKS = 3
_KEPT_BY_THE_KERNEL = 128 * 1024
_WIRE = "wire"
# The first byte of a text frame that is the whole message, and what follows by its length.
_TEXT = 0x81
_MIDDLING, _LONG = struct.Struct("!BBH").pack, struct.Struct("!BBQ").pack
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def keep_little(scope: Scope) -> None:
    """Of a connection over HTTP that will stay open: see `_bounded`."""
    wire = scope["state"][_WIRE]
    assert isinstance(wire, HTTPWire)
    _bounded(wire.transport)


def _bounded(transport: asyncio.Transport) -> None:
    """The kernel keeps up to 4 MiB for a reader that takes nothing, unless it is told to keep less."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KEPT_BY_THE_KERNEL)


class GoneError(LeftError):
    """The peer has gone, or was told to."""


def wire_of(connection: HTTPConnection) -> WebSocketWire:
    """Under a websocket, what can be done to the connection that ASGI has no word for."""
    wire = connection.scope["state"][_WIRE]
    assert isinstance(wire, WebSocketWire)
    return wire


def cut(scope: Scope) -> None:
    """Ends the connection amid an answer over HTTP, so that no client takes what it has for all there is."""
    wire = scope["state"][_WIRE]
    assert isinstance(wire, HTTPWire)
    wire.cut()


def has_begun(scope: Scope) -> bool:
    """Whether an answer to it may have. Where requests are sent ahead, uvicorn does not tell."""
    wire = scope["state"][_WIRE]
    assert isinstance(wire, HTTPWire)
    return wire.cycle.scope is not scope or wire.cycle.response_started


async def send_whole(response: Response, scope: Scope, send: Send) -> None:
    """Head and body in one write: uvicorn's two are two system calls and, mostly, two packets.

    What is out of the ordinary (another status, a HEAD, a connection that ends, a reader that is behind) goes its way.
    """
    if (cycle := _plain_cycle(scope)) is None or response.status_code != 200:
        head = {
            "type": "http.response.start",
            "status": response.status_code,
            "headers": response.raw_headers,
        }
        await send(head)
        await send({"type": "http.response.body", "body": response.body})
        return
    lines = [STATUS_LINE[200]]
    for name, value in (*cycle.default_headers, *response.raw_headers):
        if HEADER_VALUE_RE.search(value):
            raise ValueError("There is a control character in a header.")
        lines += (name, b": ", value, b"\r\n")
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.transport.write(b"".join((*lines, b"\r\n", response.body)))
    cycle.message_event.set()
    cycle.on_response()


def body_here(scope: Scope) -> bytes | None:
    """A request's body, where all of it came with the head, as most do."""
    wire = scope["state"].get(_WIRE) if "state" in scope else None
    if not isinstance(wire, HTTPWire):
        return None
    cycle = wire.cycle
    if cycle.scope is not scope or cycle.more_body or cycle.disconnected:
        return None
    body, cycle.body = bytes(cycle.body), bytearray()
    return body


def of_head(scope: Scope, read: Callable[[Scope], T]) -> T:
    """What is read from a request's headers and its peer: not again where a connection sends the same once more."""
    wire = scope["state"].get(_WIRE) if "state" in scope else None
    if not isinstance(wire, HTTPWire):
        return read(scope)
    if wire.known_head is None or wire.known_head[0] != scope["headers"]:
        wire.known_head = (scope["headers"], read(scope))
    known: T = wire.known_head[1]
    return known


def _plain_cycle(scope: Scope) -> RequestResponseCycle | None:
    """Of uvicorn's own, where an answer can be written straight to its connection."""
    wire = scope["state"].get(_WIRE) if "state" in scope else None
    if not isinstance(wire, HTTPWire) or scope["method"] == "HEAD":
        return None
    cycle = wire.cycle
    # Where requests are sent ahead, the connection's newest is not the one that is answered.
    is_its_own = cycle.scope is scope and cycle.keep_alive and not cycle.response_started
    is_read = not (cycle.disconnected or cycle.flow.write_paused or wire.transport.is_closing())
    return cycle if is_its_own and is_read else None


def _has_body(headers: Headers) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0 \t"))
        for name, value in headers
    )


class BodyBesideUpgradeError(Exception):
    """A request asks for another protocol, which there is none of, and has a body: 400, and the connection ends."""


class TooFarAheadError(Exception):
    """A client sends requests on and on before it was answered, each of which waits in memory: 400, as above."""


class HTTPWire(HttpToolsProtocol):
    _deadline: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _is_amid_head = False
    _unread = _looks = 0
    # The last request's headers, and what was read from them.
    known_head: tuple[Headers, Any] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        room = self._room
        if len(self.connections) > room.most and not room.is_made():
            transport.abort()
            return
        room.idle[self] = None
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self._deadline is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._deadline is None:
            # Most heads come whole, and need no clock.
            if self._is_amid_head:
                self._await_head()
            elif self.timeout_keep_alive_task is None:
                self._await_next()
        elif self._head_bytes > MOST_HEAD_BYTES:
            # What came with the last bytes of a head that is whole now is its body, and counted there.
            self._end_of_waiting()
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MOST_AHEAD:
            raise TooFarAheadError
        super().on_message_begin()
        self.scope["state"][_WIRE] = self
        self._is_amid_head = True

    def on_headers_complete(self) -> None:
        self._room.idle.pop(self, None)
        self._is_amid_head = False
        self._end_of_waiting()
        if self.parser.should_upgrade() and not self._should_upgrade() and _has_body(self.headers):
            # The parser takes what follows for the next request: a body could bring one that no proxy has seen.
            raise BodyBesideUpgradeError
        super().on_headers_complete()
        # A trailer is no header (RFC 9110 6.5.1): what a proxy vouches for stands in the head alone.
        self.headers = self.headers.copy()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.timeout_keep_alive_task is not None:
            self._room.idle[self] = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._room.idle.pop(self, None)
        self._end_of_waiting()
        super().connection_lost(exc)

    @property
    def _room(self) -> Room:
        assert isinstance(self.config, Config)
        return self.config.room

    def look(self) -> None:
        """From time to time: nothing else ends an answer of which nothing is taken, or a close that waits for it."""
        unread = self.transport.get_write_buffer_size()
        self._looks = self._looks + 1 if unread and unread == self._unread else 0
        self._unread = unread
        if self._looks == _MOST_LOOKS:
            self.transport.abort()

    def cut(self) -> None:
        """What was sent before still goes out, if it is read; the last chunk is missing."""
        self.transport.close()
        self.loop.call_later(STOP_WITHIN, self.transport.abort)

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._deadline = self.loop.call_later(HEAD_WITHIN, self.transport.abort)

    def _await_next(self) -> None:
        """Any byte stops uvicorn's clock: also an empty line, and what is left of a body that no one reads."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request.
        is_ours = not self.transport.is_closing() and self.transport.get_protocol() is self
        if is_ours and cycle is not None and cycle.response_complete:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _end_of_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class WebSocketWire(WebSocketsSansIOProtocol):
    _at_end: Callable[[], None] | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        _bounded(self.transport)

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        # Its task has been made, and not run yet.
        if self.response.status_code == 101:
            self.scope["state"][_WIRE] = self

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._at_end is not None:
            self._at_end()

    def call_at_end(self, callback: Callable[[], None]) -> None:
        """Once the connection is gone, which may be long after it was told to go."""
        if self.disconnected:
            callback()
        else:
            self._at_end = callback

    @property
    def is_writable(self) -> bool:
        """Whether the reader has taken nearly all that was sent."""
        return self.writable.is_set()

    def write(self, text: bytes) -> None:
        """A text frame, at once and whatever waits already. Raises GoneError."""
        if self.disconnected or self.close_sent or self.conn.state is not State.OPEN:
            raise GoneError
        self.transport.write(text_frame(text))

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not _is_utf8(self.frames):
            # RFC 6455 8.1: what uvicorn does, without the trace that it logs.
            self.frames = []
            self.part(NOT_UTF8, "Text frames are UTF-8", within=PART_WITHIN)
            return
        super().send_receive_event_to_app()

    def keepalive_timeout(self) -> None:
        """A peer that answers no ping has gone; if it has not, it may come back, as none does after uvicorn's 1011."""
        self.stop_keepalive()
        self.transport.abort()

    def shutdown(self) -> None:
        """1012 and the end: a reader that takes nothing must not keep the process."""
        super().shutdown()
        self.loop.call_later(STOP_WITHIN, self.transport.abort)

    def part(self, code: int, reason: str, *, within: float) -> None:
        """Closes without waiting for the reader: what was sent before and the goodbye go out, if it reads them soon."""
        if self.close_sent or self.transport.is_closing():
            return
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            # For the peer's own goodbye.
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(within, self.transport.abort)


def text_frame(text: bytes) -> bytes:
    """A whole text frame as servers send it, unmasked (RFC 6455 5.2): the library makes several objects of it."""
    size = len(text)
    if size < 126:
        return bytes((_TEXT, size)) + text
    if size < 65_536:
        return _MIDDLING(_TEXT, 126, size) + text
    return _LONG(_TEXT, 127, size) + text


def _is_utf8(frames: list[bytes]) -> bool:
    try:
        b"".join(frames).decode()
    except UnicodeDecodeError:
        return False
    return True
