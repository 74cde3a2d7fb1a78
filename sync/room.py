"""Places to work at: who waits long for iCloud, or a worker, leaves theirs to another, and goes on at the next free."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TypeVar

from domain.calendars import ListedCalendar
from sync.remote import Changes, Discovery, ETag, Fetched, Glance, Href, RemoteCalendars, SyncToken
from sync.settings import SyncSettings

T = TypeVar("T")


def _unheard() -> None:
    """Nobody waits for a place."""


class Room:
    """So many places. `left` is told where one is given up before its holder's end."""

    def __init__(self, settings: SyncSettings, places: int, *, left: Callable[[], None] = _unheard) -> None:
        self.word_within = settings.word_within
        self.most_silent = settings.most_silent
        self.left = left
        self.turn = asyncio.Semaphore(places)
        self.free = places
        self.silent = 0
        "Of those that had a place, how many wait without."
        self.new: dict[Place, float] = {}
        "Those that iCloud has said nothing to yet, the oldest first, and when they began."
        self._places = places

    def begin(self) -> Place:
        """For who has asked iCloud something, and takes a place once it answers."""
        place = Place(self)
        self.new[place] = asyncio.get_running_loop().time()
        return place

    @property
    def is_full_of_new(self) -> bool:
        """Where a whole partition of iCloud hangs, its accounts would soon have all: what began long ago is not new."""
        if len(self.new) < self._places:
            return False
        since = asyncio.get_running_loop().time() - self.word_within
        fresh = takewhile(lambda began: began > since, reversed(self.new.values()))
        return sum(1 for _ in fresh) >= self._places


class Place:
    """One of a room's, or of none: then nobody waits for it, and there is always one."""

    def __init__(self, room: Room | None = None) -> None:
        self._room = room
        self._worker: asyncio.Task[object] | None = None
        "Who works at it; none before and after, and while it is another's."
        self._is_silent = False

    @property
    def takes_turns(self) -> bool:
        return self._room is not None

    async def take(self) -> None:
        if self._room is None:
            return
        self._room.new.pop(self, None)
        await self._room.turn.acquire()
        self._room.free -= 1
        self._worker = asyncio.current_task()

    def leave(self) -> None:
        if self._room is None:
            return
        self._room.new.pop(self, None)
        if self._worker is not None:
            self._worker = None
            self._room.free += 1
            self._room.turn.release()

    async def answer(self, asked: Awaitable[T]) -> T:
        """What iCloud says, or a worker reads; past a moment it is waited for without the place."""
        room, here = self._room, asyncio.current_task()
        if room is None or here is None or here is not self._worker:
            # What is asked ahead, in another task, is waited for where it is taken up.
            return await asked
        timer = asyncio.get_running_loop().call_later(room.word_within, self._fall_silent)
        try:
            return await asked
        finally:
            timer.cancel()
            if self._is_silent:
                self._is_silent = False
                room.silent -= 1
                if not here.cancelling():
                    await self.take()

    def _fall_silent(self) -> None:
        assert self._room is not None
        if self._room.silent < self._room.most_silent:
            self._is_silent = True
            self._room.silent += 1
            self.leave()
            self._room.left()


@dataclass(slots=True)
class Patient:
    """A signed-in account as `RemoteCalendars` has it, asked by who has a place."""

    remote: RemoteCalendars
    place: Place

    async def discover(self) -> Discovery:
        return await self.place.answer(self.remote.discover())

    async def list_calendars(self, home_url: str) -> tuple[ListedCalendar, ...]:
        return await self.place.answer(self.remote.list_calendars(home_url))

    async def glance(self, home_url: str) -> Glance:
        return await self.place.answer(self.remote.glance(home_url))

    async def list_changes(self, calendar: str, token: SyncToken | None) -> Changes:
        return await self.place.answer(self.remote.list_changes(calendar, token))

    async def list_resources(self, calendar: str) -> Changes:
        return await self.place.answer(self.remote.list_resources(calendar))

    async def fetch(self, calendar: str, hrefs: Sequence[Href]) -> dict[Href, Fetched]:
        return await self.place.answer(self.remote.fetch(calendar, hrefs))

    async def get(self, href: Href) -> Fetched:
        return await self.place.answer(self.remote.get(href))

    async def check_calendar(self, calendar: str) -> None:
        await self.place.answer(self.remote.check_calendar(calendar))

    async def create(self, href: Href, body: str) -> ETag | None:
        return await self.place.answer(self.remote.create(href, body))

    async def replace(self, href: Href, body: str, etag: ETag) -> ETag | None:
        return await self.place.answer(self.remote.replace(href, body, etag))

    async def remove(self, href: Href, etag: ETag) -> None:
        await self.place.answer(self.remote.remove(href, etag))
