"""PostgreSQL stopped hard, on a server of our own; and the line that carries the bell cut, on the tests' one."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import httpx2

from benchmarks.campaigns.tally import Tally
from benchmarks.client import Client, GraphQLError, Json
from benchmarks.databases import fresh_database
from benchmarks.faults.row import LeftOutError, Scene
from benchmarks.own_postgres import is_installed, own_server
from benchmarks.world import World, world
from models.sql import fetch
from server.database import open_database
from tests.e2e import queries as q

_BACK_WITHIN = 30.0


async def hard(scene: Scene) -> Tally:
    """A booking app books on while PostgreSQL is stopped and started; acknowledged is stored, once."""
    tally = Tally(scene.name, scene.where)
    chance = random.Random(scene.seed)
    if not is_installed():
        raise LeftOutError("PostgreSQL's own programs are not installed")
    with own_server(scene.folder, options="-c shared_buffers=16MB") as server:
        async with (
            fresh_database("postgres", scene.folder, postgres=server.url) as database,
            world(scene.folder, database) as running,
        ):
            acknowledged: dict[str, str] = {}
            ended = asyncio.Event()
            booking = asyncio.create_task(_book_on(running, acknowledged, ended))
            for _ in range(scene.count):
                tally.trials += 1
                await asyncio.sleep(chance.uniform(0.05, 0.6))
                await asyncio.to_thread(server.stop)
                await asyncio.to_thread(server.start)
                before = len(acknowledged)
                await _goes_on(acknowledged, before, tally)
            ended.set()
            await booking
            await _check(running, acknowledged, tally)
    return tally


async def _goes_on(acknowledged: dict[str, str], before: int, tally: Tally) -> None:
    try:
        async with asyncio.timeout(_BACK_WITHIN):
            while len(acknowledged) <= before:
                await asyncio.sleep(0.05)
    except TimeoutError:
        tally.hold(
            claim=False,
            story=f"trial {tally.trials}: nothing was booked {_BACK_WITHIN:.0f} s after its return",
        )


async def _book_on(running: World, acknowledged: dict[str, str], ended: asyncio.Event) -> None:
    first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=30)
    number = 0
    async with Client(running.graphql_url(), running.people.owner_key, timeout=10) as owner:
        while not ended.is_set():
            start = first + timedelta(minutes=15 * number)
            number += 1
            value: Json = {
                "idempotencyKey": str(uuid4()),
                "userId": running.people.user_id,
                "start": start.isoformat(),
                "end": (start + timedelta(minutes=15)).isoformat(),
                "guest": {"name": "Guest", "email": "guest@example.org"},
            }
            saved = await _insist(owner, value, ended)
            if saved is not None and saved["__typename"] == "AppointmentSaved":
                acknowledged[saved["appointment"]["id"]] = saved["appointment"]["start"]
            await asyncio.sleep(0.01)


async def _insist(owner: Client, value: Json, ended: asyncio.Event) -> Json | None:
    while not ended.is_set():
        with suppress(httpx2.TransportError, GraphQLError, ValueError):
            return await owner.mutate("createAppointment", q.SAVED, "CreateAppointmentInput!", value)
        await asyncio.sleep(0.05)
    return None


async def _check(running: World, acknowledged: dict[str, str], tally: Tally) -> None:
    async with open_database(running.database_url) as database, database.reading() as db:
        rows = await fetch(db, "SELECT id, starts FROM appointment")
    stored = {row["id"] for row in rows}
    tally.hold(acknowledged.keys() <= stored, f"lost: {sorted(acknowledged.keys() - stored)[:5]}")
    tally.hold(len({row["starts"] for row in rows}) == len(rows), "one start was booked twice")
    tally.facts["acknowledged"] = len(acknowledged)


# --- The bell's line


async def bell(scene: Scene) -> Tally:
    """Every LISTEN of a second process is cut; its subscriber hears of the next change all the same."""
    tally = Tally(scene.name, scene.where)
    async with (
        fresh_database("postgres", scene.folder, postgres=scene.postgres) as url,
        world(scene.folder, url, servers=2) as running,
    ):
        user = running.people.user_id
        async with running.owner(0) as writer, running.owner(1) as reader, reader.socket() as socket:
            changes = socket.subscribe(q.SLOT_CHANGES, user=user, after=None)
            following = asyncio.create_task(anext(changes))
            await asyncio.sleep(0.5)
            for number in range(scene.count):
                tally.trials += 1
                cut = await _cut(url)
                tally.hold(cut, f"trial {number}: no line was there to be cut")
                await _block(running, writer, number)
                try:
                    await asyncio.wait_for(asyncio.shield(following), 15)
                except TimeoutError:
                    tally.hold(claim=False, story=f"trial {number}: nothing heard, {cut} lines cut")
                    break
                following = asyncio.create_task(anext(changes))
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await changes.aclose()
    return tally


async def _cut(url: str) -> int:
    """How many; what was cut the last time has a while to come back."""
    connection = await asyncpg.connect(url)
    try:
        for _ in range(100):
            rows = await connection.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query ILIKE 'LISTEN%'"
            )
            if rows:
                break
            await asyncio.sleep(0.1)
    finally:
        await connection.close()
    return len(rows)


async def _block(running: World, writer: Client, number: int) -> None:
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30, minutes=20 * number)
    value = {
        "userId": running.people.user_id,
        "start": start.isoformat(),
        "end": (start + timedelta(minutes=10)).isoformat(),
    }
    await writer.mutate("createBlockedSlot", "", "CreateBlockedSlotInput!", value)
