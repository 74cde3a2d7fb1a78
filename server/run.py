"""Runs the API and the sync loop until told to stop, and stops in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette

from server import signals
from server.app import make_app, make_watch_app
from server.config import ConfigError, Settings
from server.interpreter import settle
from server.metrics import Metrics
from server.request import MOST_BYTES
from server.room import Config, Room
from server.same_database import ANOTHER
from server.services import Parts, open_parts
from server.telemetry import Telemetry, open_telemetry
from server.wire import LOOK_EVERY, HTTPWire, WebSocketWire

log = logging.getLogger(__name__)

_REQUESTS_END_WITHIN = 5
"""Seconds; the sync loop has the same time, and what is closed after both some more."""
IDLE_FOR = 75
"""Seconds that a connection is kept between two requests: longer than proxies keep theirs (60 s mostly), so that they
close it and not we, under a request that is on its way."""
_LOOP_ENDS_WITHIN = 6.0
_GONE_WITHIN = 9.5
"""Seconds from when it begins to end: then a process goes, whatever holds it. It loses no more than a crash does."""
_BACKLOG = 2048
TICKS_TO_A_LOOK = round(LOOK_EVERY * 10)
"""uvicorn ticks ten times a second."""
_OTHER_FILES = 2048
"""Connections to the calendar server, of polls and writes, nearly all of them, and some of everything else."""
_FOR_REQUESTS = 1000
"""Connections beside the websockets and streams."""
# A peer that is gone without a word is noticed within the two.
_PING_EVERY = 15.0
_PONG_WITHIN = 15.0


class Server(uvicorn.Server):
    """Leaves signals to us: its own way ends the process before what is open is closed."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS_TO_A_LOOK == 0:
            for wire in self.server_state.connections:
                if isinstance(wire, HTTPWire):
                    wire.look()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """What would stay open ends first: uvicorn waits for streams as for any answer."""
        app = self.config.app
        assert isinstance(app, Starlette)
        app.state.sockets.stop()
        await super().shutdown(sockets)


async def serve(settings: Settings, environment: Mapping[str, str], *, with_sync: bool) -> None:
    """Raises ConfigError or DatabaseUnusableError where it can't start."""
    most = _make_room(settings.connections)
    with _listening(settings) as listener:
        async with _watched_parts(settings, environment) as (parts, telemetry):
            if telemetry.metrics is not None:
                _follow(telemetry.metrics, parts)
            app = make_app(parts.services, settings, telemetry)
            server = Server(config_of(app, most=most))

            def end() -> None:
                server.should_exit = True
                begin_to_end(looping)

            def stop() -> None:
                app.state.health.is_draining = True
                asyncio.get_running_loop().call_later(settings.drain_for, end)

            _on_signals(stop)
            looping = _looping(parts, stop) if with_sync else None
            settle()
            log.info("Slotwire listens on http://%s:%d", settings.host, settings.port)
            kind = "PostgreSQL" if parts.services.database.is_postgres else "SQLite"
            log.debug("on %s, in a %s", kind, type(asyncio.get_running_loop()).__module__)
            async with _on_one_database(parts, end):
                try:
                    await server.serve(sockets=[listener])
                finally:
                    await _ended(looping)


def _follow(metrics: Metrics, parts: Parts) -> None:
    sync = parts.sync
    metrics.follow(
        "slotwire_compared_calendars", "Calendars held against a full listing.", lambda: sync.compared
    )
    metrics.follow("slotwire_missed_resources", "What that found and no delta had told.", lambda: sync.missed)


async def sync_alone(settings: Settings, environment: Mapping[str, str]) -> None:
    """Raises ConfigError or DatabaseUnusableError where it can't start."""
    most = _make_room(settings.connections)
    async with _watched_parts(settings, environment) as (parts, telemetry):
        stopping = asyncio.Event()
        _on_signals(stopping.set)
        async with _watchable(settings, parts, telemetry, most=most):
            looping = _looping(parts, stopping.set)
            settle()
            log.info("The sync loop runs.")
            async with _on_one_database(parts, stopping.set):
                await stopping.wait()
                begin_to_end(looping)
                await _ended(looping)


@asynccontextmanager
async def _watchable(
    settings: Settings, parts: Parts, telemetry: Telemetry, *, most: int
) -> AsyncIterator[None]:
    """Where metrics are kept, someone can come and read them, and ask how the process is."""
    if telemetry.metrics is None:
        yield
        return
    with _listening(settings) as listener:
        server = Server(config_of(make_watch_app(parts.services, settings, telemetry), most=most))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield
        finally:
            server.should_exit = True
            await serving


@asynccontextmanager
async def _watched_parts(
    settings: Settings, environment: Mapping[str, str]
) -> AsyncIterator[tuple[Parts, Telemetry]]:
    with open_telemetry(settings) as telemetry:
        async with open_parts(settings, environment, watch=telemetry.watch) as parts:
            yield parts, telemetry


def run(main: Coroutine[Any, Any, None]) -> None:
    """On uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


def _looping(parts: Parts, stop: Callable[[], None]) -> asyncio.Task[None]:
    """A loop that ends by itself ends the process: whoever runs it starts it anew."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            log.error("The sync loop ended by itself.", exc_info=task.exception())
            stop()

    task = asyncio.create_task(parts.sync.run())
    task.add_done_callback(ended)
    return task


@asynccontextmanager
async def _on_one_database(parts: Parts, end: Callable[[], None]) -> AsyncIterator[None]:
    """Another ends the process, with what it remembers of the first. Raises ConfigError at the end, then."""
    looking = asyncio.create_task(parts.until_another_database())
    looking.add_done_callback(lambda task: None if task.cancelled() else end())
    try:
        yield
    finally:
        is_another = looking.done()
        looking.cancel()
    if is_another:
        looking.result()  # What it met itself is no other database.
        raise ConfigError(ANOTHER)


def begin_to_end(looping: asyncio.Task[None] | None) -> None:
    """From here on the process has ten seconds, also where the event loop itself stands still."""
    if looping is not None:
        looping.cancel()
    last_resort = threading.Timer(_GONE_WITHIN, _go)
    last_resort.daemon = True
    last_resort.start()


def _go() -> None:
    log.error("Something would not end: the process goes all the same.")
    os._exit(1)


async def _ended(task: asyncio.Task[None] | None) -> None:
    if task is None:
        return
    if not task.cancelling():
        task.cancel()
    await asyncio.wait({task}, timeout=_LOOP_ENDS_WITHIN)
    if task.done() and not task.cancelled() and (error := task.exception()) is not None:
        raise ConfigError("The sync loop ended by itself; the log says why.") from error


def _on_signals(stop: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in signals.that_end():
        loop.add_signal_handler(number, stop)


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    """Taken before anything is opened: a taken port is told in one line."""
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ConfigError(f"Can't listen on {settings.host}:{settings.port}: {reason}.") from None
    # An answer is two small packets: without this the second waits for the first's acknowledgement, some 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.closing(listener):
        yield listener


def _make_room(connections: int) -> int:
    """As many open files as there may be connections, where the machine allows it: the usual limit is 1,024.

    How many connections of all kinds there may be: the others' files are kept free.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = connections + _FOR_REQUESTS
    wanted = most + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return most
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        log.warning("This machine allows %d open files: too few for %d connections.", allowed, most)
    return max(allowed - _OTHER_FILES, allowed // 2)


def config_of(app: Starlette, *, most: int) -> Config:
    """`most`: connections of all kinds that may be open at once."""
    config = Config(
        app,
        loop="none",
        http=HTTPWire,
        ws=WebSocketWire,
        ws_max_size=MOST_BYTES,
        ws_ping_interval=_PING_EVERY,
        ws_ping_timeout=_PONG_WITHIN,
        # Small frames: compressing them costs memory by the socket and saves nothing.
        ws_per_message_deflate=False,
        access_log=False,
        log_config=None,
        server_header=False,
        # Whom to believe about a caller's address is our own setting.
        proxy_headers=False,
        timeout_keep_alive=IDLE_FOR,
        timeout_graceful_shutdown=_REQUESTS_END_WITHIN,
        h11_max_incomplete_event_size=MOST_BYTES,
    )
    config.room = Room(most)
    return config
