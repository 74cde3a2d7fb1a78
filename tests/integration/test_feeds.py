"""A user's log as subscribers of one process share it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from domain.changes import ChangeKind
from models.bell import Bell
from models.changelog import LogRow, changing
from models.database import Database
from models.sql import Db, Row
from resolvers.feeds import Feed
from tests.integration.engine import NOW, USER, engine_on


class Slow:
    """A database that takes its time to be done with a look, while it is held up."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.held_up: asyncio.Event | None = None
        self.may_close = asyncio.Event()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Db]:
        async with self._database.reading() as db:
            yield db
            await self._end()

    async def glance(self, statement: str, *values: object) -> list[Row]:
        rows = await self._database.glance(statement, *values)
        await self._end()
        return rows

    async def _end(self) -> None:
        if self.held_up is not None:
            self.held_up.set()
            await self.may_close.wait()


async def nothing_to_watch() -> None:
    return


async def test_one_that_looks_for_all_and_is_dropped_takes_no_row_along(
    database: Database, bell: Bell
) -> None:
    await engine_on(database, bell)
    slow = Slow(database)
    feed = Feed(USER, cast("Database", slow), bell, look_every=0.05, watch=nothing_to_watch)

    async def write() -> None:
        async with changing(database, bell, USER, now=NOW) as ledger:
            ledger.note(ChangeKind.HOURS)

    first, behind = feed.follow(0), feed.follow(0)
    await write()
    assert [row.seq for row in (await anext(first), await anext(behind)) if isinstance(row, LogRow)] == [1, 1]
    await write()
    assert cast("LogRow", await anext(first)).seq == 2
    await write()
    slow.held_up = asyncio.Event()
    looking = asyncio.create_task(anext(first))
    await slow.held_up.wait()
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    slow.held_up = None
    async with asyncio.timeout(60):
        assert [cast("LogRow", await anext(behind)).seq for _ in range(2)] == [2, 3]
    await behind.aclose()
    feed.close()
