"""A server that spells one resource's name now so, now so."""

from __future__ import annotations

import pytest

from domain.interval import Span
from models.bell import Bell
from models.calendar import Calendar
from models.changelog import changing
from models.database import Database
from models.resources import store_resources
from models.rows import ReadResource
from sync.context import SyncContext
from sync.ical import read_resource
from sync.remote import Href
from tests.fakes.calendar_server import FakeCalendar
from tests.integration.engine import USER, ZONE, Engine, at, engine_on, event

SPELLINGS = [("a%40b~c", "a@b%7Ec"), ("a@b%7ec", "a%40b%7Ec"), ("x%c3%a9", "x%C3%A9")]


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    return await engine_on(database, bell)


@pytest.fixture
def home(engine: Engine) -> FakeCalendar:
    return engine.server.calendars["/1/calendars/home/"]


async def read(engine: Engine, home: FakeCalendar, name: str) -> SyncContext:
    context = engine.context()
    home.put("plain", event("plain", at(5, 9), at(5, 10)))
    home.put(name, event("odd", at(3, 9), at(3, 10)))
    await engine.choose("Home")
    await engine.poll(context)
    engine.now += 1
    return context


def respell(home: FakeCalendar, name: str, other: str) -> Href:
    """From now on."""
    href = Href(f"{home.path}{other}.ics")
    home.texts[href] = home.texts.pop(Href(f"{home.path}{name}.ics"))
    return href


@pytest.mark.parametrize(("name", "other"), SPELLINGS)
async def test_an_event_that_is_told_in_another_spelling_is_no_second_one(
    engine: Engine, home: FakeCalendar, name: str, other: str
) -> None:
    context = await read(engine, home, name)
    respell(home, name, other)
    home.put(other, event("odd", at(3, 11), at(3, 12)))
    await engine.poll(context)
    assert await engine.slots() == [(at(3, 11), at(3, 12)), (at(5, 9), at(5, 10))]
    assert f"{home.path}{name}.ics" in {each.href for each in await engine.resources()}


@pytest.mark.parametrize(("name", "other"), SPELLINGS)
async def test_an_event_that_is_gone_in_another_spelling_is_gone(
    engine: Engine, home: FakeCalendar, name: str, other: str
) -> None:
    context = await read(engine, home, name)
    home.delete(respell(home, name, other))
    await engine.poll(context)
    assert await engine.slots() == [(at(5, 9), at(5, 10))]


async def test_a_listing_in_another_spelling_moves_nothing(engine: Engine, home: FakeCalendar) -> None:
    context = await read(engine, home, "a%40b")
    before = await engine.position()
    respell(home, "a%40b", "a@b")
    engine.now += 150  # The comparison that follows a first reading.
    await engine.poll(context)
    assert await engine.position() == before
    assert context.memory.missed == 0


async def test_what_was_stored_twice_is_stored_once_after_the_next_full_reading(
    engine: Engine, home: FakeCalendar
) -> None:
    """By versions that took the two for two."""
    await read(engine, home, "a%40b")
    body = event("odd", at(3, 9), at(3, 10))
    reading = read_resource(body, zone=ZONE, addresses=frozenset(), window=Span(at(1, 0), at(30, 0)))
    other = ReadResource(
        href=f"{home.path}a@b.ics", etag='"1"', body=body, uid="odd", occurrences=reading.occurrences
    )
    async with changing(engine.database, engine.bell, USER, now=engine.now) as ledger:
        await store_resources(ledger, await engine.calendar("Home"), [other], owns={})
    assert len(await engine.slots()) == 3
    async with engine.database.writing() as db:
        await Calendar.all().using_db(db).update(sync_token=None, listed_token=None)
    await engine.poll()
    assert len(await engine.slots()) == 2
