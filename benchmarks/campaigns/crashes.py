"""kill -9 at each named point, and a start after it: as a fresh sync, each write stands once, no gap in the log."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from benchmarks.campaigns.connected import connect
from benchmarks.campaigns.crash_points import READ_STEPS, STATEMENTS, WRITE_STEPS
from benchmarks.campaigns.kills import Acknowledged, check, write_on
from benchmarks.campaigns.tally import Tally
from benchmarks.fresh import fresh_slots, stored_slots
from benchmarks.world import World
from models.database import Database
from models.outbox import free_writes
from models.polling import free_accounts
from models.sql import execute, fetch
from server.database import open_database

CALENDARS = ("Home", "Work")
_STEPS = (*READ_STEPS, *WRITE_STEPS, *STATEMENTS)
_CHECKED_AFTER = 5
"""Crashes: to read all of iCloud afresh takes as long."""
_SELDOM = {*READ_STEPS, "slot freed", "sync token stored", "poll recorded"}
"""Of a poll that finds something; of the others one of the first few is cut off: each is part of several things."""
_REST = 0.3
_DIES_WITHIN, _ANSWERS = 30.0, 100
"""A point is given up after so many seconds and answers. A machine that is busy answers little."""
_READ_WITHIN = 60.0
"""Seconds in which at least one more poll ends."""


async def crashes(running: World, *, times: int, seed: int, where: str) -> Tally:
    tally = Tally("crashes", where)
    chance = random.Random(seed)
    await connect(running, calendars=CALENDARS)
    known, slots = Acknowledged(), iter(range(1_000_000))
    async with open_database(running.database_url) as database:
        unchecked = 0
        for step in _STEPS:
            running.servers[0].stop()
            async with _busy(running, database, known, slots, chance):
                reached = sum([await _trial(running, database, known, step, chance) for _ in range(times)])
                await running.restart(0)
            tally.trials += reached
            tally.facts[step] = reached
            tally.hold(reached == times, f"{step!r} was reached {reached} of {times} times")
            unchecked += times
            if unchecked >= _CHECKED_AFTER or step == _STEPS[-1]:
                await _check(running, database, known, tally, step)
                unchecked = 0
    return tally


@asynccontextmanager
async def _busy(
    running: World, database: Database, known: Acknowledged, slots: Iterator[int], chance: random.Random
) -> AsyncIterator[None]:
    """The owner's phone and a booking app, whatever dies; the app has its answers at the end."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(write_on(running, known, slots, stop, chance, rest=_REST))
        group.create_task(_use_phone(running, database, stop, chance))
        try:
            yield
        finally:
            stop.set()


async def _use_phone(running: World, database: Database, stop: asyncio.Event, chance: random.Random) -> None:
    """Adds and deletes; and each is soon polled for."""
    phone, paths = running.phone(), list[str]()
    first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=20)
    while not stop.is_set():
        if len(paths) > 3 and chance.random() < 0.5:
            await phone.delete(paths.pop(chance.randrange(len(paths))))
        else:
            start = first + timedelta(minutes=30 * chance.randrange(1_000))
            paths.append(await phone.add("Work", "From the phone", start, start + timedelta(minutes=20)))
        await _hasten(database, time.time())
        await asyncio.sleep(_REST)


async def _hasten(database: Database, now: float) -> None:
    async with database.writing() as db:
        await execute(db, "UPDATE icloud_account SET next_poll_at = $1 WHERE next_poll_at > $1", now)


async def _trial(
    running: World, database: Database, known: Acknowledged, step: str, chance: random.Random
) -> bool:
    """Whether it died at the step."""
    usual = running.servers[0]
    times = 1 if step in _SELDOM else chance.randint(1, 5)
    arguments = ["-m", "benchmarks.campaigns.crashing_server", step, str(times)]
    crashing = replace(usual, arguments=arguments)
    crashing.start()
    assert crashing.running is not None
    try:
        with suppress(AssertionError):
            await crashing.answers(f"http://127.0.0.1:{running.ports[0]}/readyz")
        gives_up_at, answers = time.monotonic() + _DIES_WITHIN, known.answers + _ANSWERS
        while crashing.running.poll() is None and (time.monotonic() < gives_up_at or known.answers < answers):
            await asyncio.sleep(0.05)
        has_died = crashing.running.poll() is not None
    finally:
        if crashing.running.poll() is None:
            crashing.kill()
    if database.is_postgres:
        await _end_leases(database)
    return has_died


async def _end_leases(database: Database) -> None:
    """As they do by themselves, after half a minute: that wait is not what is tried here. On SQLite who starts does."""
    async with database.writing() as db:
        await free_accounts(db)
        await free_writes(db)


async def _check(running: World, database: Database, known: Acknowledged, tally: Tally, step: str) -> None:
    await _read_again(database)
    await check(running, known, tally)
    stored, fresh = await stored_slots(database), await fresh_slots(running, CALENDARS)
    tally.hold(stored == fresh, f"after {step!r}: {_difference(stored, fresh)}")
    tally.facts["slots"] = len(fresh)
    async with database.reading() as db:
        log = "SELECT t.seq, COUNT(*) AS rows, MAX(c.seq) AS last FROM timeline t JOIN change c"
        [row] = await fetch(db, f"{log} ON c.user_id = t.user_id GROUP BY t.seq")
    tally.hold(row["seq"] == row["rows"] == row["last"], f"after {step!r} the log has a gap: {row}")


async def _read_again(database: Database) -> None:
    """Until a poll that began from now on has left all as it is in iCloud."""
    began, polled_at = time.time(), None
    deadline = time.monotonic() + _READ_WITHIN
    while True:
        await _hasten(database, began)
        async with database.reading() as db:
            [row] = await fetch(db, "SELECT last_synced_at, last_polled_at FROM icloud_account")
        if (row["last_synced_at"] or 0.0) >= began:
            return
        if polled_at != row["last_polled_at"]:
            polled_at, deadline = row["last_polled_at"], time.monotonic() + _READ_WITHIN
        assert time.monotonic() < deadline, "no poll has ended"
        await asyncio.sleep(0.2)


def _difference(stored: list[tuple[int, int]], fresh: list[tuple[int, int]]) -> str:
    here, there = sorted(set(stored) - set(fresh)), sorted(set(fresh) - set(stored))
    return f"only here {here[:3]}, only in a fresh sync {there[:3]}"
