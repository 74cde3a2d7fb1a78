"""Opens the database that a URL names, and brings its tables up to date."""

from __future__ import annotations

import asyncio
import fcntl
import os
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.context import TortoiseContext
from tortoise.exceptions import BaseORMException, OperationalError
from tortoise.migrations.executor import MigrationExecutor

import migrations
from models import MODULES
from models.database import Database
from models.sql import fetch
from models.transactions import GOODBYE
from models.unavailable import is_unavailable
from server.errors import CommandError

APP = "slotwire"
SQLITE_READERS = 4
ANSWERS_WITHIN = 30.0
"""Seconds of one statement: a PostgreSQL that is silent is not waited for without end. A migration may take longer."""
_CONNECTS_WITHIN = 10.0
_STANDS_STILL = ANSWERS_WITHIN / 2
"""Seconds of a transaction in which nothing is asked: no operation has one open for so long. What it has locked, a
machine that is lost or stands still would keep from others until the system gives its connection up, after hours: who
waits for it is served all the same."""
_MIGRATION_LOCK = 0x510_7312E  # Any number that is ours: two processes never migrate at once.


class _Lasting(asyncpg.Connection):
    """Given back to the pool without a word to the server: we set nothing that outlives a transaction."""

    def get_reset_query(self) -> str:
        return ""


class DatabaseUnusableError(CommandError):
    """The database can't be reached or is not ready."""


@asynccontextmanager
async def open_database(
    url: str,
    *,
    pool_size: int = 10,
    answers_within: float = ANSWERS_WITHIN,
    stands_still: float = _STANDS_STILL,
) -> AsyncIterator[Database]:
    """The database behind `sqlite:///path` or `postgres://user@host/name`, ready to use.

    Raises DatabaseUnusableError where it can't be reached, or its tables are older or newer than this code.
    """
    with of_its_files():
        is_missing = _is_sqlite(url) and not Path(_sqlite_path(url)).exists()
    if is_missing:
        # SQLite would make an empty file, which a mistyped path leaves behind.
        raise DatabaseUnusableError(
            f"The database is not migrated (there is no {_sqlite_path(url)}): run `python -m server migrate`."
        )
    connected = _connected(url, pool_size=pool_size, answers_within=answers_within, stands_still=stands_still)
    async with connected as (writer, readers):
        applied = await _applied(writer)
        if missing := [name for name in known_migrations() if name not in applied]:
            raise DatabaseUnusableError(
                f"The database is not migrated ({len(missing)} to go): run `python -m server migrate`."
            )
        if newer := sorted(applied.difference(known_migrations())):
            raise DatabaseUnusableError(
                f"The database was migrated by a newer Slotwire ({newer[-1]}): start that one."
            )
        database = Database(writer, readers)
        try:
            yield database
        finally:
            await database.close()


async def is_current(database: Database) -> bool:
    """Whether the tables are still those that this code was written for: they may be migrated while it runs."""
    async with database.reading() as db:
        rows = await fetch(db, "SELECT name FROM tortoise_migrations")
    return {row["name"] for row in rows} == set(known_migrations())


async def migrate(url: str) -> list[str]:
    """Applies what is missing; the names of the migrations that were applied."""
    if _is_sqlite(url):
        with of_its_files():
            sqlite_file(url).parent.mkdir(parents=True, exist_ok=True)
    async with _connected(url, pool_size=2) as (writer, _):
        with of_its_statements():
            async with _migrating(writer, url):
                return await _migrate(writer, url)


async def _migrate(writer: BaseDBAsyncClient, url: str) -> list[str]:
    applied = await _applied(writer)
    await MigrationExecutor(writer, _apps(writer.connection_name)).migrate()
    if _is_sqlite(url):
        # One whole file, that can be copied as it is.
        await writer.execute_query("PRAGMA wal_checkpoint(TRUNCATE)")
    return [name for name in known_migrations() if name not in applied]


def known_migrations() -> list[str]:
    """The names of this code's migrations, in order."""
    return sorted(path.stem for path in Path(migrations.__path__[0]).glob("[0-9]*.py"))


@contextmanager
def of_its_files() -> Iterator[None]:
    """SQLite's, and those beside it: what another user made, or a folder that is closed to us, is told in one line."""
    try:
        yield
    except OSError as error:
        raise DatabaseUnusableError(f"The database can't be reached: {_one_line(error)}") from error


@contextmanager
def of_its_statements() -> Iterator[None]:
    """What a database does not take that is stopped, stands by, or may only be read, is told in one line."""
    try:
        yield
    except Exception as error:
        if not is_unavailable(error):
            raise
        raise DatabaseUnusableError(f"The database can't do this now: {_one_line(error)}") from error


@asynccontextmanager
async def _connected(
    url: str, *, pool_size: int, answers_within: float | None = None, stands_still: float | None = None
) -> AsyncIterator[tuple[BaseDBAsyncClient, list[BaseDBAsyncClient]]]:
    connections = _connections(
        url, pool_size=pool_size, answers_within=answers_within, stands_still=stands_still
    )
    if _is_sqlite(url):
        _require_rights(sqlite_file(url))
    context = TortoiseContext()
    async with context:
        try:
            await context.init({"connections": connections, "apps": _apps(next(iter(connections)))})
            clients = [context.connections.get(name) for name in connections]
            for client in clients:
                await asyncio.wait_for(client.create_connection(with_db=True), 15)
        except (OSError, TimeoutError, BaseORMException, ssl.SSLError) as error:
            reason = _one_line(error.__cause__ or error)  # Tortoise's own words name what it was not told.
            raise DatabaseUnusableError(f"The database can't be reached: {reason}") from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in {"asyncpg", "sqlite3"}:
                raise
            raise DatabaseUnusableError(f"The database can't be reached: {_one_line(error)}") from error
        try:
            yield clients[0], clients[1:]
        finally:
            await _let_go(clients[0])


def _require_rights(file: Path) -> None:
    """To write it, and what SQLite keeps beside it while it is open.

    SQLite would open it all the same, and leave there what has no more rights than it has: which would keep it from
    being written once it may be again.
    """
    for path in (file, *(file.with_name(f"{file.name}-{part}") for part in ("wal", "shm"))):
        with of_its_files():
            # By the rights that it acts with. And what lies beside it goes as another process ends: it may just have.
            is_closed = path.exists() and not os.access(path, os.W_OK, effective_ids=True) and path.exists()
        if is_closed:
            raise DatabaseUnusableError(f"The database can't be written: {path} may only be read.")


async def _let_go(client: BaseDBAsyncClient) -> None:
    """Tortoise would wait for ten seconds: all that a process has to end."""
    if isinstance(client, AsyncpgDBClient) and client._pool is not None:
        try:
            await asyncio.wait_for(client._pool.close(), GOODBYE)
        except TimeoutError:
            client._pool.terminate()


def _connections(
    url: str, *, pool_size: int, answers_within: float | None = None, stands_still: float | None = None
) -> dict[str, Any]:
    if _is_sqlite(url):
        path = _sqlite_path(url)
        # Full: an acknowledged booking survives a power cut.
        pragmas = {"busy_timeout": 10_000, "synchronous": "FULL", "foreign_keys": "OFF"}
        # Of a new database: a first sync, whose index entries come in no order, writes fewer leaves again and again.
        pragmas["page_size"] = 8_192
        # 4 MB of pages: with SQLite's own 2, a first sync writes the same leaves of its indexes again and again.
        pragmas["cache_size"] = -4_000
        # Tortoise's 16 KB would have the write-ahead log cut off, and grown anew, whenever it was checkpointed.
        pragmas["journal_size_limit"] = 8 << 20
        reading = {"busy_timeout": 10_000, "query_only": "ON"}
        # The names tell the dialects apart: Tortoise caches INSERT statements by connection name.
        names = {"sqlite": pragmas, **{f"reader{number}": reading for number in range(SQLITE_READERS)}}
        return {
            name: {"engine": "models.sqlite", "credentials": {"file_path": path, **settings}}
            for name, settings in names.items()
        }
    # One of them glances for as long as the process lives.
    credentials = {
        "connect": partial(_connect_to, url),
        "minsize": 1, "maxsize": max(pool_size, 2), "connection_class": _Lasting,
        "command_timeout": answers_within, "timeout": min(answers_within or _CONNECTS_WITHIN, _CONNECTS_WITHIN),
    }  # fmt: skip
    if stands_still is not None:
        credentials["init"] = partial(_end_what_stands_still, after=stands_still)
    return {"postgres": {"engine": "tortoise.backends.asyncpg", "credentials": credentials}}


async def _connect_to(url: str, _: None, **settings: Any) -> asyncpg.Connection[Any]:
    """By the URL as asyncpg reads it, for the bell too: Tortoise knows no `sslmode`, and hands on its own defaults."""
    for name in ("host", "port", "user", "password", "database"):
        settings.pop(name)
    connection: asyncpg.Connection[Any] = await asyncpg.connect(url, **settings)
    return connection


async def _end_what_stands_still(connection: asyncpg.Connection, *, after: float) -> None:
    """Said once a connection, and not as it is made: what stands between may take no settings then."""
    await connection.execute(f"SET idle_in_transaction_session_timeout = {int(after * 1000)}")


def _apps(connection: str) -> dict[str, Any]:
    return {APP: {"models": list(MODULES), "default_connection": connection, "migrations": "migrations"}}


async def _applied(writer: BaseDBAsyncClient) -> set[str]:
    # Not Tortoise's own recorder: it takes every error for an empty database.
    try:
        _, rows = await writer.execute_query("SELECT name FROM tortoise_migrations")
    except OperationalError as error:
        # PostgreSQL tells it in its own language (lc_messages), SQLite in English alone.
        if isinstance(error.__cause__, asyncpg.UndefinedTableError) or "no such table" in str(error):
            return set()
        raise DatabaseUnusableError(f"The database can't be read: {_one_line(error)}") from error
    return {row["name"] for row in rows}


@asynccontextmanager
async def _migrating(writer: BaseDBAsyncClient, url: str) -> AsyncIterator[None]:
    """Holds off every other process that would migrate the same database."""
    if isinstance(writer, AsyncpgDBClient):
        assert writer._pool is not None
        async with writer._pool.acquire() as connection:
            await connection.execute("SELECT pg_advisory_lock($1)", _MIGRATION_LOCK)
            try:
                yield
            finally:
                await connection.execute("SELECT pg_advisory_unlock($1)", _MIGRATION_LOCK)
        return
    with of_its_files():
        lock = Path(f"{_sqlite_path(url)}.lock").open("w")  # noqa: SIM115 - it is closed below.
    with lock as held:
        await asyncio.to_thread(fcntl.flock, held, fcntl.LOCK_EX)
        yield


def _is_sqlite(url: str) -> bool:
    return url.startswith("sqlite:")


def sqlite_file(url: str) -> Path:
    """One path however it is spelled."""
    return Path(_sqlite_path(url)).resolve()


def _sqlite_path(url: str) -> str:
    # Three slashes and a relative path, four and an absolute one, as is the custom.
    return url.removeprefix("sqlite:///")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


TORTOISE = {"connections": _connections("sqlite:///:memory:", pool_size=1), "apps": _apps("sqlite")}
"""For `tortoise -c server.database.TORTOISE makemigrations`."""
