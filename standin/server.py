"""The stand-in as a server: listeners on the loopback, one for the entry host and one for each partition host."""

import asyncio
import contextlib
import errno
import socket
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
from standin.owner import Phone
from standin.partitions import Partitions
from standin.wire import abort, deliver, read_request

HOST = "127.0.0.1"
PARTITIONS = (180, 181)  # An account begins on the first.


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
            request = await read_request(scope, receive, names[scope["server"][1]])
            if request is None:
                return
            answers = admin.answer if request.path.startswith(PREFIX) else front.answer
            await deliver(await answers(request), receive, send, transport)
        except asyncio.CancelledError:  # The server ends, and does not wait for a slow account.
            await abort(transport)

    return application
