"""A write, and a poll of another process that ends before the write's answer is put on record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from domain.changes import ChangeKind
from domain.copies import WriteState
from models.bell import Bell
from models.database import Database
from sync.remote import Href, ServerFailed
from tests.fakes.calendar_server import FakeCalendar
from tests.integration.engine import Engine, at, engine_on, event


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    engine = await engine_on(database, bell)
    await engine.choose("Work", linked="Home")
    await engine.poll()
    return engine


def meanwhile(engine: Engine, edit: Callable[[], object], *, before: str = "") -> None:
    """Once, before a write's answer is heard or `before` it is made, the owner edits and another process reads it."""

    async def happen(name: str, _: str = "") -> None:
        if before in {"", name}:
            engine.server.done = engine.server.after = None
            edit()
            engine.now += 1
            await engine.poll(engine.context("process-2"))

    if before:
        engine.server.after = happen
    else:
        engine.server.done = happen


async def sync(engine: Engine) -> None:
    engine.now += 60
    await engine.poll()
    await engine.push()


def moved(body: str) -> str:
    assert "20261103T090000Z" in body
    return body.replace("20261103T09", "20261103T14").replace("20261103T10", "20261103T15")


def only(calendar: FakeCalendar) -> tuple[Href, str]:
    [(href, (_, body))] = calendar.texts.items()
    return href, body


async def test_the_owners_move_that_was_read_before_the_writes_answer_was_heard_closes_its_time(
    engine: Engine, home: FakeCalendar
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))

    def move() -> None:
        href, body = only(home)
        home.put(href.rpartition("/")[2].removesuffix(".ics"), moved(body))

    meanwhile(engine, move)
    await engine.push()
    await sync(engine)
    assert (await engine.appointment(name)).write_state == WriteState.CHANGED_IN_ICLOUD
    assert await engine.slots() == [(at(3, 14), at(3, 15))]


async def test_the_owners_deletion_that_was_read_before_the_writes_answer_was_heard_is_told(
    engine: Engine, home: FakeCalendar
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    meanwhile(engine, lambda: home.delete(only(home)[0]))
    await engine.push()
    await sync(engine)
    assert (await engine.appointment(name)).write_state == WriteState.DELETED_IN_ICLOUD
    assert await engine.events() == []


async def test_the_owners_deletion_that_is_being_read_when_the_write_is_put_on_record_is_told(
    engine: Engine, home: FakeCalendar
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    is_told, is_on_record, polls = asyncio.Event(), asyncio.Event(), asyncio.TaskGroup()

    async def stand_still(asked: str, _: str) -> None:
        if asked == "fetch":
            engine.server.after = None
            is_told.set()
            await is_on_record.wait()

    async def delete(_: str) -> None:
        home.delete(only(home)[0])
        home.put("other", event("other", at(4, 9), at(4, 10)))
        engine.server.after = stand_still
        polls.create_task(engine.poll(engine.context("process-2")))
        await is_told.wait()

    engine.server.done = delete
    async with polls:
        await engine.push()
        is_on_record.set()
    await sync(engine)
    assert (await engine.appointment(name)).write_state == WriteState.DELETED_IN_ICLOUD
    assert await engine.slots() == [(at(4, 9), at(4, 10))]


@pytest.mark.parametrize("where", ["Home", "Work"])
@pytest.mark.parametrize("is_seen_to_go_first", [True, False])
@pytest.mark.parametrize("is_taken", [True, False])
async def test_a_cancelled_one_that_the_owner_moved_before_it_was_removed_goes_from_there(
    engine: Engine,
    home: FakeCalendar,
    work: FakeCalendar,
    where: str,
    *,
    is_seen_to_go_first: bool,
    is_taken: bool,
) -> None:
    """To another calendar, or under another name in its own. `is_taken`: another's event has the one that it had."""
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.poll()
    href, body = only(home)
    await engine.change(name, status="CANCELLED")
    if is_seen_to_go_first:
        home.delete(href)
        await engine.poll()

    def carry() -> None:
        if not is_seen_to_go_first:
            home.delete(href)
        (home if where == "Home" else work).put("moved", body)
        if is_taken:
            home.put(href.rpartition("/")[2].removesuffix(".ics"), theirs)

    theirs = event("theirs", at(9, 9), at(9, 10))
    meanwhile(engine, carry, before="get" if is_seen_to_go_first else "remove")
    await engine.push()
    assert (await engine.appointment(name)).write_state == WriteState.PENDING
    await sync(engine)
    assert [text for _, text in home.texts.values()] == [theirs] * is_taken
    assert work.texts == {}
    assert (await engine.appointment(name)).write_state == WriteState.REMOVED
    assert await engine.pending() == []


async def test_what_is_written_anew_while_its_deletion_is_being_read_is_not_told_as_deleted(
    engine: Engine, home: FakeCalendar
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.poll()
    home.delete(only(home)[0])
    home.put("other", event("other", at(4, 9), at(4, 10)))
    position = await engine.position()

    async def write_anew(asked: str, _: str) -> None:
        if asked == "fetch":
            engine.server.after = None
            engine.now += 1
            await engine.change(name, starts=at(3, 14), ends=at(3, 15))
            await engine.push(engine.context("process-2"))

    engine.server.after = write_anew
    engine.now += 60
    await engine.poll()
    own = await engine.appointment(name)
    assert own.write_state == WriteState.WRITTEN
    assert own.href in {each.href for each in await engine.resources()}
    await sync(engine)
    assert (await engine.kinds(position)).count(ChangeKind.APPOINTMENT_WRITTEN) == 1
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN
    assert await engine.slots() == [(at(4, 9), at(4, 10))]


async def test_what_a_comparison_found_missing_before_the_writes_answer_was_heard_is_read(
    engine: Engine, home: FakeCalendar
) -> None:
    context = engine.context()
    await engine.settle(context)
    engine.server.untold.add(home.put("missed", event("missed", at(5, 9), at(5, 10))))
    home.history.pop()  # No token tells of it either.
    await engine.book(at(3, 9), at(3, 10))
    engine.now = (await engine.calendar("Home")).compare_at or 0

    async def fail(name: str, _: str) -> None:
        if name == "fetch":  # By now it knows that one is missing.
            engine.server.failures["changes"] = [ServerFailed()]

    async def compare(name: str, _: str) -> None:
        if name == "create":
            engine.server.after = fail
            await engine.poll(context)
            engine.server.after = None

    engine.server.after = compare
    await engine.push(context)
    engine.server.untold.clear()
    engine.now += 60
    await engine.poll(context)
    assert (at(5, 9), at(5, 10)) in await engine.slots()


async def test_a_calendar_that_is_chosen_anew_before_the_writes_answer_is_heard_is_read_from_the_start(
    engine: Engine, home: FakeCalendar
) -> None:
    home.put("one", event("one", at(5, 9), at(5, 10)))
    await engine.poll()
    await engine.book(at(3, 9), at(3, 10))

    async def choose_anew(name: str, _: str) -> None:
        if name == "create":
            engine.server.after = None
            await engine.choose("Work")
            await engine.choose("Work", linked="Home")

    engine.server.after = choose_anew
    await engine.push()
    await engine.poll()
    assert (at(5, 9), at(5, 10)) in await engine.slots()


async def test_what_is_deleted_after_a_write_amid_the_poll_that_reads_of_it_is_told_by_the_next(
    engine: Engine, home: FakeCalendar
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.poll()
    home.put("other", event("other", at(4, 9), at(4, 10)))

    async def write_and_delete(asked: str, _: str) -> None:
        if asked == "changes":
            engine.server.after = None
            engine.now += 1
            await engine.change(name, starts=at(3, 14), ends=at(3, 15))
            await engine.push(engine.context("process-2"))
            home.delete(Href((await engine.appointment(name)).href or ""))

    engine.server.after = write_and_delete
    engine.now += 60
    await engine.poll()
    await sync(engine)
    assert (await engine.appointment(name)).write_state == WriteState.DELETED_IN_ICLOUD
