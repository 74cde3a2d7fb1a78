"""What a poll that finds a change asks of the database: as little as it can, however much is stored."""

from __future__ import annotations

import logging
import re

import pytest

from models.bell import Bell
from models.database import Database
from models.sql import execute
from sync.remote import Href
from tests.integration.engine import DAY, ZONE, Engine, at, engine_on, event
from tests.integration.query_plans import LOGGER, steps

LOCK = "UPDATE timeline SET seq = seq"
RECORD = "UPDATE icloud_account SET status ="
LOG = "INSERT INTO change "


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    """Its calendar is read, and compared with nothing for now."""
    engine = await engine_on(database, bell)
    home = engine.server.calendars["/1/calendars/home/"]
    for number in range(60):
        home.put(f"n{number}", event(f"n{number}", at(3, 9), at(3, 10)))
    await engine.choose("Home")
    await engine.poll()
    engine.now += 1
    await engine.poll()
    engine.now += 1
    return engine


async def asked(engine: Engine, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Without the glances, and without what opens and ends a transaction."""
    with caplog.at_level(logging.DEBUG, LOGGER):
        caplog.clear()
        await engine.poll()
        return [record.getMessage() for record in caplog.records if record.name == LOGGER]


def place_of(what: str, found: list[str]) -> int:
    [place] = [place for place, statement in enumerate(found) if statement.startswith(what)]
    return place


@pytest.mark.parametrize(("what", "most"), [("moved", 19), ("new", 18), ("deleted", 19)])
async def test_one_change_takes_the_lock_once_and_few_statements(
    engine: Engine, caplog: pytest.LogCaptureFixture, what: str, most: int
) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    match what:
        case "moved":
            home.put("n7", event("n7", at(4, 9), at(4, 10)))
        case "new":
            home.put("new", event("new", at(4, 9), at(4, 10)))
        case _:
            home.delete(Href(f"{home.path}n7.ics"))
    before = await engine.slots()
    found = await asked(engine, caplog)
    assert await engine.slots() != before
    assert sum(LOCK in statement for statement in found) == 1
    assert len(found) <= most, "\n".join(found)
    # The poll's end is on record before the log's rows are, in their transaction.
    assert place_of(RECORD, found) < place_of(LOG, found)


async def test_forty_changes_ask_as_often_as_one(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    home.put("n7", event("n7", at(4, 9), at(4, 10)))
    one = await asked(engine, caplog)
    for number in range(40):
        home.put(f"n{number}", event(f"n{number}", at(5, 9), at(5, 10)))
    engine.now += 1
    assert len(await asked(engine, caplog)) == len(one)


async def test_a_deletion_asks_for_nothing_but_what_is_gone(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    home.delete(Href(f"{home.path}n7.ics"))
    found = [statement.replace('"', "") for statement in await asked(engine, caplog)]
    of_all = [each for each in found if "FROM resource WHERE calendar_id" in each and " id IN " not in each]
    assert not of_all, "\n".join(of_all)


_ALL_OF_ONE = r"(?:calendar_id=\?|user_id=\?|subaccount_id=\? AND user_id=\?)"
_WALKS = re.compile(
    rf".*: (?:SCAN (?:event|blocked_slot|resource|appointment)\b"
    rf"|SEARCH (?:resource|appointment) .*\({_ALL_OF_ONE}\))"
)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_many_deletions_go_through_nothing_but_what_is_gone(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """PostgreSQL knows how many rows there are; SQLite has rules of thumb, by which three names are more than all."""
    home = engine.server.calendars["/1/calendars/home/"]
    await engine.choose(linked="Home")
    names = [f"apt_0000000000000000000000000{number}" for number in range(6)]
    for number, name in enumerate(names):
        await engine.book(at(9, 9 + number), at(9, 10 + number), name=name)
    await engine.push()
    await engine.poll()
    engine.now += 1
    for name in names:
        home.delete(Href((await engine.appointment(name)).href or ""))
    for number in range(10):
        home.delete(Href(f"{home.path}n{number}.ics"))
    await asked(engine, caplog)
    found = [each for each in await steps(engine.database, caplog) if _WALKS.match(each)]
    assert {(await engine.appointment(name)).write_state for name in names} == {"DELETED_IN_ICLOUD"}
    assert not found, "\n".join(found)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("zone", [ZONE, "Asia/Tokyo"])
async def test_a_new_day_or_zone_goes_through_a_calendar_once(
    engine: Engine, caplog: pytest.LogCaptureFixture, zone: str
) -> None:
    """A page goes on where the one before ended: nothing is sorted, and no other calendar's resources are passed."""
    home = engine.server.calendars["/1/calendars/home/"]
    for number in range(120):
        home.put(f"w{number}", event(f"w{number}", at(3, 9), at(3, 10), extra="RRULE:FREQ=WEEKLY"))
    await engine.poll()
    engine.now += DAY
    async with engine.database.writing() as db:
        await execute(db, "UPDATE users SET time_zone = $1", zone)
    await asked(engine, caplog)
    pages = [
        each for each in await steps(engine.database, caplog) if "LIMIT" in each and 'FROM "resource"' in each
    ]
    assert pages
    assert all(each.endswith("(calendar_id=? AND href>?)") for each in pages), "\n".join(pages)


@pytest.mark.parametrize(("gone", "left"), [(20, 40), (30, 30), (31, 60)])
async def test_more_than_half_and_no_less_is_much_at_once(engine: Engine, gone: int, left: int) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    for number in range(gone):
        home.delete(Href(f"{home.path}n{number}.ics"))
    await engine.poll()
    assert len(await engine.slots()) == left
