"""A subaccount with an admin, two owners and a booking key, over a fake iCloud and a clock that a test sets."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

from domain.actor import Actor, Role, UserRef
from models.audit import AuditEntry
from models.bell import Bell
from models.changelog import LogRow, read_after, read_position
from models.database import Database
from models.seal import Sealer, Secret
from models.sql import Row, execute, fetch
from resolvers import accounts, calendars, people
from resolvers.context import Context, Services
from resolvers.limits import Limits
from resolvers.settings import ResolverSettings
from resolvers.timelines import Timelines
from resolvers.views import AccountView, CalendarView, SubaccountView, UserView
from tests.fakes.icloud import PASSWORD, FakeICloud

P = ParamSpec("P")
R = TypeVar("R")

NOW = 1_793_000_000.0
APPLE_ID = "a@icloud.com"


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class World:
    services: Services
    icloud: FakeICloud
    clock: Clock
    subaccount: str
    anna: UserRef
    ben: UserRef

    async def run(
        self,
        actor: Actor,
        use_case: Callable[Concatenate[Context, P], Awaitable[R]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """One operation: its snapshot is let go at the end."""
        context = Context(self.services, actor, address="127.0.0.1")
        try:
            return await use_case(context, *args, **kwargs)
        finally:
            await context.close()

    async def admin(
        self, use_case: Callable[Concatenate[Context, P], Awaitable[R]], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        return await self.run(admin_of(self.subaccount), use_case, *args, **kwargs)

    async def owner(
        self, use_case: Callable[Concatenate[Context, P], Awaitable[R]], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Anna's own key."""
        return await self.run(owner_of(self.anna), use_case, *args, **kwargs)

    async def other_subaccount(self) -> tuple[Actor, UserRef]:
        """Its admin, and its one user."""
        made = await people.create_subaccount(self.services, "Other")
        assert isinstance(made, SubaccountView)
        return admin_of(made.id), await self.add_user(made.id, "Otto")

    async def add_user(self, subaccount: str, name: str) -> UserRef:
        made = await self.run(
            admin_of(subaccount), people.create_user, name=name, email=None, time_zone="Europe/Paris"
        )
        assert isinstance(made, UserView), made
        return made.ref

    async def connect(self, user: UserRef | None = None, *, apple_id: str = APPLE_ID) -> AccountView:
        user = user or self.anna
        answer = await self.run(
            admin_of(user.subaccount),
            accounts.connect,
            user_id=user.user,
            apple_id=apple_id,
            password=Secret(PASSWORD),
        )
        assert isinstance(answer, AccountView), answer
        return answer

    async def calendars(self, user: UserRef | None = None) -> dict[str, CalendarView]:
        """By name."""
        user = user or self.anna
        found = await self.run(admin_of(user.subaccount), calendars.calendars, user)
        return {view.name: view for view in found}

    async def followed(self, by: int = 1) -> None:
        """Until so many follow a user's log: what lands from then on is told to them."""
        async with asyncio.timeout(60):
            while sum(share.followers for share in self.services.feeds._shares.values()) < by:
                await asyncio.sleep(0.01)

    async def log(self, user: UserRef | None = None, *, after: int = 0) -> list[LogRow]:
        async with self.services.database.reading() as db:
            return await read_after(db, user or self.anna, after)

    async def position(self, user: UserRef | None = None) -> int:
        async with self.services.database.reading() as db:
            return await read_position(db, user or self.anna)

    async def audited(self, action: str) -> list[str | None]:
        """The subjects of what was noted in the audit log."""
        async with self.services.database.reading() as db:
            found = await AuditEntry.filter(action=action).using_db(db).order_by("id")
        return [entry.subject_id for entry in found]

    async def rows(self, statement: str, *values: object) -> list[Row]:
        async with self.services.database.reading() as db:
            return await fetch(db, statement, *values)

    async def write(self, statement: str, *values: object) -> None:
        async with self.services.database.writing() as db:
            await execute(db, statement, *values)


def admin_of(subaccount: str) -> Actor:
    return Actor("key_admin", "back end", Role.ADMIN, subaccount)


def owner_of(user: UserRef) -> Actor:
    return Actor("key_owner", "the owner's", Role.OWNER, user.subaccount, user.user)


def booking_of(subaccount: str) -> Actor:
    return Actor("key_booking", "the page", Role.BOOKING, subaccount)


async def world_on(database: Database, bell: Bell) -> World:
    clock, icloud = Clock(), FakeICloud()
    services = Services(
        database=database,
        bell=bell,
        sealer=Sealer({"k1": os.urandom(32)}, "k1"),
        identity_key=os.urandom(32),
        epoch="e1",
        icloud=icloud,
        limits=Limits(clock),
        timelines=Timelines(),
        settings=ResolverSettings(),
        clock=clock,
    )
    made = await people.create_subaccount(services, "Acme")
    assert isinstance(made, SubaccountView)
    nobody = UserRef(made.id, "")
    world = World(services, icloud, clock, made.id, nobody, nobody)
    world.anna = await world.add_user(made.id, "Anna")
    world.ben = await world.add_user(made.id, "Ben")
    return world
