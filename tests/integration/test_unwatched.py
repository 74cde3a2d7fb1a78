"""What an owner does to our events in a calendar that is left out of the choice meanwhile is told once it is in it."""

from __future__ import annotations

import pytest

from domain.changes import ChangeKind
from domain.copies import WriteState
from models.bell import Bell
from models.calendar import Calendar
from models.database import Database
from sync.context import SyncContext
from sync.plan import FEW_GONE
from sync.remote import Href, ServerFailed, Throttled
from tests.fakes.calendar_server import FakeCalendar
from tests.integration.engine import DAY, HOUR, Engine, at, event, linked_engine_on
from tests.integration.test_left_behind import edit
from tests.integration.test_push import spans


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    return await linked_engine_on(database, bell)


@pytest.fixture
def context(engine: Engine) -> SyncContext:
    return engine.context()


@pytest.fixture
async def name(engine: Engine, context: SyncContext) -> str:
    """Written to Work, which is left out of the choice then."""
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push(context)
    await engine.poll(context)
    await engine.choose("Home")
    await engine.poll(context)
    return name


async def chosen_again(engine: Engine, context: SyncContext) -> None:
    await engine.choose("Home", linked="Work")
    engine.now += 60
    await engine.poll(context)


async def state(engine: Engine, name: str) -> str:
    own = await engine.appointment(name)
    assert own.status == "CONFIRMED"
    return own.write_state


async def test_a_deletion_is_told_and_the_booking_stands(
    engine: Engine, context: SyncContext, work: FakeCalendar, name: str
) -> None:
    work.delete(next(iter(work.texts)))
    await engine.poll(context)
    assert await state(engine, name) == WriteState.WRITTEN  # Nobody looks on.
    engine.server.asked.clear()
    position = await engine.position()
    await chosen_again(engine, context)
    assert engine.server.asked.count("get") == 1
    assert await state(engine, name) == WriteState.DELETED_IN_ICLOUD
    assert (await engine.kinds(position)).count(ChangeKind.APPOINTMENT_WRITTEN) == 1
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    await engine.push(context)
    assert spans(work) == [(at(3, 14), at(3, 15))]


async def test_an_edit_is_told(engine: Engine, context: SyncContext, work: FakeCalendar, name: str) -> None:
    edit(work, "T100000Z", "T113000Z")
    await chosen_again(engine, context)
    assert await state(engine, name) == WriteState.CHANGED_IN_ICLOUD
    assert await engine.slots() == [(at(3, 10), at(3, 11, 30))]


async def test_what_was_changed_and_then_deleted_is_told(
    engine: Engine, context: SyncContext, work: FakeCalendar, name: str
) -> None:
    edit(work, "T100000Z", "T113000Z")
    await chosen_again(engine, context)
    await engine.choose("Home")
    work.delete(next(iter(work.texts)))
    await chosen_again(engine, context)
    assert await state(engine, name) == WriteState.DELETED_IN_ICLOUD


async def test_what_stands_there_is_not_asked_for_once_more(
    engine: Engine, context: SyncContext, name: str
) -> None:
    engine.server.asked.clear()
    await chosen_again(engine, context)
    assert "get" not in engine.server.asked
    assert await state(engine, name) == WriteState.WRITTEN


@pytest.mark.parametrize("is_read_before", [True, False])
async def test_one_that_moved_to_another_calendar_is_known_there_and_not_told_as_deleted(
    engine: Engine,
    context: SyncContext,
    home: FakeCalendar,
    work: FakeCalendar,
    name: str,
    *,
    is_read_before: bool,
) -> None:
    """Home is read first, or not at all until Work is."""
    [(href, (_, body))] = work.texts.items()
    work.delete(href)
    position = await engine.position()
    if is_read_before:
        moved = home.put("moved", body)
        await engine.poll(context)
        await chosen_again(engine, context)
    else:
        await engine.choose()
        moved = home.put("moved", body)
        home.name = "Yours"  # Read after Work.
        await engine.choose("Yours", linked="Work")
        await engine.poll(context)
    own = await engine.appointment(name)
    assert (own.write_state, own.href) == (WriteState.WRITTEN, moved)
    assert ChangeKind.APPOINTMENT_WRITTEN not in await engine.kinds(position)


async def test_one_that_is_given_though_no_listing_shows_it_stands(
    engine: Engine, context: SyncContext, work: FakeCalendar, name: str
) -> None:
    href = next(iter(work.texts))
    engine.server.untold.add(href)
    engine.server.unlisted.add(href)
    await chosen_again(engine, context)
    assert await state(engine, name) == WriteState.WRITTEN


@pytest.mark.parametrize("error", [ServerFailed(), Throttled(30.0)])
async def test_what_could_not_be_asked_for_is_told_by_the_next_comparison(
    engine: Engine, context: SyncContext, work: FakeCalendar, name: str, error: Exception
) -> None:
    work.delete(next(iter(work.texts)))
    engine.server.failures["get"] = [error]
    await chosen_again(engine, context)
    assert await state(engine, name) == WriteState.WRITTEN
    for _ in range(2):
        engine.now += 150
        await engine.poll(context)
    assert await state(engine, name) == WriteState.DELETED_IN_ICLOUD


async def test_what_is_found_gone_by_a_comparison_is_told_though_another_calendar_is_read_after_it(
    engine: Engine, context: SyncContext, home: FakeCalendar, work: FakeCalendar, name: str
) -> None:
    """With the last page of that one the poll was at its end, and its account another's."""
    home.name = "Yours"
    work.delete(next(iter(work.texts)))
    await engine.settle(context)
    engine.server.failures["get"] = [ServerFailed()]
    await engine.choose("Yours", linked="Work")
    await engine.poll(context)
    engine.now += 150
    home.put("new", event("new", at(5, 9), at(5, 10)))
    assert (await engine.poll(context)).is_complete
    assert await state(engine, name) == WriteState.DELETED_IN_ICLOUD


async def test_one_that_is_written_anew_while_it_is_asked_for_is_not_told_as_deleted(
    engine: Engine, context: SyncContext, work: FakeCalendar, name: str
) -> None:
    work.delete(next(iter(work.texts)))
    position = await engine.position()

    async def write(asked: str, _: str) -> None:
        if asked == "get":
            engine.server.after = None
            engine.now += 1
            await engine.change(name, starts=at(3, 14), ends=at(3, 15))
            await engine.push(engine.context("process-2"))
            engine.server.hidden |= set(work.texts)

    engine.server.after = write
    await chosen_again(engine, context)
    engine.server.hidden.clear()
    assert await state(engine, name) == WriteState.WRITTEN
    assert (await engine.kinds(position)).count(ChangeKind.APPOINTMENT_WRITTEN) == 1
    engine.now += 60
    await engine.poll(context)
    assert await state(engine, name) == WriteState.WRITTEN


async def test_one_whose_write_waits_is_the_writers(
    engine: Engine, context: SyncContext, work: FakeCalendar, name: str
) -> None:
    work.delete(next(iter(work.texts)))
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    await chosen_again(engine, context)
    assert await state(engine, name) == WriteState.PENDING
    await engine.push(context)
    assert spans(work) == [(at(3, 14), at(3, 15))]


async def test_what_was_told_is_not_asked_for_again_and_nothing_is_of_one_that_was_removed(
    engine: Engine, context: SyncContext, work: FakeCalendar, name: str
) -> None:
    work.delete(next(iter(work.texts)))
    await chosen_again(engine, context)
    removed = await engine.book(at(5, 9), at(5, 10), name="apt_00000000000000000000000002")
    await engine.push(context)
    await engine.change(removed, status="CANCELLED")
    await engine.push(context)
    await engine.choose("Home")
    engine.server.asked.clear()
    await chosen_again(engine, context)
    assert "get" not in engine.server.asked
    assert (await engine.appointment(removed)).write_state == WriteState.REMOVED
    assert await state(engine, name) == WriteState.DELETED_IN_ICLOUD


async def test_the_past_is_left_alone(
    engine: Engine, context: SyncContext, work: FakeCalendar, name: str
) -> None:
    work.delete(next(iter(work.texts)))
    engine.now += 4 * DAY
    engine.server.asked.clear()
    await chosen_again(engine, context)
    assert "get" not in engine.server.asked
    assert await state(engine, name) == WriteState.WRITTEN


async def test_much_at_once_waits_for_a_second_listing(
    engine: Engine, context: SyncContext, work: FakeCalendar
) -> None:
    names = [
        await engine.book(at(3, 0) + number * HOUR, at(3, 1) + number * HOUR, name=f"apt_{number:026}")
        for number in range(FEW_GONE + 1)
    ]
    for _ in names:
        await engine.push(context)
    await engine.poll(context)
    await engine.choose("Home")
    for href in list(work.texts):
        work.delete(Href(href))
    await chosen_again(engine, context)
    assert {await state(engine, name) for name in names} == {WriteState.WRITTEN}
    engine.now += 150
    await engine.poll(context)
    assert {await state(engine, name) for name in names} == {WriteState.DELETED_IN_ICLOUD}


async def calendars(engine: Engine) -> list[Calendar]:
    async with engine.database.reading() as db:
        return await Calendar.all().using_db(db).order_by("path")


async def polled_until_it_is_proved_gone(engine: Engine, context: SyncContext) -> None:
    for _ in range(2):
        await engine.poll(context)
        engine.now += 61
    await engine.poll(context)


@pytest.mark.parametrize("is_chosen", [False, True])
async def test_what_went_with_its_calendar_is_told(
    engine: Engine, context: SyncContext, work: FakeCalendar, name: str, *, is_chosen: bool
) -> None:
    """Which was chosen again, and not read yet; or was not."""
    if is_chosen:
        await engine.choose("Home", linked="Work")
    del engine.server.calendars[work.path]
    await polled_until_it_is_proved_gone(engine, context)
    assert await state(engine, name) == WriteState.DELETED_IN_ICLOUD


async def test_what_stands_in_a_calendar_of_two_spellings_is_not_told_as_deleted(
    engine: Engine, context: SyncContext, work: FakeCalendar, name: str
) -> None:
    """Of which the one that is not chosen is dropped."""
    async with engine.database.writing() as db:
        stands = await Calendar.filter(name="Work").using_db(db).get()
        await Calendar.filter(id=stands.id).using_db(db).update(path="/1/calendars/%77ork/")
        stands.id, stands.is_conflict = "cal_twin", True
        await stands.save(using_db=db, force_create=True)
    position = await engine.position()
    await engine.poll(context)
    assert [calendar.path for calendar in await calendars(engine)] == ["/1/calendars/home/", work.path]
    assert ChangeKind.APPOINTMENT_WRITTEN not in await engine.kinds(position)
