"""How late healthy accounts are polled and written, and how slow the API gets, when others are ill or heavy.

`python -m benchmarks.isolation`: a whole server process, its accounts polled every ten seconds, a client that asks for
free time all the while; first with a healthy iCloud, then from the moment on at which

- `failing`: each tenth account gets silence, half an answer, 503 or 429, whatever is asked;
- `late`: each tenth is due, and told of a change, and hangs once it is asked for; `trickle`: it comes a byte a second;
- `writes`: thirty accounts, with three bookings each to be written, hang on each PUT;
- `first`: sixty accounts are read for the first time, two thousand events each.

The goals are those of the promise that one account never delays another, all p99: a healthy account is polled, its
change read and its booking written at most 1.2 x as late as before and a second, the API answers in at most 1.5 x the
time, and the event loop is at most 50 ms late.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import math
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from benchmarks.client import Client
from benchmarks.databases import fresh_database
from benchmarks.percentile import p99
from benchmarks.ports import free_ports
from benchmarks.sync import raw
from benchmarks.sync.accounts import add_accounts, book
from benchmarks.sync.replay import a_replay
from benchmarks.world import Process
from models.calendar import Calendar
from models.database import Database
from models.icloud import ICloudAccount
from models.sql import fetch
from schema.scalars import format_date_time
from server.database import open_database
from server.demo_seed import People, seed_in_loop
from server.secret_keys import load_keys

EVERY = 10
"""Seconds between two polls of an account."""
TENTH = 10
"""Of those that are ill, and every second of each fifth, which are told of changes."""
WRITERS, WRITES = 30, 3
FIRST, EVENTS = 60, 2_000
LATEST = 0.05
"""Seconds, of the event loop."""
TROUBLES = ("failing", "late", "trickle", "writes", "first")
_BOOKED_EVERY = 0.2
_HOURS = itertools.count(24)
"""Another for each booking, so that none overlap."""
_ASKED_EVERY = 0.02
_FREE = (
    "query ($input: AvailabilityInput!) { availability(input: $input) { __typename"
    " ... on Availability { windows { start end } } } }"
)
_LAG = "slotwire_event_loop_lag_seconds_bucket"


@dataclass(frozen=True, slots=True)
class Seen:
    """Of one stretch of time, in seconds."""

    delays: list[float] = field(default_factory=list)
    "Of healthy accounts' polls."
    answers: list[float] = field(default_factory=list)
    late: float = 0.0
    "The event loop's lag that 99 of 100 looks kept within: a bound of the histogram's."
    waits: list[float] = field(default_factory=list)
    "From a healthy account's change in iCloud, or here, to its being here, or there."


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.isolation", description=__doc__)
    parser.add_argument("--accounts", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=60, help="of each of the two stretches")
    parser.add_argument(
        "--database", nargs="+", choices=["sqlite", "postgres"], default=["sqlite", "postgres"]
    )
    parser.add_argument("--beside", nargs="+", choices=TROUBLES, default=TROUBLES)
    parser.add_argument("--postgres", default="postgres://postgres@127.0.0.1:5432/postgres")
    given = parser.parse_args()
    met = [asyncio.run(_compare(kind, trouble, given)) for trouble in given.beside for kind in given.database]
    return 0 if all(met) else 1


async def _compare(kind: str, trouble: str, given: argparse.Namespace) -> bool:
    events = EVENTS if trouble == "first" else 20
    with tempfile.TemporaryDirectory() as folder:
        async with (
            fresh_database(kind, Path(folder), postgres=given.postgres) as database_url,
            _server(Path(folder), database_url, given.accounts, events) as (people, graphql, icloud),
            open_database(database_url) as database,
            Client(graphql, people.admin_key, timeout=120) as client,
        ):
            each = _each(trouble, given.accounts)
            stretch = Stretch(database, client, people, graphql, icloud, trouble, each, given.seconds)
            # The first polls read each calendar list; what fell due meanwhile is polled by then.
            while await stretch.are_new():
                await asyncio.sleep(1)
            await asyncio.sleep(2 * EVERY)
            alone = await stretch.watch()
            await stretch.begin_trouble()
            beside = await stretch.watch()
    ill = len(range(0, given.accounts, each))
    print(
        f"\n{kind}, {trouble}: {given.accounts} accounts, each polled every {EVERY} s, of which {ill} come to be so"
    )
    print(f"{'p99':36}{'before':>10}{'then':>10}{'goal':>10}")
    answers, loop = (_ms(alone.answers), _ms(beside.answers)), (_ms([alone.late]), _ms([beside.late]))
    met = [
        _line("a healthy account polled late, s", alone.delays, beside.delays, 1.2 * p99(alone.delays) + 1),
        _line("free time asked for, ms", *answers, 1.5 * p99(answers[0])),
        _line("the event loop late, ms, at most", *loop, LATEST * 1000),
    ]
    if alone.waits:
        name = "a booking written after, s" if trouble == "writes" else "a change read after, s"
        met.append(_line(name, alone.waits, beside.waits, 1.2 * p99(alone.waits) + 1))
    return all(met)


def _each(trouble: str, accounts: int) -> int:
    """Of whose multiples the ill accounts have their numbers."""
    return {"writes": accounts // WRITERS, "first": accounts // FIRST}.get(trouble, TENTH)


def _ms(seconds: list[float]) -> list[float]:
    return [each * 1000 for each in seconds]


def _line(name: str, alone: list[float], beside: list[float], most: float) -> bool:
    is_met = p99(beside) <= most
    verdict = "met" if is_met else "MISSED"
    print(
        f"{name:36}{p99(alone):10.3f}{p99(beside):10.3f}{most:10.3f}: {verdict}"
        f"   ({len(alone)} and {len(beside)}, worst {max(beside):.3f})",
        flush=True,
    )
    return is_met


@asynccontextmanager
async def _server(
    folder: Path, database_url: str, accounts: int, events: int
) -> AsyncIterator[tuple[People, str, str]]:
    """A key of each role, where GraphQL is, and where the calendar server is."""
    with a_replay(events) as icloud:
        [port] = free_ports(1)
        environment = {
            "SLOTWIRE_DATABASE_URL": database_url,
            "SLOTWIRE_SEALING_KEY_FILE": str(folder / "sealing.key"),
            "SLOTWIRE_CALDAV_URL": icloud,
            "SLOTWIRE_POLL_WATCHED": str(EVERY),
            "SLOTWIRE_POLL_USUAL": str(EVERY),
            "SLOTWIRE_POLL_QUIET": str(EVERY),
            "SLOTWIRE_METRICS": "on",
            "SLOTWIRE_TRUSTED_PROXIES": "127.0.0.1",
            "SLOTWIRE_PORT": str(port),
        }
        people = await seed_in_loop(environment, name="Anna", zone="Europe/Berlin")
        keys = load_keys(folder / "sealing.key", environment, is_first_start=False)
        async with open_database(database_url) as database:
            await add_accounts(
                database, icloud, accounts, calendars=13, is_read=True, due_over=EVERY, sealer=keys.sealer()
            )
        server = Process(["-m", "server", "serve"], environment, folder / "server.log")
        server.start()
        try:
            await server.answers(f"http://127.0.0.1:{port}/readyz")
            yield people, f"http://127.0.0.1:{port}/graphql", icloud
        finally:
            server.stop()


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is watched for so many seconds, twice."""

    database: Database
    client: Client
    people: People
    graphql: str
    icloud: str
    trouble: str
    each: int
    seconds: float

    async def begin_trouble(self) -> None:
        if self.trouble in {"failing", "late", "trickle", "writes"}:
            raw.admin(self.icloud, f"spoil/{self.each}/{self.trouble}")
        ill = [f"{number:05}" for number in range(0, await self._count(), self.each)]
        if self.trouble == "writes":
            for name in WRITES * ill:
                await book(self.database, name, starts=_next_hour())
        if self.trouble == "first":
            async with self.database.writing() as db:
                unread = {"listed_token": None, "sync_token": None, "last_synced_at": None}
                await Calendar.filter(id__in=[f"cal_{name}_0" for name in ill]).using_db(db).update(**unread)
        if self.trouble in {"late", "trickle", "first"}:
            async with self.database.writing() as db:
                accounts = ICloudAccount.filter(id__in=[f"acc_{name}" for name in ill])
                await accounts.using_db(db).update(next_poll_at=time.time())

    async def watch(self) -> Seen:
        before = await _lags(self.graphql)
        asking = asyncio.create_task(_ask(self.client, self.people, self.seconds))
        waiting = asyncio.create_task(self._waits())
        delays = await self._delays()
        return Seen(delays, await asking, _within(before, await _lags(self.graphql)), await waiting)

    def _is_healthy(self, row_id: str) -> bool:
        return bool(int(row_id.split("_")[1]) % self.each)

    async def are_new(self) -> bool:
        async with self.database.reading() as db:
            return await ICloudAccount.filter(last_polled_at=None).using_db(db).exists()

    async def _count(self) -> int:
        async with self.database.reading() as db:
            return await ICloudAccount.all().using_db(db).count()

    async def _delays(self) -> list[float]:
        """How late each poll of a healthy account began, by its record; who is still waited for, too."""
        began = time.time()
        seen: dict[tuple[str, float], float] = {}
        waiting: list[float] = []
        while (now := time.time()) < began + self.seconds:
            await asyncio.sleep(EVERY / 4)
            async with self.database.reading() as db:
                rows = await fetch(
                    db, "SELECT id, last_polled_at, poll_lag, next_poll_at FROM icloud_account"
                )
            healthy = [row for row in rows if self._is_healthy(row["id"])]
            for row in healthy:
                if row["last_polled_at"] >= began:
                    seen[row["id"], row["last_polled_at"]] = row["poll_lag"]
            waiting = [
                max(now - row["next_poll_at"], 0.0) for row in healthy if row["next_poll_at"] < now - 2
            ]
        return [*seen.values(), *waiting]

    async def _waits(self) -> list[float]:
        match self.trouble:
            case "late" | "trickle":
                return await self._changes_read()
            case "writes":
                return await self._bookings_written()
        return []

    async def _changes_read(self) -> list[float]:
        """One change each; the ill ones hear of it too."""
        before = await self._tokens()
        raw.admin(self.icloud, f"change/1/{TENTH // 2}")
        told = [
            name for name in before if self._is_healthy(name) and not int(name.split("_")[1]) % (TENTH // 2)
        ]
        began, read = time.time(), dict[str, float]()
        while (took := time.time() - began) < self.seconds:
            now = await self._tokens()
            read |= {name: took for name in told if name not in read and now[name] != before[name]}
            await asyncio.sleep(_BOOKED_EVERY)
        return [read.get(name, self.seconds) for name in told]

    async def _tokens(self) -> dict[str, str]:
        async with self.database.reading() as db:
            rows = await fetch(db, "SELECT id, listed_token FROM calendar WHERE is_conflict")
        return {row["id"]: row["listed_token"] for row in rows}

    async def _bookings_written(self) -> list[float]:
        """Of healthy accounts, one after the other."""
        began, number = time.time(), 0
        while time.time() < began + self.seconds:
            number += 1
            if number % self.each:
                await book(self.database, f"{number:05}", starts=_next_hour())
            await asyncio.sleep(_BOOKED_EVERY)
        async with self.database.reading() as db:
            rows = await fetch(
                db, "SELECT user_id, created_at, written_at FROM appointment WHERE created_at >= $1", began
            )
        return [
            (row["written_at"] or time.time()) - row["created_at"]
            for row in rows
            if self._is_healthy(row["user_id"])
        ]


def _next_hour() -> int:
    return int(time.time()) + 3_600 * next(_HOURS)


async def _ask(client: Client, people: People, seconds: float) -> list[float]:
    """How long each question took."""
    took, until = [], time.monotonic() + seconds
    day = int(time.time()) // 86_400 * 86_400
    asked = {"userIds": [people.user_id], "durationMinutes": 30}
    while time.monotonic() < until:
        # Each time another span, so that none is remembered whole.
        day += 1
        span = {"from": format_date_time(day), "to": format_date_time(day + 14 * 86_400)}
        began = time.perf_counter()
        await client.call(_FREE, input=asked | span)
        took.append(time.perf_counter() - began)
        await asyncio.sleep(_ASKED_EVERY)
    return took


async def _lags(graphql: str) -> dict[float, float]:
    """The histogram of the event loop's lag: how many looks were within each bound."""
    async with httpx2.AsyncClient(trust_env=False) as http:
        page = (await http.get(graphql.replace("/graphql", "/metrics"))).text
    found = [line.partition('le="')[2].split('"} ') for line in page.splitlines() if line.startswith(_LAG)]
    return {float(bound): float(count) for bound, count in found}


def _within(before: dict[float, float], after: dict[float, float]) -> float:
    """Seconds: the least bound that 99 of 100 looks between the two kept within."""
    grown = {bound: after[bound] - before[bound] for bound in after}
    kept = (bound for bound, count in grown.items() if count >= 0.99 * max(grown.values()))
    return min(kept, default=math.inf)  # Not even asked for so much is it told.


if __name__ == "__main__":
    sys.exit(main())
