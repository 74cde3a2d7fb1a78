"""A process of the application that can end at any point, and then writes nothing more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from models.bell import Bell
from models.database import Database, Db, Row, Snapshot
from resolvers.context import Services
from resolvers.feeds import Shares
from resolvers.keyring import Keyring
from resolvers.limits import Limits
from resolvers.timelines import Timelines
from resolvers.watches import Watches
from sync.service import Sync
from sync.settings import SyncSettings
from tests.integration.world import Clock
from tests.machine.cloud import Cloud


class Killed(BaseException):
    """The process ends here: no `except Exception` outlives it."""


@dataclass(slots=True)
class Doom:
    """After how many more points the process ends; None: it lives. Points are commits, requests and named steps."""

    points_left: int | None = None
    is_dead: bool = False

    def reach(self, _: str = "") -> None:
        if self.is_dead:
            raise Killed
        if self.points_left is not None:
            self.points_left -= 1
            if self.points_left < 0:
                self.is_dead = True
                raise Killed


class Door(Database):
    """The process's way to the database, shut once it is dead: what its `finally`s would write, kill -9 takes."""

    def __init__(self, inner: Database, doom: Doom) -> None:
        self._inner = inner
        self._doom = doom
        self.is_postgres = inner.is_postgres

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Db]:
        self._doom.reach()
        async with self._inner.writing() as db:
            yield db
            self._doom.reach()  # All was said, nothing is committed.
        self._doom.reach()  # Committed, and nobody was told.

    async def open_snapshot(self) -> Snapshot:
        if self._doom.is_dead:
            raise Killed
        return await self._inner.open_snapshot()

    async def glance(self, statement: str, *values: object) -> list[Row]:
        if self._doom.is_dead:
            raise Killed
        return await self._inner.glance(statement, *values)


@dataclass(slots=True)
class Process:
    services: Services
    sync: Sync
    doom: Doom


def started(
    like: Services, database: Database, cloud: Cloud, clock: Clock, settings: SyncSettings
) -> Process:
    """A new process over what the last one left: nothing in memory, all that was committed."""
    doom = Doom()
    cloud.reach = doom.reach
    door, bell = Door(database, doom), Bell()
    sync = Sync(
        database=door,
        bell=bell,
        sealer=like.sealer,
        settings=settings,
        clock=clock,
        server=cloud,
        chance=lambda: 0.5,
        at=doom.reach,
    )
    services = replace(
        like,
        database=door,
        bell=bell,
        icloud=sync,
        limits=Limits(clock),
        timelines=Timelines(),
        keyring=Keyring(),
        watches=Watches(),
        feeds=Shares(),
        sources=Shares(),
        clock=clock,
    )
    return Process(services, sync, doom)
