"""Use cases over the real sync engine: a calendar server in memory, read and written as iCloud would be."""

from __future__ import annotations

from dataclasses import replace

from models.bell import Bell
from models.database import Database
from models.outbox import take_due
from resolvers import calendars
from resolvers.context import Services
from sync.ical.resource import AppointmentText, read_written, write_appointment
from sync.push import push
from sync.remote import Href
from sync.service import RefreshOutcome, Sync
from sync.settings import SyncSettings
from tests.fakes.calendar_server import FakeCalendar, FakeServer
from tests.integration.world import World, world_on


class Whole:
    """Anna is connected, Home is linked, and Home and Work were read."""

    def __init__(self, world: World, server: FakeServer, sync: Sync) -> None:
        self.world = world
        self.server = server
        self.sync = sync

    @property
    def services(self) -> Services:
        return self.world.services

    @property
    def home(self) -> FakeCalendar:
        return self.server.calendars["/1/calendars/home/"]

    @property
    def work(self) -> FakeCalendar:
        return self.server.calendars["/1/calendars/work/"]

    async def connect(self) -> None:
        await self.world.connect()
        named = await self.world.calendars()
        anna = self.world.anna.user
        await self.world.admin(calendars.set_linked, user_id=anna, calendar_id=named["Home"].id)
        await self.world.admin(
            calendars.set_conflict, user_id=anna, calendar_ids=[named["Home"].id, named["Work"].id]
        )
        await self.poll()

    async def poll(self) -> RefreshOutcome:
        outcome = await self.sync.refresh(self.world.anna, wait=10)
        assert outcome.is_complete
        return outcome

    async def push(self) -> int:
        """Writes all that is due; how much that was."""
        context = self.sync.context
        async with self.services.database.writing() as db:
            taken = await take_due(db, now=context.clock(), lease=context.settings.lease, limit=100)
        for write in taken:
            await push(context, write)
        return len(taken)

    def put(self, calendar: FakeCalendar, name: str, start: int, end: int, *, uid: str | None = None) -> None:
        """As the owner's phone would."""
        now = self.world.clock.now
        calendar.put(
            name, write_appointment(AppointmentText(uid or name, 0, start, end, "Busy", "", now, now))
        )

    def move_copy(self, start: int, end: int) -> None:
        """The owner moves the one event that stands in Home."""
        [href] = self.home.texts
        self.move(self.home, href, start, end)

    def move(self, calendar: FakeCalendar, href: Href, start: int, end: int) -> None:
        written = read_written(calendar.texts[href][1])
        assert written is not None
        self.put(calendar, href.rpartition("/")[2].removesuffix(".ics"), start, end, uid=written.uid)

    async def slots(self) -> list[tuple[int, int]]:
        rows = await self.world.rows("SELECT starts, ends FROM blocked_slot ORDER BY starts, ends")
        return [(row["starts"], row["ends"]) for row in rows]


async def whole_on(database: Database, bell: Bell, *, later: float = 0) -> Whole:
    world = await world_on(database, bell)
    world.clock.now += later
    server = FakeServer()
    server.add("Home"), server.add("Work")
    sync = Sync(
        database=database,
        bell=bell,
        sealer=world.services.sealer,
        settings=SyncSettings(),
        clock=world.clock,
        server=server,
        chance=lambda: 0.5,
    )
    world.services = replace(world.services, icloud=sync)
    whole = Whole(world, server, sync)
    await whole.connect()
    return whole
