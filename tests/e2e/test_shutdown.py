"""Told to end, the server ends in time, and lets go of what it had."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from benchmarks.campaigns.connected import connect
from benchmarks.ports import free_ports
from benchmarks.world import APPLE_ID, ROOT, World, world
from models.database import fetch
from server.database import open_database
from tests.clients.proxy import wire_to_database


@pytest.fixture
async def slotwire(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, database_url, settings={"SLOTWIRE_POLL_WATCHED": "5"}) as running:
        yield running


async def _lease(url: str) -> str | None:
    async with open_database(url) as database, database.reading() as db:
        [row] = await fetch(db, "SELECT lease_owner FROM icloud_account")
    owner: str | None = row["lease_owner"]
    return owner


async def _begin_a_poll_that_hangs(slotwire: World) -> None:
    async with httpx2.AsyncClient(trust_env=False, headers={"Authorization": "Bearer for-tests"}) as admin:
        answer = await admin.post(f"{slotwire.caldav_url}-/accounts/{APPLE_ID}/slow", json={"seconds": 60})
        assert answer.status_code == 204
    async with slotwire.owner() as owner, asyncio.timeout(60):
        value = {"userId": slotwire.people.user_id}
        await owner.mutate("refreshICloud", "", "RefreshICloudInput!", value)
        while await _lease(slotwire.database_url) is None:
            await asyncio.sleep(0.1)


@pytest.mark.slow
async def test_it_ends_within_ten_seconds_though_icloud_hangs(slotwire: World) -> None:
    await connect(slotwire)
    await _begin_a_poll_that_hangs(slotwire)
    began = time.monotonic()
    assert await asyncio.to_thread(slotwire.servers[0].stop, within=30) == 0
    assert time.monotonic() - began < 10
    assert await _lease(slotwire.database_url) is None


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_it_ends_within_ten_seconds_though_the_database_and_icloud_are_silent(
    database_url: str, tmp_path: Path
) -> None:
    async with wire_to_database(database_url) as (wire, through), world(tmp_path, through) as slotwire:
        await connect(slotwire)
        await _begin_a_poll_that_hangs(slotwire)
        wire.hold()
        async with slotwire.owner() as owner:
            asking = asyncio.create_task(owner.call("{ __typename }"))
            await asyncio.sleep(0.2)
            began = time.monotonic()
            assert await asyncio.to_thread(slotwire.servers[0].stop, within=30) == 0
            assert time.monotonic() - began < 10
            asking.cancel()


_STANDS_STILL = """
import os, signal, time
from server import __main__, run

async def stand_still(_):
    time.sleep(60)

run._GONE_WITHIN = 0.2
run._ended = stand_still
run.settle = lambda: os.kill(os.getpid(), signal.SIGTERM)
__main__.main()
"""


@pytest.mark.parametrize("command", ["serve", "sync"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_process_whose_event_loop_stands_still_ends_all_the_same(
    database_url: str, tmp_path: Path, command: str
) -> None:
    settings = {
        "SLOTWIRE_DATABASE_URL": database_url,
        "SLOTWIRE_SEALING_KEY_FILE": str(tmp_path / "sealing.key"),
        "SLOTWIRE_PORT": str(free_ports(1)[0]),
    }
    ended = subprocess.run(
        [sys.executable, "-c", _STANDS_STILL, command],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ended.returncode == 1
    assert "the process goes all the same" in ended.stderr
