"""When a process ends, and what others do between two of its steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Between = Callable[[str], Awaitable[None]]


class Killed(BaseException):
    """The process ends here: no `except Exception` outlives it."""


@dataclass(slots=True)
class Doom:
    """After how many more points the process ends; None: it lives. Points are commits, requests and named steps."""

    points_left: int | None = None
    is_dead: bool = False
    between: Between | None = None
    "Told where the process is before and after each transaction that writes, each request and each answer."

    def reach(self, _: str = "") -> None:
        if self.is_dead:
            raise Killed
        if self.points_left is not None:
            self.points_left -= 1
            if self.points_left < 0:
                self.is_dead = True
                raise Killed

    async def pause(self, where: str) -> None:
        if self.between is not None and not self.is_dead:
            await self.between(where)
