"""Polls that find nothing new, and what a process says of its polls in one statement."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import fields, replace
from weakref import ref

import pytest

from domain.changes import ChangeKind
from models.bell import Bell
from models.calendar import Calendar
from models.changelog import changing
from models.database import Database
from models.icloud import ICloudAccount
from models.people import User
from models.polling import Lease, Places, Stamp, ask_for_poll, lease_account, trade_leases
from models.seal import Sealer
from models.sql import execute, fetch
from resolvers.account_state import forget
from sync import quiet
from sync.context import Memory, Streak, SyncContext
from sync.housekeeping import keep_house
from sync.leases import Leases
from sync.pull import pull
from sync.quiet import Looked, look
from sync.remote import PasswordRefused, PasswordUnreadable, Throttled, Unreachable
from tests.fakes.calendar_server import FakeCalendar
from tests.integration.engine import DAY, NOW, Engine, at, engine_on, event
from tests.integration.test_loop import sync_on

OWNER = "process-1"


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    return await engine_on(database, bell)


@pytest.fixture
async def settled(engine: Engine) -> SyncContext:
    """A process that has read all there is, and then once found nothing new."""
    context = engine.context()
    await settle(engine, context)
    return context


async def settle(engine: Engine, context: SyncContext) -> None:
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", at(3, 9), at(3, 10)))
    await engine.choose("Home")
    await engine.settle(context)
    engine.server.asked.clear()


async def leased(engine: Engine, owner: str = OWNER) -> Lease:
    async with engine.database.writing() as db:
        lease = await lease_account(db, engine.account_id, owner=owner, now=engine.now, lease=30)
    assert lease is not None
    return lease


async def trade(engine: Engine, *stamps: Stamp, **asked: object) -> list[Lease]:
    facts = {"owner": OWNER, "now": engine.now, "lease": 30.0, "until": engine.now, "places": Places()}
    async with engine.database.writing() as db:
        return await trade_leases(db, stamps=stamps, **(facts | asked))  # type: ignore[arg-type]


async def stamped(engine: Engine, context: SyncContext) -> Stamp:
    found = await look(context, await leased(engine))
    assert isinstance(found, Stamp)
    return found


async def row(engine: Engine) -> dict[str, object]:
    async with engine.database.reading() as db:
        [found] = await fetch(db, "SELECT * FROM icloud_account WHERE id = $1", engine.account_id)
    return found


# --- Nothing new


async def test_a_poll_without_a_change_is_one_request_that_nothing_is_read_of(
    engine: Engine, settled: SyncContext
) -> None:
    reads, log = engine.server.reads, await engine.position()
    stamp = await stamped(engine, settled)
    await trade(engine, stamp)
    assert engine.server.asked == ["list"]
    assert engine.server.reads == reads
    assert await engine.position() == log
    account = await engine.account()
    assert (account.last_synced_at, account.last_polled_at) == (engine.now, engine.now)
    assert account.next_poll_at == stamp.next_poll_at == engine.now + 60
    assert account.lease_owner is None


async def test_nothing_is_remembered_of_a_poll_that_read_something(engine: Engine) -> None:
    context = engine.context()
    await engine.choose("Home")
    await engine.poll(context)
    assert await look(context, await leased(engine)) is None


async def looked_and_polled(engine: Engine, context: SyncContext) -> None:
    lease = await leased(engine)
    looked = await look(context, lease)
    assert not isinstance(looked, Stamp)
    await pull(context, lease, looked)
    engine.now += 15


async def test_a_poll_that_was_told_of_no_change_yet_is_not_quiet(
    engine: Engine, settled: SyncContext, home: FakeCalendar
) -> None:
    """Else what came would not be asked for until the night."""
    engine.server.untold.add(home.put("b", event("b", at(4, 9), at(4, 10))))
    await looked_and_polled(engine, settled)
    engine.server.untold.clear()
    await looked_and_polled(engine, settled)
    assert (at(4, 9), at(4, 10)) in await engine.slots()


async def test_a_poll_that_rests_for_what_is_not_given_is_not_quiet(
    engine: Engine, settled: SyncContext, home: FakeCalendar
) -> None:
    """Of one of its calendars, while the other is in step."""
    await engine.choose("Home", "Work")
    await engine.settle(settled)
    engine.server.hidden.add(home.put("b", event("b", at(4, 9), at(4, 10))))
    for _ in range(60):
        await looked_and_polled(engine, settled)
    engine.server.hidden.clear()
    engine.now += engine.settings.longest_look
    await looked_and_polled(engine, settled)
    assert (at(4, 9), at(4, 10)) in await engine.slots()


async def reads_an_event_that_came(
    engine: Engine, context: SyncContext, take: Callable[[Engine], Awaitable[Lease]]
) -> Looked:
    engine.server.calendars["/1/calendars/home/"].put("b", event("b", at(4, 9), at(4, 10)))
    lease = await take(engine)
    found = await look(context, lease)
    assert isinstance(found, Looked)
    outcome = await pull(context, lease, found)
    assert (outcome.error, outcome.changes) == (None, 1)
    return found


async def test_another_answer_is_read_without_asking_again(engine: Engine, settled: SyncContext) -> None:
    found = await reads_an_event_that_came(engine, settled, leased)
    assert engine.server.asked == ["list", "changes", "fetch"]
    assert (await engine.account()).last_synced_at == found.started


@pytest.mark.parametrize("error", [PasswordRefused(), Unreachable(), Throttled(5)])
async def test_what_the_look_met_is_the_polls_and_not_asked_twice(
    engine: Engine, settled: SyncContext, error: Exception
) -> None:
    engine.server.failures["list"] = [error]
    lease = await leased(engine)
    found = await look(settled, lease)
    assert isinstance(found, Looked)
    assert (await pull(settled, lease, found)).error is error
    assert engine.server.asked == ["list"]
    assert (await engine.account()).failures == 1


async def _set(engine: Engine, model: type[Calendar | ICloudAccount | User], **facts: object) -> None:
    async with engine.database.writing() as db:
        await model.all().using_db(db).update(**facts)


CHANGES: dict[str, Callable[[Engine], Awaitable[None]]] = {
    "a calendar is chosen": lambda engine: engine.choose("Home", "Work"),
    "one is left": lambda engine: engine.choose(),
    "one is linked": lambda engine: engine.choose("Home", linked="Home"),
    "its name": lambda engine: _set(engine, Calendar, name="Other"),
    "it is gone": lambda engine: _set(engine, Calendar, is_gone=True),
    "its token is forgotten": lambda engine: _set(engine, Calendar, listed_token=None),
    "it has to be read anew": lambda engine: _set(engine, Calendar, last_synced_at=None),
    "another password": lambda engine: _set(engine, ICloudAccount, sealed_password=b"other"),
    "another home": lambda engine: _set(engine, ICloudAccount, home_url="https://fake.test/2/calendars/"),
    "another zone": lambda engine: _set(engine, User, time_zone="Asia/Seoul"),
    "it failed": lambda engine: _set(engine, ICloudAccount, failures=1),
    "a standing": lambda engine: _set(engine, ICloudAccount, status="UNREACHABLE"),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_whatever_decides_what_a_poll_does_ends_the_quiet(
    engine: Engine, settled: SyncContext, what: str
) -> None:
    await CHANGES[what](engine)
    assert await look(settled, await leased(engine)) is None


async def test_a_whole_row_that_is_saved_does_not_turn_the_count_back(
    engine: Engine, settled: SyncContext
) -> None:
    stale = await engine.account()
    await _set(engine, Calendar, name="Other")
    async with engine.database.writing() as db:
        await stale.save(using_db=db)
    assert await look(settled, await leased(engine)) is None


async def test_a_new_day_ends_the_quiet(engine: Engine, settled: SyncContext) -> None:
    await _set(engine, Calendar, compare_at=None)
    engine.now += 10
    await engine.poll(settled)
    assert isinstance(await look(settled, await leased(engine)), Stamp)
    midnight = NOW - NOW % DAY + DAY - 3600  # In Berlin.
    engine.now = midnight - 1
    assert isinstance(await look(settled, await leased(engine)), Stamp)
    engine.now = midnight + settled.settings.roll_lasts
    assert await look(settled, await leased(engine)) is None


async def test_a_comparison_that_is_due_the_same_day_ends_the_quiet(
    engine: Engine, settled: SyncContext
) -> None:
    await _set(engine, Calendar, compare_at=engine.now + 300)
    await engine.poll(settled)
    assert isinstance(await look(settled, await leased(engine)), Stamp)
    engine.now += 300
    assert await look(settled, await leased(engine)) is None


async def test_a_comparison_that_is_due_ends_the_quiet(engine: Engine, settled: SyncContext) -> None:
    due = (await engine.calendar("Home")).compare_at
    assert due is not None
    engine.now = due - 1
    quiet = settled.memory.quiet[engine.account_id]
    assert quiet.until <= due


async def test_a_kept_calendar_that_the_home_does_not_list_is_never_quiet(
    engine: Engine, settled: SyncContext
) -> None:
    """Its changes show in no answer of the home."""
    home = engine.server.calendars["/1/calendars/home/"]
    engine.server.unshown.add(home.path)
    for _ in range(3):
        engine.now += 10
        await engine.poll(settled)
        assert await look(settled, await leased(engine)) is None


# --- What another process knows of it


@pytest.fixture
async def other(engine: Engine, settled: SyncContext) -> SyncContext:
    """A process that begins after one quiet poll went on record."""
    await trade(engine, await stamped(engine, settled))
    engine.server.asked.clear()
    return engine.context("process-2")


async def taken_over(engine: Engine) -> Lease:
    engine.now += 61
    return await leased(engine, "process-2")


async def test_a_process_that_begins_asks_once_and_reads_nothing(engine: Engine, other: SyncContext) -> None:
    reads = engine.server.reads
    for _ in range(2):
        stamp = await look(other, await taken_over(engine))
        assert isinstance(stamp, Stamp)
        await trade(engine, stamp, owner="process-2")
        assert (await engine.account()).last_synced_at == engine.now
    assert engine.server.asked == ["list", "list"]
    assert engine.server.reads == reads


async def test_it_goes_on_record_once(engine: Engine, settled: SyncContext) -> None:
    first = await stamped(engine, settled)
    assert first.seen is not None
    await trade(engine, first)
    second = await stamped(engine, settled)
    assert second.seen is None
    await trade(engine, second)
    assert (await row(engine))["seen"] == first.seen


@pytest.mark.parametrize("what", CHANGES)
async def test_whatever_decides_what_a_poll_does_ends_the_quiet_for_all(
    engine: Engine, other: SyncContext, what: str
) -> None:
    await CHANGES[what](engine)
    assert await look(other, await taken_over(engine)) is None


async def test_another_answer_is_new_to_a_process_that_begins(engine: Engine, other: SyncContext) -> None:
    await reads_an_event_that_came(engine, other, taken_over)


async def test_what_is_due_meanwhile_is_due_for_a_process_that_begins(
    engine: Engine, other: SyncContext
) -> None:
    engine.now += DAY + other.settings.roll_lasts
    assert await look(other, await taken_over(engine)) is None


async def test_who_keeps_another_horizon_reads_all(engine: Engine, other: SyncContext) -> None:
    farther = replace(other, settings=replace(other.settings, horizon_days=500))
    assert await look(farther, await taken_over(engine)) is None


async def test_what_was_put_on_record_before_polls_came_to_do_more_is_read_anew(
    engine: Engine, other: SyncContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet, "_FORM", quiet._FORM + 1)
    assert await look(other, await taken_over(engine)) is None


async def test_who_cannot_open_the_password_leaves_it_to_the_whole_poll(
    engine: Engine, other: SyncContext
) -> None:
    stranger = replace(other, sealer=Sealer({"k": bytes(31) + b"x"}, "k"))
    lease = await taken_over(engine)
    assert await look(stranger, lease) is None
    assert isinstance((await pull(stranger, lease)).error, PasswordUnreadable)
    assert engine.server.asked == []


# --- What is said of it


async def test_a_stamp_for_a_state_that_passed_is_none_and_the_account_is_due(
    engine: Engine, settled: SyncContext
) -> None:
    synced = (await engine.account()).last_synced_at
    stamp = await stamped(engine, settled)
    await engine.choose("Home", "Work")
    await trade(engine, stamp)
    account = await engine.account()
    assert (account.last_synced_at, account.next_poll_at, account.lease_owner) == (synced, engine.now, None)


async def test_who_began_to_watch_meanwhile_is_polled_sooner(engine: Engine, settled: SyncContext) -> None:
    stamp = await stamped(engine, settled)
    await _set(engine, ICloudAccount, watched_until=engine.now + 60)
    await trade(engine, stamp)
    assert (await engine.account()).next_poll_at == stamp.next_if_watched == engine.now + 15


async def test_who_asked_meanwhile_is_polled_at_once(engine: Engine, settled: SyncContext) -> None:
    stamp = await stamped(engine, settled)
    async with engine.database.writing() as db:
        await ask_for_poll(db, engine.account_id, now=engine.now - 0.5)
    await trade(engine, stamp)
    assert (await engine.account()).next_poll_at == engine.now - 0.5


async def test_one_that_is_polled_no_more_stays_so(engine: Engine, settled: SyncContext) -> None:
    stamp = await stamped(engine, settled)
    await _set(engine, ICloudAccount, next_poll_at=None)
    await trade(engine, stamp)
    assert (await engine.account()).next_poll_at is None


async def test_a_lease_that_another_took_is_not_ours_to_give_back_or_keep(
    engine: Engine, settled: SyncContext
) -> None:
    before = await engine.account()
    stamp = await stamped(engine, settled)
    engine.now += 31
    await leased(engine, "process-2")
    await trade(engine, stamp)
    assert await trade(engine, kept=[engine.account_id]) == []
    account = await engine.account()
    assert (account.lease_owner, account.lease_until) == ("process-2", engine.now + 30)
    assert account.last_synced_at == before.last_synced_at


async def test_what_is_kept_is_leased_on(engine: Engine, settled: SyncContext) -> None:
    await leased(engine)
    engine.now += 20
    assert await trade(engine, kept=[engine.account_id]) == []
    assert (await engine.account()).lease_until == engine.now + 30


async def test_one_statement_takes_what_is_due_as_it_gives_back(engine: Engine, settled: SyncContext) -> None:
    stamp = await stamped(engine, settled)
    assert await trade(engine, stamp, places=Places(healthy=5), until=engine.now + 100) == []
    assert await trade(engine, places=Places(healthy=5)) == []
    [lease] = await trade(engine, places=Places(healthy=5), until=engine.now + 100)
    assert (lease.account_id, lease.due_at) == (engine.account_id, stamp.next_poll_at)
    assert await trade(engine, places=Places(healthy=5), until=engine.now + 100, owner="process-2") == []


async def test_what_a_process_did_not_get_to_say_means_an_early_poll(
    engine: Engine, settled: SyncContext
) -> None:
    await stamped(engine, settled)
    engine.now += 61
    other = engine.context("process-2")
    [lease] = await trade(engine, places=Places(healthy=5), owner="process-2")
    await pull(other, lease)
    assert (await engine.account()).last_synced_at == engine.now


async def test_what_could_not_be_said_is_said_again(engine: Engine, settled: SyncContext) -> None:
    leases = Leases(settled)
    lease = await leases.take(engine.account_id)
    assert lease is not None
    found = await look(settled, lease)
    assert isinstance(found, Stamp)
    leases.stamp(found)
    async with engine.database.writing() as db:
        waiting = asyncio.create_task(leases.trade())
        await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        del db
    await leases.trade()
    assert (await row(engine))["last_synced_at"] == found.started


async def test_who_takes_an_account_that_was_just_polled_gets_it_as_it_is_now(
    engine: Engine, settled: SyncContext
) -> None:
    leases = Leases(settled)
    first = await leases.take(engine.account_id)
    assert first is not None
    found = await look(settled, first)
    assert isinstance(found, Stamp)
    leases.stamp(found)
    await engine.choose("Home", "Work")
    second = await leases.take(engine.account_id)
    assert second is not None
    assert second.revision > first.revision
    await leases.trade()
    assert (await engine.account()).lease_owner == OWNER


async def test_who_takes_an_account_that_was_just_polled_and_is_cut_short_leaves_it_to_be_polled_again(
    engine: Engine, settled: SyncContext
) -> None:
    leases = Leases(settled)
    first = await leases.take(engine.account_id)
    assert first is not None
    found = await look(settled, first)
    assert isinstance(found, Stamp)
    leases.stamp(found)
    async with engine.database.writing() as db:
        await execute(db, "UPDATE icloud_account SET apple_id = apple_id")
        waiting = asyncio.create_task(leases.take(engine.account_id))
        await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    await leases.trade()
    assert (await engine.account()).lease_owner is None


async def test_no_event_or_row_of_the_log_comes_of_a_hundred_quiet_polls(
    engine: Engine, settled: SyncContext
) -> None:
    before = await engine.kinds(), [each.id for each in await engine.events()]
    for _ in range(100):
        engine.now += 1
        await trade(engine, await stamped(engine, settled))
    assert (await engine.kinds(), [each.id for each in await engine.events()]) == before
    assert ChangeKind.SLOT_ADDED in before[0]
    assert set(engine.server.asked) == {"list"}


# --- Disconnected


async def disconnect(engine: Engine) -> None:
    async with changing(engine.database, engine.bell, engine.user, now=engine.now) as ledger:
        await forget(ledger, await ICloudAccount.get(id=engine.account_id, using_db=ledger.db))


def copied(memory: Memory) -> Memory:
    return Memory(**{each.name: copy(getattr(memory, each.name)) for each in fields(memory)})


async def test_a_process_that_disconnects_an_account_is_signed_in_no_more(engine: Engine) -> None:
    sync = sync_on(engine, clock=lambda: engine.now)
    await settle(engine, sync.context)
    signed_in = ref(sync.context.memory.quiet[engine.account_id].remote)
    await disconnect(engine)
    sync.forget(engine.account_id)
    gc.collect()
    assert signed_in() is None
    await sync.close()


async def test_a_process_forgets_what_another_one_disconnected(engine: Engine, settled: SyncContext) -> None:
    memory, calendar = settled.memory, (await engine.calendar("Home")).id
    signed_in = ref(memory.quiet[engine.account_id].remote)
    memory.rereads[engine.account_id] = memory.missing_since[f"{engine.account_id} home"] = engine.now
    memory.removals_since[calendar] = engine.now
    memory.missing_polls[calendar] = memory.unexplained_polls[calendar] = Streak(None, 1)
    memory.without_changes.add(calendar)
    before = copied(memory)
    await keep_house(settled)
    assert memory == before
    del before
    await disconnect(engine)
    await keep_house(settled)
    gc.collect()
    assert signed_in() is None
    assert memory == replace(Memory(), compared=memory.compared)


async def test_a_poll_that_a_disconnect_overtakes_leaves_nothing_signed_in(
    engine: Engine, settled: SyncContext
) -> None:
    async def gone(_: str, __: str) -> None:
        settled.memory.forget({engine.account_id})

    engine.server.after = gone
    await look(settled, await leased(engine))
    assert settled.memory.quiet == {}


# --- Awaited


async def test_a_poll_that_began_by_itself_just_after_it_was_asked_for_is_on_record_for_who_asked(
    engine: Engine,
) -> None:
    sync = sync_on(engine, clock=lambda: engine.now)
    await settle(engine, sync.context)
    asked = asyncio.get_running_loop().time()
    lease = await sync._loop._leases.take(engine.account_id)
    assert lease is not None
    hangs = engine.server.hangs = asyncio.Event()
    sync._loop._start_poll(lease, engine.now)
    asyncio.get_running_loop().call_later(0.5, hangs.set)  # By then it is awaited.
    assert (await sync._look(engine.user, asked)).is_complete
    assert (await row(engine))["last_synced_at"] == engine.now
    await sync.close()
