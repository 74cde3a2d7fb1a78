"""One run: an account, two processes that keep it in step by themselves, and a clock that goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from benchmarks.faults.beside import Life
from benchmarks.faults.loops.process import Clock, Process, started
from benchmarks.faults.loops.promises import Watched
from models.database import Database
from standin.catalog import CalendarFacts
from tests.fakes.calendar_server import PASSWORD


@dataclass(slots=True)
class Run:
    life: Life
    clock: Clock
    watched: Watched
    databases: Sequence[Database]
    "A process's own connections each."
    chances: Random
    "Of the processes: how often they die and begin anew is not to change what else happens."
    processes: list[Process] = field(default_factory=list)
    lost: list[CalendarFacts] = field(default_factory=list)
    "Calendars that are gone just now."
    password: str = PASSWORD
    "The one that iCloud takes."

    @property
    def is_refused(self) -> bool:
        return self.watched.refused_since is not None

    async def start(self) -> None:
        self.processes = [await self._started(number) for number in range(len(self.databases))]

    async def bury(self) -> None:
        """Where one died, another begins. No other end is one's own."""
        for number, process in enumerate(self.processes):
            assert process.is_dead or not process.running.done(), f"loop {'AB'[number]} ended by itself"
            if process.is_dead:
                await process.end()
                self.processes[number] = await self._started(number)

    async def end(self) -> None:
        for process in self.processes:
            await process.end()

    async def look(self) -> None:
        """At all that must hold at any time."""
        await self.bury()
        self.set_time()
        await self.watched.hold(self.clock)

    def set_time(self) -> None:
        """Guests and the owner read the processes' clock."""
        self.life.known.engine.now = self.clock()

    def skip(self, seconds: float) -> bool:
        """Whether nothing was under way, so that it could be: a request's deadline goes by another clock."""
        is_idle = all(process.is_idle for process in self.processes)
        if is_idle:
            self.clock.skip(seconds)
            self.watched.awake_since = self.clock()
        return is_idle

    async def _started(self, number: int) -> Process:
        chance = Random(self.chances.random())
        return await started(self.life.known, self.databases[number], self.clock, chance)
