"""Told to end, the server ends in time, and lets go of what it had."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from benchmarks.campaigns.connected import connect
from benchmarks.world import APPLE_ID, World, world
from models.database import fetch
from server.database import open_database


@pytest.fixture
async def slotwire(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, database_url, settings={"SLOTWIRE_POLL_WATCHED": "5"}) as running:
        yield running


async def _lease(url: str) -> str | None:
    async with open_database(url) as database, database.reading() as db:
        [row] = await fetch(db, "SELECT lease_owner FROM icloud_account")
    owner: str | None = row["lease_owner"]
    return owner


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_it_ends_within_ten_seconds_though_icloud_hangs(slotwire: World) -> None:
    await connect(slotwire)
    async with httpx2.AsyncClient(trust_env=False, headers={"Authorization": "Bearer for-tests"}) as admin:
        answer = await admin.post(f"{slotwire.caldav_url}-/accounts/{APPLE_ID}/slow", json={"seconds": 60})
        assert answer.status_code == 204
    async with slotwire.owner() as owner, asyncio.timeout(60):
        value = {"userId": slotwire.people.user_id}
        await owner.mutate("refreshICloud", "", "RefreshICloudInput!", value)
        while await _lease(slotwire.database_url) is None:
            await asyncio.sleep(0.1)
    began = time.monotonic()
    assert await asyncio.to_thread(slotwire.servers[0].stop, within=30) == 0
    assert time.monotonic() - began < 10
    assert await _lease(slotwire.database_url) is None
