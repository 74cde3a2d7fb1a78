"""What a full sync into an empty database gives: the measure of every recovery."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Collection
from pathlib import Path

from benchmarks.world import APPLE_ID, PASSWORD, World
from models.bell import Bell
from models.calendar import store_listing
from models.database import Database
from models.icloud import ICloudAccount
from models.people import User
from models.seal import Secret
from models.sql import fetch
from server.database import migrate, open_database
from sync.icloud.guard import Guard
from sync.icloud.server import ICloud
from tests.fakes.calendar_server import FakeServer
from tests.integration.engine import Engine

OURS = "slotwire-"


async def stored_slots(database: Database) -> list[tuple[int, int]]:
    """In order, each start and end."""
    return sorted((start, end) for start, end, _ in await slots_by_uid(database))


async def slots_by_uid(database: Database) -> list[tuple[int, int, str]]:
    return list((await slots_by_id(database)).values())


async def slots_by_id(database: Database) -> dict[str, tuple[int, int, str]]:
    """What iCloud's own events close; copies of our appointments are looked at for themselves."""
    async with database.reading() as db:
        rows = await fetch(
            db,
            "SELECT b.id, b.starts, b.ends, e.uid FROM blocked_slot b LEFT JOIN event e ON e.id = b.event_id"
            f" WHERE b.source = 'ICLOUD' AND COALESCE(e.uid, '') NOT LIKE '{OURS}%'",
        )
    return {row["id"]: (row["starts"], row["ends"], row["uid"] or "") for row in rows}


async def fresh_slots(running: World, calendars: Collection[str]) -> list[tuple[int, int]]:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'fresh.sqlite3'}"
        await migrate(url)
        async with open_database(url) as database:
            server = ICloud(Guard(running.caldav_url, running.caldav_hosts))
            try:
                engine = await _connected(database, server)
                await engine.choose(*calendars)
                outcome = await engine.poll()
            finally:
                await server.close()
            assert outcome.error is None, outcome.error
            return await stored_slots(database)


async def _connected(database: Database, server: ICloud) -> Engine:
    account = server.sign_in(APPLE_ID, Secret(PASSWORD))
    found = await account.discover()
    engine = Engine(database, Bell(), FakeServer(), remote=server, now=time.time())
    await engine.set_up(home_url=found.home_url, apple_id=APPLE_ID, principal=found.principal_path)
    async with database.writing() as db:
        await User.all().using_db(db).update(time_zone="Europe/Paris")
        row = await ICloudAccount.all().using_db(db).get()
        row.sealed_password = engine.sealer.seal(Secret(PASSWORD), row=row.id)
        row.addresses = sorted(found.addresses)
        await row.save(using_db=db)
        await store_listing(db, row, await account.list_calendars(found.home_url), now=engine.now)
    return engine
