"""One row of the table: a fault, where it is tried, and how often."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.campaigns.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a row's trials get: an empty folder, a kind of database, how many processes, how many trials."""

    name: str
    kind: str
    processes: int
    count: int
    seed: int
    folder: Path
    postgres: str

    @property
    def where(self) -> str:
        return f"{self.kind}, {self.processes} process{'es' if self.processes > 1 else ''}"


class LeftOutError(Exception):
    """This machine lacks what the row needs; the text says what."""


Place = tuple[str, int]
SQLITE, POSTGRES, FOUR_ON_SQLITE, FOUR = ("sqlite", 1), ("postgres", 1), ("sqlite", 4), ("postgres", 4)


@dataclass(frozen=True, slots=True)
class Row:
    """`trials` at each place, of each of the row's kinds; a small run has `small`: none where the suite has them."""

    name: str
    trials: int
    small: int
    places: tuple[Place, ...]
    run: Callable[[Scene], Awaitable[Tally]]
