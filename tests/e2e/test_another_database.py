"""Another database takes the place of a running server's: nothing is promised by what it remembers of the first."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.client import Json
from benchmarks.own_postgres import Server, is_installed, own_server
from benchmarks.world import World, world
from server.database import migrate, sqlite_file
from server.run import _on_one_database
from tests.e2e.blocking import block
from tests.memory import memory

pytestmark = pytest.mark.slow

CURSOR = "query($user: ID!) { user(id: $user) { cursor } }"
FOLLOW = """subscription($user: ID!, $after: Cursor) { blockedSlotChanges(userId: $user, after: $after) {
    kind slot { id } } }"""


async def cursor(running: World) -> str:
    async with running.owner() as owner:
        found: str = (await owner.call(CURSOR, user=running.people.user_id))["user"]["cursor"]
    return found


async def first_after(running: World, after: str) -> Json:
    async with running.owner() as owner, owner.socket() as socket, asyncio.timeout(60):
        changes = socket.subscribe(FOLLOW, user=running.people.user_id, after=after)
        told: Json = (await anext(changes))["blockedSlotChanges"]
        await changes.aclose()
    return told


async def ended(running: World) -> tuple[int, str]:
    """The server's exit code, and its log."""
    server = running.servers[0]
    assert server.running is not None
    return await asyncio.to_thread(server.running.wait, 60), server.log.read_text()


def standby_of(first: Server) -> Server:
    """Of what is committed now, and nothing that comes; on the first one's port."""
    data = first.data.with_name("standby")
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(data, "postgres")
    wire = ("-h", "127.0.0.1", "-p", str(first.port), "-U", "postgres")
    first.run("pg_basebackup", "-D", str(data), *wire, "-c", "fast")
    signal = data / "standby.signal"
    signal.touch()
    signal.chmod(0o666)
    return replace(first, data=data)


@pytest.mark.skipif(not is_installed(), reason="PostgreSQL is not installed")
async def test_a_standby_that_lacks_what_was_committed_last_gives_everyone_a_reset(tmp_path: Path) -> None:
    with (
        TemporaryDirectory(prefix="slotwire-postgres-", dir=memory()) as folder,
        own_server(Path(folder), options="-c fsync=off") as first,
    ):
        await migrate(first.url)
        async with world(tmp_path, first.url) as running:
            standby = standby_of(first)
            await block(running, 1)
            seen = await cursor(running)
            first.stop()
            standby.start()
            try:
                standby.run("pg_ctl", "-w", "-D", str(standby.data), "promote")
                code, log = await ended(running)
                assert code == 1
                assert "Another database has taken this one's place" in log
                await running.restart(0)
                await block(running, 2)
                assert (await first_after(running, seen))["kind"] == "RESET"
            finally:
                standby.stop()


async def test_a_server_whose_file_is_replaced_ends_and_books_nothing_more_in_what_is_gone(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/slotwire.sqlite3"
    await migrate(url)
    async with world(tmp_path, url) as running:
        file = sqlite_file(url)
        kept = file.rename(file.with_suffix(".kept"))
        code, log = await ended(running)
        assert code == 1
        assert "Another database has taken this one's place" in log
        kept.rename(file)
        await running.restart(0)
        await block(running, 1)


async def test_what_breaks_the_look_at_it_is_told_as_what_it_is() -> None:
    async def breaks() -> None:
        raise LookupError("odd")

    parts: Any = SimpleNamespace(until_another_database=breaks)
    told = asyncio.Event()
    with pytest.raises(LookupError, match="odd"):
        async with _on_one_database(parts, told.set):
            await told.wait()
