"""How late the event loop and a healthy account's polls get while other accounts are a stream of bombs.

`python -m benchmarks.bombs`: the sync loop on SQLite, 20 healthy accounts of 200 events each, of which one changes at
every poll; first by themselves, then beside an account whose 60 bombs are all changed at every poll, or beside as many
as `--bombed` says, which is more than there are places for polls. The goals are
those of the promise that one account never delays another: polls begin at most 1.2 × as late as alone and a second,
and the event loop is at most 50 ms late, both p99.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.calendars import make_calendar
from benchmarks.percentile import p99
from domain.actor import UserRef
from models.bell import Bell
from server.database import migrate, open_database
from server.interpreter import settle
from sync.service import Sync
from sync.settings import SyncSettings
from tests.bombs import bombs
from tests.fakes.calendar_server import PASSWORD, FakeServer
from tests.integration.engine import NOW, Engine

TICK = 0.005
HEALTHY = 20
BOMBED = "bombed"
EVERY = bombs()
SETTINGS = SyncSettings(usual_every=1, watched_every=1, quiet_every=1, look_every=0.05)


@dataclass(frozen=True, slots=True)
class Seen:
    delays: list[float]
    late: list[float]
    bombs: int


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bombs", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="of each stretch")
    parser.add_argument(
        "--bombed", type=int, nargs="+", default=[1, 70], help="accounts, one stretch after the other"
    )
    given = parser.parse_args()
    alone = asyncio.run(watch(given.seconds, bombed=0))
    met = [_compare(alone, given.seconds, bombed) for bombed in given.bombed]
    return 0 if all(met) else 1


def _compare(alone: Seen, seconds: float, bombed: int) -> bool:
    beside = asyncio.run(watch(seconds, bombed=bombed))
    print(
        f"\n{beside.bombs} bombs told in {seconds:.0f} s by {bombed} accounts,"
        f" beside {HEALTHY} healthy ones polled every second\n"
    )
    print(f"{'p99':36}{'alone':>10}{'beside':>10}{'goal':>10}")
    most = 1.2 * p99(alone.delays) + 1
    print(
        f"{'a healthy account polled late, s':36}{p99(alone.delays):10.3f}{p99(beside.delays):10.3f}{most:10.3f}"
        f"   ({len(alone.delays)} and {len(beside.delays)} polls)"
    )
    print(
        f"{'the event loop late, ms':36}{p99(alone.late) * 1000:10.1f}{p99(beside.late) * 1000:10.1f}{50:10}"
    )
    return p99(beside.delays) <= most and p99(beside.late) <= 0.05


async def watch(seconds: float, *, bombed: int) -> Seen:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'bombs.sqlite3'}"
        await migrate(url)
        async with open_database(url) as database:
            server = FakeServer()
            engine = Engine(database, Bell(), server, SETTINGS)
            await set_up(engine, bombed=bombed)
            return await under_way(engine, seconds, bombed=bombed)


async def set_up(engine: Engine, *, bombed: int) -> None:
    for number in range(HEALTHY):
        calendar = engine.server.add(f"Healthy-{number}")
        for at, text in enumerate(make_calendar(200, seed=number)):
            calendar.put(f"e{at}", text)
        await connect(engine, f"healthy-{number}@icloud.com", calendar.name, number)
    for number in range(bombed):
        calendar = engine.server.add(f"{BOMBED}-{number}")
        await connect(engine, f"{BOMBED}-{number}@icloud.com", calendar.name, HEALTHY + number)


async def connect(engine: Engine, apple_id: str, calendar: str, number: int) -> None:
    engine.server.passwords[apple_id] = PASSWORD
    other = replace(engine, account_id=f"acc_{number}", user=UserRef("sub_1", f"usr_{number}"))
    await other.set_up(apple_id=apple_id, principal=f"/{number}/principal/", identity=apple_id)
    await other.choose(calendar)


async def under_way(engine: Engine, seconds: float, *, bombed: int) -> Seen:
    """What was seen of so many seconds, after as many as the first sync of all takes; then the bombs come."""
    began = time.monotonic()
    last: dict[str, float] = {}
    delays: list[float] = []
    read_first: set[str] = set()
    told, are_bombed = 0, False

    async def at_each_poll(name: str, apple_id: str) -> None:
        nonlocal told
        if name != "list":
            return
        calendar = engine.server.calendars[f"/1/calendars/{apple_id.partition('@')[0]}/"]
        if apple_id.startswith(BOMBED):
            read_first.add(apple_id)
            for number, bomb in enumerate(EVERY if are_bombed else ()):
                calendar.put(f"bomb-{number}", bomb.text)
                told += 1
            return
        now = time.monotonic()
        if apple_id in last:
            # Every second, a fifth sooner or later; what is beyond is late.
            delays.append(max(0.0, now - last[apple_id] - SETTINGS.usual_every * (1 + SETTINGS.jitter)))
        last[apple_id] = now
        calendar.put("e0", make_calendar(1, seed=int(now * 1000))[0])

    engine.server.after = at_each_poll
    sync = Sync(
        database=engine.database,
        bell=engine.bell,
        sealer=engine.sealer,
        settings=SETTINGS,
        clock=lambda: NOW + time.monotonic() - began,
        server=engine.server,
    )
    running = asyncio.create_task(sync.run())
    while len(last) < HEALTHY or min(last.values()) - began < 1 or len(read_first) < bombed:
        await asyncio.sleep(0.1)
    settle()  # As a server does.
    are_bombed = True
    delays.clear()
    late = await ticks(seconds)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await sync.close()
    return Seen(delays, late, told)


async def ticks(seconds: float) -> list[float]:
    found = []
    until = time.monotonic() + seconds
    while (since := time.perf_counter()) and time.monotonic() < until:
        await asyncio.sleep(TICK)
        found.append(max(0.0, time.perf_counter() - since - TICK))
    return found


if __name__ == "__main__":
    sys.exit(main())
