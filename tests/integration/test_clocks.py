"""A wall clock that is set back: nothing waits until it comes round again, and nothing looks newer than it is."""

from __future__ import annotations

import asyncio

import pytest

from models.bell import Bell
from models.booking import Hold, PendingWrite
from models.calendar import Calendar
from models.changelog import changing
from models.clocks import CLOCKS_DIFFER
from models.database import Database
from models.icloud import ICloudAccount
from models.polling import Lease, Places, Stamp, lease_account
from models.sql import fetch
from resolvers.freshness import known_at, read_sync_states
from sync.clocks import WallClock, set_right
from sync.leases import Leases
from sync.quiet import look
from sync.remote import Throttled, Unreachable
from sync.service import Sync
from sync.waiting import Waiting
from tests.integration.engine import DAY, HOUR, NOW, USER, ZONE, Engine, at, engine_on, event

MINUTES = 300.0
BACK = [MINUTES, float(HOUR), 400.0 * DAY]


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    """Read, and held against a full listing since."""
    engine = await engine_on(database, bell)
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", at(3, 9), at(3, 10)))
    await engine.choose("Home", linked="Home")
    for _ in range(3):
        await engine.poll()
        engine.now += 150
    return engine


async def set_back(engine: Engine, seconds: float) -> None:
    engine.now -= seconds
    await set_right(engine.context())


def sync_on(engine: Engine) -> Sync:
    return Sync(
        database=engine.database,
        bell=engine.bell,
        sealer=engine.sealer,
        settings=engine.settings,
        clock=lambda: engine.now,
        server=engine.server,
    )


async def due(engine: Engine, owner: str = "process-1") -> list[Lease]:
    leases = Leases(engine.context(owner))
    return await leases.trade(Places(healthy=10, failing=10))


async def with_honest_polls(engine: Engine, seconds: float) -> None:
    """No account tells that the clock will be set back by so much."""
    async with engine.database.writing() as db:
        stamps = {"last_polled_at": engine.now - seconds, "next_poll_at": engine.now - seconds}
        await ICloudAccount.all().using_db(db).update(**stamps)


# --- Polls


@pytest.mark.parametrize("seconds", BACK)
async def test_an_account_is_due_at_once_after_the_clock_was_set_back(engine: Engine, seconds: float) -> None:
    await engine.poll()
    await set_back(engine, seconds)
    assert [each.due_at for each in await due(engine)] == [engine.now]


async def test_clocks_that_differ_by_less_than_a_minute_do_not_fight(engine: Engine) -> None:
    await engine.poll()
    before = (await engine.account()).next_poll_at
    await set_back(engine, CLOCKS_DIFFER - 1)
    assert (await engine.account()).next_poll_at == before


async def test_what_is_set_right_is_set_right_once(engine: Engine) -> None:
    await engine.poll()
    await set_back(engine, HOUR)
    async with engine.database.writing() as db:
        await ICloudAccount.all().using_db(db).update(next_poll_at=engine.now + 300)
    await set_right(engine.context())
    assert (await engine.account()).next_poll_at == engine.now + 300


async def test_an_account_that_never_was_polled_is_due_too(engine: Engine) -> None:
    async with engine.database.writing() as db:
        await (
            ICloudAccount.all()
            .using_db(db)
            .update(last_polled_at=None, poll_asked_at=engine.now, next_poll_at=engine.now)
        )
    await set_back(engine, MINUTES)
    assert len(await due(engine)) == 1


@pytest.mark.parametrize(("failures", "ahead"), [(0, HOUR), (3, 2 * HOUR)])
async def test_no_poll_is_planned_further_ahead_than_any_can_be(
    engine: Engine, failures: int, ahead: int
) -> None:
    """By one that began before the clock was set ahead, and ended after."""
    async with engine.database.writing() as db:
        accounts = ICloudAccount.all().using_db(db)
        await accounts.update(next_poll_at=engine.now + ahead, failures=failures)
    await set_right(engine.context())
    assert (await engine.account()).next_poll_at == engine.now


async def test_what_a_poll_was_to_plan_when_the_clock_was_set_back_counts_no_more(engine: Engine) -> None:
    context, leases = engine.context(), Leases(engine.context())
    for _ in range(2):
        await engine.poll(context)
    lease = await leases.take(engine.account_id)
    assert lease is not None
    stamp = await look(context, lease)
    assert isinstance(stamp, Stamp)
    leases.stamp(stamp)
    async with engine.database.writing() as db:
        await Calendar.filter(name="Home").using_db(db).update(last_synced_at=NOW - HOUR)
    await set_back(engine, HOUR)
    await leases.trade()
    assert (await engine.account()).next_poll_at == engine.now


async def test_a_dead_process_keeps_its_accounts_for_no_hour(engine: Engine) -> None:
    async with engine.database.writing() as db:
        await lease_account(db, engine.account_id, owner="dead", now=engine.now, lease=30)
    await with_honest_polls(engine, HOUR)
    await set_back(engine, HOUR)
    assert await due(engine, "another") == []
    engine.now += CLOCKS_DIFFER
    assert len(await due(engine, "another")) == 1


async def test_what_apple_told_to_wait_for_is_waited_for_anew(engine: Engine) -> None:
    engine.server.failures["list"] = [Throttled(900)]
    await engine.poll()
    await set_back(engine, HOUR)
    account = await engine.account()
    assert account.retry_at == account.next_poll_at == engine.now + 900


async def test_a_poll_under_way_keeps_its_lease(engine: Engine) -> None:
    leases = Leases(engine.context())
    await leases.take(engine.account_id)
    engine.now -= HOUR
    await leases.trade()
    assert (await engine.account()).lease_until == engine.now + engine.settings.lease


def test_what_waits_to_begin_waits_no_hour() -> None:
    waiting = Waiting()
    waiting.add([Lease("acc_1", USER, NOW + 1, False, 1, None)])
    assert waiting.healthy.due(NOW, ahead=1) is None
    assert waiting.healthy.due(NOW - HOUR, ahead=1) is not None


async def test_a_process_that_runs_heeds_it_in_its_next_turn(engine: Engine) -> None:
    await engine.poll()
    wall = WallClock(engine.context())
    await wall.heed()
    engine.now -= HOUR
    await wall.heed()
    assert (await engine.account()).next_poll_at == engine.now


async def test_the_loop_polls_again_though_its_clock_was_set_back(engine: Engine) -> None:
    sync = sync_on(engine)
    running = asyncio.create_task(sync.run())
    await engine.poll()
    engine.now -= HOUR
    async with asyncio.timeout(60):
        while (await engine.account()).last_synced_at != engine.now:
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await sync.close()


# --- What a poll goes by


async def test_nothing_is_quiet_until_another_year(engine: Engine) -> None:
    """What was seen when nothing was to be done counts to the end of a day that is not to come for long."""
    context = engine.context()
    engine.now += 400 * DAY
    for _ in range(3):
        await engine.poll(context)
        engine.now += 10
    await set_back(engine, 400 * DAY)
    [lease] = await due(engine)
    assert await look(context, lease) is None


async def test_what_a_later_window_did_not_hold_closes_time_again(engine: Engine) -> None:
    slots = await engine.slots()
    assert slots
    engine.now += 30 * DAY
    await engine.poll()
    assert await engine.slots() == []
    await set_back(engine, 30 * DAY)
    assert (await engine.account()).expanded_zone == ""
    await engine.poll()
    assert await engine.slots() == slots


async def test_the_next_poll_finds_what_a_later_window_did_not_hold_whoever_makes_it(engine: Engine) -> None:
    """Before anybody has looked for what a clock left behind; and its stamps leave nothing to be found."""
    slots = await engine.slots()
    engine.now += 30 * DAY
    await engine.poll()
    assert await engine.slots() == []
    engine.now -= 30 * DAY
    await engine.poll(engine.context("another"))
    assert await engine.slots() == slots
    compare_at = (await engine.calendar("Home")).compare_at
    assert compare_at is not None
    assert compare_at < engine.now + 2 * DAY


async def test_a_window_moved_on_by_days_opens_nothing_though_its_poll_never_ended(engine: Engine) -> None:
    """The states that others have read just now are of days that this window holds no more."""
    other = engine.context()
    for _ in range(2):
        await engine.poll(other)
    assert not await closes(engine)
    engine.now += 3 * DAY
    engine.server.calendars["/1/calendars/home/"].put("b", event("b", at(9, 9), at(9, 10)))
    engine.server.failures["changes"] = [Unreachable()]
    await engine.poll(engine.context("ahead"))
    assert await engine.slots() == []
    engine.now -= 3 * DAY
    assert await closes(engine)


async def closes(engine: Engine) -> bool:
    """Whether the owner's time is closed as too old."""
    async with engine.database.reading() as db:
        [state] = await read_sync_states(db, [USER], [ZONE], now=engine.now)
    return state.closure(engine.now - 1800) is not None


async def test_a_window_is_known_by_itself_to_be_a_later_one(engine: Engine) -> None:
    """Of a poll that was broken off: it left no stamp."""
    async with engine.database.writing() as db:
        until = (await engine.account()).expanded_until + 30 * DAY
        await ICloudAccount.all().using_db(db).update(expanded_until=until)
    told = []
    for _ in range(2):
        await set_right(engine.context())
        async with engine.database.reading() as db:
            told += await fetch(db, "SELECT expanded_zone, revision FROM icloud_account")
    assert told[0]["expanded_zone"] == ""
    assert told[0] == told[1]


async def test_what_is_read_after_a_clock_was_set_back_goes_on_when_the_day_comes_round(
    engine: Engine,
) -> None:
    engine.now += DAY
    await engine.poll()
    await set_back(engine, DAY)
    daily = event("daily", at(3, 12), at(3, 13), extra="RRULE:FREQ=DAILY")
    engine.server.calendars["/1/calendars/home/"].put("daily", daily)
    await engine.poll()
    engine.now += DAY
    await engine.poll()
    account, slots = await engine.account(), await engine.slots()
    assert account.expanded_until - slots[-1][1] < DAY


@pytest.mark.parametrize("seconds", BACK)
async def test_a_comparison_comes_as_soon_as_it_would_have(engine: Engine, seconds: float) -> None:
    await engine.poll()
    before = (await engine.calendar("Home")).compare_at
    assert before is not None
    left = before - engine.now
    await set_back(engine, seconds)
    assert (await engine.calendar("Home")).compare_at == pytest.approx(engine.now + left)


async def test_a_comparison_is_never_further_than_a_night_away(engine: Engine) -> None:
    async with engine.database.writing() as db:
        await Calendar.all().using_db(db).update(compare_at=engine.now + 2 * DAY)
        await ICloudAccount.all().using_db(db).update(last_polled_at=engine.now + HOUR)
    await set_right(engine.context())
    assert (await engine.calendar("Home")).compare_at == engine.now


async def test_a_calendar_that_is_gone_is_gone_a_minute_later_by_any_clock(engine: Engine) -> None:
    context = engine.context()
    del engine.server.calendars["/1/calendars/home/"]
    await engine.poll(context)
    engine.now -= HOUR
    await engine.poll(context)
    engine.now += 60
    await engine.poll(context)
    assert (await engine.calendar("Home")).is_gone


async def test_much_that_is_gone_is_gone_a_minute_later_by_any_clock(engine: Engine) -> None:
    context, home = engine.context(), engine.server.calendars["/1/calendars/home/"]
    hrefs = [home.put(f"e{number}", event(f"e{number}", at(4, 9), at(4, 10))) for number in range(30)]
    await engine.poll(context)
    for href in hrefs:
        home.delete(href)
    await engine.poll(context)
    engine.now -= HOUR
    await engine.poll(context)
    engine.now += 60
    await engine.poll(context)
    assert len(await engine.slots()) == 1


# --- How old it looks


def test_a_stamp_that_lies_in_the_future_tells_nothing() -> None:
    assert known_at(NOW, NOW + 5, now=NOW) == NOW + 5
    assert known_at(NOW + 5, NOW, now=NOW) == NOW + 5
    assert known_at(NOW, NOW + HOUR, now=NOW) == NOW
    assert known_at(NOW + HOUR, NOW, now=NOW) == NOW
    assert known_at(NOW + HOUR, NOW + HOUR, now=NOW) is None
    assert known_at(NOW + HOUR, None, now=NOW) is None
    assert known_at(None, NOW, now=NOW) is None


async def test_no_state_is_fresh_again_when_the_clock_comes_round(engine: Engine) -> None:
    """Of a calendar that can't be read since."""
    async with engine.database.writing() as db:
        await ICloudAccount.all().using_db(db).update(connected_at=NOW - DAY)
    await engine.poll()
    then = engine.now
    await set_back(engine, HOUR)
    engine.server.failures["list"] = [Unreachable()]
    await engine.poll()
    engine.now = then + 1
    account, calendar = await engine.account(), await engine.calendar("Home")
    assert known_at(calendar.last_synced_at, account.last_synced_at, now=engine.now) == NOW - DAY


async def test_after_the_next_poll_all_is_as_new_as_it_is(engine: Engine) -> None:
    await engine.poll()
    await set_back(engine, HOUR)
    await engine.poll()
    assert (await engine.account()).last_synced_at == engine.now
    assert (await engine.calendar("Home")).last_synced_at == engine.now


async def test_a_poll_that_had_begun_before_is_not_shared(engine: Engine) -> None:
    sync = sync_on(engine)
    engine.server.hangs = asyncio.Event()
    engine.server.asked.clear()
    first = asyncio.create_task(sync.refresh(USER, wait=60))
    while not engine.server.asked:
        await asyncio.sleep(0.01)
    engine.now -= HOUR
    second = asyncio.create_task(sync.refresh(USER, wait=60))
    await asyncio.sleep(0.05)
    engine.server.hangs.set()
    await asyncio.gather(first, second)
    await sync.close()
    assert engine.server.asked.count("list") == 2


async def test_who_waits_for_another_process_is_not_served_a_poll_from_before(engine: Engine) -> None:
    await engine.poll()
    engine.now -= HOUR
    async with engine.database.writing() as db:
        await lease_account(db, engine.account_id, owner="another", now=engine.now, lease=30)
    sync = sync_on(engine)
    outcome = await sync.refresh(USER, wait=0.6)
    await sync.close()
    assert not outcome.is_complete


# --- Writes and holds


async def test_a_write_is_due_at_once(engine: Engine) -> None:
    await engine.book(at(5, 9), at(5, 10))
    await with_honest_polls(engine, MINUTES)
    await set_back(engine, MINUTES)
    assert await engine.push() == 1


async def test_a_write_that_waits_to_be_tried_again_is_due_too(engine: Engine) -> None:
    await engine.book(at(5, 9), at(5, 10))
    engine.server.failures["create"] = [Unreachable()]
    await engine.push()
    await engine.poll()
    await set_back(engine, HOUR)
    assert await engine.push() == 1


async def test_no_write_waits_longer_than_any_can(engine: Engine) -> None:
    await engine.book(at(5, 9), at(5, 10))
    async with engine.database.writing() as db:
        await PendingWrite.all().using_db(db).update(due_at=engine.now + 2 * HOUR, attempts=9)
    await set_right(engine.context())
    assert await engine.push() == 1


async def test_a_dead_process_keeps_its_writes_for_no_hour(engine: Engine) -> None:
    await engine.book(at(5, 9), at(5, 10))
    async with engine.database.writing() as db:
        await PendingWrite.all().using_db(db).update(due_at=NOW - HOUR, lease_until=engine.now + 30)
    await with_honest_polls(engine, HOUR)
    await set_back(engine, HOUR)
    engine.now += CLOCKS_DIFFER
    assert await engine.push() == 1


async def test_a_hold_lasts_no_longer_than_any_and_its_user_is_told(engine: Engine) -> None:
    facts = {"token": "t", "subaccount_id": USER.subaccount, "user_id": USER.user, "type_id": "typ_1"}
    async with changing(engine.database, engine.bell, USER, now=engine.now) as ledger:
        await Hold.create(
            using_db=ledger.db,
            id="hld_1",
            starts=at(5, 9),
            ends=at(5, 10),
            expires_at=engine.now + engine.settings.hold_for,
            **facts,
        )
    before = await engine.position()
    await set_back(engine, HOUR)
    async with engine.database.reading() as db:
        [row] = await fetch(db, "SELECT expires_at FROM hold")
    assert row["expires_at"] == engine.now + engine.settings.hold_for
    assert await engine.position() == before + 1
