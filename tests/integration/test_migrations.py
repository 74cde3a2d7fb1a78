"""Each migration keeps the rows that it finds, there and back."""

from __future__ import annotations

from typing import cast

import asyncpg
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.exceptions import OperationalError
from tortoise.migrations.executor import MigrationExecutor, MigrationTarget

from models.bell import Bell
from models.sql import Db, execute, fetch
from server.database import APP, _applied, _apps, _connected, known_migrations, open_database
from tests.integration.engine import at, engine_on, event

TABLES = ("resource", "event", "blocked_slot", "appointment")
_INDEXES = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') ORDER BY name",
    "postgres": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname",
}


async def _fill(url: str, bell: Bell) -> None:
    async with open_database(url) as database:
        engine = await engine_on(database, bell)
        home = engine.server.calendars["/1/calendars/home/"]
        for day in range(3, 25):
            home.put(f"d{day}", event(f"d{day}", at(day, 9), at(day + day % 4, 10)))
        await engine.choose(linked="Home")
        await engine.book(at(26, 9), at(26, 10))
        await engine.push()
        await engine.poll()


async def _indexes(db: Db) -> list[dict[str, object]]:
    return await fetch(db, _INDEXES[db.capabilities.dialect])


async def _rows(db: Db) -> list[list[dict[str, object]]]:
    return [await fetch(db, f"SELECT * FROM {table} ORDER BY id") for table in TABLES]


async def test_rows_and_indexes_are_whole_there_and_back(database_url: str, bell: Bell) -> None:
    await _fill(database_url, bell)
    async with _connected(database_url, pool_size=2) as (db, _):

        async def to(name: str) -> None:
            await MigrationExecutor(db, _apps(db.connection_name)).migrate([MigrationTarget(APP, name)])

        rows, last = await _rows(db), known_migrations()[-1]
        assert all(rows)
        seen = {last: await _indexes(db)}
        # 0003 and 0004 add columns that the models know.
        for name in reversed([each for each in known_migrations() if "0005" <= each < last]):
            await to(name)
            assert await _rows(db) == rows
            seen[name] = await _indexes(db)
        for name in sorted(seen):
            await to(name)
            assert (await _rows(db), await _indexes(db)) == (rows, seen[name])


async def test_an_empty_database_is_told_in_any_language() -> None:
    """PostgreSQL speaks that of its cluster: `lc_messages`."""

    class German:
        async def execute_query(self, _: str) -> None:
            error = asyncpg.UndefinedTableError("Relation »tortoise_migrations« existiert nicht")
            raise OperationalError(error) from error

    assert await _applied(cast("BaseDBAsyncClient", German())) == set()


async def test_no_slot_is_left_whose_event_is_gone(database_url: str, bell: Bell) -> None:
    """An older version kept such a one until the next day, and now nothing else would find it."""
    await _fill(database_url, bell)
    async with _connected(database_url, pool_size=2) as (db, _):
        migrate = MigrationExecutor(db, _apps(db.connection_name)).migrate
        await migrate([MigrationTarget(APP, "0006_indexes")])
        [gone, *left] = [row["event_id"] for row in await fetch(db, "SELECT event_id FROM blocked_slot")]
        await execute(db, "DELETE FROM event WHERE id = $1", gone)
        await execute(
            db, "UPDATE blocked_slot SET source = 'MANUAL', event_id = NULL WHERE event_id = $1", left[0]
        )
        await migrate([MigrationTarget(APP, "0007_narrower")])
        stands = {row["event_id"] for row in await fetch(db, "SELECT event_id FROM blocked_slot")}
        assert stands == {None, *left[1:]}
