"""The door to the database: transactions that write, snapshots and glances that read."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from copy import copy

from tortoise.backends.asyncpg.client import AsyncpgDBClient
from tortoise.backends.base.client import BaseDBAsyncClient

from models.glances import GlanceError, Glances, PostgresGlances, SqliteGlances
from models.sql import Db, Row, fetch
from models.transactions import (
    Snapshot,
    postgres_snapshot,
    postgres_transaction,
    sqlite_snapshot,
    sqlite_transaction,
)
from models.unavailable import BY_POSTGRES


class Database:
    """Where everything is kept: one SQLite file, or PostgreSQL.

    On SQLite one connection writes and a few read (WAL lets them); `BEGIN IMMEDIATE` takes the write lock at
    once, because a deferred transaction that reads and then writes fails with "database is locked".
    """

    _whole: Database | None = None
    _turns: asyncio.Semaphore | None = None
    "Of a part: what it is one of, and its connections."

    def __init__(self, writer: BaseDBAsyncClient, readers: Sequence[BaseDBAsyncClient] = ()) -> None:
        self._writer = writer
        self._readers: asyncio.Queue[BaseDBAsyncClient] = asyncio.Queue()
        for reader in readers:
            self._readers.put_nowait(reader)
        self.is_postgres = isinstance(writer, AsyncpgDBClient)
        self._glances: Glances = (
            PostgresGlances(writer) if isinstance(writer, AsyncpgDBClient) else SqliteGlances(writer)
        )

    def part(self, connections: int) -> Database:
        """The same, for who may wait: has no more of its connections at once, and leaves the others to the whole.

        On SQLite all of it: one writes at a time, and who reads is soon done.
        """
        if not self.is_postgres:
            return self
        part = copy(self)
        part._whole, part._turns = self, asyncio.Semaphore(connections)
        return part

    @property
    def whole(self) -> Database:
        """What this is a part of, or itself: for what is not to wait behind others."""
        return self._whole or self

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Db]:
        """One transaction: committed at the end, undone on any exception."""
        begin = postgres_transaction if self.is_postgres else sqlite_transaction
        async with self._turns or nullcontext(), begin(self._writer) as db:
            yield db

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Db]:
        """One snapshot for all that is read inside."""
        snapshot = await self.open_snapshot()
        try:
            yield snapshot.db
        finally:
            await snapshot.close()

    async def glance(self, statement: str, *values: object) -> list[Row]:
        """One short statement by itself, which sees one state: no transaction, and no thread on SQLite.

        For what is found by its key in a few pages; all else reads from a snapshot. Raises GlanceError.
        """
        try:
            return await self._glances.fetch(statement, *values)
        except (sqlite3.Error, *BY_POSTGRES) as error:
            raise GlanceError from error

    async def look(self, statement: str, *values: object) -> list[Row]:
        """A glance that always succeeds where a snapshot does."""
        try:
            return await self.glance(statement, *values)
        except GlanceError:
            async with self.reading() as db:
                return await fetch(db, statement, *values)

    def version(self) -> int | None:
        """Another number after each commit of any process; None where the database tells none without being asked."""
        return self._glances.version()

    async def close(self) -> None:
        """Lets go what glances hold; the connections that were handed in are not ours."""
        await self._glances.close()

    async def open_snapshot(self) -> Snapshot:
        if self._turns is None:
            return await self._open_snapshot()
        async with AsyncExitStack() as turn:
            await turn.enter_async_context(self._turns)
            snapshot = await self._open_snapshot()
            turn.push_async_callback(snapshot.close)
            return Snapshot(snapshot.db, turn.pop_all().aclose)

    async def _open_snapshot(self) -> Snapshot:
        if isinstance(self._writer, AsyncpgDBClient):
            return await postgres_snapshot(self._writer)
        reader = await self._readers.get()
        try:
            return await sqlite_snapshot(reader, self._readers)
        except BaseException:
            self._readers.put_nowait(reader)
            raise
