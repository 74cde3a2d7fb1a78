"""What a loop takes in a turn, what of it begins, and when it looks again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import pytest

from domain.work import Work
from models.bell import Bell
from models.database import Database
from models.icloud import ICloudAccount
from models.polling import Lease, lease_account
from sync.loop import Loop
from sync.settings import SyncSettings
from tests.integration.engine import NOW, Engine, engine_on
from tests.integration.test_loop import add_account

FEW = SyncSettings(concurrent_polls=4, most_polls=64, drain=0.0, word_within=3600)
"""Four healthy accounts at once, and one that fails."""


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    """No poll of it ends: iCloud says nothing."""
    engine = await engine_on(database, bell, FEW)
    engine.server.hangs = asyncio.Event()
    return engine


@pytest.fixture
async def loop(engine: Engine) -> AsyncIterator[Loop]:
    loop = Loop(engine.context())
    yield loop
    await loop.drain()


async def add_accounts(engine: Engine, many: int, kind: str = "well", **facts: object) -> None:
    stands = {"next_poll_at": NOW - 1, "failures": int(kind == "fails")} | facts
    for number in range(many):
        await add_account(engine, f"{kind}{number}", **stands)


def waiting(loop: Loop) -> tuple[int, int]:
    return len(loop._waiting.healthy), len(loop._waiting.failing)


def begin_all(loop: Loop) -> int:
    """As many as may begin."""
    begun = 0
    while (lease := loop._next(NOW)) is not None:
        loop._start_poll(lease, NOW)
        begun += 1
    return begun


async def leased(engine: Engine, name: str) -> Lease:
    async with engine.database.writing() as db:
        lease = await lease_account(db, f"acc_{name}", owner=engine.context().owner, now=NOW, lease=30)
    assert lease is not None
    return lease


async def test_it_takes_as_many_as_have_places_and_leaves_the_rest_to_others(
    engine: Engine, loop: Loop
) -> None:
    await add_accounts(engine, 10)
    await add_accounts(engine, 3, "fails")
    for _ in range(3):
        await loop._take_turn()
        assert waiting(loop) == (4, 1)
    async with engine.database.reading() as db:
        assert await ICloudAccount.filter(lease_owner=None, next_poll_at__gt=0).using_db(db).count() == 8


async def test_where_many_begin_it_takes_more_the_next_time_and_fewer_once_they_are_fewer(
    engine: Engine, loop: Loop
) -> None:
    await add_accounts(engine, 30)
    await loop._take_turn()
    assert begin_all(loop) == 4
    await loop._take_turn()
    assert waiting(loop) == (4 + 2 * 4, 0)
    for _ in range(2):
        await loop._take_turn()
        assert waiting(loop) == (12, 0), "none began since, and more wait than there are places"
    for lease in [loop._waiting.healthy.due(NOW, ahead=0) for _ in range(10)]:
        assert lease is not None
    await loop._take_turn()
    assert waiting(loop) == (4, 0)


async def test_what_is_due_before_the_next_turn_is_taken_in_this_one(engine: Engine, loop: Loop) -> None:
    await add_accounts(engine, 1, "soon", next_poll_at=NOW + 0.9 * FEW.look_every)
    await add_accounts(engine, 1, "later", next_poll_at=NOW + 1.1 * FEW.look_every)
    await loop._take_turn()
    assert waiting(loop) == (1, 0)
    assert loop._soonest() == NOW + 0.9 * FEW.look_every
    assert begin_all(loop) == 0


async def test_who_rings_while_a_turn_lasts_is_heard_after_it(engine: Engine) -> None:
    loop = Loop(replace(engine, settings=replace(FEW, look_every=600)).context())
    rung, turns = asyncio.Event(), list[bool]()

    async def turn() -> None:
        turns.append(rung.is_set())
        if len(turns) == 1:
            rung.set()

    taking = asyncio.create_task(loop._again_and_again(rung, turn))
    async with asyncio.timeout(30):
        while len(turns) < 2:
            await asyncio.sleep(0.01)
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    assert turns == [False, False]


async def test_an_outage_of_the_database_is_outlived_and_its_way_told_once(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    loop = Loop(replace(engine, settings=replace(FEW, look_every=0.01)).context())
    turns = 0

    async def turn() -> None:
        nonlocal turns
        turns += 1
        if turns < 5:
            raise ConnectionRefusedError

    taking = asyncio.create_task(loop._again_and_again(asyncio.Event(), turn))
    async with asyncio.timeout(30):
        while turns < 6:
            await asyncio.sleep(0.01)
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    told = [record.exc_info is not None for record in caplog.records if "what is due" in record.getMessage()]
    assert told == [True, False]


async def test_one_begins_at_its_time_though_nobody_rings(engine: Engine) -> None:
    loop = Loop(replace(engine, settings=replace(FEW, look_every=600)).context())
    await add_accounts(engine, 1, "soon")
    lease = (await leased(engine, "soon0"))._replace(due_at=NOW + 0.05)
    loop.context = replace(loop.context, clock=lambda: engine.now)
    loop._waiting.add([lease])
    beginning = asyncio.create_task(loop._begin_in_time(asyncio.Event()))
    await asyncio.sleep(0)
    assert waiting(loop) == (1, 0)
    engine.now += 1
    async with asyncio.timeout(30):
        while loop.running("acc_soon0") is None:
            await asyncio.sleep(0.01)
    beginning.cancel()
    await asyncio.gather(beginning, return_exceptions=True)
    await loop.drain()


async def test_one_that_a_later_clock_planned_does_not_wait_for_its_hour(engine: Engine, loop: Loop) -> None:
    await add_accounts(engine, 1)
    loop._waiting.add([(await leased(engine, "well0"))._replace(due_at=NOW + 3600)])
    assert begin_all(loop) == 1


@pytest.mark.parametrize(
    ("late", "dropped", "order"),
    [((3, 4, 5), None, [2, 1, 0]), ((9, 5, 8, 4, 3, 7, 6), 0, [2, 5, 6, 1, 3, 4])],
    ids=["all", "all-but-one"],
)
async def test_who_is_due_longest_begins_first(
    engine: Engine, loop: Loop, late: tuple[int, ...], dropped: int | None, order: list[int]
) -> None:
    await add_accounts(engine, len(late))
    for number, seconds in enumerate(late):
        loop._waiting.add([(await leased(engine, f"well{number}"))._replace(due_at=NOW - seconds)])
    loop._waiting.drop(f"acc_well{dropped}")
    begun = [due.account_id for _ in late if (due := loop._next(NOW)) is not None]
    assert begun == [f"acc_well{number}" for number in order]


async def test_one_that_fails_and_waits_is_polled_once_when_it_is_asked_for(
    engine: Engine, loop: Loop
) -> None:
    await add_accounts(engine, 1, "fails")
    await loop._take_turn()
    assert waiting(loop) == (0, 1)
    assert await loop.poll_now("acc_fails0") is not None
    assert waiting(loop) == (0, 0)


async def test_a_loop_that_ends_leaves_nothing_waiting_and_no_place_taken(engine: Engine, loop: Loop) -> None:
    await add_accounts(engine, 6)
    await add_accounts(engine, 2, "fails")
    await loop._take_turn()
    assert begin_all(loop) == 4
    loop._end_poll("acc_well0")
    assert len(loop._room.new) == 3
    await loop._take_turn()
    assert waiting(loop)[1] == 1
    await loop.drain()
    assert (waiting(loop), len(loop._room.new), loop._polls, loop._failing) == ((0, 0), 0, {}, set())


async def test_one_that_is_polled_is_not_polled_again_though_it_is_leased_again(
    engine: Engine, loop: Loop
) -> None:
    await add_accounts(engine, 1)
    await loop._take_turn()
    assert begin_all(loop) == 1
    async with engine.database.writing() as db:
        await ICloudAccount.all().using_db(db).update(lease_until=0)
    lapsed = await leased(engine, "well0")
    async with engine.database.writing() as db:
        await ICloudAccount.all().using_db(db).update(lease_until=0)
    await loop._take_turn()
    assert waiting(loop) == (0, 0)
    running = loop.running("acc_well0")
    assert running is not None
    assert loop._start_poll(lapsed, NOW) is running


@pytest.mark.parametrize(("healthy", "failing", "has_more"), [(4, 0, True), (3, 1, False), (5, 0, True)])
async def test_it_is_known_whether_there_may_be_more(
    engine: Engine, loop: Loop, healthy: int, failing: int, *, has_more: bool
) -> None:
    await add_accounts(engine, healthy)
    await add_accounts(engine, failing, "fails")
    await loop._take_turn()
    assert loop._waiting.has_more is has_more
    await loop._take_turn()
    assert not loop._waiting.has_more, "there was no place for more, or there were no more"


async def test_once_all_that_it_took_has_begun_it_looks_for_more_once(engine: Engine, loop: Loop) -> None:
    await add_accounts(engine, 4)
    rung = asyncio.Event()
    beginning = asyncio.create_task(loop._begin_in_time(rung))
    await loop._take_turn()
    async with asyncio.timeout(30):
        await rung.wait()
    rung.clear()
    loop._may_begin.set()
    while loop._may_begin.is_set():
        await asyncio.sleep(0)
    assert not rung.is_set()
    beginning.cancel()
    await asyncio.gather(beginning, return_exceptions=True)


async def test_while_some_wait_for_their_time_it_does_not_look_for_more(engine: Engine, loop: Loop) -> None:
    await add_accounts(engine, 4, next_poll_at=NOW + 0.9 * FEW.look_every)
    rung = asyncio.Event()
    beginning = asyncio.create_task(loop._begin_in_time(rung))
    await loop._take_turn()
    while loop._may_begin.is_set():
        await asyncio.sleep(0)
    assert (rung.is_set(), loop._waiting.has_more) == (False, True)
    beginning.cancel()
    await asyncio.gather(beginning, return_exceptions=True)


async def test_of_those_that_fail_no_more_begin_than_their_share(engine: Engine, loop: Loop) -> None:
    """And the others do, whatever waits before them."""
    await add_accounts(engine, 3, "fails")
    await add_accounts(engine, 2)
    for name in ("fails0", "fails1", "fails2", "well0", "well1"):
        loop._waiting.add([await leased(engine, name)])
    assert begin_all(loop) == 3
    assert waiting(loop) == (0, 2)
    loop._may_begin.clear()
    loop._end_poll("acc_well0")
    assert (begin_all(loop), loop._may_begin.is_set()) == (0, False)
    loop._end_poll("acc_fails0")
    assert (begin_all(loop), loop._may_begin.is_set()) == (1, True)


async def test_those_that_fail_have_a_place_however_few_there_are(engine: Engine) -> None:
    loop = Loop(replace(engine, settings=replace(FEW, concurrent_polls=3)).context())
    await add_accounts(engine, 1, "fails")
    await loop._take_turn()
    assert begin_all(loop) == 1
    await loop.drain()


async def test_one_that_fails_begins_though_the_others_would_fill_all_places(
    engine: Engine, loop: Loop
) -> None:
    await add_accounts(engine, 6)
    await add_accounts(engine, 1, "fails")
    await loop._take_turn()
    begin_all(loop)
    assert loop.running("acc_fails0") is not None


async def test_one_that_a_later_clock_planned_is_not_told_as_early(engine: Engine) -> None:
    works: list[Work] = []

    def watch(work: Work) -> AbstractContextManager[None]:
        works.append(work)
        return nullcontext()

    loop = Loop(replace(engine.context(), watch=watch))
    await add_accounts(engine, 1)
    loop._start_poll((await leased(engine, "well0"))._replace(due_at=NOW + 3600), NOW)
    await asyncio.sleep(0)
    assert [work.late for work in works] == [0]
    await loop.drain()


async def test_no_more_poll_at_once_than_may_hang(engine: Engine) -> None:
    loop = Loop(replace(engine, settings=replace(FEW, most_polls=2)).context())
    await add_accounts(engine, 4)
    await loop._take_turn()
    assert (begin_all(loop), loop._soonest()) == (2, None)
    loop._may_begin.clear()
    loop._end_poll("acc_well0")
    assert (begin_all(loop), loop._may_begin.is_set()) == (1, True)
    await loop.drain()


async def test_where_all_places_wait_for_icloud_s_first_word_nothing_more_begins(
    engine: Engine, loop: Loop
) -> None:
    await add_accounts(engine, 6)
    for number in range(6):
        loop._waiting.add([await leased(engine, f"well{number}")])
    assert begin_all(loop) == 4
    begun = loop.running("acc_well0")
    assert begun is not None
    begun.place.leave()
    assert begin_all(loop) == 1


async def test_once_icloud_s_first_word_is_long_in_coming_others_begin_though_nobody_rings(
    engine: Engine,
) -> None:
    loop = Loop(replace(engine, settings=replace(FEW, word_within=0.01, look_every=600)).context())
    await add_accounts(engine, 8)
    beginning = asyncio.create_task(loop._begin_in_time(asyncio.Event()))
    for number in range(8):
        loop._waiting.add([await leased(engine, f"well{number}")])
    loop._may_begin.set()
    async with asyncio.timeout(30):
        while waiting(loop) != (0, 0):
            await asyncio.sleep(0.01)
    beginning.cancel()
    await asyncio.gather(beginning, return_exceptions=True)
    await loop.drain()


async def test_who_is_waited_for_takes_no_place(engine: Engine, loop: Loop) -> None:
    await add_accounts(engine, 1)
    running = await loop.poll_now("acc_well0")
    assert running is not None
    assert (running.place.takes_turns, len(loop._room.new)) == (False, 0)


async def test_those_who_ask_at_once_share_a_poll_and_it_waits_no_more(engine: Engine, loop: Loop) -> None:
    await add_accounts(engine, 1)
    await loop._take_turn()
    assert waiting(loop) == (1, 0)
    first, second = await asyncio.gather(*(loop.poll_now("acc_well0") for _ in range(2)))
    assert first is second is not None
    assert waiting(loop) == (0, 0)
