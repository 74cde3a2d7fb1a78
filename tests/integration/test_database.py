"""The door to the database: one text of a statement for both dialects."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from models.database import Database
from models.glances import GlanceError
from models.sql import execute, execute_many, fetch, insert_many
from models.unavailable import is_unavailable
from server.database import DatabaseUnusableError, open_database
from server.services import open_parts
from tests.e2e.serving import settings_with

SSL_REQUEST = (8).to_bytes(4) + (80_877_103).to_bytes(4)
"""PostgreSQL's protocol, 55.2.10: what a client sends before all else where it wants TLS."""
INSERT = "INSERT INTO deployment_fact (name, value) VALUES ($2, $1)"


async def test_marks_take_their_values_by_number_in_any_order_and_more_than_once(database: Database) -> None:
    async with database.writing() as db:
        await execute_many(db, INSERT, [("one", "a"), ("two", "b")])
        assert await execute(db, "UPDATE deployment_fact SET value = $2 WHERE name = $1", "b", "2") == 1
    async with database.reading() as db:
        rows = await fetch(
            db,
            "SELECT name, value FROM deployment_fact WHERE (value = $2 OR $2 = $1) AND name IN ($3, $4, $3)",
            *("x", "2", "b", "a"),
        )
    assert rows == [{"name": "b", "value": "2"}]


@pytest.mark.parametrize(
    "database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
async def test_the_url_of_a_postgresql_takes_what_libpqs_take(database_url: str) -> None:
    async with open_database(f"{database_url}?sslmode=disable") as database, database.reading() as db:
        assert await fetch(db, "SELECT 1 AS one") == [{"one": 1}]
    with pytest.raises(DatabaseUnusableError, match="verify-full"):
        async with open_database(f"{database_url}?sslmode=perhaps"):
            pass


async def test_a_postgresql_without_tls_is_not_spoken_to_where_the_url_asks_for_it() -> None:
    heard = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readexactly(8))
        writer.write(b"N")
        heard.append(await reader.read())
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(DatabaseUnusableError, match="rejected SSL"):
            async with open_database(f"postgres://u:hunter2@127.0.0.1:{port}/x?sslmode=require"):
                pass
    assert heard == [SSL_REQUEST, b""]


@pytest.mark.parametrize(
    "database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
async def test_the_event_loop_has_turns_while_thousands_of_rows_are_put_into_bytes(
    database: Database,
) -> None:
    taken = Counter[int]()
    turn = 0

    class Watched(list[tuple[object, ...]]):
        """Counts what is taken of it in each turn of the loop."""

        def __iter__(self) -> Iterator[tuple[object, ...]]:
            for row in super().__iter__():
                taken[turn] += 1
                yield row

    async def count() -> None:
        nonlocal turn
        while True:
            await asyncio.sleep(0)
            turn += 1

    counting = asyncio.create_task(count())
    rows = Watched((f"name-{number}", "value") for number in range(3_000))
    async with database.writing() as db:
        await insert_many(db, "deployment_fact", ("name", "value"), rows)
    counting.cancel()
    async with database.reading() as db:
        [found] = await fetch(db, "SELECT COUNT(*) AS number FROM deployment_fact WHERE value = 'value'")
    assert found["number"] == sum(taken.values()) == 3_000
    assert max(taken.values()) <= 100


@pytest.mark.parametrize(
    "database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
async def test_who_is_let_out_of_a_ring_of_waits_is_not_to_blame(database: Database) -> None:
    async with database.writing() as db:
        await execute_many(db, INSERT, [("one", "a"), ("two", "b")])
    both = asyncio.Barrier(2)

    async def change(*names: str) -> None:
        async with database.writing() as db:
            for name in names:
                await execute(db, "UPDATE deployment_fact SET value = value WHERE name = $1", name)
                if name == names[0]:
                    await both.wait()

    met = await asyncio.gather(change("a", "b"), change("b", "a"), return_exceptions=True)
    [error] = [each for each in met if each is not None]
    assert is_unavailable(error)


@pytest.mark.parametrize(
    "database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
@pytest.mark.parametrize(
    ("state", "is_away"),
    [
        ("53100", True),  # Its disk is full.
        ("53200", True),  # Its memory is.
        ("53300", True),  # All connections are taken.
        ("57014", True),  # A statement took too long, as its operator says.
        ("57P01", True),  # It is told to end.
        ("57P03", True),  # It starts, and takes nobody yet.
        ("58030", True),  # Its disk fails.
        ("55P03", True),  # Another has it locked for longer than its operator lets wait.
        ("25006", True),  # It stands by for the one that failed, and takes no writes yet.
        ("25P03", True),  # Nothing was asked for too long.
        ("25P04", True),  # A transaction took too long, as its operator says.
        ("28000", True),  # Our role may not come in.
        ("28P01", True),  # Its password is another one.
        ("3D000", True),  # The database has another name.
        ("42501", True),  # A right was taken from our role.
        ("55000", True),  # The database takes nobody.
        ("25P02", False),
        ("22012", False),
        ("42P01", False),
        ("P0001", False),
    ],
)
async def test_what_a_database_that_is_away_says_is_told_from_our_own_faults(
    database: Database, state: str, *, is_away: bool
) -> None:
    with pytest.raises(Exception) as met:
        async with database.writing() as db:
            await execute(db, f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END $$")
    assert is_unavailable(met.value) is is_away


@pytest.mark.parametrize(
    "database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
async def test_one_that_its_administrator_closes_for_a_while_is_away(
    database: Database, database_url: str
) -> None:
    server, _, name = database_url.rpartition("/")
    administrator = await asyncpg.connect(f"{server}/postgres")
    try:
        await administrator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await administrator.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = $1", name
        )
        for _ in range(2):  # The first finds its connection lost, the second gets none.
            with pytest.raises(Exception, check=is_unavailable):  # noqa: B017 - as the check says.
                async with database.writing() as db:
                    await fetch(db, "SELECT 1")
    finally:
        await administrator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await administrator.close()
    async with database.writing() as db:
        assert await fetch(db, "SELECT 1 AS one") == [{"one": 1}]


@pytest.mark.parametrize(
    "database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
async def test_one_that_takes_no_writes_is_not_there_to_write_to(database: Database) -> None:
    """As after a failover, or where the one that stood by has not taken over yet."""

    async def write() -> None:
        async with database.writing() as db:
            await execute(db, "SET TRANSACTION READ ONLY")
            await fetch(db, "UPDATE timeline SET seq = seq RETURNING seq")

    with pytest.raises(Exception, check=is_unavailable):  # noqa: B017 - as the check says.
        await write()


def test_a_connection_that_is_lost_between_two_statements_is_no_fault_of_ours() -> None:
    """PostgreSQL says that it goes, and the driver has not seen yet that it is gone."""
    error = asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress")
    assert is_unavailable(error)


@pytest.mark.parametrize("is_part", [False, True])
async def test_a_snapshot_that_is_cancelled_while_it_opens_leaves_nothing_open(
    database: Database, caplog: pytest.LogCaptureFixture, *, is_part: bool
) -> None:
    database = database.part(1) if is_part else database
    for turns in range(60):
        opening = asyncio.ensure_future(database.open_snapshot())
        for _ in range(turns):
            await asyncio.sleep(0)
        opening.cancel()
        with suppress(asyncio.CancelledError):
            await (await opening).close()
    async with database.reading() as db:
        await fetch(db, "SELECT 1")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def crowd(database: Database, inside: list[int], may_end: asyncio.Event) -> None:
    async with database.writing() as db:
        await fetch(db, "SELECT 1")
        inside.append(1)
        await may_end.wait()


async def test_a_part_has_so_many_connections_at_once_and_the_whole_has_the_others(
    database: Database,
) -> None:
    part, inside, may_end = database.part(2), list[int](), asyncio.Event()
    async with asyncio.timeout(60):
        waiting = [asyncio.create_task(crowd(part, inside, may_end)) for _ in range(30)]
        while not inside:
            await asyncio.sleep(0.01)
        async with database.reading() as db:
            await fetch(db, "SELECT 1")
        assert len(inside) <= 2
        may_end.set()
        await asyncio.gather(*waiting)
    assert len(inside) == 30


async def test_who_asks_a_server_is_answered_while_its_polls_wait_for_the_database(
    database_url: str, tmp_path: Path
) -> None:
    settings = settings_with(DATABASE_URL=database_url, SEALING_KEY_FILE=str(tmp_path / "s.key"))
    inside, may_end = list[int](), asyncio.Event()
    async with open_parts(settings, {}) as parts, asyncio.timeout(60):
        of_polls = parts.sync.context.database
        waiting = [asyncio.create_task(crowd(of_polls, inside, may_end)) for _ in range(30)]
        while not inside:
            await asyncio.sleep(0.01)
        async with parts.services.database.reading() as db:
            await fetch(db, "SELECT 1")
        may_end.set()
        await asyncio.gather(*waiting)


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_transaction_that_is_cancelled_again_and_again_leaves_nothing_open(
    database: Database, caplog: pytest.LogCaptureFixture, times: int
) -> None:
    """While it begins, in it, and while its end is under way."""

    async def write() -> None:
        async with database.writing() as db:
            await execute(db, "UPDATE deployment_fact SET value = value")

    for turns in range(30):
        writing = asyncio.ensure_future(write())
        for _ in range(turns):
            await asyncio.sleep(0)
        for _ in range(times):
            writing.cancel()
            for _ in range(3):
                await asyncio.sleep(0)
        await asyncio.gather(writing, return_exceptions=True)
    async with database.writing() as db:
        await execute(db, "UPDATE deployment_fact SET value = value")
    assert not [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]


async def test_a_connection_is_given_back_without_a_word_to_the_server(database: Database) -> None:
    if not database.is_postgres:
        return
    pool, sent = database._writer._pool, list[str]()
    async with pool.acquire() as connection:
        connection.add_query_logger(lambda asked: sent.append(asked.query.partition(" ")[0]))
    async with database.writing() as db:
        await fetch(db, "SELECT 1")
    assert sent == ["BEGIN;", "SELECT", "COMMIT;"]


@pytest.mark.parametrize(
    "database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
async def test_glances_go_on_after_one_whose_connection_was_lost_under_it(database: Database) -> None:
    with pytest.raises(GlanceError):
        await database.glance("SELECT pg_terminate_backend(pg_backend_pid())")
    [row] = await database.glance("SELECT 1 AS one")
    assert row["one"] == 1
