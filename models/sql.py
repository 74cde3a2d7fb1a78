"""Plain SQL with `$1, $2, …` for both databases, inside a transaction or a snapshot."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar

from tortoise.backends.asyncpg.client import TransactionWrapper as PostgresTransaction
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.models import Model

from models.sqlite import Transaction

Db = BaseDBAsyncClient
"""A connection inside a transaction or a snapshot. Handed from function to function, never found by context."""

Row = dict[str, Any]
M = TypeVar("M", bound=Model)

_LONGEST = 600.0
"""Seconds of a statement that may change many rows: by them no silent server is known."""
_WORTH_COPYING = 20
"""Rows. PostgreSQL's COPY takes half the CPU of INSERT at both ends, and one more round trip."""
_COPIED_IN_ONE_GO = 100
"""Rows put into bytes before the event loop has a turn."""
_MARK = re.compile(r"\$(\d+)")


async def fetch(db: Db, statement: str, *values: object, is_long: bool = False) -> list[Row]:
    """Rows of a statement with `$1, $2, …`, also one with RETURNING. Booleans are 0 and 1 on SQLite.

    `is_long`: it may change many rows.
    """
    text, order = in_dialect(statement, db.capabilities.dialect)
    if isinstance(db, Transaction):
        return await db.fetch(text, in_order(values, order), is_long=is_long)
    return await db.execute_query_dict(text, in_order(values, order))


async def execute(db: Db, statement: str, *values: object, is_long: bool = False) -> int:
    """Nothing where no row was changed. On SQLite what triggers changed beside is counted in."""
    text, order = in_dialect(statement, db.capabilities.dialect)
    if isinstance(db, Transaction):
        return await db.change(text, in_order(values, order), is_long=is_long)
    if is_long and isinstance(db, PostgresTransaction):
        told = await db._connection.execute(text, *in_order(values, order), timeout=_LONGEST)
        return int(told.rpartition(" ")[2])
    count, _ = await db.execute_query(text, in_order(values, order))
    return count


async def execute_many(db: Db, statement: str, rows: Sequence[Sequence[object]]) -> None:
    if rows:
        text, order = in_dialect(statement, db.capabilities.dialect)
        ordered = rows if order is None else [in_order(row, order) for row in rows]
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
def in_dialect(statement: str, dialect: str) -> tuple[str, tuple[int, ...] | None]:
    """The statement as the database takes it, and its values' places in the order that it takes them."""
    if dialect != "sqlite":
        return statement, None
    # Plain marks: Python 3.12 up to 3.12.3 takes `?1` for a name, and warns of it.
    found = tuple(int(number) - 1 for number in _MARK.findall(statement))
    order = None if found == tuple(range(len(found))) else found
    # SQLite compares texts by code point anyway, which is what "C" asks of PostgreSQL.
    return _MARK.sub("?", statement.replace(' COLLATE "C"', "")), order


def in_order(values: Sequence[object], order: tuple[int, ...] | None) -> list[object]:
    """A statement's values by what `in_dialect` says of them."""
    return list(values) if order is None else [values[place] for place in order]


def marks(count: int, *, after: int = 0) -> str:
    """`$1, $2, …`: placeholders for a list of `count` values that come after `after` others."""
    return ", ".join(f"${after + position}" for position in range(1, count + 1))
