"""HTTP/1.1 for all that is asked: one pool of connections a process.

Redirects, cookies, proxies and `~/.netrc` are not turned off here: nothing in it knows them. A library that does took
two to ten times the CPU for the same poll (docs/decisions/0008-what-every-poll-asks-travels-light.md).
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from sync.icloud.answers import Answer
from sync.icloud.coding import body_of
from sync.icloud.dial import Resolve, dial
from sync.icloud.guard import Admitted
from sync.icloud.names import Resolver
from sync.icloud.trust import verifying
from sync.remote import UnexpectedAnswer, Unreachable

_KEPT = 50.0
"""Seconds that an idle connection is trusted: beyond a minute, what stands between may have dropped it in silence."""
_MOST_HEADER_BYTES = 64 * 1024
_WANTED = {
    name.lower().encode(): name for name in ("Content-Encoding", "Date", "ETag", "Location", "Retry-After")
}
_FRAMING = (b"content-length", b"transfer-encoding")
MISDIRECTED = 421
"""Nothing was done: this connection leads to a server that does not answer for the host (RFC 9110 section 15.5.20)."""

Origin = str
"""`https://name` or `https://name:port`."""


@dataclass(slots=True)
class Asked:
    """`where` has been through the guard, which put the credentials to it. May be asked again and again."""

    where: Admitted
    method: str
    headers: Mapping[str, str]
    body: bytes
    origin: Origin = field(init=False)
    target: str = field(init=False)
    head: bytes | None = field(default=None, init=False, repr=False)
    "As it goes over the wire: written by the pool when it is first asked."

    def __post_init__(self) -> None:
        scheme, _, host, self.target = self.where.url.split("/", 3)
        self.origin = f"{scheme}//{host}"


class Pool:
    """At most so many connections for polls, and as many for all else, over all hosts; a request more waits its turn.

    Both take those that are there: only the turns are two, so that no write waits for polls that hang, nor a poll for
    writes that do.
    """

    def __init__(
        self,
        *,
        connections: int,
        most_bytes: int,
        user_agent: str,
        ca_file: Path | None = None,
        by: Resolve | None = None,
    ) -> None:
        self._resolve = by or Resolver()
        self._ca_file = ca_file
        self._most_bytes = most_bytes
        self._user_agent = user_agent
        self._polls = asyncio.Semaphore(connections)
        self._all_else = asyncio.Semaphore(connections)
        self._most = 2 * connections
        self._open: set[_Connection] = set()
        self._idle: dict[Origin, deque[_Connection]] = {}
        self._tls: ssl.SSLContext | None = None

    async def ask(self, asked: Asked, *, anew: bool = False, is_poll: bool = True) -> Answer:
        """One answer, whatever its status. `anew`: over a connection that nothing was asked on yet."""
        origin = asked.origin
        if asked.head is None:
            asked.head = self._head(asked)
        async with self._polls if is_poll else self._all_else:
            connection = (None if anew else self._kept(origin)) or await self._connect(origin)
            reply = await connection.exchange(asked.head + asked.body)
            if reply.is_kept:
                self._idle.setdefault(origin, deque()).append(connection)
        coding = reply.headers.get("Content-Encoding")
        wire, most = reply.wire, self._most_bytes
        body = wire if coding is None else await body_of(reply.status, wire, coding, most)
        return Answer(reply.status, reply.headers, body, asked.where.url, may_be_cut=not reply.is_framed)

    async def close(self) -> None:
        for connection in tuple(self._open):
            connection.end()
        if self._open:
            await asyncio.wait([connection.lost for connection in self._open], timeout=1)

    def _kept(self, origin: Origin) -> _Connection | None:
        """The one used last, so that those too many grow old and are closed."""
        idle = self._idle.get(origin)
        if not idle:
            return None
        now = asyncio.get_running_loop().time()
        while idle and (not idle[0].is_open or now - idle[0].used_at > _KEPT):
            idle.popleft().end()
        while idle:
            connection = idle.pop()
            if connection.is_open:
                return connection
        del self._idle[origin]
        return None

    async def _connect(self, origin: Origin) -> _Connection:
        parts = urlsplit(origin)
        if len(self._open) >= self._most:
            self._drop_oldest()
        host, secure = parts.hostname or "", parts.scheme == "https"
        if secure and self._tls is None:
            self._tls = verifying(self._ca_file)
        loop = asyncio.get_running_loop()
        connection = _Connection(self._open, self._most_bytes)
        try:
            dialled = await dial(host, parts.port or (443 if secure else 80), by=self._resolve)
            try:
                await loop.create_connection(
                    lambda: connection,
                    sock=dialled,
                    ssl=self._tls if secure else None,
                    server_hostname=host if secure else None,
                )
            except BaseException:
                # Where we are interrupted just as it is made, neither loop undoes all of that: asyncio goes on with
                # a socket that is closed under it, and uvloop never says that the connection is lost.
                connection.end()
                self._open.discard(connection)
                dialled.close()
                raise
        except OSError as error:
            raise Unreachable(type(error).__name__) from None
        return connection

    def _drop_oldest(self) -> None:
        """Another host's: what is idle must not keep what is needed from being opened."""
        idle = [each for kept in self._idle.values() for each in kept if each.is_open]
        if idle:
            min(idle, key=lambda each: each.used_at).end()

    def _head(self, asked: Asked) -> bytes:
        host = asked.origin.partition("//")[2]
        if not all(value.isascii() and value.isprintable() for value in asked.headers.values()):
            raise UnexpectedAnswer("a header that can't be sent")
        lines = "".join(f"{name}: {value}\r\n" for name, value in asked.headers.items())
        head = (
            f"{asked.method} /{asked.target} HTTP/1.1\r\nHost: {host}\r\n"
            f"Authorization: {asked.where.authorization}\r\nUser-Agent: {self._user_agent}\r\n"
            f"Accept-Encoding: gzip\r\nContent-Length: {len(asked.body)}\r\n{lines}\r\n"
        )
        return head.encode("ascii")


@dataclass(slots=True)
class _Reply:
    """One answer as it comes in. `is_framed`: it says itself where it ends, and not the connection's end."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    header_bytes: int = 0
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    is_framed: bool = False
    has_begun: bool = False
    is_kept: bool = False

    @property
    def wire(self) -> bytes:
        return b"".join(self.parts) if len(self.parts) != 1 else self.parts[0]


class _Connection(asyncio.Protocol):
    """One request at a time. The `on_` methods are called by the parser."""

    def __init__(self, opened: set[_Connection], most_bytes: int) -> None:
        self._opened = opened
        self._most_bytes = most_bytes
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[_Reply] | None = None
        self._parser: HttpResponseParser | None = None
        self._reply = _Reply()
        self._received = 0
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self.used_at = 0.0

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, request: bytes) -> _Reply:
        assert self._transport is not None
        assert self._waiter is None
        self._reply, self._parser, self._received = _Reply(), HttpResponseParser(self), 0
        self._waiter = self._loop.create_future()
        try:
            self._transport.write(request)
            reply = await self._waiter
        except BaseException:
            self.end()  # Half an answer is still to come: it would be taken for the next one's.
            raise
        finally:
            self._waiter = self._parser = None
        self.used_at = self._loop.time()
        if not reply.is_kept:
            self.end()
        return reply

    def end(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # --- The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's is none of asyncio's classes.
        self._opened.add(self)

    def data_received(self, data: bytes) -> None:
        if self._parser is None or self._waiter is None or self._waiter.done():
            self.end()  # More than was asked for.
            return
        # Of what never ends, words before the answer or one header, the parser tells nothing.
        if not self._reply.has_begun and self._received > _MOST_HEADER_BYTES:
            self._fail(UnexpectedAnswer("headers without end"))
            return
        self._received += len(data)
        if self._received > self._most_bytes + _MOST_HEADER_BYTES:
            self._fail(UnexpectedAnswer(f"an answer of over {self._most_bytes} bytes"))
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._fail(UnexpectedAnswer("not HTTP"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._opened.discard(self)
        self.lost.set_result(None)
        reply = self._reply
        if exc is None and reply.has_begun and not reply.is_framed:
            self.on_message_complete()  # RFC 9112 section 6.3: without a length, it ends with the connection.
        self._fail(Unreachable("the connection ended"))

    # --- The answer

    def on_message_begin(self) -> None:
        if self._waiter is None or self._waiter.done():
            self.end()  # A second answer to one question would be taken for the next one's.

    def on_header(self, name: bytes, value: bytes) -> None:
        reply, lower = self._reply, name.lower()
        reply.header_bytes += len(name) + len(value)
        if reply.header_bytes > _MOST_HEADER_BYTES:
            self._fail(UnexpectedAnswer("headers without end"))
        if reply.status:
            return  # A trailer, which says nothing of how to read what came before (RFC 9110 section 6.5.1).
        if lower in _FRAMING:
            reply.is_framed = True
        elif lower in _WANTED:
            reply.headers.setdefault(_WANTED[lower], value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        self._reply.status = self._parser.get_status_code()
        self._reply.has_begun = self._reply.status >= 200
        if self._reply.status < 100:
            self._fail(UnexpectedAnswer("not HTTP"))  # No word before an answer either: none would come.

    def on_body(self, body: bytes) -> None:
        reply = self._reply
        reply.size += len(body)
        if reply.size > self._most_bytes:
            self._fail(UnexpectedAnswer(f"an answer of over {self._most_bytes} bytes"))
        else:
            reply.parts.append(body)

    def on_message_complete(self) -> None:
        reply = self._reply
        if not reply.has_begun:
            self._reply = _Reply()  # 1xx: the answer is still to come.
            return
        if self._waiter is None or self._waiter.done():
            return
        assert self._parser is not None
        reply.is_kept = self.is_open and self._parser.should_keep_alive() and reply.status != MISDIRECTED
        self._reply = _Reply()
        self._waiter.set_result(reply)

    def _fail(self, error: Exception) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
        self.end()
