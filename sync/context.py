"""What every step of the engine works with: one a process."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from domain.work import Watch, unwatched
from models.bell import Bell
from models.database import Database
from models.seal import Sealer
from sync.remote import CalendarServer, Href, RemoteCalendars
from sync.settings import SyncSettings
from sync.zone_rules import rules_in_use

V = TypeVar("V")

_FEW = 20
"""Texts: to store so many takes the processor no longer than other things that are done unasked."""
_MOST_WAITS = 3
"""One after the other, for events that are not given: in a longer row they are many, and the calendar old."""
_STORED_AT_ONCE = 2
"""While one waits for the database, rows are made for the other."""


def pass_by(step: str) -> None:
    """The usual answer to having reached a named step."""


@dataclass(slots=True, kw_only=True)
class Quiet:
    """What was seen of an account when nothing was to be done, and what it takes to look again."""

    revision: int
    digest: int | None
    "None until this process has seen it itself."
    fingerprint: str | None
    "None until it goes on record."
    until: float
    "Then something is due that no answer brings: another day, a full comparison."
    remote: RemoteCalendars
    "Signed in since: the revision tells when there is another password."
    home_url: str
    connected_at: float
    last_changed_at: float | None


@dataclass(frozen=True, slots=True)
class Ungiven:
    """A calendar that is in step but for what its server lists and does not give."""

    token: str | None
    "Its own, as it was listed then."
    read_to: str | None
    "Up to where it was read then: where that is another now, something else is to be read of it."
    looks: int
    "So often it was asked for in vain."
    since: float
    until: float
    "Between these it is not asked for, where nothing else changes. Before them, a clock was set back."


class Streak(NamedTuple):
    """Polls of a calendar that met the same, one after the other."""

    read_at: float | None
    "When it was read before: where that is another time now, another process read it, and the streak is broken."
    polls: int
    lacking: Mapping[Href, int] = MappingProxyType({})
    "What is listed and not given, each with the first of these polls that met it so."

    def lacking_now(self, hrefs: Iterable[Href]) -> Streak:
        """Those that were lacking before are so since then."""
        return self._replace(lacking={href: self.lacking.get(href, self.polls) for href in hrefs})

    def waiting_for_none(self, most: int) -> Streak:
        """A poll that got nothing was no wait for any: what is lacking once others are given is waited for then.

        Beyond `most`, it is not counted either.
        """
        return self._replace(polls=self.polls - (self.polls > most), lacking={})

    def has_waited_for_each(self, most: int) -> bool:
        """`most` polls for the last of them too: but where ever new ones come, it is enough in the end."""
        since = max(self.lacking.values(), default=0)
        return self.polls - since >= most or self.polls > _MOST_WAITS * most


class Looked(NamedTuple):
    """Much that is gone from a calendar at once."""

    missing: frozenset[Href]
    "By the first look, and every one since."
    known: frozenset[Href]
    "What was held or listed at the first look: what is listed beside it came later."


@dataclass(slots=True)
class Memory:
    """What polls of this process remember of a calendar. Losing it costs a look more, never an event."""

    removals_since: dict[str, float] = field(default_factory=dict)
    "When a listing first missed over half of a calendar."
    removals: dict[str, Looked] = field(default_factory=dict)
    "What it missed."
    missing_since: dict[str, float] = field(default_factory=dict)
    "When a calendar was first neither listed nor there; by account and path."
    missing_polls: dict[str, Streak] = field(default_factory=dict)
    "How many polls in a row a calendar's server listed what it did not give."
    ungiven: dict[str, Ungiven] = field(default_factory=dict)
    "By calendar: what is on record as not given is asked for ever more seldom."
    failing: set[str] = field(default_factory=set)
    "Calendars that the last poll did not come to the end of: the next one reads the others before them."
    slow: dict[str, list[frozenset[Href]]] = field(default_factory=dict)
    "By calendar: texts that no answer came to. They are asked for after the others, each of these parts by itself."
    quiet: dict[str, Quiet] = field(default_factory=dict)
    "By account."
    unexplained_polls: dict[str, Streak] = field(default_factory=dict)
    "How many polls in a row a calendar was listed as changed, and nothing was told that did."
    without_changes: set[str] = field(default_factory=set)
    "Calendars whose server tells no changes; asked again when they are compared in full."
    rereads: dict[str, float] = field(default_factory=dict)
    "Accounts that were read by other rules of time zones, and from when on each may be read again."
    is_rereading: bool = False
    "One of them."
    compared: int = 0
    missed: int = 0
    "Calendars compared in full since the start, and resources that they had and no delta had told."

    @property
    def accounts(self) -> set[str]:
        """Of which something is remembered, by id."""
        return {*self.quiet, *self.rereads, *map(_account_of, self.missing_since)}

    @property
    def calendars(self) -> set[str]:
        """Likewise."""
        return {
            *self.removals_since, *self.missing_polls, *self.ungiven, *self.failing, *self.slow,
            *self.unexplained_polls, *self.without_changes,
        }  # fmt: skip

    def forget(self, accounts: AbstractSet[str], calendars: AbstractSet[str] = frozenset()) -> None:
        """They are gone, and the password with what was signed in by it."""
        _drop(accounts, self.quiet)
        _drop(accounts, self.rereads)
        _drop({name for name in self.missing_since if _account_of(name) in accounts}, self.missing_since)
        _drop(calendars, self.removals_since)
        _drop(calendars, self.removals)
        _drop(calendars, self.missing_polls)
        _drop(calendars, self.unexplained_polls)
        _drop(calendars, self.ungiven)
        _drop(calendars, self.slow)
        self.failing -= calendars
        self.without_changes -= calendars

    def forget_removal(self, calendar: str) -> None:
        """It is over, or was none."""
        self.removals_since.pop(calendar, None)
        self.removals.pop(calendar, None)

    def turn_of(self, account: str, *, now: float, every: float) -> float:
        """When this one may be read again by our rules: they come one after the other, however many they are."""
        # Never later than it was: by a clock that ran ahead, it would be days.
        turn = self.rereads[account] = min(
            self.rereads.get(account, math.inf), now + len(self.rereads) * every
        )
        return turn


def _account_of(name: str) -> str:
    """Of a calendar that is named by account and path."""
    return name.partition(" ")[0]


def _drop(names: AbstractSet[str], remembered: dict[str, V]) -> None:
    for name in names:
        remembered.pop(name, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncContext:
    database: Database
    "A part of it, where others are to be answered beside."
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
    storing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_STORED_AT_ONCE))
    "A turn at storing much at once: see `turn_to_store`."
    rules: str = field(default_factory=rules_in_use)
    "Of the time zones that this process reads by."
    watch: Watch = unwatched
    "Entered around each poll and each write."
    at: Callable[[str], None] = pass_by
    "Told the name of each step whose interruption must lose nothing; tests stop there."

    def turn_to_store(self, texts: int) -> AbstractAsyncContextManager[object]:
        """What is little waits for nobody. Much of many accounts at once would hold up the event loop for seconds."""
        return self.storing if texts > _FEW else nullcontext()
