"""Looks at what is found by its key: one short statement by itself, on a connection of its own."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import suppress
from typing import Any, Protocol

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient
from tortoise.backends.base.client import BaseDBAsyncClient

from models.sql import Row, in_dialect, in_order
from models.sqlite import SqliteClient
from models.transactions import GOODBYE


class GlanceError(Exception):
    """It could not be looked at this way; a snapshot says why, or succeeds."""


class Glances(Protocol):
    def version(self) -> int | None: ...

    async def fetch(self, statement: str, *values: object) -> list[Row]: ...

    async def close(self) -> None: ...


class SqliteGlances:
    """A connection of its own, read in the event loop's thread: a look at the index costs less than asking another."""

    def __init__(self, writer: BaseDBAsyncClient) -> None:
        assert isinstance(writer, SqliteClient)
        self._path = writer.filename
        self._connection: sqlite3.Connection | None = None
        self._versions: sqlite3.Cursor | None = None

    def version(self) -> int | None:
        """A page of shared memory is looked at: this connection writes nothing, so that it sees all who do."""
        try:
            if self._versions is None:
                self._versions = self._open().cursor()
            (number,) = self._versions.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            return None
        return int(number)

    async def fetch(self, statement: str, *values: object) -> list[Row]:
        text, order = in_dialect(statement, "sqlite")
        cursor = self._open().execute(text, in_order(values, order))
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            # In autocommit mode each statement is a snapshot of its own. WAL keeps no reader waiting for a writer.
            self._connection = sqlite3.connect(
                self._path, timeout=0.1, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA query_only = ON")
        return self._connection

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


class PostgresGlances:
    """A connection of its own, one look at a time: to take one from the pool and give it back costs two more."""

    def __init__(self, client: AsyncpgDBClient) -> None:
        self._client = client
        self._connection: Any = None
        self._looking = asyncio.Lock()

    def version(self) -> int | None:
        return None

    async def fetch(self, statement: str, *values: object) -> list[Row]:
        async with self._looking:
            if self._connection is None or _is_lost(self._connection):
                await self._release()
                assert self._client._pool is not None
                self._connection = await self._client._pool.acquire()
            return await self._connection.fetch(statement, *values)  # type: ignore[no-any-return]

    async def close(self) -> None:
        await self._release()

    async def _release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            assert self._client._pool is not None
            with suppress(TimeoutError):  # It is given up then.
                await self._client._pool.release(connection, timeout=GOODBYE)


def _is_lost(connection: Any) -> bool:
    """The pool takes one that broke back by itself, and from then on it doesn't even say that it is closed."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True
