"""A connection to SQLite: what is small runs where it is awaited, what may take long in a thread.

To hand a statement to another thread and be woken by it costs several times what a look at an index does. So only what
may take long goes there: a commit, which waits for the disk; a lock that another process holds; many rows; DELETE, and
what is said to be long; a SELECT that was begun here and turns out to be.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

LONGEST_TURN = 0.005
"""Seconds: of a SELECT, and of several statements together, before the loop's other tasks have a turn."""
MOST_ROWS_AT_ONCE = 50
ROWS_OF_A_STATEMENT = 20
"""At most 23 values each: SQLite takes 32,766 in one statement."""
_STEPS = 500
"""Of SQLite's machine between two looks at the clock: some microseconds, or as many pages from a slow disk."""
_SHORT = ("SELECT", "INSERT", "UPDATE", "BEGIN")
_KIND = 0xFF
# Else two methods are looked for at each value, before SQLite's driver takes it as the number that it is.
sqlite3.register_adapter(bool, int)

_Job = tuple[asyncio.Future[Any], Callable[[], Any]]


class Cursor:
    """What Tortoise wants of one: its rows are read already."""

    async def close(self) -> None: ...


class Connection:
    """What Tortoise and our own door use of aiosqlite's. One thing at a time, in the order in which they are asked.

    What was begun in the thread ends before its caller is cancelled: a half-known COMMIT would poison the connection.
    """

    def __init__(self, path: str, *, patience: int) -> None:
        """`patience`: milliseconds that the thread waits for a lock; the event loop waits for none."""
        self._conn = sqlite3.connect(
            path, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        self._conn.row_factory = sqlite3.Row
        self._patience = patience
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        "From the first job on."
        self._last: asyncio.Future[Any] | None = None
        "That was given to the thread."
        self._ends = 0.0
        "When the SELECT that runs here has had its time."
        self._spent = 0.0
        "Since others had a turn."
        self._changes = 0
        "Rows changed before the transaction."

    @property
    def total_changes(self) -> int:
        return self._conn.total_changes

    async def begin(self, statement: str) -> None:
        await self.execute_fetchall(statement)
        self._changes = self._conn.total_changes

    async def commit(self) -> None:
        if self._is_away() or self._conn.total_changes != self._changes:
            await self._whole(self._commit)
        else:
            self._conn.commit()

    async def rollback(self) -> None:
        if self._is_away():
            await self._away(self._conn.rollback)
        else:
            self._conn.rollback()

    async def execute_fetchall(
        self, sql: str, values: Sequence[Any] | None = None, *, is_long: bool = False
    ) -> Sequence[sqlite3.Row]:
        return await self._run(partial(self._rows, sql, values or ()), sql, is_long=is_long)

    async def change(self, sql: str, values: Sequence[Any], *, is_long: bool) -> int:
        """How many rows it changed, or gave."""
        return await self._run(partial(self._changed, sql, values), sql, is_long=is_long)

    async def _run(self, act: Callable[[], T], sql: str, *, is_long: bool) -> T:
        if is_long or not sql.startswith(_SHORT):
            return await self._away(act)
        return await self._here(act, may_end=sql.startswith("SELECT"))

    async def execute(self, sql: str, values: Sequence[Any] | None = None) -> Cursor:
        await self.execute_fetchall(sql, values)
        return Cursor()

    async def execute_insert(self, sql: str, values: Sequence[Any] | None = None) -> tuple[int | None]:
        return await self._here(lambda: (self._conn.execute(sql, values or ()).lastrowid,))

    async def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> Cursor:
        act = partial(self._conn.executemany, sql, rows)
        await (self._away(act) if len(rows) > MOST_ROWS_AT_ONCE else self._here(act))
        return Cursor()

    async def insert(self, one: str, several: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """By a statement for one row, and one for `ROWS_OF_A_STATEMENT`: to step through each takes as long."""
        await self._away(partial(self._insert, one, several, rows))

    async def executescript(self, sql: str) -> None:
        await self._away(partial(self._conn.executescript, sql))

    async def close(self) -> None:
        # The last of all to close writes the log into the database.
        await asyncio.shield(self._ordered(self._conn.close))
        self._jobs.put(None)

    def _rows(self, sql: str, values: Any) -> list[sqlite3.Row]:
        return self._conn.execute(sql, values).fetchall()

    def _changed(self, sql: str, values: Any) -> int:
        before = self._conn.total_changes
        given = len(self._rows(sql, values))
        return self._conn.total_changes - before or given

    def _insert(self, one: str, several: str, rows: Sequence[tuple[Any, ...]]) -> None:
        rest = len(rows) % ROWS_OF_A_STATEMENT
        whole = [
            list(chain.from_iterable(rows[start : start + ROWS_OF_A_STATEMENT]))
            for start in range(0, len(rows) - rest, ROWS_OF_A_STATEMENT)
        ]
        self._conn.executemany(several, whole)
        self._conn.executemany(one, rows[len(rows) - rest :])

    async def _here(self, act: Callable[[], T], *, may_end: bool = False) -> T:
        """In the event loop's thread, or else as `_away` does."""
        if self._spent > LONGEST_TURN:
            self._spent = 0.0
            await asyncio.sleep(0)
        if self._is_away():
            return await self._away(act)
        began = time.perf_counter()
        if may_end:
            self._ends = began + LONGEST_TURN
            self._conn.set_progress_handler(self._is_over, _STEPS)
        try:
            return act()
        except sqlite3.OperationalError as error:
            if _kind(error) not in {sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY}:
                raise
        finally:
            if may_end:
                self._conn.set_progress_handler(None, _STEPS)
            self._spent += time.perf_counter() - began
        # Interrupted or locked out, it has changed nothing, and what it reads is still the same.
        return await self._away(act)

    def _is_over(self) -> bool:
        return time.perf_counter() > self._ends

    def _is_away(self) -> bool:
        return self._last is not None and not self._last.done()

    async def _away(self, act: Callable[[], T]) -> T:
        """In the thread, where it waits for what others hold."""
        return await self._whole(partial(self._patiently, act))

    async def _whole(self, act: Callable[[], T]) -> T:
        """In the thread, and to its end though the caller is cancelled."""
        doing = self._ordered(act)
        self._spent = 0.0
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            await asyncio.wait({doing})
            raise

    def _ordered(self, act: Callable[[], T]) -> asyncio.Future[T]:
        doing: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._last = doing
        self._jobs.put((doing, act))
        if self._thread is None:
            self._thread = threading.Thread(target=_work, args=(self._jobs,), name="sqlite", daemon=True)
            self._thread.start()
        return doing

    def _patiently(self, act: Callable[[], T]) -> T:
        self._conn.execute(f"PRAGMA busy_timeout = {self._patience}")
        try:
            return act()
        finally:
            self._conn.execute("PRAGMA busy_timeout = 0")

    def _commit(self) -> None:
        """With the log (WAL) the lock is ours since the beginning, and there is nobody to wait for."""
        try:
            self._conn.commit()
        except sqlite3.OperationalError as error:
            if _kind(error) != sqlite3.SQLITE_BUSY:
                raise
            self._patiently(self._conn.commit)


def _kind(error: sqlite3.Error) -> int:
    """Its code, without what makes it an extended one."""
    return getattr(error, "sqlite_errorcode", 0) & _KIND


def _work(jobs: SimpleQueue[_Job | None]) -> None:
    """A thread's life: one job after the other, and each one's end told to the loop that asked. None is the last."""
    while (job := jobs.get()) is not None:
        doing, act = job
        try:
            end = partial(doing.set_result, act())
        except BaseException as error:  # noqa: BLE001 - it is the asker's.
            end = partial(doing.set_exception, error)
        with suppress(RuntimeError):  # Where the loop was closed meanwhile, nobody waits.
            doing.get_loop().call_soon_threadsafe(end)
        del job, doing, act, end
