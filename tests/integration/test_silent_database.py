"""A PostgreSQL that answers nothing any more, and does not hang up: nobody waits for it without end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from models.database import Database
from models.sql import execute, fetch
from models.unavailable import is_unavailable
from server.database import ANSWERS_WITHIN, open_database
from tests.clients.proxy import Wire, wire_to_database

WITHIN = 60.0
"""Seconds, and far more than it takes."""


@dataclass
class Silent:
    database: Database
    wire: Wire
    closing: AsyncExitStack

    async def ends(
        self, work: Awaitable[object], *, after: Callable[[], object] = lambda: None
    ) -> BaseException | None:
        task = asyncio.ensure_future(work)
        async with asyncio.timeout(WITHIN):
            while self.wire.flows.is_set():
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        after()
        await asyncio.wait({task}, timeout=WITHIN)
        assert task.done()
        return None if task.cancelled() else task.exception()


@pytest.fixture
async def silent(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Silent]:
    """Not yet: from `wire.hold` on. Its answers are waited for as long as the parameter says, or longer than a test."""
    async with wire_to_database(database_url) as (wire, through):
        closing = AsyncExitStack()
        database = await closing.enter_async_context(
            open_database(through, answers_within=getattr(request, "param", 600.0))
        )
        yield Silent(database, wire, closing)
        wire.cut()
        await closing.aclose()


async def write(silent: Silent, *, holds: bool = True) -> None:
    async with silent.database.writing() as db:
        await execute(db, "UPDATE deployment_fact SET value = value")
        if holds:
            silent.wire.hold()
        await execute(db, "UPDATE deployment_fact SET value = value")


async def read(silent: Silent) -> None:
    async with silent.database.reading() as db:
        silent.wire.hold()
        await fetch(db, "SELECT 1")


async def look(silent: Silent) -> None:
    await silent.database.look("SELECT 1")
    silent.wire.hold()
    await silent.database.look("SELECT 1")


WAYS = [write, read, look]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("silent", [1.0], indirect=True)
@pytest.mark.parametrize("work", WAYS)
async def test_what_is_asked_of_it_ends(silent: Silent, work: Callable[[Silent], Awaitable[None]]) -> None:
    error = await silent.ends(work(silent))
    assert error is not None
    assert is_unavailable(error)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("work", WAYS)
async def test_who_is_told_to_end_ends_and_so_does_what_is_open(
    silent: Silent, work: Callable[[Silent], Awaitable[None]]
) -> None:
    task = asyncio.ensure_future(work(silent))
    await silent.ends(task, after=task.cancel)
    await silent.ends(silent.closing.aclose())


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_commit_that_is_not_answered_ends_with_who_waits_for_it(silent: Silent) -> None:
    async def commit() -> None:
        async with silent.database.writing() as db:
            await execute(db, "UPDATE deployment_fact SET value = value")
            silent.wire.hold()

    task = asyncio.ensure_future(commit())
    assert await silent.ends(task, after=task.cancel) is None
    silent.wire.flows.set()
    await write(silent, holds=False)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("silent", [2.0], indirect=True)
async def test_a_statement_that_may_change_many_rows_is_waited_for_longer(silent: Silent) -> None:
    slow = "UPDATE deployment_fact SET value = value FROM (SELECT pg_sleep(3)) AS slept"
    async with silent.database.writing() as db:
        [row] = await fetch(db, "SELECT COUNT(*) AS number FROM deployment_fact")
        assert await execute(db, slow, is_long=True) == row["number"]
    with pytest.raises(TimeoutError, check=is_unavailable):
        async with silent.database.writing() as db:
            await execute(db, slow)


_LOCK = "UPDATE timeline SET seq = seq + 1 RETURNING seq"


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("asks_on", [True, False])
async def test_what_a_process_that_stands_still_has_locked_is_anothers_then(
    database_url: str, *, asks_on: bool
) -> None:
    """Its machine stopped, or was lost, in mid-transaction: the server is told nothing of that for hours."""
    async with open_database(database_url, stands_still=0.5) as stopped, open_database(database_url) as other:
        async with other.writing() as db:
            await execute(
                db, "INSERT INTO timeline (user_id, subaccount_id, seq, floor) VALUES ('u', 's', 0, 0)"
            )

        async def stop() -> None:
            async with stopped.writing() as db:
                assert await fetch(db, _LOCK) == [{"seq": 1}]
                async with other.writing() as anothers:
                    assert await fetch(anothers, _LOCK) == [{"seq": 1}]
                if asks_on:
                    await fetch(db, _LOCK)

        with pytest.raises(Exception, check=is_unavailable):  # noqa: B017 - as the check says.
            await stop()
        async with stopped.reading() as db:
            assert await fetch(db, "SELECT seq FROM timeline") == [{"seq": 1}]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_who_waits_for_what_it_has_locked_has_it_before_giving_up(database_url: str) -> None:
    limit = "current_setting('idle_in_transaction_session_timeout')::interval"
    async with open_database(database_url) as database, database.reading() as db:
        [row] = await fetch(db, f"SELECT EXTRACT(EPOCH FROM {limit})::float8 AS seconds")
    assert 0 < row["seconds"] < ANSWERS_WITHIN
