"""A piece of work, as whoever watches the process sees it: what it was, how it ended, and nothing of whose it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field


@dataclass(slots=True)
class Work:
    """`kind` and `outcome` are few, fixed words: they become labels. `facts` hold no text that anyone gave."""

    kind: str
    outcome: str = "ok"
    facts: dict[str, str | int] = field(default_factory=dict)
    late: float | None = None
    """Seconds after it was due, where it was."""
    came_with: Mapping[str, str] = field(default_factory=dict)
    """Headers of a request: what it is a part of, where its sender says so."""


class LeftError(Exception):
    """Whoever asked has gone, or takes nothing of the answer."""


def ended_by(error: BaseException, work: Work) -> str:
    """The outcome of what an exception ends. What is called off is not broken: so ends each page that follows.

    What had gone wrong before that is told all the same.
    """
    if isinstance(error, Exception) and not isinstance(error, LeftError):
        return "broken"
    return "left" if work.outcome == "ok" else work.outcome


Watch = Callable[[Work], AbstractContextManager[object]]
"""Entered while the work goes on, and left with its outcome set."""

_NOTHING: AbstractContextManager[object] = nullcontext()


def unwatched(_: Work) -> AbstractContextManager[object]:
    return _NOTHING
