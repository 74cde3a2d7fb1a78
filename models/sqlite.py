"""SQLite as a backend of Tortoise, over a connection of our own; its name is what Tortoise is given."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

from tortoise.backends.sqlite import client as tortoise_client
from tortoise.exceptions import IntegrityError, OperationalError

from models.sqlite_connection import MOST_ROWS_AT_ONCE, ROWS_OF_A_STATEMENT, Connection

T = TypeVar("T")

_PLAIN = re.compile(r"[A-Za-z0-9_\[\]-]*")
"""Ids, words, an empty list: nothing that a quote or a sign could end."""
_AS_TORTOISE = {sqlite3.OperationalError: OperationalError, sqlite3.IntegrityError: IntegrityError}


class Transaction(tortoise_client.SqliteTransactionWrapper):
    """A transaction or a snapshot, for Tortoise's queries and our own statements."""

    _connection: Connection  # type: ignore[assignment]

    async def fetch(self, sql: str, values: Sequence[object], *, is_long: bool) -> list[dict[str, Any]]:
        rows = await self._told(sql, values, self._connection.execute_fetchall(sql, values, is_long=is_long))
        if not rows:
            return []
        names = rows[0].keys()  # `dict(row)` would look each of them up by name, one after the other.
        return [dict(zip(names, row, strict=True)) for row in rows]

    async def change(self, sql: str, values: Sequence[object], *, is_long: bool) -> int:
        """How many rows it changed, or gave."""
        return await self._told(sql, values, self._connection.change(sql, values, is_long=is_long))

    async def _told(self, sql: str, values: Sequence[object], doing: Awaitable[T]) -> T:
        """In the log, and what it meets as Tortoise tells it."""
        self.log.debug("%s: %s", sql, values)
        try:
            return await doing
        except (sqlite3.OperationalError, sqlite3.IntegrityError) as error:
            raise _AS_TORTOISE[type(error)](error) from error

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """What all rows have in common is written into the statement: to bind a value takes as long as to store it."""
        # Or fail: no page is kept aside to undo one statement of many rows. The transaction is undone.
        into = f"INSERT OR FAIL INTO {table} ({', '.join(columns)}) VALUES "  # noqa: S608
        if len(rows) <= MOST_ROWS_AT_ONCE:
            await self.execute_many(f"{into}({', '.join('?' * len(columns))})", rows)
            return
        by_column = list(zip(*rows, strict=True))
        common = _common(by_column)
        own = [column for place, column in enumerate(by_column) if place not in common]
        values = f"({', '.join(common.get(place, '?') for place in range(len(columns)))})"
        one, several = into + values, into + ", ".join([values] * ROWS_OF_A_STATEMENT)
        await self._told(one, rows, self._connection.insert(one, several, list(zip(*own, strict=True))))


def _common(columns: Sequence[tuple[Any, ...]]) -> dict[int, str]:
    """By its place, in SQL: what is the same in each row, and plain enough to be written so. Never the first."""
    return {
        place: text
        for place, column in enumerate(columns)
        if place and column.count(column[0]) == len(column) and (text := _literal(column[0])) is not None
    }


def _literal(value: object) -> str | None:
    match value:
        case None:
            return "NULL"
        case int() if abs(value) < 1 << 63:
            return str(int(value))
        case str() if _PLAIN.fullmatch(value):
            return f"'{value}'"
    return None


class SqliteClient(tortoise_client.SqliteClient):
    """Tortoise's own, over a connection of ours."""

    _connection: Connection | None  # type: ignore[assignment]

    async def create_connection(self, with_db: bool) -> None:  # noqa: ARG002, FBT001 - as Tortoise calls it.
        if self._connection is not None:
            return
        pragmas = dict(self.pragmas)
        connection = Connection(self.filename, patience=int(pragmas.pop("busy_timeout")))
        try:
            for name, value in pragmas.items():
                await connection.execute(f"PRAGMA {name} = {value}")
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        await self._post_connect()


client_class = SqliteClient
