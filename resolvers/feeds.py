"""A user's change log as this process's subscribers follow it: read once, handed to all."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Hashable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from domain.actor import UserRef
from domain.changes import ChangeKind
from models.bell import Bell
from models.changelog import LogRow, read_after, read_news, read_position
from models.database import Database
from models.glances import GlanceError
from models.sql import Db, fetch

_RING = 1000
_BATCH = 500
_TOGETHER = 1.0
_MOST_MADE = 32

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Reset:
    """The log does not reach back to where the follower was: it goes on from `position`."""

    position: int


class Lookout:
    """Many wait, one looks: who comes first looks for all, and when it goes another takes over.

    No task of its own: a subscriber that is cancelled takes nothing with it.
    """

    def __init__(self) -> None:
        self._is_taken = False
        # Futures as an Event has them, without its steps: a thousand take them for each change.
        self._waiting: list[asyncio.Future[None]] = []

    async def until(self, is_there: Callable[[], bool], look: Callable[[], Awaitable[None]]) -> None:
        while not is_there():
            if self._is_taken:
                waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting.append(waiter)
                try:
                    await waiter
                except asyncio.CancelledError:
                    with suppress(ValueError):
                        self._waiting.remove(waiter)
                    raise
                continue
            self._is_taken = True
            try:
                while not is_there():
                    await look()
            finally:
                self._is_taken = False
                waiting, self._waiting = self._waiting, []
                for waiter in waiting:
                    if not waiter.done():
                        waiter.set_result(None)


class Rings:
    """The bell of some topics, heard while something is followed; it looks now and then though nothing rings."""

    def __init__(self, bell: Bell, topics: tuple[str, ...], *, every: float) -> None:
        self._listening = ExitStack()
        self._rung = self._listening.enter_context(bell.listen(*topics))
        self._every = every

    async def wait(self, *, at_most: float | None = None) -> None:
        """Until it rings, or for as long as a lost ring may go unnoticed."""
        limit = self._every if at_most is None else max(min(self._every, at_most), 0)
        try:
            async with asyncio.timeout(limit):
                await self._rung.wait()
        except TimeoutError:
            return

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Cleared before the read, so that what lands meanwhile rings again; rung anew where the read failed."""
        self._rung.clear()
        try:
            yield
        except BaseException:
            self._rung.set()
            raise

    def close(self) -> None:
        self._listening.close()


@dataclass(frozen=True, slots=True)
class _Made(Generic[R]):
    name: str
    thing: object
    at: float
    made: R

    def is_it(self, name: str, thing: object, now: float) -> bool:
        return self.thing is thing and self.name == name and now - self.at <= _TOGETHER


class Plain(Generic[R]):
    """What followers need of one and the same thing: made once for all who come to it within a second.

    Who comes later is shown what is then. The same thing is the same object, not an equal one; `name` tells apart
    what is made of it.
    """

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[str, int], _Made[R]] = OrderedDict()
        self._last: _Made[R] | None = None

    def of(self, name: str, thing: object, make: Callable[[], R]) -> R:
        now = time.monotonic()
        # A thousand come for the last one, one after the other.
        if self._last is not None and self._last.is_it(name, thing, now):
            return self._last.made
        held = self._made.get((name, id(thing)))
        if held is None or not held.is_it(name, thing, now):
            held = self._made[name, id(thing)] = _Made(name, thing, now, make())
            self._made.move_to_end((name, id(thing)))
            if len(self._made) > _MOST_MADE:
                self._made.popitem(last=False)
        self._last = held
        return held.made

    def close(self) -> None:
        self._made.clear()
        self._last = None


class Once(Generic[R]):
    """The same for what takes time to make. One that leaves takes nothing with it: what was begun goes on."""

    def __init__(self) -> None:
        self._made: Plain[asyncio.Future[R]] = Plain()

    async def of(self, name: str, thing: object, make: Callable[[], Coroutine[Any, Any, R]]) -> R:
        future = self._made.of(name, thing, lambda: _begun(make()))
        return future.result() if future.done() else await asyncio.shield(future)

    def close(self) -> None:
        self._made.close()


def _begun(making: Coroutine[Any, Any, R]) -> asyncio.Future[R]:
    future = asyncio.ensure_future(making)
    # Where all who wanted it have left, nobody is there to hear that it failed.
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future


class Feed:
    """One user's log: the newest rows in memory, the older ones read by who needs them."""

    def __init__(
        self,
        user: UserRef,
        database: Database,
        bell: Bell,
        *,
        look_every: float,
        watch: Callable[[], Awaitable[None]],
    ) -> None:
        self._user = user
        self._database = database
        self._watch = watch
        self._rings = Rings(bell, (user.user,), every=look_every)
        self._lookout = Lookout()
        self.plain: Plain[Any] = Plain()
        self.once: Once[Any] = Once()
        self._ring: deque[LogRow] = deque(maxlen=_RING)
        # All rows up to here were looked at; None until the first look.
        self._position: int | None = None

    def close(self) -> None:
        self._rings.close()

    async def follow(self, after: int | None) -> AsyncGenerator[LogRow | Reset, None]:
        """Every row after a position, then each new one as it lands; None is a position of another log.

        Raises NoSuchUserError when the user is removed.
        """
        found = await self._read(after)
        position = 0 if after is None else after
        while True:
            if isinstance(found, Reset):
                position = found.position
                yield found
            else:
                for row in found:
                    position = row.seq
                    yield row
            found = await self._beyond(position)

    async def _beyond(self, after: int) -> list[LogRow] | Reset:
        """What comes after a position that the log knows, as soon as there is something."""
        if self._position is None or self._position <= after:
            await self._lookout.until(partial(self._is_past, after), self._look)
        assert self._position is not None
        assert not self._ring or self._ring[-1].seq == self._position
        # Numbers have no gaps: a row's place follows from its own, counted from the end, where most are read.
        missing = self._position - after
        if missing > len(self._ring):
            return await self._read(after)
        if missing == 1:
            return [self._ring[-1]]
        return [self._ring[place] for place in range(-missing, min(_BATCH - missing, 0))]

    def _is_past(self, after: int) -> bool:
        return self._position is not None and self._position > after

    async def _look(self) -> None:
        if self._position is not None:
            await self._rings.wait()
        await self._watch()
        rows: list[LogRow] = []
        with self._rings.heard():
            if self._position is None:
                async with self._database.reading() as db:
                    newest = await read_position(db, self._user)
            else:
                newest, rows = await self._news(self._position)
        # From here on nothing is awaited: who looks can be cancelled at any wait, and a ring that is ahead of the
        # position would hand the others, who count from its end, the wrong rows.
        self._remember(rows)
        if not self._ring or self._ring[-1].seq < newest:
            self._ring.clear()
        self._position = newest

    async def _news(self, after: int) -> tuple[int, list[LogRow]]:
        """By a glance: each wait for another thread, or for the database, is a delay for all who follow."""
        try:
            return await read_news(self._database.glance, self._user, after, limit=_RING)
        except GlanceError:
            async with self._database.reading() as db:
                return await read_news(partial(fetch, db), self._user, after, limit=_RING)

    def _remember(self, rows: list[LogRow]) -> None:
        for row in rows:
            if row.kind is ChangeKind.SLOTS_RESET or (self._ring and row.seq != self._ring[-1].seq + 1):
                # What came before a reset may have been erased from the log since.
                self._ring.clear()
            self._ring.append(row)

    async def _read(self, after: int | None) -> list[LogRow] | Reset:
        async with self._database.reading() as db:
            return await read_from(db, self._user, after)


async def read_from(db: Db, user: UserRef, after: int | None) -> list[LogRow] | Reset:
    """The next rows after a position; Reset where the log dropped some of them, or never was there."""
    newest = await read_position(db, user)
    if after is None:
        return Reset(newest)
    rows = await read_after(db, user, after, limit=_BATCH)
    reached = rows[0].seq - 1 if rows else newest
    return rows if reached == after else Reset(newest)


class Closing(Protocol):
    def close(self) -> None: ...


T = TypeVar("T", bound=Closing)


@dataclass(slots=True)
class _Share(Generic[T]):
    value: T
    followers: int = 0


class Shares(Generic[T]):
    """What subscribers of this process share, each for as long as someone follows it."""

    def __init__(self) -> None:
        self._shares: dict[Hashable, _Share[T]] = {}

    @contextmanager
    def sharing(self, key: Hashable, make: Callable[[], T]) -> Iterator[T]:
        share = self._shares.get(key)
        if share is None:
            share = self._shares[key] = _Share(make())
        share.followers += 1
        try:
            yield share.value
        finally:
            share.followers -= 1
            if not share.followers:
                del self._shares[key]
                share.value.close()

    def __len__(self) -> int:
        return len(self._shares)
