"""Told to end, the server ends in time, and lets go of what it had: a process that does not goes with code 1."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from benchmarks.campaigns.connected import connect
from benchmarks.ports import free_ports
from benchmarks.world import APPLE_ID, ROOT, World, world
from models.bell import Bell
from models.database import Database
from models.sql import fetch
from server import run
from server.database import open_database
from tests.clients.proxy import wire_to_database
from tests.e2e.serving import serving
from tests.fakes.icloud import PASSWORD
from tests.integration.world import world_on


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
async def test_it_ends_in_its_time_though_icloud_hangs(slotwire: World) -> None:
    await connect(slotwire)
    await _begin_a_poll_that_hangs(slotwire)
    assert await asyncio.to_thread(slotwire.servers[0].stop, within=60) == 0
    assert await _lease(slotwire.database_url) is None


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_it_ends_in_its_time_though_the_database_and_icloud_are_silent(
    database_url: str, tmp_path: Path
) -> None:
    async with wire_to_database(database_url) as (wire, through), world(tmp_path, through) as slotwire:
        await connect(slotwire)
        await _begin_a_poll_that_hangs(slotwire)
        wire.hold()
        async with slotwire.owner() as owner:
            asking = asyncio.create_task(owner.call("{ __typename }"))
            await asyncio.sleep(0.2)
            assert await asyncio.to_thread(slotwire.servers[0].stop, within=60) == 0
            asking.cancel()


async def test_who_asks_for_longer_than_the_process_lasts_is_told_to_ask_again(
    database: Database, bell: Bell, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(run, "_REQUESTS_END_WITHIN", 0)
    begun, never = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        begun.set()
        await never.wait()

    tenants = await world_on(database, bell)
    tenants.icloud.meanwhile = hang
    given = {"userId": tenants.anna.user, "appleId": "a@icloud.com", "appSpecificPassword": PASSWORD}
    document = "mutation($i: ConnectICloudInput!) { connectICloud(input: $i) { __typename } }"
    async with serving(tenants) as served:
        body = {"query": document, "variables": {"i": given}}
        asking = asyncio.create_task(served.post(served.admin, body))
        await asyncio.wait_for(begun.wait(), 60)
        served.server.should_exit = True
        answer = await asyncio.wait_for(asking, 60)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["errors"][0]["extensions"] == {"code": "UNAVAILABLE"}
    assert "A request was given up" in caplog.text
    assert "Traceback" not in caplog.text


@dataclass
class Started:
    process: subprocess.Popen[bytes]
    http: httpx2.Client

    def is_up(self) -> bool:
        with suppress(httpx2.TransportError):
            return self.http.get("/healthz").status_code == 200
        return False

    async def ended(self) -> int:
        return await asyncio.to_thread(self.process.wait, 60)


@pytest.fixture
def start(database_url: str, tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """A server by a command of the test's own, ended with it."""
    [port] = free_ports(1)
    settings = {
        "SLOTWIRE_DATABASE_URL": database_url,
        "SLOTWIRE_SEALING_KEY_FILE": str(tmp_path / "sealing.key"),
        "SLOTWIRE_GRAPHIQL": "off",
        "SLOTWIRE_PORT": str(port),
    }
    with ExitStack() as kept:

        def started(*before: str, stderr: int | None = None) -> Started:
            command = [*before, sys.executable, "-m", "server", "serve"]
            process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **settings}, stderr=stderr)
            kept.enter_context(process)
            kept.callback(process.kill)
            http = httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
            return Started(process, kept.enter_context(http))

        yield started


async def up(started: Started) -> Started:
    async with asyncio.timeout(60):
        while not started.is_up():
            await asyncio.sleep(0.05)
    return started


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_log_that_nobody_reads_holds_up_no_request_and_no_end(start: Callable[..., Started]) -> None:
    server = await up(start(stderr=subprocess.PIPE))
    for _ in range(1000):
        assert server.http.post("/graphql").status_code == 401
    server.process.terminate()
    assert await server.ended() == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_end_of_its_terminal_ends_it_in_order(start: Callable[..., Started]) -> None:
    server = await up(start())
    server.process.send_signal(signal.SIGHUP)
    assert await server.ended() == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_under_nohup_it_outlives_its_terminal(start: Callable[..., Started]) -> None:
    server = await up(start("nohup"))
    server.process.send_signal(signal.SIGHUP)
    await asyncio.sleep(0.5)
    assert server.is_up()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_it_runs_and_ends_without_standard_streams(start: Callable[..., Started]) -> None:
    server = await up(start("sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-'))
    server.process.terminate()
    assert await server.ended() == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_it_ends_in_order_though_its_traces_collector_is_silent(
    start: Callable[..., Started], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1/traces"
        monkeypatch.setenv("SLOTWIRE_TRACES_URL", url)
        server = await up(start())
        assert server.http.post("/graphql").status_code == 401
        server.process.terminate()
        assert await server.ended() == 0


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
    assert run._GONE_WITHIN < 10
