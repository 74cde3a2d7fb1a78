"""SQLite without its threads, and an executor without any: one step costs what it does, and its order is its seed's.

What the product hands to a thread runs where it is awaited. A pause before a statement, if one is set, is the only
place where tasks change.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from models.database import Database
from models.sqlite_connection import Connection

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


class Here(ThreadPoolExecutor):
    """An executor that runs what it is given at once, in the caller's thread."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - handed on, as an executor does.
            future.set_exception(error)
        return future


class Unthreaded(Connection):
    def __init__(self, path: Path, turns: Turns) -> None:
        super().__init__(str(path), patience=0)
        self._turns = turns

    async def _here(self, act: Callable[[], T], *, may_end: bool = False) -> T:
        return await self._whole(act)

    async def _whole(self, act: Callable[[], T]) -> T:
        await self._turns.pause()
        return act()


@dataclass(slots=True)
class Inline:
    """A database on inline connections, that can be put back to how it once was."""

    database: Database
    writer: Unthreaded
    kept: sqlite3.Connection | None = None

    async def keep(self) -> None:
        """A copy in memory of all that is stored now."""
        self.kept = sqlite3.connect(":memory:")
        self.writer._conn.backup(self.kept)

    async def put_back(self) -> None:
        if self.kept is not None:
            self.kept.backup(self.writer._conn)

    def forget(self) -> None:
        if self.kept is not None:
            self.kept.close()


async def inline(database: Database, path: Path, turns: Turns) -> Inline:
    """Takes the opened database's connections from their threads. No fsync: nothing here outlives the process."""
    writer = await _taken(database._writer, path, turns, "synchronous=OFF")
    for reader in list(database._readers._queue):  # type: ignore[attr-defined]
        await _taken(reader, path, turns, "query_only=ON")
    return Inline(database, writer)


async def _taken(client: Any, path: Path, turns: Turns, pragma: str) -> Unthreaded:
    await client._connection.close()
    connection = client._connection = Unthreaded(path, turns)
    connection._conn.execute(f"PRAGMA {pragma}")
    return connection
