"""The same engine against Radicale and Xandikos, warmed. Wall time: there the server is what it goes to.

The events are put into the stores as files: by PUT, each takes a server longer than the one before. A first round is
not counted: both make an index of their own when a store is first read, which takes minutes for ten thousand.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from dulwich.repo import Repo

from benchmarks.calendars import make_calendar
from models.bell import Bell
from models.calendar import store_listing
from models.database import Database
from models.icloud import ICloudAccount
from models.seal import Secret
from models.sql import fetch
from server.database import migrate, open_database
from sync.icloud.guard import Guard
from sync.icloud.server import ICloud
from sync.icloud.settings import TransportSettings
from tests.contracts import radicale_server, xandikos_server
from tests.fakes.calendar_server import FakeServer
from tests.integration.engine import Engine


@dataclass(frozen=True, slots=True)
class _Server:
    serve: Callable[[Path], AbstractAsyncContextManager[str]]
    user: str
    password: str
    store: str
    "Where the calendar's objects lie in its folder."


_WITHIN = 600
_WHO = b"Benchmark <benchmark@example.test>"
_SERVERS = {
    "Radicale": _Server(
        radicale_server.plain_radicale, radicale_server.NAME, radicale_server.PASSWORD,
        f"collections/collection-root/{radicale_server.NAME}/home",
    ),
    "Xandikos": _Server(
        xandikos_server.plain_xandikos, xandikos_server.NAME, xandikos_server.PASSWORD, f"{xandikos_server.HOME}home",
    ),
}  # fmt: skip


def compare(events: int, rounds: int) -> bool:
    return asyncio.run(_compare(events, rounds))


async def _compare(events: int, rounds: int) -> bool:
    print(f"\n{events} events on real servers, warmed: wall ms, client CPU ms")
    met = True
    for name, server in _SERVERS.items():
        with tempfile.TemporaryDirectory() as folder:
            async with server.serve(Path(folder)) as url:
                await asyncio.to_thread(_fill, Path(folder) / server.store, events)
                met &= await _measure(name, server, url, events, rounds)
    return met


def _fill(store: Path, events: int) -> None:
    """As files, and where the store is a repository as one commit of them."""
    names = [f"event{number}.ics" for number in range(events)]
    for name, text in zip(names, make_calendar(events), strict=True):
        (store / name).write_text(text, newline="")
    if (store / ".git").exists():
        with Repo(str(store)) as repository:
            tree = repository.get_worktree()
            tree.stage(names)
            tree.commit(message=b"Filled", committer=_WHO, author=_WHO)


async def _measure(name: str, server: _Server, url: str, events: int, rounds: int) -> bool:
    user, password = server.user, server.password
    async with _signed(url, user, password) as (icloud, home_url, calendar):
        floors, takes = [], []
        for number in range(rounds + 1):
            floor = await _floor(icloud, home_url, calendar, user, password)
            took, cpu, read = await _first(icloud, user, password)
            assert read == events
            if number:
                floors.append(floor)
                takes.append((took, cpu))
    floor, took = median(floors), median(wall for wall, _ in takes)
    verdict = "met" if took <= 2 * floor else "MISSED"
    cpu = median(cpu for _, cpu in takes)
    print(f"{name + ', listing and texts, not kept':36}{floor:9.0f}")
    print(
        f"{name + ', Slotwire, stored, expanded':36}{took:9.0f}{cpu:9.0f}{took / floor:7.1f}x   goal 2x: {verdict}",
        flush=True,
    )
    return took <= 2 * floor


@asynccontextmanager
async def _signed(url: str, user: str, password: str) -> AsyncIterator[tuple[ICloud, str, str]]:
    server = ICloud(Guard(url), TransportSettings(request_seconds=_WITHIN))
    try:
        account = server.sign_in(user, Secret(password))
        found = await account.discover()
        listed = await account.list_calendars(found.home_url)
        yield server, found.home_url, next(each.path for each in listed if each.name == "Home")
    finally:
        await server.close()


async def _floor(server: ICloud, home_url: str, calendar: str, user: str, password: str) -> float:
    account = server.sign_in(user, Secret(password), home_url=home_url)
    since = time.perf_counter()
    await account.list_calendars(home_url)
    hrefs = [item.href for item in (await account.list_changes(calendar, None)).items]
    for start in range(0, len(hrefs), 50):
        await account.fetch(calendar, hrefs[start : start + 50])
    return (time.perf_counter() - since) * 1000


async def _first(server: ICloud, user: str, password: str) -> tuple[float, float, int]:
    with tempfile.TemporaryDirectory() as folder:
        database_url = f"sqlite:///{Path(folder) / 'slotwire.sqlite3'}"
        await migrate(database_url)
        async with open_database(database_url) as database:
            engine = await _engine(database, server, user, password)
            since, cpu = time.perf_counter(), time.process_time()
            outcome = await engine.poll()
            took = ((time.perf_counter() - since) * 1000, (time.process_time() - cpu) * 1000)
            assert outcome.error is None, outcome.error
            async with database.reading() as db:
                rows = await fetch(db, "SELECT COUNT(*) AS number FROM resource")
    return *took, rows[0]["number"]


async def _engine(database: Database, server: ICloud, user: str, password: str) -> Engine:
    account = server.sign_in(user, Secret(password))
    found = await account.discover()
    engine = Engine(database, Bell(), FakeServer(), remote=server, now=time.time())
    await engine.set_up(home_url=found.home_url, apple_id=user, principal=found.principal_path)
    async with database.writing() as db:
        row = await ICloudAccount.all().using_db(db).get()
        row.sealed_password = engine.sealer.seal(Secret(password), row=row.id)
        await row.save(using_db=db)
        await store_listing(db, row, await account.list_calendars(found.home_url), now=engine.now)
    await engine.choose("Home")
    return engine
