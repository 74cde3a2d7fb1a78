"""A resource whose name is longer than any that is kept: the rest is read, and its calendar is never called in step."""

from __future__ import annotations

import pytest

from domain.accounts import ICloudProblemCode
from models.bell import Bell
from models.database import Database
from sync.remote import Href
from tests.fakes.calendar_server import FakeCalendar
from tests.integration.engine import NOW, Engine, at, engine_on, event

LONG = "x" * 1000
OTHER = (at(4, 9), at(4, 10))


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    engine = await engine_on(database, bell)
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", at(3, 9), at(3, 10)))
    await engine.choose("Home")
    return engine


async def test_a_calendar_that_was_read_is_in_step_no_more_and_again_when_it_is_gone(
    engine: Engine, home: FakeCalendar
) -> None:
    context = engine.context()
    await engine.poll(context)
    home.put(LONG, event("long", at(3, 11), at(3, 12)))
    home.put("other", event("other", *OTHER))
    engine.now += 10
    await engine.poll(context)
    assert OTHER in await engine.slots()
    account = await engine.account()
    assert (account.problem_code, account.last_synced_at) == (ICloudProblemCode.UNEXPECTED_ANSWER, NOW)
    assert "too long" in (account.problem_message or "")
    assert (await engine.calendar("Home")).last_synced_at == NOW
    home.delete(Href(f"{home.path}{LONG}.ics"))
    engine.now += 600
    await engine.poll(context)
    assert (await engine.account()).last_synced_at == engine.now


async def test_one_that_is_told_alone_is_said_at_once(engine: Engine, home: FakeCalendar) -> None:
    context = engine.context()
    await engine.poll(context)
    home.put(LONG, event("long", at(3, 11), at(3, 12)))
    await engine.poll(context)
    assert (await engine.account()).problem_code == ICloudProblemCode.UNEXPECTED_ANSWER


async def test_it_is_said_too_while_what_is_gone_beside_it_waits_for_another_calendar(
    engine: Engine, home: FakeCalendar
) -> None:
    work = engine.server.calendars["/1/calendars/work/"]
    await engine.choose("Home", "Work")
    context = engine.context()
    await engine.poll(context)
    home.put(LONG, event("long", at(3, 11), at(3, 12)))
    home.delete(Href(f"{home.path}a.ics"))
    engine.server.hidden.add(work.put("late", event("late", *OTHER)))
    await engine.poll(context)
    assert await engine.slots() == [(at(3, 9), at(3, 10))]
    assert (await engine.account()).problem_code == ICloudProblemCode.UNEXPECTED_ANSWER


async def test_one_that_is_there_from_the_start_keeps_its_calendar_closed(
    engine: Engine, home: FakeCalendar
) -> None:
    home.put(LONG, event("long", at(3, 11), at(3, 12)))
    await engine.poll()
    assert await engine.slots() == [(at(3, 9), at(3, 10))]
    assert (await engine.calendar("Home")).last_synced_at is None


async def test_one_that_only_a_full_listing_shows_is_found_by_the_comparison(
    engine: Engine, home: FakeCalendar
) -> None:
    context = engine.context()
    await engine.poll(context)
    long = home.put(LONG, event("long", at(3, 11), at(3, 12)))
    home.history.remove(long)
    for _ in range(2):
        engine.now += 150
        await engine.poll(context)
        account = await engine.account()
        assert (account.problem_code, account.last_synced_at) == (ICloudProblemCode.UNEXPECTED_ANSWER, NOW)
