"""A loop that is told to end: what is under way may end well, for so long, and is cut off then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from domain.accounts import AccountStatus
from domain.copies import WriteState
from models.icloud import ICloudAccount
from sync.service import Sync
from tests.integration.engine import USER, Engine
from tests.integration.test_loop import QUICK, Locked, add_account, engine, soon, sync_on, until

__all__ = ["engine"]


@asynccontextmanager
async def ending(engine: Engine, *, drain: float, asked: str) -> AsyncIterator[Sync]:
    """Until it has asked that, and hangs; inside it is told to end, and after that it has."""
    sync = sync_on(engine, replace(QUICK, drain=drain, usual_every=600, quiet_every=600))
    running = asyncio.create_task(sync.run())

    async def hangs() -> bool:
        return asked in engine.server.asked

    await until(hangs)
    running.cancel()
    yield sync
    async with asyncio.timeout(60):
        await asyncio.gather(running, return_exceptions=True)


async def hang_at(engine: Engine, asked: str) -> asyncio.Event:
    may_go_on = asyncio.Event()

    async def hang(step: str, _: str) -> None:
        if step == asked:
            await may_go_on.wait()

    engine.server.after = hang
    return may_go_on


async def test_a_poll_under_way_may_end(engine: Engine) -> None:
    may_go_on = await hang_at(engine, "changes")
    await engine.choose("Home")
    async with ending(engine, drain=50, asked="changes") as sync:
        await asyncio.sleep(0.1)
        may_go_on.set()
    account = await engine.account()
    assert (account.status, account.lease_owner) == (AccountStatus.CONNECTED, None)
    await sync.close()


async def test_a_poll_that_hangs_is_cut_off(engine: Engine) -> None:
    await hang_at(engine, "changes")
    await engine.choose("Home")
    async with ending(engine, drain=0.1, asked="changes") as sync:
        pass
    account = await engine.account()
    assert (account.status, account.lease_owner) == (AccountStatus.SYNCING, None)
    await sync.close()


@pytest.fixture
async def name(engine: Engine) -> str:
    """Booked, and to be written."""
    await engine.choose(linked="Home")
    await engine.poll()
    return await engine.book(soon(24), soon(25))


async def test_a_write_under_way_may_end(engine: Engine, name: str) -> None:
    may_go_on = await hang_at(engine, "create")
    async with ending(engine, drain=50, asked="create") as sync:
        await asyncio.sleep(0.1)
        may_go_on.set()
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN
    assert await engine.pending() == []
    await sync.close()


async def test_a_write_that_hangs_is_cut_off_and_stays_to_be_written(engine: Engine, name: str) -> None:
    await hang_at(engine, "create")
    async with ending(engine, drain=0.1, asked="create") as sync:
        pass
    assert (await engine.appointment(name)).write_state == WriteState.PENDING
    [write] = await engine.pending()
    assert write.lease_until is None, "nobody else writes it before the lease ends"
    await sync.close()


async def test_a_poll_that_waited_for_its_lease_does_not_begin_where_the_loop_ends_meanwhile(
    engine: Engine,
) -> None:
    await add_account(engine, "other")
    await engine.choose("Home")
    engine.server.asked.clear()
    hangs = engine.server.hangs = asyncio.Event()
    sync = sync_on(engine, replace(QUICK, drain=60))
    assert await sync._loop.poll_now(engine.account_id) is not None
    async with sync._loop._leases._turn:  # Of another's statement, which takes its time.
        asking = asyncio.create_task(sync._loop.poll_now("acc_other"))
        await asyncio.sleep(0)
        ends = asyncio.create_task(sync.close())
        await asyncio.sleep(0)
    assert await asking is None
    hangs.set()
    await ends
    assert engine.server.asked.count("list") == 1


async def test_one_that_is_asked_for_while_the_loop_ends_is_left_to_the_other_processes(
    engine: Engine,
) -> None:
    await add_account(engine, "other")
    await engine.choose("Home")
    hangs = engine.server.hangs = asyncio.Event()
    sync = sync_on(engine, replace(QUICK, drain=60))
    assert await sync._loop.poll_now(engine.account_id) is not None
    ends = asyncio.create_task(sync.close())
    await asyncio.sleep(0)
    assert await sync._loop.poll_now("acc_other") is None
    async with engine.database.reading() as db:
        assert (await ICloudAccount.filter(id="acc_other").using_db(db).get()).lease_owner is None
    hangs.set()
    await ends


async def test_nothing_of_the_loop_is_left_at_its_end(engine: Engine) -> None:
    """Nor what kept the leases of polls that were asked for."""
    await engine.choose("Home")
    before = asyncio.all_tasks()
    sync = sync_on(engine, replace(QUICK, lease=600))
    for _ in range(2):
        await sync.refresh(USER, wait=60)
    assert asyncio.all_tasks() > before
    await sync.close()
    for left in asyncio.all_tasks() - before:
        await asyncio.wait([left], timeout=30)
    assert asyncio.all_tasks() == before


async def test_leases_that_a_locked_database_does_not_take_back_end_by_themselves(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    await engine.choose("Home")
    engine.database = database = Locked(engine.database)
    sync = sync_on(engine)
    await sync.refresh(USER, wait=60)
    database.locked_out = 9
    await sync.close()
    assert "leases end by themselves" in caplog.text
