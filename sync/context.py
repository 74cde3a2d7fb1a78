"""What every step of the engine works with: one a process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from domain.work import Watch, unwatched
from models.bell import Bell
from models.database import Database
from models.seal import Sealer
from sync.remote import CalendarServer
from sync.settings import SyncSettings

if TYPE_CHECKING:
    from sync.quiet import Quiet


def pass_by(step: str) -> None:
    """The usual answer to having reached a named step."""


@dataclass(slots=True)
class Memory:
    """What polls of this process remember of a calendar. Losing it costs a look more, never an event."""

    removals_since: dict[str, float] = field(default_factory=dict)
    "When a listing first missed over half of a calendar."
    missing_since: dict[str, float] = field(default_factory=dict)
    "When a calendar was first neither listed nor there."
    missing_polls: dict[str, int] = field(default_factory=dict)
    "How many polls in a row a calendar's server listed what it did not give."
    quiet: dict[str, Quiet] = field(default_factory=dict)
    "What an account looked like when a whole poll of it had nothing to do."
    unexplained_polls: dict[str, int] = field(default_factory=dict)
    "How many polls in a row a calendar was listed as changed, and nothing was told that did."
    without_changes: set[str] = field(default_factory=set)
    "Calendars whose server tells no changes; asked again when they are compared in full."
    compared: int = 0
    missed: int = 0
    "Calendars compared in full since the start, and resources that they had and no delta had told."


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncContext:
    database: Database
    bell: Bell
    sealer: Sealer
    server: CalendarServer
    settings: SyncSettings
    clock: Callable[[], float]
    owner: str
    "Names this process on its leases."
    chance: Callable[[], float]
    "A number in [0, 1), for jitter."
    memory: Memory = field(default_factory=Memory)
    watch: Watch = unwatched
    "Entered around each poll and each write."
    at: Callable[[str], None] = pass_by
    "Told the name of each step whose interruption must lose nothing; tests stop there."
