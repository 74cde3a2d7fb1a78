"""The world that the machine walks through: the owner's phone, iCloud, processes that end, and the plain model of it.

The model knows nothing of the application's tables: it holds what the phone shows, and what callers were told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from domain.actor import Actor
from domain.calendars import CalendarKind
from models.changelog import read_position
from models.database import Database
from models.outbox import take_due
from models.sql import Row, fetch
from resolvers.context import Context
from resolvers.views import BookingView
from sync.push import push
from sync.remote import Href
from sync.service import RefreshOutcome
from tests.fakes.calendar_server import FakeCalendar
from tests.integration.world import NOW, Clock, World, owner_of
from tests.machine.cloud import Cloud
from tests.machine.doom import Killed
from tests.machine.phone import HOME_ZONE, PhoneEvent, Rules
from tests.machine.process import Process, has_another, started
from tests.machine.subscriber import Subscriber

R = TypeVar("R")

OURS = "slotwire-"
FIRST_DAY = datetime.fromtimestamp(NOW, ZoneInfo(HOME_ZONE)).replace(
    hour=8, minute=0, second=0, microsecond=0, tzinfo=None
) + timedelta(days=10)
"""Wall clock of the owner's. All that happens, happens within three days from here, eight to twenty."""
PLACES = 3 * 24
LEASE_ENDS = 31


def moment(place: int) -> datetime:
    day, half_hour = divmod(place % PLACES, 24)
    return FIRST_DAY + timedelta(days=day, minutes=30 * half_hour)


def instant(place: int) -> int:
    return int(moment(place).replace(tzinfo=ZoneInfo(HOME_ZONE)).timestamp())


@dataclass(slots=True)
class Told:
    """An appointment as its caller knows it."""

    view: BookingView
    is_cancelled: bool = False
    is_changing: bool = False
    "Asked to move or to go, and nothing answered yet: where it stands is not known."

    @property
    def span(self) -> tuple[int, int]:
        return self.view.start, self.view.end


@dataclass(slots=True)
class Life:
    world: World
    database: Database
    "Past every process's door: what is stored, whoever lives."
    cloud: Cloud
    clock: Clock
    process: Process
    chosen: set[str]
    "Paths of the conflict calendars."
    linked: str | None
    phone: dict[Href, PhoneEvent] = field(default_factory=dict)
    zone: str = HOME_ZONE
    "In which the owner lives."
    is_moving_zone: bool = False
    "Whether by the old one or the new is not known: nothing of the owner's zone is settled."
    rules: dict[str, Rules] = field(default_factory=dict)
    settled: set[Href] = field(default_factory=set)
    "What a sync without a fault has read, and nobody has touched since."
    read: set[str] = field(default_factory=set)
    "Paths of the calendars that a sync without a fault has read."
    carried: dict[Href, list[tuple[int, int]]] = field(default_factory=dict)
    "Of what was settled, and has moved from one of them to another: the time that it goes on closing."
    told: dict[str, Told] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    "UIDs of our own events that the owner has moved or deleted."
    manual: dict[str, tuple[int, int]] = field(default_factory=dict)
    holds: list[str] = field(default_factory=list)
    subscribers: list[Subscriber] = field(default_factory=list)
    password: int = 0
    count: int = 0
    is_connected: bool = True
    was_disconnected: bool = False
    "Our events of before are known again once they are read."
    meddled: int = 0
    "How much was done in the middle of something else."
    beside: AbstractSet[asyncio.Task[Any]] = frozenset()
    "Tasks of another process, which outlive this one's end."

    def number(self) -> int:
        self.count += 1
        return self.count

    def key(self) -> str:
        return f"a-key-of-the-machine-{self.number():08}"

    # --- Processes

    async def insist(self, act: Callable[[], Awaitable[R]]) -> R:
        """As a good client does: again, with the same key, until there is an answer."""
        while True:
            try:
                return await act()
            except Killed:
                await self.restart()

    async def survive(self, act: Callable[[], Awaitable[object]]) -> None:
        try:
            await act()
        except Killed:
            await self.restart()

    async def restart(self) -> None:
        """The dead process's leases end by themselves; its sockets are gone."""
        await self.end()
        self.clock.now += LEASE_ENDS
        settings, between = self.process.sync.context.settings, self.process.doom.between
        self.process = started(self.world.services, self.database, self.cloud, self.clock, settings, between)

    async def end(self) -> None:
        self.process.doom.is_dead = True
        for each in self.subscribers:
            await each.drop()
        others = asyncio.all_tasks() - {asyncio.current_task()} - self.beside
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def run(
        self, use_case: Callable[..., Awaitable[R]], *, actor: Actor | None = None, **given: Any
    ) -> R:
        """One request, the owner's unless told otherwise."""
        address = f"198.51.100.{self.number() % 250}"
        context = Context(self.process.services, actor or owner_of(self.world.anna), address=address)
        try:
            return await use_case(context, **given)
        finally:
            await (context.renew if self.process.doom.is_dead else context.close)()

    async def subscribe(self) -> Subscriber:
        """Not connected yet."""
        async with self.database.reading() as db:
            since = await read_position(db, self.world.anna)
        self.subscribers.append(Subscriber(self.world.anna, self.process.services.epoch, since))
        return self.subscribers[-1]

    # --- The engine

    async def poll(self) -> RefreshOutcome:
        """As in a turn of the loop. What a dead process has under its lease is waited for in vain: nobody answers."""
        sync = self.process.sync
        await sync._loop._wall.heed()
        if await has_another(self.database, sync.context.owner, self.clock.now):
            return RefreshOutcome(is_complete=False, changes=0, error=None)
        return await sync.refresh(self.world.anna, wait=10)

    async def push(self) -> int:
        context = self.process.sync.context
        async with context.database.writing() as db:
            taken = await take_due(db, now=self.clock.now, lease=context.settings.lease, limit=100)
        for write in taken:
            await push(context, write)
        return len(taken)

    # --- iCloud, as the owner's devices see it

    def calendar(self, which: int) -> FakeCalendar:
        found = [each for each in self.cloud.calendars.values() if each.kind is CalendarKind.EVENTS]
        return found[which % len(found)]

    def event(self, which: int) -> tuple[Href, PhoneEvent] | None:
        known = list(self.phone.items())
        return known[which % len(known)] if known else None

    def put(self, calendar: FakeCalendar, event: PhoneEvent) -> Href:
        href = calendar.put(event.uid, event.text)
        self.phone[href] = event
        self.settled.discard(href)
        self.carried.pop(href, None)
        return href

    def change(self, href: Href, event: PhoneEvent) -> None:
        self.put(self.cloud.calendar_of(href), event)

    def delete(self, href: Href) -> None:
        self.cloud.calendar_of(href).delete(href)
        self.forget(href)

    def forget(self, href: Href) -> None:
        if href in self.cloud.lagging:
            self.cloud.leaves_out = (
                True  # Told as gone and given all the same: kept, until a night's comparison.
            )
        self.phone.pop(href, None)
        self.settled.discard(href)
        self.carried.pop(href, None)

    def copies(self) -> list[tuple[FakeCalendar, Href]]:
        """Our own events, wherever they stand."""
        return [
            (each, href)
            for each in self.cloud.calendars.values()
            for href in each.texts
            if uid_at(href).startswith(OURS)
        ]

    def expected(self, href: Href) -> list[tuple[int, int]]:
        path = href.rpartition("/")[0] + "/"
        return self.phone[href].spans(self.rules.get(path, Rules()), self.zone)

    def unsettle_zone(self) -> None:
        """What is for whole days, or floats, is elsewhere now."""
        self.settled = {href for href in self.settled if not self.phone[href].is_of_its_owners_zone}
        for href in [href for href in self.carried if self.phone[href].is_of_its_owners_zone]:
            del self.carried[href]

    def reads(self, href: Href) -> bool:
        return href.rpartition("/")[0] + "/" in self.chosen

    def is_read(self, href: Href) -> bool:
        return href.rpartition("/")[0] + "/" in self.read

    # --- What is stored

    async def rows(self, statement: str, *values: object) -> list[Row]:
        async with self.database.reading() as db:
            return await fetch(db, statement, *values)


def uid_at(href: str) -> str:
    return href.rpartition("/")[2].removesuffix(".ics")
