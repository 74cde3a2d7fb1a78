"""A client that follows a user's blocked slots, loses its socket, and comes back with its last cursor."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from domain.actor import UserRef
from domain.changes import SLOT_KINDS
from models.changelog import LogRow
from resolvers.context import Context, Services
from resolvers.cursors import write_cursor
from resolvers.live import blocked_slot_changes
from resolvers.views import SlotChangeView
from tests.integration.world import owner_of

_CATCHES_UP_WITHIN = 1000


@dataclass(slots=True)
class Subscriber:
    """`since`: the log's position when it first subscribed."""

    user: UserRef
    epoch: str
    since: int
    seen: list[SlotChangeView] = field(default_factory=list)
    _socket: asyncio.Task[None] | None = None

    def connect(self, services: Services) -> None:
        """A new socket, from the last cursor it saw."""
        if self._socket is None:
            self._socket = asyncio.create_task(self._follow(services))

    async def drop(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.cancel()
            await asyncio.gather(socket, return_exceptions=True)

    async def check(self, log: Sequence[LogRow]) -> None:
        """Each change of a slot since it first subscribed, once, in order. Its socket is open."""
        wanted = [row for row in log if row.seq > self.since and row.kind in SLOT_KINDS]
        for turn in range(_CATCHES_UP_WITHIN):
            if len(self.seen) >= len(wanted):
                break
            await asyncio.sleep(0 if turn < 100 else 0.01)  # A server answers in its own time.
        told = [(each.cursor, each.slot, each.previous) for each in self.seen]
        stored = [(write_cursor(self.epoch, self.user, row.seq), row.slot, row.previous) for row in wanted]
        assert told == stored, "a subscriber misses nothing and sees nothing twice"

    async def _follow(self, services: Services) -> None:
        context = Context(services, owner_of(self.user), address="192.0.2.1")
        after = self.seen[-1].cursor if self.seen else write_cursor(self.epoch, self.user, self.since)
        try:
            async with aclosing(blocked_slot_changes(context, self.user.user, after)) as changes:
                async for change in changes:
                    self.seen.append(change)
        finally:
            await context.renew()
