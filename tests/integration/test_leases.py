"""Who is polled next, by which process, and how long that one has the account."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from domain.accounts import AccountStatus
from models.bell import Bell
from models.database import Database
from models.icloud import ICloudAccount
from models.polling import Places, Stamp, release_all, trade_leases
from sync.leases import Leases
from sync.settings import SyncSettings
from tests.integration.engine import HOUR, NOW, USER, Engine, engine_on
from tests.integration.test_loop import Locked, add_account, sync_on, until


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    return await engine_on(database, bell)


async def taken(engine: Engine, owner: str = "process-1", **places: int) -> list[str]:
    async with engine.database.writing() as db:
        leases = await trade_leases(db, owner=owner, now=NOW, lease=30, until=NOW, places=Places(**places))
    return [lease.account_id for lease in leases]


async def account(engine: Engine, name: str) -> ICloudAccount:
    async with engine.database.reading() as db:
        return await ICloudAccount.filter(id=f"acc_{name}").using_db(db).get()


@asynccontextmanager
async def slow(database: Locked) -> AsyncIterator[asyncio.Event]:
    """Its next write waits for the end of this; what is given is set once that is asked for."""
    is_asked, may_go_on = asyncio.Event(), asyncio.Event()
    database.waits = (is_asked, may_go_on)
    try:
        yield is_asked
    finally:
        may_go_on.set()


async def test_who_is_due_longest_is_taken_first(engine: Engine) -> None:
    for name, due in (("late", NOW - 1), ("later", NOW - 60), ("latest", NOW - 600)):
        await add_account(engine, name, next_poll_at=due)
    assert await taken(engine, healthy=2) == ["acc_latest", "acc_later"]
    assert await taken(engine, healthy=2) == ["acc_late"]


async def test_those_that_fail_take_no_place_of_the_others_nor_they_of_theirs(engine: Engine) -> None:
    await add_account(engine, "fails", next_poll_at=NOW - 600, failures=3)
    await add_account(engine, "well", next_poll_at=NOW - 1)
    assert await taken(engine, failing=0, healthy=2) == ["acc_well"]
    await add_account(engine, "another", next_poll_at=NOW - 900)
    assert await taken(engine, failing=2, healthy=0) == ["acc_fails"]


async def test_a_process_that_ends_frees_its_own_and_nobody_elses(engine: Engine) -> None:
    for name in ("mine", "theirs"):
        await add_account(engine, name, next_poll_at=NOW)
        await taken(engine, owner=name, healthy=1)
    async with engine.database.writing() as db:
        await release_all(db, owner="mine")
    owners = {(await account(engine, name)).lease_owner for name in ("mine", "theirs")}
    assert owners == {None, "theirs"}


async def test_how_late_a_poll_without_news_began_is_on_record(engine: Engine) -> None:
    """By it the loop's health is told, which is mostly of such polls."""
    await add_account(engine, "quiet", next_poll_at=NOW - 7, poll_lag=90.0)
    assert await taken(engine, healthy=1) == ["acc_quiet"]
    revision = 0
    stamp = Stamp("acc_quiet", revision, NOW, 7.0, None, NOW + 60, NOW + 15)
    async with engine.database.writing() as db:
        await trade_leases(
            db, owner="process-1", now=NOW, lease=30, until=NOW, places=Places(), stamps=[stamp]
        )
    assert (await account(engine, "quiet")).poll_lag == 7.0


async def test_a_lease_is_renewed_when_a_third_of_it_has_passed_and_not_before(engine: Engine) -> None:
    leases = Leases(engine.context())
    assert await leases.take(engine.account_id) is not None
    for passed, renewed in ((9, 0), (11, 11), (20, 11), (22, 22)):
        engine.now = NOW + passed
        await leases.trade()
        assert (await engine.account()).lease_until == NOW + renewed + 30


async def test_what_is_taken_in_a_turn_is_renewed_until_it_is_given_back(engine: Engine) -> None:
    await add_account(engine, "fails", next_poll_at=NOW, failures=1)
    leases = Leases(engine.context())
    [lease] = await leases.trade(Places(failing=1))
    engine.now = NOW + 11
    await leases.trade()
    assert (await account(engine, "fails")).lease_until == NOW + 11 + 30
    engine.now = NOW + 22
    leases.stamp(Stamp("acc_fails", lease.revision, NOW, 0.0, None, NOW + 60, NOW + 15))
    await leases.trade()
    back = await account(engine, "fails")
    assert (back.lease_owner, back.lease_until, back.next_poll_at) == (None, None, NOW + 60)
    async with engine.database.writing() as db:
        await ICloudAccount.filter(id="acc_fails").using_db(db).update(lease_owner=leases._context.owner)
    engine.now = NOW + 44
    await leases.trade()
    assert (await account(engine, "fails")).lease_until is None, "it is none of ours any more"


async def test_those_that_are_well_are_taken_though_no_failing_one_is_wanted(engine: Engine) -> None:
    await add_account(engine, "well", next_poll_at=NOW)
    assert [lease.account_id for lease in await Leases(engine.context()).trade(Places(healthy=1))] == [
        "acc_well"
    ]


async def test_where_there_is_nothing_to_say_or_take_the_database_is_not_asked(engine: Engine) -> None:
    """Nor by one that gave back all that it had, or that never had any."""
    engine.database = database = Locked(engine.database)
    leases, database.locked_out = Leases(engine.context()), 9
    await leases.give_back_all()
    database.locked_out = 0
    assert await leases.take(engine.account_id) is not None
    database.locked_out = 9
    assert await leases.trade() == []
    leases.forget(engine.account_id)
    engine.now += 11
    assert await leases.trade() == []
    database.locked_out = 0
    assert await leases.take(engine.account_id) is not None
    await leases.give_back_all()
    database.locked_out = 9
    engine.now += 11
    assert await leases.trade() == []
    await leases.give_back_all()
    assert database.locked_out == 9


async def test_what_was_polled_to_the_end_is_told_as_all_is_given_back(engine: Engine) -> None:
    """Who goes on then polls it when it is due, and not at once."""
    leases = Leases(engine.context())
    lease = await leases.take(engine.account_id)
    assert lease is not None
    leases.stamp(Stamp(engine.account_id, lease.revision, NOW, 0.0, None, NOW + 60, NOW + 15))
    async with engine.database.writing() as db:
        await ICloudAccount.all().using_db(db).update(next_poll_at=NOW - 1)
    await leases.give_back_all()
    account = await engine.account()
    assert (account.lease_owner, account.next_poll_at, account.last_polled_at) == (None, NOW + 60, NOW)


async def test_one_given_back_while_it_is_leased_on_is_kept_no_more(engine: Engine) -> None:
    engine.database = database = Locked(engine.database)
    leases = Leases(engine.context())
    assert await leases.take(engine.account_id) is not None
    engine.now += 11
    async with slow(database) as is_asked:
        trading = asyncio.create_task(leases.trade())
        await is_asked.wait()
        leases.forget(engine.account_id)
    await trading
    engine.now += 11
    database.locked_out = 9
    assert await leases.trade() == []


async def test_one_that_is_asked_for_while_it_is_given_back_is_leased_after_that(engine: Engine) -> None:
    """The other way round it would be polled with no lease."""
    engine.database = database = Locked(engine.database)
    leases = Leases(engine.context())
    lease = await leases.take(engine.account_id)
    assert lease is not None
    leases.stamp(Stamp(engine.account_id, lease.revision, NOW, 0.0, None, NOW + 60, NOW + 15))
    async with slow(database) as is_asked:
        trading = asyncio.create_task(leases.trade())
        await is_asked.wait()
        taking = asyncio.create_task(leases.take(engine.account_id))
        await asyncio.wait([taking], timeout=0.2)
    await asyncio.gather(trading, taking)
    assert (await engine.account()).lease_owner == leases._context.owner


async def test_one_that_was_polled_to_its_end_is_leased_on_no_more(engine: Engine) -> None:
    await engine.choose("Home")
    engine.database = database = Locked(engine.database)
    sync = sync_on(engine, SyncSettings(), clock=lambda: engine.now)
    await sync.refresh(USER, wait=60)
    engine.now += 11
    database.locked_out = 1
    assert await sync._loop._leases.trade() == []
    database.locked_out = 0
    await sync.close()


async def test_a_lease_that_a_later_clock_made_is_brought_to_its_length(engine: Engine) -> None:
    """Where this process died, the others would wait for that clock's hour."""
    leases = Leases(engine.context())
    engine.now = NOW + HOUR
    assert await leases.take(engine.account_id) is not None
    engine.now = NOW
    await leases.trade()
    assert (await engine.account()).lease_until == NOW + 30


async def test_one_that_waits_to_be_polled_does_so_no_more_once_it_is_asked_for(engine: Engine) -> None:
    """It would be asked for twice within a second."""
    await engine.choose("Home")
    sync = sync_on(engine)
    await sync._loop._take_turn()
    assert len(sync._loop._waiting.healthy) == 1
    assert await sync._loop.poll_now(engine.account_id) is not None
    assert len(sync._loop._waiting.healthy) == 0
    await sync.close()


async def test_a_loop_outlives_a_database_that_is_locked(engine: Engine) -> None:
    await engine.choose("Home")
    engine.database = database = Locked(engine.database)
    database.locked_out = 5
    sync = sync_on(engine)
    running = asyncio.create_task(sync.run())

    async def is_connected() -> bool:
        return (await engine.account()).status == AccountStatus.CONNECTED

    await until(is_connected, seconds=60)
    assert database.locked_out == 0
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await sync.close()
