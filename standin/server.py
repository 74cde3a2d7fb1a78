"""The stand-in as a server: listeners on the loopback, one for the entry host and one for each partition host."""

import asyncio
import contextlib
import errno
import fcntl
import socket
import struct
import sys
import termios
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from standin.account_faults import AccountFaults
from standin.admin import PREFIX, Admin
from standin.catalog import HOME_AND_WORK, Account, Calendar, CalendarFacts
from standin.cloud import Cloud, new_account
from standin.front import Front
from standin.log import Log, Seen
from standin.manners import STRICT, Manners
from standin.messages import Delivery, Request, Response
from standin.owner import Phone
from standin.partitions import Partitions

HOST = "127.0.0.1"
PARTITIONS = (180, 181)  # An account begins on the first.
_DRIPS_A_SECOND = 10
_MOST_KEPT = 1 << 25  # Bytes of a request: more than the largest object.
_LONGEST_WAY = 30  # Seconds for what is written to arrive.


class PortTakenError(Exception):
    """Another program listens on a port that was asked for."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} on {HOST} is taken by another program")
        self.port = port


class StandIn:
    """An iCloud in this process, for as long as the `async with` lasts. Port 0 takes any free port."""

    def __init__(
        self,
        *,
        storage: Path | None = None,
        entry_port: int = 0,
        partition_port: int = 0,
        other_partition_port: int = 0,
        manners: Manners = STRICT,
        admin_token: str | None = None,
    ) -> None:
        self._storage = storage
        self._ports = (entry_port, partition_port, other_partition_port)
        self._manners = manners
        self._admin_token = admin_token
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            folder = self._storage or Path(stack.enter_context(TemporaryDirectory(prefix="standin-")))
            listeners = [stack.enter_context(_listener(port)) for port in self._ports]
            self.cloud = Cloud.open(folder)
            stack.callback(self.cloud.close)
            self._partitions = Partitions()
            self.front = Front(self.cloud, self._manners, self._partitions)
            self.entry_url, *urls = (f"http://{HOST}:{_port(one)}" for one in listeners)
            self.front.entry_url = self.entry_url
            self._partitions.bind(dict(zip(PARTITIONS, urls, strict=True)))
            self.partition_url, self.other_partition_url = urls
            admin = Admin(self.cloud, self.front, self._partitions, token=self._admin_token)
            await self._serve(stack, listeners, admin)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    @property
    def hosts(self) -> frozenset[str]:
        """The partition hosts, as `name:port`: where an account's calendars are, beside the entry host."""
        return frozenset(urlsplit(url).netloc for url in (self.partition_url, self.other_partition_url))

    @property
    def requests(self) -> list[Seen]:
        return list(self.front.log)

    @property
    def log(self) -> Log:
        return self.front.log

    @property
    def manners(self) -> Manners:
        return self.front.manners

    @manners.setter
    def manners(self, manners: Manners) -> None:
        """From the next request on."""
        self.front.manners = manners

    def add_account(
        self,
        apple_id: str,
        *app_passwords: str,
        aliases: Sequence[str] = (),
        main_password: str = "",
        full_name: str = "Test User",
        dsid: str | None = None,
        calendars: Collection[CalendarFacts] = HOME_AND_WORK,
    ) -> Account:
        """A new account, by default with the calendars that Apple makes: `home` and `work`."""
        account = new_account(
            apple_id, dsid=dsid, full_name=full_name, aliases=aliases, main_password=main_password
        )
        return self.cloud.add_account(account, app_passwords, calendars).account

    def add_calendar(self, apple_id: str, facts: CalendarFacts) -> Calendar:
        return self.cloud.add_calendar(self.cloud.member(apple_id), facts)

    def phone(self, apple_id: str) -> Phone:
        """The owner's own device, which signs in with the account's own password."""
        account = self.cloud.member(apple_id).account
        return Phone(self.entry_url, account.apple_id, account.main_password)

    def faults(self, apple_id: str) -> AccountFaults:
        return AccountFaults(self.cloud, self.cloud.member(apple_id), self._partitions)

    async def _serve(
        self, stack: contextlib.AsyncExitStack, listeners: list[socket.socket], admin: Admin
    ) -> None:
        config = uvicorn.Config(
            _application(self.front, admin, _names(listeners)),
            http=_Wired,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        server = _Server(config)
        task = asyncio.create_task(server.serve(sockets=listeners))

        async def stop() -> None:
            server.should_exit = True
            await task

        stack.push_async_callback(stop)
        while not server.started:
            if task.done():
                await task
            await asyncio.sleep(0.005)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the caller's: a test's process has its own."""
        yield


class _Wired(HttpToolsProtocol):
    """Hands the application the connection itself, to end or to write on past what ASGI has words for."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {"standin.wire": {"transport": self.transport}}


def _listener(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Handed down to what it accepts: asyncio sets it for sockets it made alone, and head and body go in two writes.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(port) from error
        raise OSError(error.errno, f"port {port} on {HOST}: {error.strerror}") from error
    listener.setblocking(False)  # noqa: FBT003 - its only argument.
    return listener


def _port(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


def _names(listeners: Sequence[socket.socket]) -> dict[int, str]:
    """What each port is, as the log has it."""
    names = ("entry", *map(Partitions.name, PARTITIONS))
    return {_port(listener): name for listener, name in zip(listeners, names, strict=True)}


def _application(front: Front, admin: Admin, names: Mapping[int, str]) -> Callable[..., Any]:
    async def application(
        scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]
    ) -> None:
        transport = scope["extensions"]["standin.wire"]["transport"]
        try:
            # Looked at once this is answered.
            transport.get_protocol().timeout_keep_alive = front.manners.idle_seconds
            request = await _read(scope, receive, names[scope["server"][1]])
            if request is None:
                return
            answers = admin.answer if request.path.startswith(PREFIX) else front.answer
            await _deliver(await answers(request), receive, send, transport)
        except asyncio.CancelledError:  # The server ends, and does not wait for a slow account.
            await _abort(transport)

    return application


async def _read(scope: dict[str, Any], receive: Callable[..., Any], listener: str) -> Request | None:
    """None where the connection ends before the request does: nothing is done of what was asked by half."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        # What nobody takes is read to its end, and not kept.
        body += message.get("body", b"")[: _MOST_KEPT - len(body)]
        more = message.get("more_body", False)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return Request(
        method=scope["method"],
        path=scope["path"],
        headers=headers,
        body=bytes(body),
        listener=listener,
        raw_path=scope["raw_path"].decode("latin-1"),
    )


async def _deliver(
    response: Response, receive: Callable[..., Any], send: Callable[..., Any], transport: asyncio.Transport
) -> None:
    how = response.delivery or _AT_ONCE
    if how.after:
        await _silent(how.after, receive)
    cut_at = len(response.body) // 2 if how.half else how.cut_at
    if cut_at is not None and cut_at < 0:
        await _abort(transport)
        return
    headers = _headers(response)
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if cut_at is not None and cut_at < len(response.body):
        await send({"type": "http.response.body", "body": response.body[:cut_at], "more_body": True})
        await _arrived(transport)  # Before the reset overtakes it.
        await _abort(transport)
        return
    if how.rate:
        await _drip(response.body, how.rate, send, transport)
    await send({"type": "http.response.body", "body": b"" if how.rate else response.body})
    if how.twice and not transport.is_closing():
        transport.write(_on_the_wire(response, headers))


def _headers(response: Response) -> list[tuple[bytes, bytes]]:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    if response.status not in {204, 304}:  # RFC 9110 8.6: these have no Content-Length of what they carry.
        headers.append((b"content-length", str(len(response.body)).encode()))
    return headers


async def _silent(seconds: float, receive: Callable[..., Any]) -> None:
    """As long as somebody waits: what is received after the body is the end of the connection."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await receive()


async def _drip(body: bytes, rate: int, send: Callable[..., Any], transport: asyncio.Transport) -> None:
    drop = max(rate // _DRIPS_A_SECOND, 1)
    for at in range(0, len(body), drop):
        if transport.is_closing():
            return
        await send({"type": "http.response.body", "body": body[at : at + drop], "more_body": True})
        await asyncio.sleep(drop / rate)


async def _arrived(transport: asyncio.Transport) -> None:
    """Until all that was written is with the other side, which may read slowly: a reset throws away what waits here."""
    connected = transport.get_extra_info("socket")
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(_LONGEST_WAY):
            while not transport.is_closing() and (transport.get_write_buffer_size() or _unsent(connected)):  # noqa: ASYNC110 - the kernel tells nobody.
                await asyncio.sleep(0.005)


def _unsent(connected: Any) -> int:
    """Bytes that the kernel holds and the other side's has not taken."""
    return int.from_bytes(fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)


async def _abort(transport: asyncio.Transport) -> None:
    connected = transport.get_extra_info("socket")
    if connected is not None and not transport.is_closing():
        # Zero seconds to linger: the other side gets a reset, and no end of file.
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await asyncio.sleep(0)  # The loop reports the lost connection before the application returns.


def _on_the_wire(response: Response, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    lines = [b"HTTP/1.1 %d Again" % response.status, *(b"%s: %s" % header for header in headers), b"", b""]
    return b"\r\n".join(lines) + response.body


_AT_ONCE = Delivery()
