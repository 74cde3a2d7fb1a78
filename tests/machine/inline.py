"""SQLite without its thread, and an executor without threads: one step costs what it does, and its order is its seed's.

aiosqlite hands every statement to a thread and back, which is most of a small statement's time and makes the order
of two tasks the machine's choice. Here a statement runs where it is awaited; a pause before it, if one is set, is
the only place where tasks change.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from models.database import Database

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class Turns:
    """The scheduler: while several tasks run, how often each lets the others go first."""

    chance: random.Random | None = None

    async def pause(self) -> None:
        if self.chance is not None:
            for _ in range(self.chance.randrange(4)):
                await asyncio.sleep(0)


@dataclass(slots=True)
class Cursor:
    """What Tortoise wants of a cursor."""

    inner: sqlite3.Cursor

    async def close(self) -> None:
        self.inner.close()


@dataclass(slots=True)
class Connection:
    """aiosqlite's connection, as far as Tortoise and our own door use it."""

    path: Path
    turns: Turns
    _conn: sqlite3.Connection = field(init=False)

    def __post_init__(self) -> None:
        self._conn = sqlite3.connect(self.path, isolation_level=None, cached_statements=512)
        self._conn.row_factory = sqlite3.Row

    @property
    def total_changes(self) -> int:
        return self._conn.total_changes

    async def execute(self, sql: str, values: Iterable[Any] | None = None) -> Cursor:
        await self.turns.pause()
        return Cursor(self._conn.execute(sql, tuple(values or ())))

    async def executemany(self, sql: str, rows: Iterable[Iterable[Any]]) -> Cursor:
        await self.turns.pause()
        return Cursor(self._conn.executemany(sql, [tuple(row) for row in rows]))

    async def execute_insert(self, sql: str, values: Iterable[Any] | None = None) -> tuple[int | None]:
        await self.turns.pause()
        return (self._conn.execute(sql, tuple(values or ())).lastrowid,)

    async def execute_fetchall(self, sql: str, values: Iterable[Any] | None = None) -> Sequence[sqlite3.Row]:
        await self.turns.pause()
        return self._conn.execute(sql, tuple(values or ())).fetchall()

    async def executescript(self, sql: str) -> None:
        self._conn.executescript(sql)

    async def commit(self) -> None:
        self._conn.commit()

    async def rollback(self) -> None:
        self._conn.rollback()

    async def close(self) -> None:
        self._conn.close()


@dataclass(slots=True)
class Inline:
    """A database on inline connections, that can be put back to how it once was."""

    database: Database
    writer: Connection
    kept: sqlite3.Connection | None = None

    async def keep(self) -> None:
        """A copy in memory of all that is stored now."""
        self.kept = sqlite3.connect(":memory:")
        self.writer._conn.backup(self.kept)

    async def put_back(self) -> None:
        if self.kept is not None:
            self.kept.backup(self.writer._conn)


async def inline(database: Database, path: Path, turns: Turns) -> Inline:
    """Takes the opened database's connections from their threads. No fsync: nothing here outlives the process."""
    writer = await _taken(database._writer, path, turns, ["synchronous=OFF"])
    for reader in list(database._readers._queue):  # type: ignore[attr-defined]
        await _taken(reader, path, turns, ["query_only=ON"])
    return Inline(database, writer)


async def _taken(client: Any, path: Path, turns: Turns, pragmas: Sequence[str]) -> Connection:
    await client._connection.close()
    connection = client._connection = Connection(path, turns)
    for pragma in ("journal_mode=WAL", *pragmas):
        connection._conn.execute(f"PRAGMA {pragma}")
    return connection


class Here(ThreadPoolExecutor):
    """An executor that runs what it is given at once, in the caller's thread."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - handed on, as an executor does.
            future.set_exception(error)
        return future
