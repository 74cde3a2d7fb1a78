"""One measurement in a process of its own, so that its CPU and memory are its own: prints a line of JSON.

`python -m benchmarks.sync.child WHAT --url http://127.0.0.1:PORT/` with `benchmarks.sync.replay` behind it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from statistics import median
from zoneinfo import ZoneInfo

from benchmarks.percentile import p99
from benchmarks.sync import accounts, bare, raw
from benchmarks.sync.fast import run
from domain.work import Watch, Work
from models.outbox import take_due
from models.seal import Secret
from models.sql import execute, fetch
from server.interpreter import settle
from sync.context import Memory, SyncContext
from sync.ical.resource import AppointmentText, write_appointment
from sync.icloud import queries
from sync.loop import Loop
from sync.push import push
from sync.remote import Href
from sync.settings import SyncSettings

NOW = 1_780_275_600.0
"""A year into the three that `benchmarks.calendars` makes."""
_LOOK_EVERY = 0.02
_TIMES = 200
_PLACE = Href("/a00000/calendars/cal0/apt.ics")
_MIDNIGHT = datetime(2027, 1, 12, tzinfo=ZoneInfo(accounts.ZONE)).timestamp()
Figures = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sync.child", description=__doc__)
    parser.add_argument("what", choices=sorted(WHATS))
    parser.add_argument("--url", required=True)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--postgres", default="postgres://postgres@127.0.0.1:5432/postgres")
    parser.add_argument("--accounts", type=int, default=1)
    parser.add_argument("--every", type=float, default=60.0, help="seconds between two polls of an account")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--midnight-in", type=float, help="seconds from the start, by the engine's clock")
    parser.add_argument("--changes", type=int, nargs="*", default=[1])
    run(_report(parser.parse_args()))


async def _report(given: argparse.Namespace) -> None:
    print(json.dumps(await WHATS[given.what](given)), flush=True)


def peak() -> float:
    """MB of this process, at its most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def cpu_of(work: Callable[[], Awaitable[object]]) -> Figures:
    since, wall = time.process_time(), time.perf_counter()
    await work()
    return {"cpu": (time.process_time() - since) * 1000, "wall": (time.perf_counter() - wall) * 1000}


# --- One account


async def floor_first(given: argparse.Namespace) -> Figures:
    """ETags and texts over one socket, through expat, nothing kept: what a first sync can't do without."""

    async def read() -> None:
        with raw.Socket(given.url) as socket:
            raw.read_all(socket)

    return {**await cpu_of(read), "peak": peak()}


async def first(given: argparse.Namespace) -> Figures:
    async with (
        accounts.a_database(given.database, given.postgres) as database,
        accounts.an_engine(database, given.url, now=NOW) as engine,
    ):
        [account] = await accounts.add_accounts(database, given.url, 1, calendars=13)
        settle()  # As a server does once it has started.
        base = peak()
        late: list[float] = []
        watching = asyncio.create_task(_watch(late))
        figures = await cpu_of(lambda: accounts.poll(engine, account))
        watching.cancel()
        async with database.reading() as db:
            rows = await fetch(db, "SELECT COUNT(*) AS number FROM event")
        return {
            **figures,
            "peak": peak(),
            "base": base,
            "events": rows[0]["number"],
            "loop_worst": max(late),
            "loop_p99": p99(late),
        }


async def floor_change(given: argparse.Namespace) -> Figures:
    """The same requests over one socket, each answer through expat, nothing kept."""
    with raw.Socket(given.url) as socket:
        token = raw.token_now(socket)
        found: dict[str, list[float]] = {}
        for _ in range(given.accounts):
            for count in given.changes:
                raw.admin(given.url, f"change/{count}")

                async def read(since: str = token) -> None:
                    nonlocal token
                    token = raw.read_changes(socket, since)

                found.setdefault(f"cpu_{count}", []).append((await cpu_of(read))["cpu"])
    return {name: median(values) for name, values in found.items()}


async def change(given: argparse.Namespace) -> Figures:
    """From the poll's first byte to stored, expanded and committed, for each number of changes: medians.

    The lease is taken before, as the loop does: one statement for all that are due.
    """
    now = NOW

    def clock() -> float:
        return now

    async with (
        accounts.a_database(given.database, given.postgres) as database,
        accounts.an_engine(database, given.url, now=clock) as engine,
    ):
        [account] = await accounts.add_accounts(database, given.url, 1, calendars=13)
        await accounts.poll(engine, account)
        await accounts.poll(engine, account)
        settle()  # As the server does.
        found: dict[str, list[float]] = {}
        for _ in range(given.accounts):
            for count in given.changes:
                raw.admin(given.url, f"change/{count}")
                raw.admin(given.url, "asked")
                now += 1
                lease = await accounts.lease(engine, account)
                figures = await cpu_of(partial(accounts.pulled, engine, lease))
                asked = raw.asked(given.url)
                found.setdefault(f"cpu_{count}", []).append(figures["cpu"])
                found.setdefault(f"wall_{count}", []).append(figures["wall"])
                found.setdefault(f"requests_{count}", []).append(sum(asked.values()))
        return {name: median(values) for name, values in found.items()}


def _event() -> str:
    return write_appointment(AppointmentText("apt", 0, 0, 1_800, "Intro call", "", NOW, NOW))


async def floor_write(given: argparse.Namespace) -> Figures:
    """The same requests over one socket, nothing read of their answers: for an event put, and for a sign-in."""
    text = _event()
    with raw.Socket(given.url) as socket:

        async def put() -> None:
            socket.ask("PUT", _PLACE, text)

        async def sign_in() -> None:
            socket.ask("PROPFIND", "/a00000/", queries.PRINCIPAL_QUERY)
            socket.ask("PROPFIND", "/a00000/principal/", queries.HOME_QUERY)
            raw.home(socket, "a00000")

        found = {"put": put, "sign_in": sign_in}
        return {
            name: median([(await cpu_of(ask))["cpu"] for _ in range(_TIMES)]) for name, ask in found.items()
        }


async def write(given: argparse.Namespace) -> Figures:
    """From a write that is due to its standing in iCloud, on record; a request of it alone; and a sign-in."""
    async with (
        accounts.a_database(given.database, given.postgres) as database,
        accounts.an_engine(database, given.url) as engine,
    ):
        await accounts.add_accounts(database, given.url, _TIMES, calendars=13, is_read=True)
        for number in range(_TIMES):
            await accounts.book(database, f"{number:05}", starts=int(engine.clock()) + 24 * 3_600)
        async with database.writing() as db:
            taken = await take_due(db, now=engine.clock(), lease=engine.settings.lease, limit=_TIMES)
        assert len(taken) == _TIMES
        remote = engine.server.sign_in("00000@icloud.com", Secret(accounts.PASSWORD))

        async def sign_in() -> None:
            found = await remote.discover()
            await remote.list_calendars(found.home_url)

        settle()
        raw.admin(given.url, "asked")
        pushed = [await cpu_of(partial(push, engine, each)) for each in taken]
        requests = sum(raw.asked(given.url).values()) / _TIMES
        text = _event()
        put = [await cpu_of(lambda: remote.create(_PLACE, text)) for _ in range(_TIMES)]
        signed_in = [await cpu_of(sign_in) for _ in range(_TIMES)]
    return {
        "write": median(each["cpu"] for each in pushed),
        "write_wall": median(each["wall"] for each in pushed),
        "requests": requests,
        "put": median(each["cpu"] for each in put),
        "sign_in": median(each["cpu"] for each in signed_in),
    }


# --- Many


async def floor_poll(given: argparse.Namespace) -> Figures:
    """Three floors, in ms a poll: see `benchmarks.sync.bare`. The last at as many a second as the accounts make."""
    count, rate = 2_000, given.accounts / given.every

    async def block() -> None:
        bare.block(given.url, count)

    blocking = await cpu_of(block)
    looping = await cpu_of(lambda: bare.back_to_back(given.url, count))
    paced = await cpu_of(lambda: bare.paced(given.url, rate=rate, seconds=given.seconds))
    return {
        "blocking": blocking["cpu"] / count,
        "looping": looping["cpu"] / count,
        "paced": paced["cpu"] / (rate * given.seconds),
    }


async def _watch(late: list[float]) -> None:
    """How late the event loop is, in ms, time and again."""
    while True:
        since = time.perf_counter()
        await asyncio.sleep(_LOOK_EVERY)
        late.append((time.perf_counter() - since - _LOOK_EVERY) * 1000)


async def polls(given: argparse.Namespace) -> Figures:
    """A loop over idle accounts, each polled every so often; the first round, in which each is read, is not counted."""
    every = given.every
    settings = SyncSettings(
        caldav_url=given.url, usual_every=every, watched_every=every, quiet_every=every, jitter=0.05
    )
    lags: list[float] = []
    clock = _clock_before_midnight(given.midnight_in) if given.midnight_in else time.time
    async with (
        accounts.a_database(given.database, given.postgres) as database,
        accounts.an_engine(database, given.url, settings, now=clock, watch=_lags_into(lags)) as engine,
    ):
        base = peak()
        count = given.accounts
        await accounts.add_accounts(
            database, given.url, count, calendars=13, is_read=True, due_over=every, now=clock()
        )
        prepared = peak()
        loop = Loop(engine)
        running = asyncio.create_task(loop.run())
        warm = await cpu_of(lambda: _until_known(engine, count))
        # What fell due while all were read is polled by then.
        await asyncio.sleep(max(_MIDNIGHT - clock() if given.midnight_in else 2.0, every / 2))
        before = await _log_rows(engine)
        raw.admin(given.url, "asked")
        lags.clear()
        settle()  # As the server does; what it has by then of accounts, ours has now.
        late: list[float] = []
        watching = asyncio.create_task(_watch(late))
        figures = await cpu_of(lambda: asyncio.sleep(given.seconds))
        asked = raw.asked(given.url)
        watching.cancel()
        begun_late = sorted(lags)
        made = await _log_rows(engine) - before
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        most = peak()
        begun = await _begin_anew(engine, count)
    done, own = asked.get("home", 0), sorted(late)
    return {
        **begun,
        "polls": done,
        "others": sum(asked.values()) - done,
        "cpu": figures["cpu"] / max(done, 1),
        "share": figures["cpu"] / figures["wall"],
        "per_second": done / figures["wall"] * 1000,
        "warm_cpu": warm["cpu"] / count,
        "lag_p50": begun_late[len(begun_late) // 2] * 1000,
        "lag_p99": p99(begun_late) * 1000,
        "loop_p50": own[len(own) // 2],
        "loop_p99": p99(own),
        "loop_worst": own[-1],
        "rows": made,
        "peak": most,
        "base": base,
        "prepared": prepared,
    }


async def _begin_anew(engine: SyncContext, count: int) -> Figures:
    """Another process, after a time without any: all accounts are due when it begins."""
    other = replace(engine, memory=Memory(), owner="another")
    async with other.database.writing() as db:
        await execute(db, "UPDATE icloud_account SET next_poll_at = $1", other.clock())
    running = asyncio.create_task(Loop(other).run())
    begun = await cpu_of(lambda: _until_known(other, count))
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    return {"begin_cpu": begun["cpu"] / count, "begin_wall": begun["wall"] / 1000}


def _clock_before_midnight(seconds: float) -> Callable[[], float]:
    """A clock that shows midnight in the owners' zone so many seconds from now."""
    ahead = _MIDNIGHT - seconds - time.time()
    return lambda: time.time() + ahead


def _lags_into(lags: list[float]) -> Watch:
    def watch(work: Work) -> AbstractContextManager[object]:
        if work.late is not None:
            lags.append(work.late)
        return nullcontext()

    return watch


async def _until_known(engine: SyncContext, count: int) -> None:
    while len(engine.memory.quiet) < count:
        await asyncio.sleep(0.1)


async def _log_rows(engine: SyncContext) -> int:
    async with engine.database.reading() as db:
        rows = await fetch(db, "SELECT COUNT(*) AS number FROM change")
        events = await fetch(db, "SELECT COUNT(*) AS number FROM event")
    return int(rows[0]["number"]) + int(events[0]["number"])


WHATS: dict[str, Callable[[argparse.Namespace], Awaitable[Figures]]] = {
    "floor-first": floor_first,
    "first": first,
    "floor-change": floor_change,
    "change": change,
    "floor-write": floor_write,
    "write": write,
    "floor-poll": floor_poll,
    "polls": polls,
}


if __name__ == "__main__":
    main()
