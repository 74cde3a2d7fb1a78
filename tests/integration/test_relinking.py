"""Another calendar is linked while appointments are not as they should be in the one of before."""

from __future__ import annotations

import pytest

from domain.changes import ChangeKind
from domain.copies import WriteState
from models.bell import Bell
from models.changelog import changing
from models.database import Database
from models.resources import settle_copies
from sync.remote import Forbidden
from tests.fakes.calendar_server import FakeCalendar
from tests.integration.engine import DAY, HOUR, USER, Engine, at, linked_engine_on
from tests.integration.test_push import spans
from tests.integration.test_push_places import relinked

BOOKED, MOVED = (at(3, 9), at(3, 10)), (at(3, 14), at(3, 15))


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    return await linked_engine_on(database, bell)


async def state(engine: Engine, name: str) -> str:
    return (await engine.appointment(name)).write_state


async def pushed_for_hours(engine: Engine) -> None:
    for _ in range(3):
        engine.now += HOUR
        await engine.push()


async def test_one_whose_answer_was_lost_stays_where_it_was_sent(
    engine: Engine, home: FakeCalendar, work: FakeCalendar
) -> None:
    engine.server.drops_put_answers = 1
    name = await engine.book(*BOOKED)
    await engine.push()
    await relinked(engine)
    await pushed_for_hours(engine)
    assert (spans(home), spans(work)) == ([], [BOOKED])
    assert await state(engine, name) == WriteState.WRITTEN


async def test_one_that_is_over_is_not_written_anywhere_else(engine: Engine, home: FakeCalendar) -> None:
    engine.server.failures["create"] = [Forbidden()]
    name = await engine.book(*BOOKED)
    await engine.push()
    engine.now += 3 * DAY
    engine.server.failures["create"] = [Forbidden()] * 9
    await relinked(engine)
    own = await engine.appointment(name)
    assert (own.write_state, own.calendar_id) == (WriteState.FAILED, (await engine.calendar("Work")).id)
    await pushed_for_hours(engine)
    assert spans(home) == []


async def test_one_that_could_not_be_removed_goes_once_its_calendar_takes_it(
    engine: Engine, work: FakeCalendar
) -> None:
    name = await engine.book(*BOOKED)
    await engine.push()
    await engine.poll()
    work.can_write = False
    await engine.poll()
    await engine.change(name, status="CANCELLED")
    await engine.push()
    assert await state(engine, name) == WriteState.FAILED
    before = await engine.appointment(name)
    await relinked(engine)
    own = await engine.appointment(name)
    assert (own.calendar_id, own.href) == (before.calendar_id, before.href)
    await engine.push()
    assert spans(work) == [BOOKED]
    work.can_write = True
    await engine.poll()
    await engine.push()
    assert (spans(work), await state(engine, name)) == ([], WriteState.REMOVED)


async def test_a_refusal_that_comes_after_the_booking_was_changed_is_none_of_the_change(
    engine: Engine, work: FakeCalendar
) -> None:
    """It is tried at once, and not in an hour."""
    name = await engine.book(*BOOKED)
    engine.now += 1

    async def change(step: str, _: str) -> None:
        if step == "create":
            engine.server.after = None
            await engine.change(name, starts=MOVED[0], ends=MOVED[1])
            raise Forbidden

    engine.server.after = change
    await engine.push()
    assert await state(engine, name) == WriteState.PENDING
    await engine.push()
    assert (spans(work), await state(engine, name)) == ([MOVED], WriteState.WRITTEN)


@pytest.fixture
async def moved(engine: Engine, work: FakeCalendar) -> str:
    """Written to Work, which takes no more writes since Home is linked; moved then."""
    name = await engine.book(*BOOKED)
    await engine.push()
    await relinked(engine)
    await engine.poll()
    work.can_write = False
    await engine.poll()
    await engine.change(name, starts=MOVED[0], ends=MOVED[1])
    async with changing(engine.database, engine.bell, USER, now=engine.now) as ledger:
        await settle_copies(ledger, name)
    assert await engine.slots() == []
    return name


@pytest.fixture
async def name(engine: Engine, home: FakeCalendar, work: FakeCalendar, moved: str) -> str:
    """And so it went to Home."""
    await pushed_for_hours(engine)  # Until its name is known to be taken elsewhere.
    assert (spans(home), spans(work)) == ([MOVED], [BOOKED])
    return moved


async def test_what_stays_in_a_calendar_that_takes_no_more_writes_closes_its_time(
    engine: Engine, name: str
) -> None:
    """As it does where all is read anew."""
    assert await engine.slots() == [BOOKED]
    await engine.poll()
    assert await engine.slots() == [BOOKED]


@pytest.mark.usefixtures("moved")
async def test_who_was_booked_where_a_copy_then_stays_is_in_conflict_with_it(engine: Engine) -> None:
    another = await engine.book(*BOOKED, name="apt_00000000000000000000000002")
    position = await engine.position()
    await pushed_for_hours(engine)
    assert (await engine.appointment(another)).has_conflict
    assert ChangeKind.CONFLICT_DETECTED in await engine.kinds(position)


async def test_what_stayed_goes_though_the_other_was_changed_by_its_owner(
    engine: Engine, home: FakeCalendar, work: FakeCalendar, name: str
) -> None:
    [(href, (_, body))] = home.texts.items()
    home.put(href.rpartition("/")[2].removesuffix(".ics"), body.replace("T150000Z", "T160000Z"))
    await engine.poll()
    assert await state(engine, name) == WriteState.CHANGED_IN_ICLOUD
    work.can_write = True
    await engine.poll()
    await engine.push()
    assert (spans(home), spans(work)) == ([(MOVED[0], MOVED[1] + HOUR)], [])
    assert (await state(engine, name), await engine.pending()) == (WriteState.CHANGED_IN_ICLOUD, [])
