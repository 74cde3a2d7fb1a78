"""A process whose loop runs by itself: with doors of its own, and an end at any point."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

from benchmarks.faults.account import Account
from models.bell import Bell
from models.database import Database
from sync.icloud.guard import Guard
from sync.icloud.server import ICloud
from sync.icloud.settings import TransportSettings
from sync.service import Sync
from sync.settings import SyncSettings
from tests.machine.doom import Doom
from tests.machine.process import Door

SETTINGS = SyncSettings(
    request_seconds=3.0,
    watched_every=0.2,
    usual_every=0.3,
    quiet_every=0.4,
    first_retry=0.1,
    longest_retry=1.0,
    longest_outage_retry=0.5,
    first_refusal_retry=0.1,
    listing_lasts=0.05,
    arrives_within=0.1,
    removal_wait=0.5,
    longest_look=1.0,
    first_comparison_after=1.0,
    roll_lasts=1.0,
    poll_seconds=20,
    lease=2.0,
    look_every=0.05,
    drain=1.0,
    first_write_retry=0.1,
    longest_write_retry=0.5,
)
"""A minute in about a third of a second, and to one another as they are."""
_TRANSPORT = TransportSettings(request_seconds=SETTINGS.request_seconds, most_bytes=8 * 1024 * 1024)


@dataclass(slots=True)
class Clock:
    """Goes on by itself from when the account was read first, wherever the machine's own stands."""

    now: float
    _since: float = field(default_factory=time.monotonic)

    def __call__(self) -> float:
        return self.now + time.monotonic() - self._since

    def skip(self, seconds: float) -> None:
        self.now += seconds


@dataclass(slots=True)
class Process:
    sync: Sync
    doom: Doom
    running: asyncio.Task[None]

    @property
    def is_dead(self) -> bool:
        return self.doom.is_dead

    @property
    def is_idle(self) -> bool:
        """Nothing of its own is under way."""
        return not self._under_way

    @property
    def _under_way(self) -> list[asyncio.Task[object]]:
        loop = self.sync._loop
        return [*(poll.task for poll in loop._polls.values()), *loop._writes]

    async def end(self) -> None:
        """As told to; one that is dead asks nothing more, of nobody."""
        if self.is_dead:
            for task in self._under_way:
                task.cancel()
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        await self.sync.context.server.close()


async def started(known: Account, database: Database, clock: Clock, chance: random.Random) -> Process:
    """It remembers nothing."""
    icloud, doom = known.icloud, Doom()
    sync = Sync(
        database=Door(database, doom),
        bell=Bell(),
        sealer=known.engine.sealer,
        settings=SETTINGS,
        clock=clock,
        server=ICloud(Guard(icloud.entry_url, icloud.hosts), _TRANSPORT),
        chance=chance.random,
        at=doom.reach,
    )
    return Process(sync, doom, asyncio.create_task(sync.run()))
