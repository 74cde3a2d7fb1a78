"""The bell's wire over PostgreSQL: LISTEN and NOTIFY, on a connection of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from models.bell import Bell
from models.unavailable import BY_POSTGRES

log = logging.getLogger(__name__)

_CHANNEL = "slotwire_bell"
_FIRST_RETRY = 0.5
_LONGEST_RETRY = 15.0
_CHECK_EVERY = 10.0
_SEND_WITHIN = 2.0
_MOST_WAITING = 10_000


class PostgresWire:
    """Losing a ring loses nothing: readers also look by themselves every few seconds."""

    def __init__(self, url: str, bell: Bell) -> None:
        self._url = url.replace("postgresql://", "postgres://", 1)
        self._bell = bell
        self._connection: asyncpg.Connection[Any] | None = None
        self._waiting: dict[str, None] = {}
        self._to_send = asyncio.Event()
        self._me = os.urandom(6).hex()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self._run())
        self._bell.wire = self
        try:
            yield
        finally:
            self._bell.wire = None
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    async def send(self, topic: str) -> None:
        """Answers at once: what rings waits for no network. One topic that waits already waits once."""
        if len(self._waiting) < _MOST_WAITING:
            self._waiting[topic] = None
        self._to_send.set()

    async def _run(self) -> None:
        wait = _FIRST_RETRY
        while True:
            try:
                self._connection = await asyncpg.connect(self._url, timeout=10)
                wait = _FIRST_RETRY
                await self._connection.add_listener(_CHANNEL, self._heard)
                # A connection that ends is noticed at once, and not at the next check.
                self._connection.add_termination_listener(lambda _: self._to_send.set())
                # What rang while no one listened.
                self._bell.ring_all_here()
                await self._carry(self._connection)
            except BY_POSTGRES as error:
                log.warning(
                    "The bell's wire broke (%s); connecting anew in %.1f s.", type(error).__name__, wait
                )
            finally:
                await self._hang_up()
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_RETRY)

    async def _carry(self, connection: asyncpg.Connection[Any]) -> None:
        """Sends what rings here; every few seconds asks whether the connection still lives."""
        while True:
            with contextlib.suppress(TimeoutError):
                # Not `wait_for`: up to Python 3.11, one that is told to end as it is rung does not hear of it.
                async with asyncio.timeout(_CHECK_EVERY):
                    await self._to_send.wait()
            self._to_send.clear()
            topics, self._waiting = list(self._waiting), {}
            if not topics:
                await connection.execute("SELECT 1", timeout=_SEND_WITHIN)
            else:
                payloads = [f"{self._me}:{topic}" for topic in topics]
                await connection.execute(
                    "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload",
                    _CHANNEL,
                    payloads,
                    timeout=_SEND_WITHIN,
                )

    def _heard(self, _connection: object, _process: int, _channel: str, payload: object) -> None:
        sender, _, topic = str(payload).partition(":")
        if sender != self._me:
            self._bell.ring_here(topic)

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(*BY_POSTGRES):
                await connection.close(timeout=1)
