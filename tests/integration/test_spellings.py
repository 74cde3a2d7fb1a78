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
from sync.ical.resource import read_resource
from sync.remote import Href
from tests.fakes.calendar_server import FakeCalendar
from tests.integration.engine import USER, ZONE, Engine, at, engine_on, event

SPELLINGS = [("a%40b~c", "a@b%7Ec"), ("a@b%7ec", "a%40b%7Ec"), ("x%c3%a9", "x%C3%A9")]


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    return await engine_on(database, bell)


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


@pytest.mark.parametrize(("name", "other"), SPELLINGS)
async def test_an_event_that_a_first_reading_is_told_of_in_two_spellings_is_stored_once(
    engine: Engine, home: FakeCalendar, name: str, other: str
) -> None:
    """Something that it read before is gone by its end: then it is listed in another way, too."""
    gone = home.put("gone", event("gone", at(4, 9), at(4, 10)))
    engine.server.hidden.add(home.put("hidden", event("hidden", at(6, 9), at(6, 10))))
    await engine.choose("Home")
    await engine.poll()
    home.delete(gone)
    home.put(name, event("odd", at(3, 9), at(3, 10)))

    async def meanwhile(asked: str, _: str) -> None:
        if asked == "resources":
            engine.server.after = None
            respell(home, name, other)

    engine.server.hidden.clear()
    engine.server.after = meanwhile
    await engine.poll()
    assert "resources" in engine.server.asked
    assert await engine.slots() == [(at(3, 9), at(3, 10)), (at(6, 9), at(6, 10))]


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


def respell_calendar(engine: Engine, before: str, after: str) -> FakeCalendar:
    """From now on; its resources are told in it too."""
    found = engine.server.calendars.pop(f"/1/calendars/{before}/")
    found.path = f"/1/calendars/{after}/"
    found.texts = {Href(found.path + href.rpartition("/")[2]): text for href, text in found.texts.items()}
    found.history = [Href(found.path + href.rpartition("/")[2]) for href in found.history]
    engine.server.calendars[found.path] = found
    return found


async def stored_calendars(engine: Engine) -> list[tuple[str, bool, bool]]:
    async with engine.database.reading() as db:
        rows = await Calendar.all().using_db(db).order_by("path")
    return [(row.path, row.is_conflict, row.is_gone) for row in rows]


@pytest.mark.parametrize(("before", "after"), SPELLINGS)
async def test_a_calendar_that_is_listed_in_another_spelling_is_no_second_one(
    engine: Engine, before: str, after: str
) -> None:
    context, odd = engine.context(), engine.server.add(before)
    odd.put("one", event("one", at(3, 9), at(3, 10)))
    odd.put("two", event("two", at(5, 9), at(5, 10)))
    await engine.choose(odd.name)
    await engine.poll(context)
    known = await stored_calendars(engine)
    odd = respell_calendar(engine, before, after)
    odd.delete(Href(f"{odd.path}two.ics"))
    odd.put("one", event("one", at(3, 11), at(3, 12)))
    engine.now += 1
    outcome = await engine.poll(context)
    assert outcome.error is None
    assert await engine.slots() == [(at(3, 11), at(3, 12))]
    assert await stored_calendars(engine) == known
    assert (await engine.account()).last_synced_at == engine.now
    assert len(await engine.resources()) == 1
    engine.server.asked.clear()
    await engine.poll(context)
    assert "changes" not in engine.server.asked


async def test_of_two_rows_of_one_calendar_the_chosen_one_stays(engine: Engine) -> None:
    odd = engine.server.add("a%40b")
    odd.put("one", event("one", at(3, 9), at(3, 10)))
    await engine.choose(odd.name)
    await engine.poll()
    async with engine.database.writing() as db:
        [row] = await Calendar.filter(is_conflict=True).using_db(db)
        await (
            row.clone(pk="cal_twin")
            .update_from_dict({"path": "/1/calendars/a@b/", "is_conflict": False})
            .save(using_db=db, force_create=True)
        )
    respell_calendar(engine, "a%40b", "a@b")
    engine.now += 1
    await engine.poll()
    assert [each for each in await stored_calendars(engine) if "/a" in each[0]] == [
        ("/1/calendars/a%40b/", True, False)
    ]
    assert await engine.slots() == [(at(3, 9), at(3, 10))]


@pytest.mark.parametrize("linked", [None, "a%40b"])
async def test_of_two_chosen_rows_of_one_calendar_one_goes_on_closing_its_time(
    engine: Engine, linked: str | None
) -> None:
    odd = engine.server.add("a%40b")
    odd.put("one", event("one", at(3, 9), at(3, 10)))
    await engine.choose(odd.name, linked=linked)
    await engine.poll()
    async with engine.database.writing() as db:
        [row] = await Calendar.filter(is_conflict=True).using_db(db)
        twin = {"path": "/1/calendars/a@b/", "is_linked": False}
        await row.clone(pk="cal_twin").update_from_dict(twin).save(using_db=db, force_create=True)
    for spelled in (("a%40b", "a@b"), ("a@b", "a%40b")):
        odd = respell_calendar(engine, *spelled)
        odd.put("one", event("one", at(3, 11), at(3, 12)))
        engine.now += 1
        await engine.poll()
        assert [each[2] for each in await stored_calendars(engine) if each[1]] == [False, True]
        assert await engine.slots() == [(at(3, 11), at(3, 12))]
        assert (await engine.account()).last_synced_at == engine.now
