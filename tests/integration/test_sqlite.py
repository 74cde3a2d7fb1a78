"""SQLite: what is small runs where it is awaited, what may take long in a thread, and nothing is left half done."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tortoise.exceptions import IntegrityError, OperationalError

from models import sqlite_connection
from models.sql import execute, fetch, insert_many
from models.sqlite_connection import MOST_ROWS_AT_ONCE, ROWS_OF_A_STATEMENT, Connection
from server.database import migrate, open_database

HERE = threading.get_ident()
WITHIN = 60.0
COUNTED = "(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT COUNT(*) FROM n)"


@pytest.fixture
async def connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Connection]:
    """With a table of threads, and a function that names the one it is called in. No machine is too slow for a turn."""
    monkeypatch.setattr(sqlite_connection, "LONGEST_TURN", WITHIN)
    opened = Connection(str(tmp_path / "threads.sqlite3"), patience=100)
    await opened.execute("PRAGMA journal_mode = WAL")
    await opened.execute("CREATE TABLE thread (id INTEGER)")
    opened._conn.create_function("thread", 0, threading.get_ident)
    yield opened
    await opened.close()


async def threads(connection: Connection) -> set[int]:
    return {row["id"] for row in await connection.execute_fetchall("SELECT id FROM thread")}


async def test_a_small_statement_runs_where_it_is_awaited(connection: Connection) -> None:
    await connection.begin("BEGIN IMMEDIATE")
    [row] = await connection.execute_fetchall("SELECT thread() AS id")
    await connection.execute_insert("INSERT INTO thread VALUES (thread())")
    await connection.execute_fetchall("UPDATE thread SET id = thread()")
    await connection.executemany("INSERT INTO thread SELECT thread() + ?", [(0,)] * MOST_ROWS_AT_ONCE)
    await connection.commit()
    assert {row["id"]} | await threads(connection) == {HERE}


@pytest.mark.parametrize("way", ["many rows", "said to be long", "a deletion"])
async def test_what_may_take_long_runs_in_a_thread(connection: Connection, way: str) -> None:
    if way == "many rows":
        rows = [(0,)] * (MOST_ROWS_AT_ONCE + 1)
        await connection.executemany("INSERT INTO thread SELECT thread() + ?", rows)
    elif way == "said to be long":
        await connection.execute_fetchall("INSERT INTO thread VALUES (thread())", is_long=True)
    else:
        await connection.execute("INSERT INTO thread VALUES (0)")
        [row] = await connection.execute_fetchall("DELETE FROM thread RETURNING thread() AS id")
        await connection.execute("INSERT INTO thread VALUES (?)", [row["id"]])
    found = await threads(connection)
    assert len(found) == 1
    assert HERE not in found


async def test_a_commit_waits_for_the_disk_in_the_thread_and_for_nothing_where_nothing_was_written(
    connection: Connection,
) -> None:
    seen: list[tuple[str, bool]] = []
    connection._conn.set_trace_callback(lambda text: seen.append((text, threading.get_ident() == HERE)))
    await connection.begin("BEGIN IMMEDIATE")
    await connection.execute_fetchall("SELECT id FROM thread")
    await connection.commit()
    await connection.begin("BEGIN IMMEDIATE")
    await connection.execute("INSERT INTO thread VALUES (1)")
    await connection.commit()
    assert [is_here for text, is_here in seen if text == "COMMIT"] == [True, False]


async def test_a_select_that_takes_too_long_is_made_anew_in_the_thread(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_connection, "LONGEST_TURN", -1.0)
    await connection.begin("BEGIN IMMEDIATE")
    await connection.execute("INSERT INTO thread VALUES (1)")
    [row] = await connection.execute_fetchall(f"SELECT {COUNTED} AS count, thread() AS id")
    assert row["count"] == 20000
    assert row["id"] != HERE
    await connection.commit()
    assert await threads(connection) == {1}, "and the transaction stands"


async def test_many_small_statements_leave_the_others_their_turn(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await asyncio.sleep(0)
    for _ in range(10):
        await connection.execute_fetchall("SELECT id FROM thread")
    assert turns == 1, "short as they are"
    monkeypatch.setattr(sqlite_connection, "LONGEST_TURN", -1.0)
    for _ in range(10):
        await connection.execute_fetchall("SELECT id FROM thread")
    counting.cancel()
    assert turns >= 10


async def test_a_short_statement_waits_for_the_long_one_before_it(connection: Connection) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> int:
        begun.set()
        assert go_on.wait(WITHIN)
        return 1

    connection._conn.create_function("hold", 0, hold)
    long = asyncio.create_task(
        connection.execute_fetchall("INSERT INTO thread VALUES (hold())", is_long=True)
    )
    await asyncio.to_thread(begun.wait, WITHIN)
    short = asyncio.create_task(threads(connection))
    await asyncio.sleep(0)
    assert not short.done()
    go_on.set()
    assert await short == {1}
    await long


async def test_what_was_begun_in_the_thread_ends_before_its_caller_is_cancelled(
    connection: Connection,
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold(text: str) -> None:
        if text == "COMMIT":
            begun.set()
            assert go_on.wait(WITHIN)

    await connection.begin("BEGIN IMMEDIATE")
    await connection.execute("INSERT INTO thread VALUES (1)")
    connection._conn.set_trace_callback(hold)
    commit = asyncio.create_task(connection.commit())
    await asyncio.to_thread(begun.wait, WITHIN)
    commit.cancel()
    await asyncio.wait({commit}, timeout=0.05)
    assert not commit.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await commit
    await connection.rollback()
    assert await threads(connection) == {1}, "it was committed"


async def test_a_lock_that_another_holds_is_waited_for_and_the_loop_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "slotwire.sqlite3"
    await migrate(f"sqlite:///{path}")
    async with open_database(f"sqlite:///{path}") as database:

        async def write() -> None:
            async with database.writing() as db:
                await execute(db, "INSERT INTO deployment_fact (name, value) VALUES ($1, $2)", "a", "b")

        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(write())
        for _ in range(10):
            await asyncio.sleep(0.01)
            async with database.reading() as db:
                assert await fetch(db, "SELECT name FROM deployment_fact WHERE name = 'a'") == []
        assert not writing.done()
        holder.execute("ROLLBACK")
        holder.close()
        await asyncio.wait_for(writing, WITHIN)


async def test_a_lock_that_is_not_given_up_is_an_error_in_the_end(
    connection: Connection, tmp_path: Path
) -> None:
    holder = sqlite3.connect(tmp_path / "threads.sqlite3", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        await connection.begin("BEGIN IMMEDIATE")
    holder.close()
    await connection.begin("BEGIN IMMEDIATE")
    await connection.rollback()


async def test_without_a_log_a_commit_waits_for_who_reads(tmp_path: Path) -> None:
    path = tmp_path / "no_log.sqlite3"
    connection = Connection(str(path), patience=int(WITHIN * 1000))
    await connection.execute("CREATE TABLE thread (id INTEGER)")
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT id FROM thread").fetchall()
    await connection.begin("BEGIN IMMEDIATE")
    await connection.execute("INSERT INTO thread VALUES (1)")
    committing = asyncio.create_task(connection.commit())
    for _ in range(10):
        await asyncio.sleep(0.01)
    assert not committing.done()
    reader.close()
    await asyncio.wait_for(committing, WITHIN)
    assert await threads(connection) == {1}
    await connection.close()


async def test_what_a_statement_meets_is_told_as_tortoise_tells_it(tmp_path: Path) -> None:
    path = tmp_path / "slotwire.sqlite3"
    await migrate(f"sqlite:///{path}")
    async with open_database(f"sqlite:///{path}") as database, database.reading() as db:
        with pytest.raises(OperationalError, match="no such table"):
            await fetch(db, "SELECT * FROM nowhere")


@pytest.mark.parametrize(
    "value",
    [
        "plain-1",
        "",
        "[]",
        "it's",
        'a "b"',
        "a\0b",
        "Größe",
        "-- x",
        "?",
        "NULL",
        None,
        True,
        False,
        0,
        -5,
        1.5,
        1 << 62,
    ],
)
async def test_what_all_new_rows_have_in_common_is_stored_as_it_is(tmp_path: Path, value: object) -> None:
    url = f"sqlite:///{tmp_path / 'common.sqlite3'}"
    await migrate(url)
    rows: list[tuple[object, ...]] = [
        (n, -n, value, value, "its own" * n) for n in range(MOST_ROWS_AT_ONCE + 1)
    ]
    async with open_database(url) as database, database.writing() as db:
        await execute(db, "CREATE TABLE common (id, other, one, two, own)")
        await insert_many(db, "common", ("id", "other", "one", "two", "own"), rows)
        found = await fetch(db, "SELECT * FROM common ORDER BY id")
    assert [tuple(row.values()) for row in found] == rows


async def test_rows_of_which_one_alone_differs_keep_the_difference(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'differ.sqlite3'}"
    await migrate(url)
    rows: list[tuple[object, ...]] = [*((n, n, "most") for n in range(MOST_ROWS_AT_ONCE)), (99, 99, "last")]
    async with open_database(url) as database, database.writing() as db:
        await execute(db, "CREATE TABLE common (id, other, one)")
        await insert_many(db, "common", ("id", "other", "one"), rows)
        found = await fetch(db, "SELECT * FROM common ORDER BY id")
    assert [tuple(row.values()) for row in found] == rows


@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_as_many_rows_as_fill_some_statements_and_one_more_or_less_are_all_stored(
    tmp_path: Path, over: int
) -> None:
    url = f"sqlite:///{tmp_path / 'many.sqlite3'}"
    await migrate(url)
    count = ROWS_OF_A_STATEMENT * (MOST_ROWS_AT_ONCE // ROWS_OF_A_STATEMENT + 2) + over
    rows: list[tuple[object, ...]] = [(n, -n, n % 2 == 0, f"its own {n}") for n in range(count)]
    async with open_database(url) as database, database.writing() as db:
        await execute(db, "CREATE TABLE many (id, other, one, own)")
        await insert_many(db, "many", ("id", "other", "one", "own"), rows)
        found = await fetch(db, "SELECT * FROM many ORDER BY id")
    assert [tuple(row.values()) for row in found] == rows


@pytest.mark.parametrize("at", [0, MOST_ROWS_AT_ONCE, ROWS_OF_A_STATEMENT * 4])
async def test_of_rows_of_which_one_is_refused_none_is_stored(tmp_path: Path, at: int) -> None:
    url = f"sqlite:///{tmp_path / 'refused.sqlite3'}"
    await migrate(url)
    rows: list[tuple[object, ...]] = [(n, -n) for n in range(ROWS_OF_A_STATEMENT * 4 + 1)]
    async with open_database(url) as database:
        async with database.writing() as db:
            await execute(db, "CREATE TABLE refused (id PRIMARY KEY, other)")
            await execute(db, "INSERT INTO refused VALUES ($1, 0)", at)
        with pytest.raises(IntegrityError):
            async with database.writing() as db:
                await insert_many(db, "refused", ("id", "other"), rows)
        async with database.reading() as db:
            found = await fetch(db, "SELECT * FROM refused")
    assert [tuple(row.values()) for row in found] == [(at, 0)]


async def test_what_goes_as_another_process_ends_keeps_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, beside, access = f"sqlite:///{tmp_path / 's.sqlite3'}", tmp_path / "s.sqlite3-wal", os.access

    def asked_late(path: Path, mode: int, **how: bool) -> bool:
        if path == beside:
            beside.unlink()
        return access(path, mode, **how)

    await migrate(url)
    beside.touch()
    monkeypatch.setattr(os, "access", asked_late)
    async with open_database(url):
        pass
