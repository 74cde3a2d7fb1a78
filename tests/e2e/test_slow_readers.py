"""A server of its own process: readers that take nothing cost it nothing, and keep it from nothing."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from benchmarks.client import Json
from benchmarks.world import Process, World, world
from tests.e2e.blocking import block
from tests.e2e.serving import PROTOCOL, receive, send

SOCKETS = 6
OPERATIONS = 50
CHANGES = 40
LONG_TITLE = "x" * 200
TITLES = " ".join(f"title{number}: title" for number in range(12))
QUERY = f"""subscription($user: ID!, $after: Cursor) {{ blockedSlotChanges(userId: $user, after: $after) {{
    cursor slot {{ id {TITLES} }} }} }}"""

pytestmark = [pytest.mark.slow]


@pytest.fixture
async def running(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, database_url) as made:
        yield made


@asynccontextmanager
async def subscribed(
    running: World, *, operations: int, after: str | None = None
) -> AsyncIterator[ClientConnection]:
    """A socket whose reader takes next to nothing by itself."""
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", running.ports[0]))
        uri = running.graphql_url().replace("http", "ws", 1)
        async with connect(uri, sock=raw, subprotocols=[PROTOCOL], max_queue=1, ping_interval=None) as opened:
            authorization = f"Bearer {running.people.owner_key}"
            await send(opened, type="connection_init", payload={"authorization": authorization})
            assert await receive(opened) == {"type": "connection_ack"}
            variables = {"user": running.people.user_id, "after": after}
            for number in range(operations):
                payload = {"query": QUERY, "variables": variables}
                await send(opened, type="subscribe", id=str(number), payload=payload)
            yield opened


async def told_first(opened: ClientConnection) -> tuple[list[Json], int | None]:
    """What the first operation was told until the socket was closed, and the code that it was closed with."""
    told = []
    try:
        async with asyncio.timeout(60):
            async for text in opened:
                frame = json.loads(text)
                if frame["type"] == "next" and frame["id"] == "0":
                    told.append(frame["payload"]["data"]["blockedSlotChanges"])
    except ConnectionClosed:
        pass
    return told, opened.close_code


async def let_go(running: World) -> None:
    async with asyncio.timeout(60):
        while running.servers[0].log.read_text().count("code=4410") < SOCKETS:
            await asyncio.sleep(0.2)


def resident(process: Process) -> int:
    """Bytes."""
    assert process.running is not None
    pages = int(Path(f"/proc/{process.running.pid}/statm").read_text().split()[1])
    return pages * 4096


async def test_readers_that_take_nothing_cost_under_20_mb_are_closed_4410_and_resume(running: World) -> None:
    """Were all kept that is for them, it would be some 35 MB."""
    async with AsyncExitStack() as sockets:
        opened = [
            await sockets.enter_async_context(subscribed(running, operations=OPERATIONS))
            for _ in range(SOCKETS)
        ]
        await asyncio.sleep(1)
        made = [await block(running, number, title=LONG_TITLE) for number in range(2)]
        before = most = resident(running.servers[0])
        for number in range(2, CHANGES):
            made.append(await block(running, number, title=LONG_TITLE))
            most = max(most, resident(running.servers[0]))
        await let_go(running)
        assert max(most, resident(running.servers[0])) - before < 20_000_000
        found = await asyncio.gather(*(told_first(each) for each in opened))
    assert {code for _, code in found} == {4410}
    seen = found[0][0]
    assert 0 < len(seen) < CHANGES
    async with subscribed(running, operations=1, after=seen[-1]["cursor"]) as again:
        ids = [change["slot"]["id"] for change in seen]
        while len(ids) < len(made):
            ids.append((await receive(again))["payload"]["data"]["blockedSlotChanges"]["slot"]["id"])
    assert ids == made


async def test_a_stop_is_over_in_its_time_whatever_is_open(running: World) -> None:
    """A process that is not done in its time goes all the same, and with another code."""
    async with AsyncExitStack() as clients:
        reading = await clients.enter_async_context(subscribed(running, operations=1))
        await clients.enter_async_context(subscribed(running, operations=OPERATIONS))
        http = await clients.enter_async_context(
            httpx2.AsyncClient(headers={"authorization": f"Bearer {running.people.owner_key}"})
        )
        body = {"query": QUERY, "variables": {"user": running.people.user_id}}
        for accept in ("text/event-stream", "multipart/mixed;subscriptionSpec=1.0"):
            stream = http.stream("POST", running.graphql_url(), json=body, headers={"accept": accept})
            assert (await clients.enter_async_context(stream)).status_code == 200
        for number in range(10):
            await block(running, number, title=LONG_TITLE)
        process = running.servers[0].running
        assert process is not None
        process.terminate()
        assert await asyncio.to_thread(process.wait, 60) == 0
        _, code = await told_first(reading)
        assert code == 1012
