"""The door to the database: transactions that write, snapshots that read, and plain SQL for both dialects."""

from __future__ import annotations

import asyncio
import functools
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext, suppress
from copy import copy
from typing import Any, Protocol, TypeVar

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient
from tortoise.backends.asyncpg.client import TransactionWrapper as PostgresTransaction
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.exceptions import DBConnectionError, OperationalError, TransactionManagementError
from tortoise.models import Model

from models.sqlite import SqliteClient, Transaction

Db = BaseDBAsyncClient
"""A connection inside a transaction or a snapshot. Handed from function to function, never found by context."""

Row = dict[str, Any]
M = TypeVar("M", bound=Model)

_UNAVAILABLE = (
    DBConnectionError,
    OperationalError,
    sqlite3.OperationalError,
    asyncpg.PostgresConnectionError,
    asyncpg.TransactionRollbackError,
    asyncpg.InterfaceError,
    # What it has no more of: disk, memory, connections.
    asyncpg.InsufficientResourcesError,
    # It starts, ends, or cut a statement off.
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresSystemError,
    asyncpg.LockNotAvailableError,
    # One that takes over for another takes no writes until it has.
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    # A connection that is just being lost is in no state that the driver knows.
    asyncpg.InternalClientError,
    OSError,
)
"""What is met where the database is away, locked by another for too long or in a ring, or full: who asked is not to
blame.

And where it does not take a statement; see `is_unavailable`, which is what to ask.
"""

BY_POSTGRES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""Whatever the driver raises: the last but one where a connection is just being lost, in no state that it knows."""
_NOT_TAKEN = (asyncpg.SyntaxOrAccessError, asyncpg.DataError)

GOODBYE = 1.0
"""Seconds that a server has to end what nobody waits for any more. A process that ends has ten for all."""

_LONGEST = 600.0
"""Seconds of a statement that may change many rows: by them no silent server is known."""
_WORTH_COPYING = 20
"""Rows. PostgreSQL's COPY takes half the CPU of INSERT at both ends, and one more round trip."""
_COPIED_IN_ONE_GO = 100
"""Rows put into bytes before the event loop has a turn."""
_MARK = re.compile(r"\$(\d+)")


def is_unavailable(error: BaseException) -> bool:
    """Whether trying again soon can help. A statement that the database can't make sense of is our own fault."""
    if isinstance(error, TransactionManagementError) and error.__cause__ is not None:
        error = error.__cause__  # It names all of a transaction's states so.
    if not isinstance(error, _UNAVAILABLE):
        return False
    # Tortoise's own is raised where the driver's is met, and names it as its cause or not.
    met = (error.__cause__ or error.__context__) if isinstance(error, OperationalError) else error
    if isinstance(met, sqlite3.OperationalError):
        return getattr(met, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR
    return not isinstance(met, _NOT_TAKEN)


@contextmanager
def where_it_can() -> Iterator[None]:
    """What only people read, or is said again, fails nothing where the database is away or takes no writes."""
    try:
        yield
    except Exception as error:
        if not is_unavailable(error):
            raise


class Snapshot:
    """One state of the database, read-only, until it is closed. Opened in one task, it may be closed in another."""

    def __init__(self, db: Db, release: Any) -> None:
        self.db = db
        self._release = release

    async def close(self) -> None:
        release, self._release = self._release, None
        if release is not None:
            await release()


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
        self._glances: _Glances = (
            _PostgresGlances(writer) if isinstance(writer, AsyncpgDBClient) else _SqliteGlances(writer)
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
        begin = _begin_postgres if self.is_postgres else _begin_sqlite
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
            return await _postgres_snapshot(self._writer)
        reader = await self._readers.get()
        try:
            return await _sqlite_snapshot(reader, self._readers)
        except BaseException:
            self._readers.put_nowait(reader)
            raise


class GlanceError(Exception):
    """It could not be looked at this way; a snapshot says why, or succeeds."""


class _Glances(Protocol):
    def version(self) -> int | None: ...

    async def fetch(self, statement: str, *values: object) -> list[Row]: ...

    async def close(self) -> None: ...


class _SqliteGlances:
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
        text, order = _dialect(statement, "sqlite")
        cursor = self._open().execute(text, _ordered(values, order))
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


class _PostgresGlances:
    """A connection of its own, one look at a time: to take one from the pool and give it back costs two more."""

    def __init__(self, client: AsyncpgDBClient) -> None:
        self._client = client
        self._connection: Any = None
        self._looking = asyncio.Lock()

    def version(self) -> int | None:
        return None

    async def fetch(self, statement: str, *values: object) -> list[Row]:
        async with self._looking:
            if self._connection is None or self._connection.is_closed():
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


@asynccontextmanager
async def _begin_postgres(client: BaseDBAsyncClient) -> AsyncIterator[Db]:
    assert isinstance(client, AsyncpgDBClient)
    assert client._pool is not None
    async with client._pool.acquire() as connection:
        transaction = connection.transaction()
        try:
            await _whole(connection, transaction.start())
            yield _postgres_wrapper(client, connection)
        except BaseException:
            await _undone(connection, transaction)
            raise
        await _whole(connection, transaction.commit())


def _postgres_wrapper(client: AsyncpgDBClient, connection: Any) -> PostgresTransaction:
    wrapper = PostgresTransaction(client)
    wrapper._connection = connection
    return wrapper


async def _postgres_snapshot(client: AsyncpgDBClient) -> Snapshot:
    assert client._pool is not None
    pool = client._pool
    connection = await pool.acquire()
    transaction = connection.transaction(isolation="repeatable_read", readonly=True)

    async def release() -> None:
        try:
            await _undone(connection, transaction)
        finally:
            await pool.release(connection)

    try:
        await _whole(connection, transaction.start())
    except asyncio.CancelledError:
        await release()  # It was begun to its end: left open, the pool would have to reset the connection.
        raise
    except BaseException:
        await pool.release(connection)
        raise

    return Snapshot(_postgres_wrapper(client, connection), lambda: asyncio.shield(release()))


@asynccontextmanager
async def _begin_sqlite(client: BaseDBAsyncClient) -> AsyncIterator[Db]:
    assert isinstance(client, SqliteClient)
    assert client._connection is not None
    connection = client._connection
    async with client._lock:
        try:
            await connection.begin("BEGIN IMMEDIATE")
            yield Transaction(client)
            await connection.commit()
        except BaseException:
            await connection.rollback()
            raise


async def _sqlite_snapshot(client: BaseDBAsyncClient, pool: asyncio.Queue[BaseDBAsyncClient]) -> Snapshot:
    assert isinstance(client, SqliteClient)
    assert client._connection is not None
    connection = client._connection
    try:
        await connection.begin("BEGIN")
    except BaseException:
        await connection.rollback()
        raise

    async def release() -> None:
        try:
            await connection.rollback()
        finally:
            pool.put_nowait(client)

    return Snapshot(Transaction(client), release)


async def _undone(connection: Any, transaction: Any) -> None:
    """By a lost connection it is already: what was met before is what the caller is told."""
    with suppress(*BY_POSTGRES):
        await _whole(connection, transaction.rollback(), is_last=True)


async def _whole(connection: Any, statement: Any, *, is_last: bool = False) -> None:
    """Runs to its end however often the caller is cancelled: a half-known transaction would poison the connection.

    Once nobody waits for what it says, or where it `is_last`, a server that is silent has a moment: then the connection
    is given up, and with it the transaction.
    """
    task = asyncio.ensure_future(statement)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task}, timeout=GOODBYE if is_last or cancelled is not None else None)
            if not task.done() and (is_last or cancelled is not None):
                with suppress(asyncpg.InterfaceError):  # The driver was faster.
                    connection.terminate()
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled from task.exception()
    task.result()


async def fetch(db: Db, statement: str, *values: object, is_long: bool = False) -> list[Row]:
    """Rows of a statement with `$1, $2, …`, also one with RETURNING. Booleans are 0 and 1 on SQLite.

    `is_long`: it may change many rows.
    """
    text, order = _dialect(statement, db.capabilities.dialect)
    if isinstance(db, Transaction):
        return await db.fetch(text, _ordered(values, order), is_long=is_long)
    return await db.execute_query_dict(text, _ordered(values, order))


async def execute(db: Db, statement: str, *values: object, is_long: bool = False) -> int:
    """Nothing where no row was changed. On SQLite what triggers changed beside is counted in."""
    text, order = _dialect(statement, db.capabilities.dialect)
    if isinstance(db, Transaction):
        return await db.change(text, _ordered(values, order), is_long=is_long)
    if is_long and isinstance(db, PostgresTransaction):
        told = await db._connection.execute(text, *_ordered(values, order), timeout=_LONGEST)
        return int(told.rpartition(" ")[2])
    count, _ = await db.execute_query(text, _ordered(values, order))
    return count


async def execute_many(db: Db, statement: str, rows: Sequence[Sequence[object]]) -> None:
    if rows:
        text, order = _dialect(statement, db.capabilities.dialect)
        ordered = rows if order is None else [_ordered(row, order) for row in rows]
        await db.execute_many(text, ordered)  # type: ignore[arg-type]  # Both drivers take any sequences.


async def insert_many(db: Db, table: str, columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
    """New rows, with which nothing that stands can be in conflict."""
    if not rows:
        return
    if isinstance(db, PostgresTransaction) and len(rows) >= _WORTH_COPYING:
        await db._connection.copy_records_to_table(table, records=_in_turns(rows), columns=columns)
    elif isinstance(db, Transaction):
        await db.insert(table, columns, rows)
    else:
        names, values = ", ".join(columns), marks(len(columns))
        await execute_many(db, f"INSERT INTO {table} ({names}) VALUES ({values})", rows)  # noqa: S608


async def _in_turns(rows: Sequence[tuple[object, ...]]) -> AsyncIterator[tuple[object, ...]]:
    """With a turn of the event loop now and then: the driver puts thousands into bytes before it sends any."""
    for number, row in enumerate(rows, 1):
        if number % _COPIED_IN_ONE_GO == 0:
            await asyncio.sleep(0)
        yield row


def models_of(kind: type[M], rows: Sequence[Row]) -> list[M]:
    """Whole rows as models, without the building of a query. Other columns are let go."""
    return [kind._init_from_db(**row) for row in rows]


@functools.lru_cache(maxsize=512)
def _dialect(statement: str, dialect: str) -> tuple[str, tuple[int, ...] | None]:
    """The statement as the database takes it, and its values' places in the order that it takes them."""
    if dialect != "sqlite":
        return statement, None
    # Plain marks: Python 3.12 up to 3.12.3 takes `?1` for a name, and warns of it.
    found = tuple(int(number) - 1 for number in _MARK.findall(statement))
    order = None if found == tuple(range(len(found))) else found
    # SQLite compares texts by code point anyway, which is what "C" asks of PostgreSQL.
    return _MARK.sub("?", statement.replace(' COLLATE "C"', "")), order


def _ordered(values: Sequence[object], order: tuple[int, ...] | None) -> list[object]:
    return list(values) if order is None else [values[place] for place in order]


def marks(count: int, *, after: int = 0) -> str:
    """`$1, $2, …`: placeholders for a list of `count` values that come after `after` others."""
    return ", ".join(f"${after + position}" for position in range(1, count + 1))
