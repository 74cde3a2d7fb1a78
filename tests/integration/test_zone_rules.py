"""Time zones whose rules change: what was read by the old ones is read again, once, in turn, and by one process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tortoise.migrations.executor import MigrationExecutor, MigrationTarget

from domain.changes import SLOT_KINDS, ChangeKind
from models.bell import Bell
from models.database import Database
from models.polling import Places, Stamp, lease_account, release, trade_leases
from models.sql import execute
from server.database import APP, _apps, _connected, migrate, open_database
from sync.context import SyncContext
from sync.housekeeping import keep_house
from sync.quiet import look
from sync.service import Sync
from sync.settings import SyncSettings
from tests.fakes.calendar_server import FakeCalendar
from tests.fakes.zones import issue, serve
from tests.integration.engine import DAY, HOUR, ZONE, Engine, at, engine_on, event

EARLIER = {ZONE: "CET-2CEST-3,M3.5.0,M10.5.0/3"}
"""An hour further from UTC than it is."""
VIENNA = {"Europe/Vienna": "CET-2CEST-3,M3.5.0,M10.5.0/3"}


@pytest.fixture(autouse=True)
def _known_rules(tmp_path: Path) -> Iterator[None]:
    issue(tmp_path / "old", "2026a", {})
    yield
    serve(None)


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    return await engine_on(database, bell)


def local(uid: str, day: int, hour: int, zone: str | None, extra: str = "") -> str:
    """An hour by the clock of a zone; None: by the owner's."""
    param = f";TZID={zone}" if zone else ""
    body = event(uid, at(day, hour), at(day, hour + 1), extra=extra)
    for name in ("DTSTART", "DTEND"):
        head, _, rest = body.partition(f"{name}:")
        body = f"{head}{name}{param}:{rest.replace('00Z', '00', 1)}"
    return body


async def begins(
    engine: Engine, name: str = "process-1", settings: SyncSettings | None = None
) -> SyncContext:
    """A process with a sync loop, by the rules that are served now."""
    engine.settings = settings or engine.settings
    context = engine.context(name)
    await keep_house(context)
    return context


async def read_by_the_old(engine: Engine, home: FakeCalendar) -> SyncContext:
    """A process that has read all there is, in Vienna, and found nothing new since."""
    home.put("a", local("a", 3, 9, "Europe/Vienna"))
    home.put("b", event("b", at(3, 20), at(3, 21)))
    await engine.choose("Home")
    context = await begins(engine)
    await engine.settle(context)
    assert await is_quiet(engine, context)
    assert await engine.slots() == [(at(3, 8), at(3, 9)), (at(3, 20), at(3, 21))]
    return context


async def rules(engine: Engine) -> str | None:
    return (await engine.account()).expanded_rules


async def is_quiet(engine: Engine, context: SyncContext) -> bool:
    async with engine.database.writing() as db:
        lease = await lease_account(db, engine.account_id, owner=context.owner, now=engine.now, lease=30)
    assert lease is not None
    found = await look(context, lease)
    async with engine.database.writing() as db:
        if not isinstance(found, Stamp):
            await release(db, engine.account_id, owner=context.owner)
            return False
        now = engine.now
        await trade_leases(
            db, owner=context.owner, now=now, lease=30, until=now, places=Places(), stamps=[found]
        )
    return True


# --- What is read again


async def test_what_a_zone_says_is_read_again_and_nothing_else_changes(
    engine: Engine, home: FakeCalendar, tmp_path: Path
) -> None:
    own = (
        "BEGIN:VTIMEZONE\r\nTZID:Ours\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\n"
        "TZOFFSETFROM:+0100\r\nTZOFFSETTO:+0100\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT"
    )
    home.put("own", local("own", 2, 9, "Ours").replace("BEGIN:VEVENT", own))
    home.put("named", local("named", 3, 9, ZONE))
    home.put("floating", local("floating", 4, 9, None))
    home.put("utc", event("utc", at(5, 9), at(5, 10)))
    home.put("weekly", local("weekly", 6, 9, ZONE, "RRULE:FREQ=WEEKLY;COUNT=2"))
    all_day = "DTSTART;VALUE=DATE:20261108\r\nDTEND;VALUE=DATE:20261109"
    home.put(
        "day", local("day", 8, 9, None).replace("DTSTART:20261108T090000\r\nDTEND:20261108T100000", all_day)
    )
    await engine.choose("Home")
    await engine.poll(await begins(engine))
    before = await engine.slots()
    position = await engine.position()
    engine.now += 300
    await engine.poll()
    engine.server.asked.clear()
    issue(tmp_path / "new", "2026b", EARLIER)
    await engine.poll(await begins(engine))
    moved = {at(3, 8), at(4, 8), at(6, 8), at(13, 8), at(7, 23)}
    assert await engine.slots() == sorted(
        (start - HOUR, end - HOUR) if start in moved else (start, end) for start, end in before
    )
    # A date of a series is named by when it begins.
    anew = [ChangeKind.SLOT_ADDED, ChangeKind.SLOT_REMOVED] * 2
    assert sorted(await engine.kinds(position)) == sorted([ChangeKind.SLOT_CHANGED] * 3 + anew)
    assert engine.server.asked == ["list"]
    assert await rules(engine) == engine.context().rules


async def test_a_first_reading_is_by_the_rules_that_are_served(engine: Engine, home: FakeCalendar) -> None:
    context = await read_by_the_old(engine, home)
    assert await rules(engine) == context.rules
    assert await is_quiet(engine, context)


async def test_a_quiet_account_is_read_again_in_its_turn_and_is_quiet_then(
    engine: Engine, home: FakeCalendar, tmp_path: Path
) -> None:
    await read_by_the_old(engine, home)
    assert await is_quiet(engine, engine.context())
    issue(tmp_path / "new", "2026b", VIENNA)
    context = await begins(engine, settings=SyncSettings(rereads_every=30))
    context.memory.rereads["acc_0"] = engine.now
    assert await is_quiet(engine, context)
    await engine.poll(context)
    assert await engine.slots() == [(at(3, 8), at(3, 9)), (at(3, 20), at(3, 21))]
    engine.now += 29
    assert await is_quiet(engine, context)
    engine.now += 1
    assert not await is_quiet(engine, context)
    await engine.poll(context)
    assert await engine.slots() == [(at(3, 7), at(3, 8)), (at(3, 20), at(3, 21))]
    engine.now += DAY / 4
    assert await is_quiet(engine, context)


async def test_one_account_is_read_again_at_a_time(
    engine: Engine, home: FakeCalendar, tmp_path: Path
) -> None:
    await read_by_the_old(engine, home)
    issue(tmp_path / "new", "2026b", VIENNA)
    context = await begins(engine)
    context.memory.is_rereading = True
    await engine.poll(context)
    assert (await engine.slots())[0] == (at(3, 8), at(3, 9))
    context.memory.is_rereading = False
    engine.now += 10
    await engine.poll(context)
    assert (await engine.slots())[0] == (at(3, 7), at(3, 8))


async def test_a_new_day_and_new_rules_at_once(engine: Engine, home: FakeCalendar, tmp_path: Path) -> None:
    home.put("daily", local("daily", 1, 9, ZONE, "RRULE:FREQ=DAILY"))
    await engine.choose("Home")
    await engine.poll(await begins(engine))
    first, last = (await engine.slots())[1], (await engine.slots())[-1]
    issue(tmp_path / "new", "2026b", EARLIER)
    engine.now += DAY
    await engine.poll(await begins(engine))
    found = await engine.slots()
    assert found[0] == (first[0] - HOUR, first[1] - HOUR)
    assert found[-1] == (last[0] + DAY - HOUR, last[1] + DAY - HOUR)
    assert await rules(engine) == engine.context().rules


async def test_what_a_new_day_moves_is_told_but_for_the_day_that_it_adds(
    engine: Engine, home: FakeCalendar, tmp_path: Path
) -> None:
    """Where it is read by other rules than the days before it were."""
    home.put("a", local("a", 3, 9, "Europe/Vienna", "RRULE:FREQ=WEEKLY"))
    await engine.choose("Home")
    await engine.poll(await begins(engine))
    before, position = await engine.slots(), await engine.position()
    issue(tmp_path / "new", "2026b", VIENNA)
    engine.now += 7 * DAY
    await engine.poll(engine.context("process-2"))
    after = await engine.slots()
    assert len(after) == len(before) > 50
    assert not set(before) & set(after)
    told = [row.slot or row.previous for row in await engine.log(position) if row.kind in SLOT_KINDS]
    # What is over, and what comes into sight, is not.
    assert sorted((slot.start, slot.end) for slot in told if slot) == sorted(before[1:] + after[:-1])


async def test_cut_off_halfway_it_is_done_again(engine: Engine, home: FakeCalendar, tmp_path: Path) -> None:
    class EndedError(Exception):
        pass

    class Ends:
        async def send(self, _: str) -> None:
            raise EndedError

    for day in (3, 4):
        home.put(f"{day}", local(f"{day}", day, 9, "Europe/Vienna"))
    engine.settings = SyncSettings(batch=1)
    await engine.choose("Home")
    await engine.poll(await begins(engine))
    engine.now += 300
    issue(tmp_path / "new", "2026b", VIENNA)
    context = await begins(engine)
    engine.bell.wire = Ends()
    with pytest.raises(EndedError):
        await engine.poll(context)
    engine.bell.wire = None
    assert await engine.slots() == [(at(3, 7), at(3, 8)), (at(4, 8), at(4, 9))]
    assert await rules(engine) is None
    await engine.poll(context)
    assert await engine.slots() == [(at(3, 7), at(3, 8)), (at(4, 7), at(4, 8))]
    assert await rules(engine) == context.rules


# --- Several processes


async def test_of_two_processes_that_differ_the_newer_reads_again_and_none_undoes_it(
    engine: Engine, home: FakeCalendar, tmp_path: Path
) -> None:
    older = await read_by_the_old(engine, home)
    issue(tmp_path / "new", "2026b", VIENNA)
    newer = await begins(engine, "process-2")
    await engine.poll(newer)
    moved = [(at(3, 7), at(3, 8)), (at(3, 20), at(3, 21))]
    position = await engine.position()
    for _ in range(3):
        engine.now += 60
        serve([tmp_path / "old"])
        await keep_house(older)
        await engine.poll(older)
        assert await rules(engine) == newer.rules
        serve([tmp_path / "new"])
        await keep_house(newer)
        await engine.poll(newer)
    assert (await engine.slots(), await engine.position()) == (moved, position)


async def test_what_an_older_process_reads_is_read_again_by_a_newer_one(
    engine: Engine, home: FakeCalendar, tmp_path: Path
) -> None:
    older = await read_by_the_old(engine, home)
    issue(tmp_path / "new", "2026b", VIENNA)
    newer = await begins(engine, "process-2")
    await engine.poll(newer)
    home.put("c", local("c", 5, 9, "Europe/Vienna"))
    engine.now += 60
    serve([tmp_path / "old"])
    await engine.poll(older)
    assert (await engine.slots())[-1] == (at(5, 8), at(5, 9))
    engine.now += 60
    serve([tmp_path / "new"])
    await engine.poll(newer)
    assert await engine.slots() == [(at(3, 7), at(3, 8)), (at(3, 20), at(3, 21)), (at(5, 7), at(5, 8))]
    assert await rules(engine) == newer.rules


async def test_a_new_day_by_an_older_process_is_read_again_by_a_newer_one(
    engine: Engine, home: FakeCalendar, tmp_path: Path
) -> None:
    home.put("daily", local("daily", 1, 9, "Europe/Vienna", "RRULE:FREQ=DAILY"))
    older = await read_by_the_old_days(engine)
    issue(tmp_path / "new", "2026b", VIENNA)
    newer = await begins(engine, "process-2")
    await engine.poll(newer)
    engine.now += DAY
    serve([tmp_path / "old"])
    await engine.poll(older)
    serve([tmp_path / "new"])
    await keep_house(newer)
    await engine.poll(newer)
    assert {start % DAY for start, _ in await engine.slots()} == {6 * HOUR, 7 * HOUR}
    assert await rules(engine) == newer.rules


async def read_by_the_old_days(engine: Engine) -> SyncContext:
    await engine.choose("Home")
    context = await begins(engine)
    await engine.poll(context)
    engine.now += 300
    return context


async def test_who_goes_back_to_older_rules_has_them_in_force_once_no_process_has_the_others(
    engine: Engine, home: FakeCalendar, tmp_path: Path
) -> None:
    await read_by_the_old(engine, home)
    issue(tmp_path / "new", "2026b", VIENNA)
    await engine.poll(await begins(engine))
    serve([tmp_path / "old"])
    context = await begins(engine)
    engine.now += 3590
    await keep_house(context)
    await engine.poll(context)
    assert (await engine.slots())[0] == (at(3, 7), at(3, 8))
    engine.now += 20
    await keep_house(context)
    await engine.poll(context)
    assert (await engine.slots())[0] == (at(3, 8), at(3, 9))


async def test_a_process_without_a_loop_reads_nothing_again(
    engine: Engine, home: FakeCalendar, tmp_path: Path
) -> None:
    await read_by_the_old(engine, home)
    issue(tmp_path / "new", "2026b", VIENNA)
    await engine.poll(engine.context("process-2"))
    assert (await engine.slots())[0] == (at(3, 8), at(3, 9))


async def test_rules_of_a_clock_that_ran_ahead_do_not_stay_in_force(
    engine: Engine, home: FakeCalendar, tmp_path: Path
) -> None:
    await read_by_the_old(engine, home)
    async with engine.database.writing() as db:
        await execute(db, "INSERT INTO zone_rules VALUES ('2027a-', $1)", engine.now + DAY)
    issue(tmp_path / "new", "2026b", VIENNA)
    await engine.poll(await begins(engine))
    assert (await engine.slots())[0] == (at(3, 7), at(3, 8))


async def test_a_loop_that_begins_with_newer_rules_reads_again_by_itself(
    engine: Engine, home: FakeCalendar, tmp_path: Path
) -> None:
    await read_by_the_old(engine, home)
    issue(tmp_path / "new", "2026b", VIENNA)
    engine.now, began = engine.now + 300, time.monotonic()
    settings = SyncSettings(look_every=0.02, usual_every=0.05, drain=0.3, rereads_every=0.01)
    sync = Sync(
        database=engine.database,
        bell=engine.bell,
        sealer=engine.sealer,
        settings=settings,
        clock=lambda: engine.now + time.monotonic() - began,
        server=engine.server,
    )
    task = asyncio.create_task(sync.run())
    try:
        async with asyncio.timeout(60):
            while await rules(engine) != sync.context.rules:
                await asyncio.sleep(0.02)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await sync.close()
    assert (await engine.slots())[0] == (at(3, 7), at(3, 8))


# --- A database of before


async def test_what_an_older_version_stored_is_read_again_once(
    database_url: str, bell: Bell, tmp_path: Path
) -> None:
    async with open_database(database_url) as database:
        engine = await engine_on(database, bell)
        home = engine.server.calendars["/1/calendars/home/"]
        await read_by_the_old(engine, home)
    async with _connected(database_url, pool_size=2) as (db, _):
        executor = MigrationExecutor(db, _apps(db.connection_name))
        await executor.migrate([MigrationTarget(APP, "0007_narrower")])
    assert await migrate(database_url) == ["0008_zone_rules"]
    issue(tmp_path / "new", "2026b", VIENNA)
    async with open_database(database_url) as database:
        engine.database = database
        context = await begins(engine)
        assert await rules(engine) is None
        await engine.poll(context)
        assert await engine.slots() == [(at(3, 7), at(3, 8)), (at(3, 20), at(3, 21))]
        assert await rules(engine) == context.rules
        engine.now += 60
        assert await is_quiet(engine, context)
