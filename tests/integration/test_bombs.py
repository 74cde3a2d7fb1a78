"""Sixty bombs in one account, beside a healthy one: each ends in its own outcome, and the healthy one is polled on."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import replace

import pytest

from domain.accounts import AccountStatus
from domain.actor import UserRef
from domain.interval import Span
from models.bell import Bell
from models.calendar import Resource
from models.database import Database
from models.sql import fetch
from sync.plan import plan_window
from tests.bombs import bombs, fault_in
from tests.fakes.calendar_server import APPLE_ID, PASSWORD
from tests.integration.engine import NOW, ZONE, Engine, engine_on, event
from tests.integration.test_loop import QUICK, sync_on, until

HOUR = 3600
BOMBED = "bombed@icloud.com"
EVENT = int(NOW) + 48 * HOUR
WHOLE_FETCH = 100  # Seconds on the clock, at the most: the guard allows each 2 s of CPU.


async def bombed_beside(engine: Engine) -> Engine:
    """Another user's account, whose one calendar holds the bombs; the healthy one's holds an event."""
    work = engine.server.calendars["/1/calendars/work/"]
    for number, bomb in enumerate(bombs()):
        work.put(f"bomb-{number}", bomb.text)
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", EVENT, EVENT + HOUR))
    engine.server.passwords[BOMBED] = PASSWORD
    other = replace(engine, account_id="acc_2", user=UserRef("sub_1", "usr_2"))
    await other.set_up(apple_id=BOMBED)
    await other.choose("Work")
    await engine.choose("Home")
    return other


async def slots_of(engine: Engine) -> list[Span]:
    async with engine.database.reading() as db:
        rows = await fetch(
            db, "SELECT starts, ends FROM blocked_slot WHERE user_id = $1 ORDER BY starts", engine.user.user
        )
    return [Span(row["starts"], row["ends"]) for row in rows]


@pytest.mark.slow
async def test_each_of_sixty_bombs_ends_in_its_outcome_and_the_healthy_account_is_polled_on(
    database: Database, bell: Bell
) -> None:
    engine = await engine_on(database, bell, QUICK)
    bombed = await bombed_beside(engine)
    polls: list[str] = []

    async def note(name: str, apple_id: str) -> None:
        if name == "list":
            polls.append(apple_id)

    engine.server.after = note
    began = time.monotonic()
    sync = sync_on(engine, clock=lambda: NOW + time.monotonic() - began)
    running = asyncio.create_task(sync.run())

    async def is_read() -> bool:
        return (await bombed.account()).status == AccountStatus.CONNECTED

    await until(is_read, seconds=WHOLE_FETCH)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await sync.close()
    assert polls[polls.index(BOMBED) :].count(APPLE_ID) >= 3, "it waited for the bombs"
    assert await slots_of(engine) == [Span(EVENT, EVENT + HOUR)]
    assert await faults_in(bombed) == {}


async def faults_in(bombed: Engine) -> dict[str, str]:
    """By bomb, from what is stored; empty where each ended as it must."""
    made = dict(zip((f"/1/calendars/work/bomb-{number}.ics" for number in range(60)), bombs(), strict=True))
    window = plan_window(NOW, ZONE, QUICK)
    async with bombed.database.reading() as db:
        stored = await Resource.filter(user_id=bombed.user.user).using_db(db)
        rows = await fetch(db, "SELECT resource_id, starts, ends FROM blocked_slot")
    closed: defaultdict[str, list[Span]] = defaultdict(list)
    for row in rows:
        closed[row["resource_id"]].append(Span(row["starts"], row["ends"]))
    assert {resource.href for resource in stored} == made.keys()
    faults = {
        made[resource.href].name: fault_in(
            made[resource.href],
            told=[str(problem["code"]) for problem in resource.problems],
            is_readable=resource.is_readable,
            closed=closed[resource.id],
            window=window,
        )
        for resource in stored
    }
    return {name: fault for name, fault in faults.items() if fault is not None}
