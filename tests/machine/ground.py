"""Where runs begin: a connected user with two chosen calendars, put back for each run in about a millisecond."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from benchmarks.databases import fresh_database
from domain.hours import WeeklyHours
from models.bell import Bell
from models.database import Database
from resolvers import hours
from server.database import migrate, open_database
from sync.settings import SyncSettings
from tests.integration.pages import page
from tests.integration.world import NOW, Clock, World, world_on
from tests.machine import owner, promises
from tests.machine.cloud import Cloud
from tests.machine.guests import SLUG
from tests.machine.inline import Here, Turns, inline
from tests.machine.life import Life
from tests.machine.on_postgres import OnPostgres
from tests.machine.process import started

R = TypeVar("R")
_URANDOM = os.urandom


class Stored(Protocol):
    """A database that can be put back to how it was when it was kept."""

    @property
    def database(self) -> Database: ...

    async def keep(self) -> None: ...

    async def put_back(self) -> None: ...


@dataclass(slots=True)
class Place:
    """A database with a user in it."""

    world: World
    stored: Stored

    async def life(self, cloud: Cloud, clock: Clock, settings: SyncSettings) -> Life:
        """What is stored, and a process that has just begun."""
        await self.stored.put_back()
        process = started(self.world.services, self.stored.database, cloud, clock, settings)
        return Life(self.world, self.stored.database, cloud, clock, process, chosen=set(), linked=None)


@dataclass(slots=True)
class Ground:
    """One a test process. Close it at the end."""

    folder: Path
    postgres: str | None = None
    "The URL of a server to make databases on; none: SQLite, in `folder`."
    settings: SyncSettings = field(default_factory=SyncSettings)
    turns: Turns = field(default_factory=Turns)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _context: Context = field(default_factory=copy_context)
    "One for all: Tortoise finds in it what was opened."
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)
    _main: Place = field(init=False)
    _fresh: Place = field(init=False)

    def __post_init__(self) -> None:
        self.loop.set_default_executor(Here())
        self.run(self._prepare())

    def run(self, act: Coroutine[Any, Any, R]) -> R:
        return self.loop.run_until_complete(self.loop.create_task(act, context=self._context))

    def close(self) -> None:
        self.run(self._open.aclose())
        self.loop.close()

    def begin(self) -> Life:
        self.turns.chance = None
        os.urandom = random.Random(0).randbytes  # Ids too are the seed's: their order is the order of rows.
        cloud = self._cloud()
        life = self.run(self._main.life(cloud, Clock(NOW + 1), self.settings))
        life.chosen, life.linked = set(cloud.calendars), min(cloud.calendars)
        return life

    def end(self) -> None:
        os.urandom = _URANDOM

    async def slots_of_a_fresh_sync(self, life: Life) -> list[tuple[int, int, str]]:
        """The same calendars and policies, read from the start into an empty database."""
        other = await self._fresh.life(life.cloud, life.clock, self.settings)
        other.password = life.password
        await owner.move_zone(other, life.zone)
        assert await owner.connect(other, chosen=life.chosen & life.cloud.calendars.keys())
        for number, calendar in enumerate(life.cloud.calendars.values()):
            if calendar.path in life.rules:
                await owner.change_policy(other, number, life.rules[calendar.path])
        await other.poll()
        return await promises.slots_by_uid(other.database, other.world.anna.user)

    async def _prepare(self) -> None:
        self._fresh = await self._place("fresh")
        await self._fresh.stored.keep()
        self._main = await self._place("main")
        cloud = self._cloud()
        life = await self._main.life(cloud, Clock(NOW), self.settings)
        await page(self._main.world, SLUG, step_minutes=30, horizon_days=60)
        assert await owner.connect(life, chosen=set(cloud.calendars))
        await owner.link(life, 2)
        await life.poll()
        await life.end()
        await self._main.stored.keep()

    async def _place(self, name: str) -> Place:
        stored = await self._stored(name)
        world = await world_on(stored.database, Bell())
        always = [WeeklyHours(day, 0, 1440) for day in range(7)]
        await world.owner(hours.set_working_hours, user_id=world.anna.user, weekly=always, overrides=[])
        return Place(world, stored)

    async def _stored(self, name: str) -> Stored:
        folder = self.folder / name
        folder.mkdir()
        kind = "sqlite" if self.postgres is None else "postgres"
        url = await self._open.enter_async_context(fresh_database(kind, folder, postgres=self.postgres or ""))
        await migrate(url)
        database = await self._open.enter_async_context(open_database(url))
        if self.postgres is not None:
            return OnPostgres(database)
        stored = await inline(database, folder / "slotwire.sqlite3", self.turns)
        self._open.callback(stored.forget)
        return stored

    def _cloud(self) -> Cloud:
        cloud = Cloud(turns=self.turns)
        cloud.add("Home"), cloud.add("Work")
        return cloud
