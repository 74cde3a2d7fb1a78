"""What time it is: on PostgreSQL by its clock, one for all processes that share it; on SQLite by the machine's."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

from models.database import Database
from models.glances import GlanceError

log = logging.getLogger(__name__)

Clock = Callable[[], float]

_ASKED_EVERY = 60.0
_LOOKED_EVERY = 1.0
_STOOD_STILL = 1.0
_WORTH_SAYING = 60.0
_TRIES = 3
_STEADY = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
"""It goes on while the machine sleeps, where there is such a clock, as on Linux."""


@asynccontextmanager
async def keep_clock(database: Database) -> AsyncIterator[Clock]:
    if not database.is_postgres:
        yield time.time
        return

    async def ask() -> float:
        [row] = await database.glance("SELECT EXTRACT(EPOCH FROM clock_timestamp())::float8 AS now")
        now: float = row["now"]
        return now

    clock = SharedClock(ask)
    with suppress(GlanceError):
        await clock.ask()
    keeping = asyncio.create_task(clock.keep())
    try:
        yield clock
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


class SharedClock:
    """Another's, asked once a minute and kept in between by this machine's steady one, which nobody sets.

    Until the first answer, the machine's own. `asked`: seconds since the epoch; raises GlanceError.
    """

    def __init__(
        self,
        asked: Callable[[], Awaitable[float]],
        *,
        wall: Clock = time.time,
        steady: Clock = _STEADY,
    ) -> None:
        self._asked = asked
        self._wall = wall
        self._steady = steady
        self._ahead = self._own = wall() - steady()
        self._differs = False

    def __call__(self) -> float:
        return self._steady() + self._ahead

    async def ask(self) -> None:
        """Of a few answers the quickest: each is right to half as long as it took."""
        answers = [await self._answer() for _ in range(_TRIES)]
        off, ahead = min(answers)
        if abs(ahead - self._ahead) > off:
            self._ahead = ahead
        self._own = self._wall() - self._steady()
        self._tell(self._own - self._ahead)

    async def _answer(self) -> tuple[float, float]:
        began = self._steady()
        told = await self._asked()
        took = self._steady() - began
        return took / 2, told - began - took / 2

    def _tell(self, difference: float) -> None:
        differs = abs(difference) > _WORTH_SAYING
        if differs and not self._differs:
            log.warning("this machine's clock is %+.0f s off PostgreSQL's, which counts: mend it", difference)
        self._differs = differs

    async def keep(self) -> None:
        """Asked at once where the machine stood still, as a guest that is moved does: its steady clock did too."""
        asked = self._steady()
        while True:
            await asyncio.sleep(_LOOKED_EVERY)
            if self._steady() - asked < _ASKED_EVERY and not self._stood_still():
                continue
            asked = self._steady()
            with suppress(GlanceError):  # It goes on by itself.
                await self.ask()

    def _stood_still(self) -> bool:
        return abs(self._wall() - self._steady() - self._own) > _STOOD_STILL
