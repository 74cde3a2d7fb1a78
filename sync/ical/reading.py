"""What reading a resource gives."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from domain.busy import EventProblemCode, Occurrence
from domain.interval import Span

FORM = 3
"""To be counted up where a text comes to close other time than it did: what is stored is then read again, once."""


IN_ORDER = itemgetter(2, 1)
"""Of a Reading's occurrences: by start and key."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an event could not be read whole, as a sentence for the owner, and the time blocked because of it."""

    uid: str | None
    code: EventProblemCode
    message: str
    blocked: Span | None


class Reading(NamedTuple):
    """What one resource blocks in a window."""

    uid: str | None
    occurrences: tuple[Occurrence, ...]
    """Those that meet the window, IN_ORDER."""
    problems: tuple[Problem, ...]
    is_readable: bool
    """False where something may be missing: what was held before stays. Occurrences that could be dated all the
    same are given, for who holds nothing before."""
    is_open_ended: bool
    """A later window could give more."""
