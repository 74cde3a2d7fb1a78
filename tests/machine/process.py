"""A process of the application that can end at any point, and then writes nothing more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from domain.actor import UserRef
from models.bell import Bell
from models.database import Database
from models.seal import Secret
from models.sql import Db, Row, fetch
from models.transactions import Snapshot
from resolvers.context import Services
from resolvers.feeds import Shares
from resolvers.keyring import Keyring
from resolvers.limits import Limits
from resolvers.timelines import Timelines
from resolvers.watches import Watches
from sync.service import Discovered, RefreshOutcome, Sync
from sync.settings import SyncSettings
from tests.integration.world import Clock
from tests.machine.cloud import Cloud, Line
from tests.machine.doom import Between, Doom, Killed


class Door(Database):
    """The process's way to the database, shut once it is dead: what its `finally`s would write, kill -9 takes."""

    def __init__(self, inner: Database, doom: Doom) -> None:
        self._inner = inner
        self._doom = doom
        self.is_postgres = inner.is_postgres

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Db]:
        await self._doom.pause("before a transaction")
        self._doom.reach()
        async with self._inner.writing() as db:
            yield db
            self._doom.reach()  # All was said, nothing is committed.
        self._doom.reach()  # Committed, and nobody was told.
        await self._doom.pause("after a transaction")
        self._doom.reach()

    async def open_snapshot(self) -> Snapshot:
        if self._doom.is_dead:
            raise Killed
        return await self._inner.open_snapshot()

    async def glance(self, statement: str, *values: object) -> list[Row]:
        if self._doom.is_dead:
            raise Killed
        return await self._inner.glance(statement, *values)


@dataclass(frozen=True, slots=True)
class Impatient:
    """A process's engine for use cases that are run to their end in the middle of a poll: they wait for none.

    As one that asks in vain: a poll of its own or of another's is under way, or another that died has the lease.
    """

    sync: Sync

    async def connect(self, apple_id: str, password: Secret) -> Discovered:
        return await self.sync.connect(apple_id, password)

    async def refresh(self, user: UserRef, *, wait: float) -> RefreshOutcome:
        del wait  # However slow the machine is: it is over when it is over.
        loop, context = self.sync._loop, self.sync.context
        is_polling = loop._polls or loop._asking.locked() or loop._leases._turn.locked()
        if is_polling or await has_another(context.database, context.owner, context.clock()):
            return RefreshOutcome(is_complete=False, changes=0, error=None)
        return await self.sync.refresh(user, wait=600)

    def forget(self, account_id: str) -> None:
        self.sync.forget(account_id)


async def has_another(database: Database, owner: str, now: float) -> bool:
    """Whether another process, dead or alive, has an account under its lease."""
    async with database.reading() as db:
        taken = "SELECT 1 FROM icloud_account WHERE lease_owner <> $1 AND lease_until > $2"
        return bool(await fetch(db, taken, owner, now))


@dataclass(slots=True)
class Process:
    services: Services
    sync: Sync
    doom: Doom


def started(
    like: Services,
    database: Database,
    cloud: Cloud,
    clock: Clock,
    settings: SyncSettings,
    between: Between | None = None,
) -> Process:
    """A new process over what the last one left: nothing in memory, all that was committed."""
    doom = Doom(between=between)
    door, bell = Door(database, doom), Bell()
    sync = Sync(
        database=door,
        bell=bell,
        sealer=like.sealer,
        settings=settings,
        clock=clock,
        server=Line(cloud, doom),
        chance=lambda: 0.5,
        at=doom.reach,
    )
    services = replace(
        like,
        database=door,
        bell=bell,
        icloud=sync if between is None else Impatient(sync),
        limits=Limits(clock),
        timelines=Timelines(),
        keyring=Keyring(),
        watches=Watches(),
        feeds=Shares(),
        sources=Shares(),
        clock=clock,
    )
    return Process(services, sync, doom)
