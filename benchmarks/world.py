"""A whole Slotwire for tests and benchmarks: a database, the stand-in, server processes, people with keys.

Everything is a real process on loopback; what is started here, and only that, is ended here.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from benchmarks.client import Client
from benchmarks.forked import Forked
from benchmarks.ports import free_ports
from server.demo_seed import People, seed_in_loop
from standin.owner import Phone
from standin.seed import Owner

APPLE_ID = Owner().apple_id
PASSWORD = Owner().app_specific
ROOT = Path(__file__).resolve().parent.parent


@dataclass(slots=True)
class Process:
    """One of ours: started by us, ended by its id."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    running: subprocess.Popen[bytes] | Forked | None = None
    is_forked: bool = False

    def start(self) -> None:
        if self.is_forked:
            self.running = Forked(self.arguments, self.environment, self.log)
            return
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                [sys.executable, *self.arguments],
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """SIGKILL: no warning, no time to tidy up."""
        assert self.running is not None
        self.running.kill()
        self.running.wait()

    def stop(self, *, within: float = 15.0) -> int:
        assert self.running is not None
        if self.running.poll() is None:
            self.running.terminate()
            try:
                self.running.wait(within)
            except subprocess.TimeoutExpired:
                self.kill()
        assert self.running.returncode is not None
        return self.running.returncode

    async def answers(self, url: str, *, within: float = 60.0) -> None:
        deadline = time.monotonic() + within
        async with httpx2.AsyncClient(trust_env=False) as http:
            while True:
                assert self.running is not None
                if self.running.poll() is not None:
                    raise AssertionError(f"{self.arguments} ended: {self.log.read_text()[-2000:]}")
                try:
                    if (await http.get(url, timeout=2)).status_code != 503:
                        return
                except httpx2.TransportError:
                    pass
                assert time.monotonic() < deadline, self.log.read_text()[-2000:]
                await asyncio.sleep(0.05)


@dataclass(slots=True)
class World:
    """`servers` share one database; the stand-in has one seeded owner."""

    folder: Path
    database_url: str
    people: People
    entry_port: int
    standin: Process
    servers: list[Process] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)

    def graphql_url(self, number: int = 0) -> str:
        return f"http://127.0.0.1:{self.ports[number]}/graphql"

    def owner(self, number: int = 0, *, timeout: float = 30.0) -> Client:
        return Client(self.graphql_url(number), self.people.owner_key, timeout=timeout)

    def admin(self, number: int = 0) -> Client:
        return Client(self.graphql_url(number), self.people.admin_key)

    def guest(self, number: int = 0, *, timeout: float = 30.0) -> Client:
        return Client(self.graphql_url(number), self.people.booking_key, timeout=timeout)

    @property
    def caldav_hosts(self) -> frozenset[str]:
        return frozenset(self.servers[0].environment["SLOTWIRE_CALDAV_HOSTS"].split(","))

    @property
    def caldav_url(self) -> str:
        return f"http://127.0.0.1:{self.entry_port}/"

    def phone(self) -> Phone:
        """The owner's own device, speaking plain CalDAV to the stand-in."""
        return Phone(self.caldav_url, APPLE_ID, PASSWORD)

    async def ready(self, number: int) -> None:
        await self.servers[number].answers(f"http://127.0.0.1:{self.ports[number]}/readyz")

    async def restart(self, number: int) -> None:
        self.servers[number].start()
        await self.ready(number)


@asynccontextmanager
async def world(
    folder: Path,
    database_url: str,
    *,
    servers: int = 1,
    settings: Mapping[str, str] | None = None,
    is_forked: bool = False,
) -> AsyncIterator[World]:
    """Everything running and ready; nothing of iCloud connected yet. `is_forked`: servers start by a fork."""
    entry, partition, other, *ports = free_ports(3 + servers)
    common = {
        "SLOTWIRE_DATABASE_URL": database_url,
        "SLOTWIRE_SEALING_KEY_FILE": str(folder / "sealing.key"),
        "SLOTWIRE_CALDAV_URL": f"http://127.0.0.1:{entry}/",
        "SLOTWIRE_CALDAV_HOSTS": f"127.0.0.1:{partition},127.0.0.1:{other}",
        "SLOTWIRE_CALDAV_IS_ICLOUD": "on",
        # One account is made to do more in a minute here than its owner does in a month.
        "SLOTWIRE_REQUESTS_PER_MINUTE": "100000",
        # Bookers come from many addresses, as they would; the limits stand.
        "SLOTWIRE_TRUSTED_PROXIES": "127.0.0.1",
        "SLOTWIRE_CONNECTIONS_PER_ADDRESS": "10000",
        **(settings or {}),
    }
    people = await seed_in_loop(common, name=Owner().full_name, zone="Europe/Paris")
    standin = Process(
        [
            *("-m", "standin", "serve", "--storage", str(folder / "icloud"), "--zone", "Europe/Paris"),
            *("--entry-port", str(entry), "--partition-port", str(partition)),
            *("--other-partition-port", str(other), "--seed-owner"),
        ],
        {"STANDIN_ADMIN_TOKEN": "for-tests"},
        folder / "standin.log",
    )
    made = World(folder, database_url, people, entry, standin, ports=ports)
    made.servers = [
        Process(
            ["-m", "server", "serve"],
            {**common, "SLOTWIRE_PORT": str(port)},
            folder / f"server-{number}.log",
            is_forked=is_forked,
        )
        for number, port in enumerate(ports)
    ]
    try:
        standin.start()
        await standin.answers(made.caldav_url)
        for number, server in enumerate(made.servers):
            server.start()
            # One after the other: the first makes the key file and the deployment's facts.
            await made.ready(number)
        yield made
    finally:
        for process in [*made.servers, standin]:
            if process.running is not None:
                process.stop()
