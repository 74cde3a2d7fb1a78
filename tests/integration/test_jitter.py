"""Polls and writes are spread by a chance of each process's own: thousands of accounts never ask iCloud in step."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from models.bell import Bell
from models.database import Database
from models.icloud import ICloudAccount
from sync.context import SyncContext
from sync.remote import Unreachable
from sync.service import Sync
from sync.settings import SyncSettings
from tests.fakes.calendar_server import FakeServer
from tests.integration.engine import NOW, USER, Engine, at, linked_engine_on
from tests.integration.test_loop import add_account, until

CHANCES = [(0.0, 0.8), (0.75, 1.1)]


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    return await linked_engine_on(database, bell)


def by(engine: Engine, chance: float) -> SyncContext:
    return replace(engine.context(), chance=lambda: chance)


async def planned_in(engine: Engine) -> float:
    return ((await engine.account()).next_poll_at or 0) - engine.now


@pytest.mark.parametrize(("chance", "share"), CHANCES)
async def test_a_poll_that_went_well_is_spread(engine: Engine, chance: float, share: float) -> None:
    await engine.poll(by(engine, chance))
    assert await planned_in(engine) == pytest.approx(60 * share)


@pytest.mark.parametrize(("chance", "share"), CHANCES)
async def test_a_poll_that_failed_is_spread(engine: Engine, chance: float, share: float) -> None:
    engine.server.failures["list"] = [Unreachable()]
    await engine.poll(by(engine, chance))
    assert await planned_in(engine) == pytest.approx(30 * share)


@pytest.mark.parametrize(("chance", "share"), CHANCES)
async def test_a_write_that_failed_is_spread(engine: Engine, chance: float, share: float) -> None:
    engine.server.failures["create"] = [Unreachable()]
    await engine.book(at(3, 9), at(3, 10))
    await engine.push(by(engine, chance))
    [waits] = await engine.pending()
    assert (waits.due_at or 0) - engine.now == pytest.approx(5 * share)


def sync_on(engine: Engine, **given: object) -> Sync:
    return Sync(
        database=engine.database,
        bell=engine.bell,
        sealer=engine.sealer,
        settings=SyncSettings(look_every=0.02),
        clock=lambda: engine.now,
        server=engine.server,
        **given,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(("chance", "share"), CHANCES)
async def test_a_poll_that_finds_nothing_new_is_spread(engine: Engine, chance: float, share: float) -> None:
    sync = sync_on(engine, chance=lambda: chance)
    engine.now += 150  # Past the comparison that follows a first reading.
    for _ in range(3):
        engine.now += 10
        await sync.refresh(USER, wait=60)
    engine.server.asked.clear()
    engine.now += 10
    await sync.refresh(USER, wait=60)
    assert engine.server.asked == ["list"]
    assert await planned_in(engine) == pytest.approx(60 * share)
    await sync.close()


async def test_accounts_that_were_due_together_are_due_apart_from_then_on(engine: Engine) -> None:
    """By the chance that a process has where none is given."""
    for number in range(8):
        await add_account(engine, f"n{number}", next_poll_at=NOW)
    sync = sync_on(engine)
    running = asyncio.create_task(sync.run())

    async def times() -> set[float]:
        async with engine.database.reading() as db:
            rows = await ICloudAccount.filter(user_id__startswith="usr_n").using_db(db)
        return {row.next_poll_at or 0 for row in rows}

    async def are_polled() -> bool:
        return min(await times()) > NOW

    await until(are_polled, seconds=60)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await sync.close()
    assert len(await times()) == 8


async def test_processes_keep_house_at_times_of_their_own(database: Database, bell: Bell) -> None:
    """Nothing but that asks for a chance where there is no account to poll."""
    asked: list[float] = []

    def chance() -> float:
        asked.append(0.5)
        return 0.5

    engine = Engine(database, bell, FakeServer())
    sync = sync_on(engine, chance=chance)
    running = asyncio.create_task(sync.run())

    async def has_asked() -> bool:
        return bool(asked)

    await until(has_asked, seconds=60)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await sync.close()
