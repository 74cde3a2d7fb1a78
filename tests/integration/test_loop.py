"""The loop: who is polled when and by whom, and what it does at its end."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import replace

import pytest
from tortoise.exceptions import OperationalError
from tortoise.expressions import RawSQL

from domain.accounts import AccountStatus, ICloudProblemCode
from domain.actor import UserRef
from domain.copies import WriteState
from domain.work import Watch, Work, unwatched
from models.bell import SYNC, Bell
from models.booking import Hold, IdempotentCall
from models.calendar import Calendar
from models.changelog import Timeline
from models.database import Database
from models.icloud import ICloudAccount
from models.people import User
from models.polling import Places, ask_for_poll, lease_account, trade_leases
from models.seal import Secret
from models.sql import Db, Row, execute, fetch
from models.transactions import Snapshot
from sync.housekeeping import keep_house
from sync.ical import guarded
from sync.ical.guarded import ORDINARY_CHARACTERS
from sync.ical.resource import Reading
from sync.ical.worker import Limits, Request
from sync.leases import Leases
from sync.poll import begin
from sync.pull import pull
from sync.push import OUR_FAULT
from sync.remote import Broken, Forbidden, PasswordRefused, RemoteError, Throttled, Unreachable
from sync.room import Place, Room
from sync.service import Sync
from sync.settings import SyncSettings
from tests.fakes.calendar_server import APPLE_ID, PASSWORD
from tests.integration.engine import DAY, HOUR, NOW, USER, Engine, at, engine_on, event

QUICK = SyncSettings(
    look_every=0.02,
    drain=0.3,
    usual_every=0.05,
    watched_every=0.05,
    quiet_every=0.05,
    first_retry=0.05,
    lease=5,
)


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    engine = await engine_on(database, bell, QUICK)
    engine.now = time.time()
    return engine


def sync_on(
    engine: Engine,
    settings: SyncSettings = QUICK,
    *,
    clock: Callable[[], float] = time.time,
    watch: Watch = unwatched,
) -> Sync:
    return Sync(
        database=engine.database,
        bell=engine.bell,
        sealer=engine.sealer,
        settings=settings,
        clock=clock,
        server=engine.server,
        watch=watch,
    )


@pytest.fixture
async def sync(engine: Engine) -> AsyncIterator[Sync]:
    sync = sync_on(engine)
    yield sync
    await sync.close()


@pytest.fixture
async def running(sync: Sync) -> AsyncIterator[Sync]:
    task = asyncio.create_task(sync.run())
    yield sync
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(condition: object, *, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # type: ignore[operator]
            await asyncio.sleep(0.01)


def soon(day_hours: int) -> int:
    return (int(time.time()) // 3600 + day_hours) * 3600


async def add_account(engine: Engine, name: str, **facts: object) -> None:
    async with engine.database.writing() as db:
        await Timeline.create(using_db=db, user_id=f"usr_{name}", subaccount_id="sub_1")
        await User.create(
            using_db=db,
            id=f"usr_{name}",
            subaccount_id="sub_1",
            name=name,
            time_zone="UTC",
            created_at=0,
        )
        stands = {
            "status": AccountStatus.CONNECTED,
            "has_chosen": True,
            "connected_at": 0,
            "principal_hmac": name,
            "principal_path": "/1/principal/",
            "home_url": engine.server.home_url,
            "apple_id": APPLE_ID,
            "sealed_password": engine.sealer.seal(Secret(PASSWORD), row=f"acc_{name}"),
        }
        await ICloudAccount.create(
            using_db=db, id=f"acc_{name}", subaccount_id="sub_1", user_id=f"usr_{name}", **(stands | facts)
        )


async def add_calendar(engine: Engine, name: str, **facts: bool) -> None:
    async with engine.database.writing() as db:
        await Calendar.create(
            using_db=db, id=f"cal_{name}", subaccount_id="sub_1", user_id=f"usr_{name}", account_id=f"acc_{name}",
            path="/1/calendars/home/", name="Home", color="#1E4C63", kind="EVENTS", can_write=True,
            **({"is_conflict": False, "is_linked": False} | facts),
        )  # fmt: skip


async def test_who_watches_is_told_how_late_a_poll_began(engine: Engine) -> None:
    works: list[Work] = []

    def watch(work: Work) -> AbstractContextManager[None]:
        works.append(work)
        return nullcontext()

    await engine.choose("Home")
    sync = sync_on(engine, watch=watch)
    async with engine.database.writing() as db:
        await ICloudAccount.all().using_db(db).update(next_poll_at=time.time() - 100)
    task = asyncio.create_task(sync.run())

    async def has_polled_twice() -> bool:
        return len(works) >= 2

    await until(has_polled_twice)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await sync.close()
    first, second = works[0].late, works[1].late
    assert first is not None
    assert first >= 100
    assert second is not None
    assert 0 <= second < first


async def test_those_that_wait_for_a_place_get_it_at_the_end_of_another(engine: Engine) -> None:
    """Long before anybody looks again by himself."""
    few = replace(QUICK, concurrent_polls=2, look_every=600.0, usual_every=600.0, quiet_every=600.0)
    sync = sync_on(engine, few)
    for number in range(9):
        await add_account(engine, f"w{number}", next_poll_at=0.0, failures=int(number == 0))
    task = asyncio.create_task(sync.run())

    async def are_all_polled() -> bool:
        async with engine.database.reading() as db:
            return not await ICloudAccount.filter(next_poll_at=0.0).using_db(db).exists()

    await until(are_all_polled)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await sync.close()


@pytest.mark.usefixtures("running")
async def test_a_due_account_is_polled_again_and_again(engine: Engine) -> None:
    await engine.choose("Home")
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", soon(24), soon(25)))

    async def is_there() -> bool:
        return len(await engine.slots()) == 1

    await until(is_there)
    engine.server.asked.clear()

    async def is_polled_on() -> bool:
        return engine.server.asked.count("list") >= 3

    await until(is_polled_on)
    lag = (await engine.account()).poll_lag
    assert lag is not None
    assert 0 <= lag < 60


async def test_a_ring_wakes_it(engine: Engine, bell: Bell) -> None:
    await engine.choose("Home")
    seldom = replace(QUICK, look_every=600, usual_every=600, watched_every=600, quiet_every=600)
    sync = sync_on(engine, seldom)
    task = asyncio.create_task(sync.run())

    async def is_connected() -> bool:
        return (await engine.account()).status == AccountStatus.CONNECTED

    await until(is_connected)
    await engine.choose("Home", "Work")
    assert not await is_connected()
    await bell.ring(SYNC)
    await until(is_connected)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await sync.close()


async def test_a_booking_is_written_by_it(engine: Engine, running: Sync, bell: Bell) -> None:
    await engine.choose(linked="Home")
    name = await engine.book(soon(24), soon(25))
    await bell.ring(SYNC)

    async def is_written() -> bool:
        return (await engine.appointment(name)).write_state == WriteState.WRITTEN

    await until(is_written)


def noting(works: list[Work]) -> Watch:
    """Each once it has ended."""

    @contextmanager
    def watch(work: Work) -> Iterator[None]:
        yield
        works.append(work)

    return watch


@pytest.mark.parametrize(
    ("failures", "outcomes"),
    [
        ([Unreachable("502"), Throttled(0.1)], ["Unreachable", "Throttled", "ok"]),
        ([Forbidden("read-only")], ["given up"]),
        ([OSError("the database's disk is full")], ["unavailable"]),
    ],
)
async def test_who_watches_is_told_how_a_write_ended(
    engine: Engine, bell: Bell, failures: list[BaseException], outcomes: list[str]
) -> None:
    works: list[Work] = []
    await engine.choose(linked="Home")
    engine.server.failures["create"] = list(failures)
    sync = sync_on(engine, replace(QUICK, first_write_retry=0.05), watch=noting(works))
    task = asyncio.create_task(sync.run())
    await engine.book(soon(24), soon(25))
    await bell.ring(SYNC)

    async def has_ended() -> bool:
        return [work.outcome for work in works if work.kind == "write"][: len(outcomes)] == outcomes

    await until(has_ended)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await sync.close()


@pytest.mark.parametrize(
    ("met", "outcome"),
    [
        (None, ("ok", 1)),
        (Unreachable("502"), ("Unreachable", 0)),
        (OSError("the database's disk is full"), ("unavailable", 0)),
        (ZeroDivisionError("a bug"), ("broken", 0)),
        ("overtaken", ("incomplete", 0)),
    ],
)
async def test_who_watches_is_told_how_a_poll_ended(
    engine: Engine, met: BaseException | str | None, outcome: tuple[str, int]
) -> None:
    works: list[Work] = []

    async def meet(asked: str, _: str) -> None:
        if asked != "changes":
            return
        engine.server.after = None
        if isinstance(met, BaseException):
            raise met
        if met == "overtaken":
            async with engine.database.writing() as db:
                await ICloudAccount.all().using_db(db).update(lease_owner="another", lease_until=0)

    await engine.choose("Home")
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", soon(24), soon(25)))
    engine.server.after = meet
    sync = sync_on(engine, watch=noting(works))
    await sync.refresh(USER, wait=60)
    assert (works[0].kind, works[0].outcome, works[0].facts["changes"]) == ("poll", *outcome)
    await sync.close()


async def test_two_processes_share_accounts_and_never_one_at_once(engine: Engine) -> None:
    for number in range(20):
        await add_account(engine, f"n{number}", next_poll_at=NOW)

    async def take(owner: str) -> list[str]:
        async with engine.database.writing() as db:
            found = await trade_leases(
                db, owner=owner, now=NOW, lease=30, until=NOW, places=Places(healthy=3)
            )
        return [lease.account_id for lease in found]

    taken = await asyncio.gather(*(take(f"process-{number}") for number in range(10)))
    names = [name for part in taken for name in part]
    assert len(names) == len(set(names)) == 20


async def test_a_lease_that_ended_is_anyones(engine: Engine) -> None:
    async with engine.database.writing() as db:
        assert await lease_account(db, "acc_1", owner="a", now=NOW, lease=30)
        assert await lease_account(db, "acc_1", owner="b", now=NOW + 29, lease=30) is None
        assert await lease_account(db, "acc_1", owner="b", now=NOW + 30, lease=30)


@pytest.mark.parametrize(
    ("failures", "under_way", "step"),
    [(3, 2, "list"), (0, 20, "list"), (0, 20, "changes")],
    ids=["known to fail", "at once", "once changes are asked for"],
)
async def test_accounts_that_hang_do_not_delay_the_others(
    engine: Engine, failures: int, under_way: int, step: str
) -> None:
    """A quarter of the places for those known to fail; those that begin to only now lose theirs in a moment."""
    settings = SyncSettings(look_every=0.02, drain=0.1, concurrent_polls=8, usual_every=60)
    engine.server.passwords["hangs@icloud.com"] = PASSWORD
    for number in range(20):
        facts = {"next_poll_at": 1.0, "failures": failures, "apple_id": "hangs@icloud.com"}
        await add_account(engine, f"bad{number}", **facts)
        await add_calendar(engine, f"bad{number}", is_conflict=True)
    hanging = 0

    async def hang(name: str, apple_id: str) -> None:
        nonlocal hanging
        if apple_id.startswith("hangs") and name == step:
            hanging += 1
            await asyncio.sleep(600)

    engine.server.after = hang
    sync = sync_on(engine, settings)
    task = asyncio.create_task(sync.run())

    async def is_hanging() -> bool:
        return hanging >= under_way

    await until(is_hanging)
    await engine.choose("Home")

    async def is_connected() -> bool:
        return (await engine.account()).status == AccountStatus.CONNECTED

    await until(is_connected)
    assert hanging == under_way
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await sync.close()


async def test_those_that_hung_go_on_by_as_many_as_ever(engine: Engine) -> None:
    """Answered all at once, they would all read their calendars at once."""
    settings = SyncSettings(
        look_every=0.02,
        concurrent_polls=3,
        first_reads_at_once=3,
        most_polls=8,
        usual_every=60,
        most_silent=0,
    )
    for number in range(20):
        await add_account(engine, f"n{number}", next_poll_at=1.0)
        await add_calendar(engine, f"n{number}", is_conflict=True)
    under_way: dict[str, int] = Counter()
    most: dict[str, int] = Counter()
    read = 0
    may_go_on, may_be_read = asyncio.Event(), asyncio.Event()

    async def linger(name: str, _: str) -> None:
        nonlocal read
        under_way[name] += 1
        most[name] = max(most[name], under_way[name])
        await (may_go_on if name == "list" else may_be_read).wait()
        under_way[name] -= 1
        read += name == "changes"

    engine.server.after = linger
    sync = sync_on(engine, settings)
    task = asyncio.create_task(sync.run())

    async def are_hanging() -> bool:
        return under_way["list"] >= 8

    async def are_going_on() -> bool:
        return under_way["changes"] >= 3

    async def are_read() -> bool:
        return read >= 20

    await until(are_hanging)
    await asyncio.sleep(2 * settings.word_within)
    may_go_on.set()
    await until(are_going_on)
    await asyncio.sleep(2 * settings.word_within)
    may_be_read.set()
    await until(are_read)
    assert (most["list"], most["changes"]) == (8, 3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await sync.close()


async def test_first_reads_leave_the_places_to_those_who_find_a_change(engine: Engine) -> None:
    settings = SyncSettings(
        look_every=0.02, drain=0.1, concurrent_polls=1, first_reads_at_once=2, usual_every=0.1, word_within=60
    )
    home = engine.server.calendars["/1/calendars/home/"]
    await engine.choose("Home")
    await engine.poll()
    engine.server.passwords["new@icloud.com"] = PASSWORD
    for number in range(3):
        await add_account(engine, f"new{number}", next_poll_at=1.0, apple_id="new@icloud.com")
        await add_calendar(engine, f"new{number}", is_conflict=True)
    under_way = most = 0
    may_be_read = asyncio.Event()

    async def linger(name: str, apple_id: str) -> None:
        nonlocal under_way, most
        if name == "changes" and apple_id.startswith("new"):
            under_way += 1
            most = max(most, under_way)
            await may_be_read.wait()
            under_way -= 1

    engine.server.after = linger
    sync = sync_on(engine, settings)
    task = asyncio.create_task(sync.run())

    async def are_reading() -> bool:
        return under_way == 2

    async def is_closed() -> bool:
        return await engine.slots() == [(soon(24), soon(25))]

    async def are_read() -> bool:
        async with engine.database.reading() as db:
            return not await Calendar.filter(is_conflict=True, last_synced_at=None).using_db(db).exists()

    await until(are_reading)
    home.put("new", event("new", soon(24), soon(25)))
    await until(is_closed)
    may_be_read.set()
    await until(are_read)
    assert most == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await sync.close()


async def test_who_waits_for_a_worker_leaves_its_place_to_those_who_find_a_change(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SyncSettings(look_every=0.02, drain=0.1, concurrent_polls=1, usual_every=0.1)
    engine.server.passwords["odd@icloud.com"] = PASSWORD
    other = replace(engine, account_id="acc_2", user=UserRef("sub_1", "usr_2"))
    await other.set_up(apple_id="odd@icloud.com")
    for each, calendar in ((engine, "Home"), (other, "Work")):
        await each.choose(calendar)
        await each.poll()
    is_waiting, may_be_read, read_apart = asyncio.Event(), asyncio.Event(), guarded._read_apart

    async def linger(requests: dict[int, Request], limits: Limits) -> dict[int, Reading]:
        is_waiting.set()
        await may_be_read.wait()
        return await read_apart(requests, limits)

    monkeypatch.setattr(guarded, "_read_apart", linger)
    sync = sync_on(engine, settings)
    task = asyncio.create_task(sync.run())
    span, odd = (soon(24), soon(25)), (soon(30), soon(31))
    long = event("odd", *odd, extra=f"X-A:{'x' * ORDINARY_CHARACTERS}")
    engine.server.calendars["/1/calendars/work/"].put("odd", long)
    async with asyncio.timeout(60):
        await is_waiting.wait()
    engine.server.calendars["/1/calendars/home/"].put("new", event("new", *span))

    async def is_other_closed() -> bool:
        return await engine.slots() == [span]

    async def are_both_closed() -> bool:
        return await engine.slots() == [span, odd]

    await until(is_other_closed)
    may_be_read.set()
    await until(are_both_closed)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await sync.close()


async def test_who_has_read_a_calendar_for_the_first_time_goes_on_at_a_place_of_its_own(
    engine: Engine,
) -> None:
    await engine.choose("Home")
    context = engine.context()
    async with engine.database.writing() as db:
        lease = await lease_account(db, engine.account_id, owner=context.owner, now=engine.now, lease=30)
    assert lease is not None
    poll = await begin(context, lease)
    assert poll is not None
    room, first_reads = Room(engine.settings, 1), Room(engine.settings, 1)
    poll.place, poll.first_reads = Place(room), first_reads
    await poll.place.take()
    with suppress(Unreachable):
        async with poll.reading_first():
            assert (room.free, first_reads.free) == (1, 0)
            raise Unreachable
    assert (room.free, first_reads.free) == (0, 1)
    poll.place = Place()  # Of a poll that somebody waits for.
    async with poll.reading_first():
        assert first_reads.free == 1


async def test_much_is_stored_in_turn_and_little_at_once(engine: Engine) -> None:
    """Of many accounts that are read at once, all that is stored would hold up the event loop for seconds."""
    home = engine.server.calendars["/1/calendars/home/"]
    for number in range(30):
        home.put(f"e{number}", event(f"e{number}", soon(24), soon(25)))
    engine.server.calendars["/1/calendars/work/"].put("little", event("little", soon(26), soon(27)))
    context = engine.context()
    await engine.choose("Home", "Work")
    async with context.storing, context.storing:
        polling = asyncio.create_task(engine.poll(context))
        await asyncio.sleep(0.2)
        assert await engine.slots() == []
    await polling
    assert len(await engine.slots()) == 31
    async with context.storing, context.storing, asyncio.timeout(30):
        home.put("changed", event("changed", soon(28), soon(29)))
        engine.now += 60
        await engine.poll(context)
    assert (soon(28), soon(29)) in await engine.slots()


async def test_writes_that_hang_do_not_delay_those_of_the_others(engine: Engine) -> None:
    """And of an account that hangs no second one begins."""
    settings = SyncSettings(look_every=0.02, drain=0.1, concurrent_pushes=2, usual_every=60)
    engine.server.passwords["hangs@icloud.com"] = PASSWORD
    for number in range(5):
        await add_account(engine, f"bad{number}", apple_id="hangs@icloud.com")
        await add_calendar(engine, f"bad{number}", is_linked=True)
        theirs = replace(engine, user=UserRef("sub_1", f"usr_bad{number}"))
        for booking in range(2):
            await theirs.book(soon(24 + booking), soon(25 + booking), name=f"apt_{1 + number}{booking:025}")
    hanging = 0

    async def hang(name: str, apple_id: str) -> None:
        nonlocal hanging
        if name == "create" and apple_id.startswith("hangs"):
            hanging += 1
            await asyncio.sleep(600)

    engine.server.after = hang
    await engine.choose(linked="Work")
    sync = sync_on(engine, settings)
    task = asyncio.create_task(sync.run())

    async def is_hanging() -> bool:
        return hanging >= 5

    await until(is_hanging)
    name = await engine.book(soon(24), soon(25))

    async def is_written() -> bool:
        return (await engine.appointment(name)).write_state == WriteState.WRITTEN

    await until(is_written)
    assert hanging == 5
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await sync.close()


async def test_accounts_are_leased_though_polls_wait_for_the_database(engine: Engine) -> None:
    engine.database = engine.database.part(1)
    leases = Leases(engine.context())
    async with engine.database.reading(), asyncio.timeout(30):
        assert await leases.take(engine.account_id) is not None
        await leases.give_back_all()
    assert (await engine.account()).lease_owner is None


async def test_who_has_texts_in_hand_keeps_their_place_until_they_are_stored(engine: Engine) -> None:
    """Else any number of polls could wait with as much in memory as is stored at once."""
    home = engine.server.calendars["/1/calendars/home/"]
    for number in range(2):
        home.put(f"e{number}", event(f"e{number}", soon(24 + number), soon(25 + number)))
    await engine.choose("Home")
    engine.settings = SyncSettings(word_within=0.0, batch=1, requests_in_flight=1)
    room = Room(engine.settings, 1)
    free: list[int] = []

    async def linger(name: str, _: str) -> None:
        await asyncio.sleep(0.05)
        if name == "fetch":
            free.append(room.free)

    engine.server.after = linger
    context = engine.context()
    async with engine.database.writing() as db:
        lease = await lease_account(db, engine.account_id, owner=context.owner, now=engine.now, lease=30)
    assert lease is not None
    place = room.begin()
    await pull(context, lease, place=place)
    place.leave()
    assert (free, room.free) == ([1, 0], 1)
    assert len(await engine.slots()) == 2


async def test_at_its_end_leases_are_freed(engine: Engine) -> None:
    await engine.choose("Home")
    engine.server.hangs = asyncio.Event()
    sync = sync_on(engine)
    task = asyncio.create_task(sync.run())

    async def is_leased() -> bool:
        return (await engine.account()).lease_owner is not None

    await until(is_leased)
    task.cancel()
    async with asyncio.timeout(60):  # For the poll it would wait for good.
        await asyncio.gather(task, return_exceptions=True)
    assert (await engine.account()).lease_owner is None
    await sync.close()


async def test_a_lease_is_renewed_while_a_poll_lasts(engine: Engine) -> None:
    await engine.choose("Home")
    engine.server.hangs = asyncio.Event()
    sync = sync_on(engine, SyncSettings(lease=3, look_every=0.05))
    outcome = await sync.refresh(USER, wait=0.1)
    assert not outcome.is_complete
    first = (await engine.account()).lease_until
    assert first is not None

    async def is_renewed() -> bool:
        return ((await engine.account()).lease_until or 0) > first

    await until(is_renewed)
    engine.server.hangs.set()
    await sync.close()
    assert (await engine.account()).status == AccountStatus.CONNECTED


async def test_a_lease_is_renewed_while_a_later_poll_lasts(engine: Engine) -> None:
    """What renewed those of the first ended with it."""
    await engine.choose("Home")
    sync = sync_on(engine, SyncSettings(lease=0.3))
    await sync.refresh(USER, wait=60)
    keeping = sync._loop._keeping
    assert keeping is not None
    await asyncio.wait([keeping], timeout=60)
    engine.server.hangs = asyncio.Event()
    assert not (await sync.refresh(USER, wait=0.05)).is_complete
    first = (await engine.account()).lease_until or 0

    async def is_renewed() -> bool:
        return ((await engine.account()).lease_until or 0) > first

    await until(is_renewed)
    engine.server.hangs.set()
    await sync.close()


async def test_a_refresh_polls_now_and_tells_what_changed(engine: Engine, sync: Sync) -> None:
    await engine.choose("Home")
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", soon(24), soon(25)))
    outcome = await sync.refresh(USER, wait=60)
    assert (outcome.is_complete, outcome.changes, outcome.error) == (True, 1, None)


async def test_those_who_ask_together_share_a_poll(engine: Engine, sync: Sync) -> None:
    await engine.choose("Home")
    await sync.refresh(USER, wait=60)
    engine.server.asked.clear()

    async def linger(_: str, __: str) -> None:
        """The first poll lasts until all have asked."""
        if len(engine.server.asked) == 1:
            await asyncio.sleep(1)

    engine.server.after = linger
    outcomes = await asyncio.gather(*(sync.refresh(USER, wait=60) for _ in range(10)))
    assert all(outcome.is_complete for outcome in outcomes)
    assert engine.server.asked.count("list") <= 2


async def test_who_asks_during_a_poll_gets_one_that_began_later(engine: Engine, sync: Sync) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    home.put("a", event("a", soon(24), soon(25)))
    await engine.choose("Home")
    late = asyncio.Event()

    async def linger(name: str, _: str) -> None:
        if name == "fetch" and not late.is_set():
            late.set()
            await asyncio.sleep(0.1)

    engine.server.after = linger
    first = asyncio.create_task(sync.refresh(USER, wait=60))
    await late.wait()
    home.put("b", event("b", soon(26), soon(27)))
    await sync.refresh(USER, wait=60)
    assert len(await engine.slots()) == 2
    await first


async def test_what_is_asked_for_during_a_poll_is_due_at_its_end_whatever_the_clocks_say(
    engine: Engine,
) -> None:
    """Two choices in one document: the second looked at the clock before the poll of the first began."""
    await engine.choose("Home")
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", soon(24), soon(25)))
    before = engine.now - 0.02

    async def ask(name: str, _: str) -> None:
        if name == "fetch":
            async with engine.database.writing() as db:
                await ask_for_poll(db, engine.account_id, now=before)

    engine.server.after = ask
    await engine.poll()
    assert (await engine.account()).next_poll_at == before


@pytest.mark.parametrize(
    ("status", "problem", "retry_at"),
    [
        (AccountStatus.UNREACHABLE, ICloudProblemCode.THROTTLED, NOW + 90),
        (AccountStatus.UNREACHABLE, ICloudProblemCode.PASSWORD_REFUSED, NOW + 90),
        (AccountStatus.NEEDS_NEW_PASSWORD, ICloudProblemCode.PASSWORD_REFUSED, None),
        (AccountStatus.NEEDS_CALENDARS, None, None),
    ],
)
async def test_who_asks_for_a_poll_breaks_no_call_to_wait_and_tries_no_refused_password(
    engine: Engine, status: AccountStatus, problem: ICloudProblemCode | None, retry_at: float | None
) -> None:
    """The account came to stand so after it was last looked at."""
    await engine.choose("Home")
    async with engine.database.writing() as db:
        stands = {
            "status": status, "problem_code": problem, "retry_at": retry_at, "next_poll_at": retry_at
        }  # fmt: skip
        await ICloudAccount.all().using_db(db).update(**stands)
        assert await ask_for_poll(db, engine.account_id, now=NOW) == retry_at
    assert (await engine.account()).next_poll_at == retry_at


async def test_a_refresh_asks_the_process_that_has_the_account(engine: Engine, sync: Sync) -> None:
    await engine.choose("Home")
    other = sync_on(engine, SyncSettings(look_every=0.02, drain=0.3))
    async with engine.database.writing() as db:
        held = await lease_account(db, "acc_1", owner=other.context.owner, now=time.time(), lease=60)
    assert held is not None
    refreshing = asyncio.create_task(sync.refresh(USER, wait=60))

    async def is_asked() -> bool:
        return (await engine.account()).poll_asked_at is not None

    await until(is_asked)
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", soon(24), soon(25)))
    async with engine.database.writing() as db:
        await ICloudAccount.all().using_db(db).update(lease_until=None, lease_owner=None)
    loop = asyncio.create_task(other.run())
    outcome = await refreshing
    assert (outcome.is_complete, outcome.changes) == (True, 1)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    await other.close()


async def test_a_refresh_that_lost_its_account_to_another_process_is_not_told_as_done(
    engine: Engine,
) -> None:
    """It stood still for longer than its lease, and what iCloud answered it was read by nobody."""
    await engine.choose("Home")
    sync = sync_on(engine, clock=lambda: engine.now)
    await engine.settle(sync.context)
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", soon(24), soon(25)))

    async def take_over(step: str, _: str) -> None:
        async with engine.database.writing() as db:
            taken = ICloudAccount.all().using_db(db)
            await taken.update(lease_owner="another", lease_until=engine.now + HOUR)

    engine.server.after = take_over
    outcome = await sync.refresh(USER, wait=1)
    assert (outcome.is_complete, outcome.error) == (False, None)
    assert await engine.slots() == []
    assert (await engine.account()).poll_asked_at == engine.now  # The other one is asked.
    await sync.close()


async def test_a_failed_refresh_tells_the_error(engine: Engine, sync: Sync) -> None:
    await engine.choose("Home")
    engine.server.failures["list"] = [Unreachable("x")]
    assert isinstance((await sync.refresh(USER, wait=60)).error, Unreachable)


class Locked(Database):
    """So many writes meet a lock of another process, for longer than they wait."""

    def __init__(self, inner: Database) -> None:
        self._inner, self.is_postgres, self.locked_out = inner, inner.is_postgres, 0
        self.waits: tuple[asyncio.Event, asyncio.Event] | None = None
        "The next write sets the first, and goes on once the second is set."

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Db]:
        if self.waits is not None:
            (is_asked, may_go_on), self.waits = self.waits, None
            is_asked.set()
            await may_go_on.wait()
        if self.locked_out:
            self.locked_out -= 1
            raise OperationalError("database is locked")
        async with self._inner.writing() as db:
            yield db

    async def open_snapshot(self) -> Snapshot:
        return await self._inner.open_snapshot()

    async def glance(self, statement: str, *values: object) -> list[Row]:
        return await self._inner.glance(statement, *values)


@pytest.mark.parametrize("locked_out", [1, 3])
async def test_a_poll_that_went_well_is_none_that_broke_for_want_of_a_record(
    engine: Engine, locked_out: int
) -> None:
    """Nor is iCloud asked again for it: what it found is told once the lock has ended, however long that takes."""
    await engine.choose("Home")
    engine.database = database = Locked(engine.database)
    sync = sync_on(engine, replace(QUICK, lease=0.15))
    for _ in range(3):  # Read, seen as it is, and found quiet.
        await sync.refresh(USER, wait=60)
    engine.server.asked.clear()

    async def lock(*_: str) -> None:
        database.locked_out = locked_out

    engine.server.after, asked_at = lock, time.time()
    outcome = await sync.refresh(USER, wait=60)
    assert (outcome.is_complete, outcome.error, engine.server.asked) == (True, None, ["list"])

    async def is_told() -> bool:
        return ((await engine.account()).last_synced_at or 0) >= asked_at

    await until(is_told)
    account = await engine.account()
    assert (account.status, account.failures, account.problem_code) == (AccountStatus.CONNECTED, 0, None)
    await sync.close()


@pytest.mark.parametrize("locked_out", [1, 2])
async def test_a_poll_whose_end_meets_a_lock_is_none_that_broke(engine: Engine, locked_out: int) -> None:
    """Twice: the account can't be let go either, and waits for its lease to end."""
    await engine.choose("Home")
    engine.database = database = Locked(engine.database)
    # Not shorter: it would be renewed meanwhile, and that would meet the lock in the poll's place.
    sync = sync_on(engine, replace(QUICK, lease=2))
    for _ in range(2):
        await sync.refresh(USER, wait=5)
    home = engine.server.calendars["/1/calendars/home/"]
    home.put("new", event("new", at(3, 9), at(3, 10)))

    async def lock(asked: str, _: str) -> None:
        database.locked_out = locked_out * (asked == "fetch")

    engine.server.after = lock
    outcome = await sync.refresh(USER, wait=5)
    engine.server.after = None
    account = await engine.account()
    assert (outcome.is_complete, outcome.error) == (False, None)
    assert (account.status, account.failures, account.problem_code) == (AccountStatus.CONNECTED, 0, None)
    if locked_out == 1:
        assert (account.next_poll_at or 0) <= time.time() + QUICK.watched_every

    async def is_read() -> bool:
        return (await sync.refresh(USER, wait=5)).is_complete and bool(await engine.resources())

    await until(is_read)
    await sync.close()


async def test_a_refused_password_is_not_tried_by_a_refresh(engine: Engine, sync: Sync) -> None:
    await engine.choose("Home")
    async with engine.database.writing() as db:
        await ICloudAccount.all().using_db(db).update(status=AccountStatus.NEEDS_NEW_PASSWORD)
    engine.server.asked.clear()
    assert isinstance((await sync.refresh(USER, wait=60)).error, PasswordRefused)
    assert engine.server.asked == []


async def test_connecting_tells_who_signed_in_and_what_is_there(engine: Engine, sync: Sync) -> None:
    found = await sync.connect(APPLE_ID, Secret(PASSWORD))
    assert found.principal_path == "/1/principal/"
    assert [calendar.name for calendar in found.calendars] == ["Home", "Work"]
    with pytest.raises(PasswordRefused):
        await sync.connect(APPLE_ID, Secret("wrong"))


async def test_a_poll_that_breaks_is_set_aside_and_the_loop_goes_on(
    engine: Engine, running: Sync, caplog: pytest.LogCaptureFixture
) -> None:
    engine.server.failures["changes"] = [ZeroDivisionError("a bug")]
    await engine.choose("Home")

    async def is_connected() -> bool:
        return (await engine.account()).status == AccountStatus.CONNECTED

    kinds: set[str | None] = set()

    async def is_told() -> bool:
        kinds.add((await engine.account()).problem_code)
        return ICloudProblemCode.UNEXPECTED_ANSWER in kinds or await is_connected()

    await until(is_told)
    await until(is_connected)
    assert ICloudProblemCode.UNEXPECTED_ANSWER in kinds
    assert "a bug" in caplog.text


async def test_an_event_that_no_worker_can_be_started_for_is_told_and_tried_again(
    engine: Engine, running: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time closes with the calendar's, in the end: the owner has to be told why."""
    start, end = soon(24), soon(25)
    text = event("a", start, end, extra="X-LONG:" + "x" * ORDINARY_CHARACTERS)
    engine.server.calendars["/1/calendars/home/"].put("a", text)
    monkeypatch.setattr("sys.executable", "/nothing/here")
    await engine.choose("Home")

    async def is_told() -> bool:
        return (await engine.account()).problem_code == ICloudProblemCode.UNEXPECTED_ANSWER

    await until(is_told)
    monkeypatch.undo()

    async def is_read() -> bool:
        return await engine.slots() == [(start, end)]

    await until(is_read)


async def wrong_statement(engine: Engine) -> None:
    async with engine.database.writing() as db:
        await fetch(db, "SELECT nothing FROM nowhere")


async def wrong_query(engine: Engine) -> None:
    async with engine.database.reading() as db:
        await Calendar.all().annotate(nothing=RawSQL("nowhere")).using_db(db)


async def wrong_value(_: Engine) -> None:
    raise TypeError("a bug")


@pytest.mark.parametrize("break_it", [wrong_statement, wrong_query, wrong_value])
async def test_a_fault_of_our_own_in_a_poll_is_told_waits_longer_each_time_and_is_logged_whole_once(
    engine: Engine, break_it: Callable[[Engine], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    await engine.choose("Home")
    sync = sync_on(engine, SyncSettings(jitter=0))

    async def broken(asked: str, _: str) -> None:
        if asked == "changes":
            await break_it(engine)

    engine.server.after = broken
    for failures, wait in ((1, 30), (2, 60)):
        outcome = await sync.refresh(USER, wait=60)
        account = await engine.account()
        assert (outcome.is_complete, type(outcome.error)) == (True, Broken)
        assert (account.status, account.problem_code) == (
            AccountStatus.UNREACHABLE,
            ICloudProblemCode.UNEXPECTED_ANSWER,
        )
        assert "on our side" in (account.problem_message or "")
        assert account.failures == failures
        assert (account.next_poll_at or 0) - (account.last_polled_at or 0) >= wait
    assert sum(record.exc_info is not None for record in caplog.records) == 1
    await sync.close()


async def test_a_fault_of_our_own_that_can_not_even_be_told_waits_too(
    engine: Engine, sync: Sync, caplog: pytest.LogCaptureFixture
) -> None:
    await engine.choose("Home")
    asked_at = time.time()
    async with engine.database.writing() as db:
        await execute(db, "ALTER TABLE users RENAME COLUMN time_zone TO another")
    assert isinstance((await sync.refresh(USER, wait=60)).error, Broken)
    async with engine.database.reading() as db:
        [row] = await fetch(db, "SELECT next_poll_at, lease_owner FROM icloud_account")
    assert row["next_poll_at"] >= asked_at + 300
    assert row["lease_owner"] is None
    assert "can't be told" in caplog.text


async def test_a_write_that_breaks_on_a_fault_of_our_own_waits_and_others_go_before_it(
    engine: Engine, running: Sync, bell: Bell, caplog: pytest.LogCaptureFixture
) -> None:
    """No date of iCalendar is so late."""
    await engine.choose(linked="Home")
    broken = await engine.book(soon(24), 10**12)
    other = await engine.book(soon(22), soon(23), name="apt_00000000000000000000000002")
    await bell.ring(SYNC)

    async def is_written() -> bool:
        return (await engine.appointment(other)).write_state == WriteState.WRITTEN

    await until(is_written)
    own = await engine.appointment(broken)
    assert (own.write_state, own.write_problem) == (WriteState.PENDING, OUR_FAULT)
    assert own.write_attempts >= 1
    assert sum(record.exc_info is not None for record in caplog.records) == 1


async def test_what_is_kept_for_a_time_is_dropped_after_it(engine: Engine) -> None:
    async with engine.database.writing() as db:
        for name, age in (("old", 2 * DAY), ("young", HOUR), ("new", -DAY)):
            facts = {"subaccount_id": "s", "user_id": "u"}
            await Hold.create(
                using_db=db, id=name, token=name, type_id="t", starts=0, ends=1, expires_at=NOW - age, **facts
            )
            await IdempotentCall.create(
                using_db=db, id=name, input_hash="h", appointment_id="a", created_at=NOW - age - DAY, **facts
            )
    engine.now = NOW
    await keep_house(engine.context())
    async with engine.database.reading() as db:
        assert {hold.id for hold in await Hold.all().using_db(db)} == {"young", "new"}
        assert {call.id for call in await IdempotentCall.all().using_db(db)} == {"young", "new"}


async def test_changes_are_kept_for_a_week_and_no_more_of_them_than_that(engine: Engine) -> None:
    """Before that, a subscriber that was away would have to begin anew."""
    await engine.choose("Home", linked="Work")
    engine.now = NOW
    for number in range(4):
        await engine.book(
            at(3 + number, 9), at(3 + number, 10), name=f"apt_0000000000000000000000000{number}"
        )
    kept = await engine.position()
    for passed, most, left in ((HOUR, 100, kept), (6 * DAY, 100, kept), (HOUR, 2, 2), (2 * DAY, 100, 0)):
        engine.now += passed
        engine.settings = replace(engine.settings, most_changes=most)
        await keep_house(engine.context())
        async with engine.database.reading() as db:
            [row] = await fetch(db, "SELECT COUNT(*) AS count FROM change")
        assert row["count"] == left


async def test_a_clock_that_is_ahead_of_all_calls_drops_no_answer(engine: Engine) -> None:
    async with engine.database.writing() as db:
        for name, age in (("first", HOUR), ("last", 0)):
            await IdempotentCall.create(
                using_db=db,
                id=name,
                subaccount_id="s",
                user_id="u",
                input_hash="h",
                appointment_id="a",
                created_at=NOW - age,
            )
    engine.now = NOW + 30 * DAY
    await keep_house(engine.context())
    async with engine.database.reading() as db:
        assert await IdempotentCall.all().using_db(db).count() == 2


@pytest.mark.parametrize("error", [Throttled(60), PasswordRefused()])
async def test_those_who_look_wait_as_long_as_icloud_asked(
    engine: Engine, sync: Sync, error: RemoteError
) -> None:
    await engine.choose("Home")
    engine.server.failures["list"] = [error]
    settings = SyncSettings(first_retry=30)
    patient = sync_on(engine, settings)
    assert isinstance((await patient.refresh(USER, wait=60)).error, type(error))
    engine.server.asked.clear()
    for _ in range(3):
        assert isinstance((await patient.refresh(USER, wait=60)).error, type(error))
    assert engine.server.asked == []
    await patient.close()


async def test_a_process_that_could_not_renew_its_lease_polls_an_account_once(engine: Engine) -> None:
    await engine.choose("Home")
    engine.server.asked.clear()
    engine.server.hangs = asyncio.Event()
    sync = sync_on(engine)
    loop = asyncio.create_task(sync.run())

    async def is_asked() -> bool:
        return bool(engine.server.asked)

    await until(is_asked)
    async with engine.database.writing() as db:
        await ICloudAccount.all().using_db(db).update(lease_until=0, next_poll_at=0)

    async def is_leased_again() -> bool:
        return ((await engine.account()).lease_until or 0) > 0

    await until(is_leased_again)
    assert engine.server.asked == ["list"]
    engine.server.hangs.set()
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    await sync.close()


async def test_no_poll_begins_once_the_process_ends(engine: Engine) -> None:
    """Nobody would wait for its end, nor cut it off."""
    await add_account(engine, "other")
    await engine.choose("Home")
    sync = sync_on(engine, replace(QUICK, drain=60))
    hangs = engine.server.hangs = asyncio.Event()
    begun = await sync._loop.poll_now(engine.account_id)
    assert begun is not None
    ending = asyncio.create_task(sync.close())
    await asyncio.sleep(0)
    assert await sync._loop.poll_now("acc_other") is None
    hangs.set()
    await ending
    assert begun.task.done()
