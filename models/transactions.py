"""How transactions and snapshots begin and end on either database: whole, or their connection is given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient
from tortoise.backends.asyncpg.client import TransactionWrapper as PostgresTransaction
from tortoise.backends.base.client import BaseDBAsyncClient

from models.sql import Db
from models.sqlite import SqliteClient, Transaction
from models.unavailable import BY_POSTGRES

GOODBYE = 1.0
"""Seconds that a server has to end what nobody waits for any more. A process that ends has ten for all."""


class Snapshot:
    """One state of the database, read-only, until it is closed. Opened in one task, it may be closed in another."""

    def __init__(self, db: Db, release: Any) -> None:
        self.db = db
        self._release = release

    async def close(self) -> None:
        release, self._release = self._release, None
        if release is not None:
            await release()


@asynccontextmanager
async def postgres_transaction(client: BaseDBAsyncClient) -> AsyncIterator[Db]:
    """On a connection of the pool: committed at the end, undone on any exception."""
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


async def postgres_snapshot(client: AsyncpgDBClient) -> Snapshot:
    """On a connection of the pool, which has it back when the snapshot is closed."""
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
async def sqlite_transaction(client: BaseDBAsyncClient) -> AsyncIterator[Db]:
    """On the one connection that writes: committed at the end, undone on any exception."""
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


async def sqlite_snapshot(client: BaseDBAsyncClient, pool: asyncio.Queue[BaseDBAsyncClient]) -> Snapshot:
    """Given to the pool when it is closed; who asks keeps it where this raises."""
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
