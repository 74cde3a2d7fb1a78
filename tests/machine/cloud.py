"""A model of iCloud that lies, loses answers, throttles and forgets when told to: once for each time it is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from domain.calendars import ListedCalendar
from models.seal import Secret
from sync.remote import (
    Changes,
    ETag,
    Fetched,
    Href,
    Listed,
    NotThere,
    PasswordRefused,
    RemoteChange,
    RemoteError,
    SyncToken,
    Throttled,
    TokenRefused,
    UnexpectedAnswer,
    Unreachable,
)
from tests.fakes.calendar_server import FakeAccount, FakeCalendar, FakeServer
from tests.machine.doom import Doom
from tests.machine.inline import Turns


class Lie(StrEnum):
    """An answer that is well formed and not so. None of them is a proof that something is gone."""

    EMPTY = "empty"
    HALF = "half"
    NO_ETAGS = "no etags"
    OLD_ETAGS = "old etags"
    TWICE = "twice, in another order"
    NO_TOKEN = "no token"
    NOTHING_GIVEN = "listed and not given"


ERRORS: tuple[Callable[[], RemoteError], ...] = (
    Unreachable,
    UnexpectedAnswer,
    PasswordRefused,
    lambda: Throttled(None),
    lambda: Throttled(2.0),
    lambda: Throttled(1e9),
    NotThere,
    TokenRefused,
)
WRITES = frozenset({"create", "replace", "remove"})


@dataclass
class Cloud(FakeServer):
    """`errors` and `lies` meet the next calls, whatever they ask; `lost` answers are those of writes that were made."""

    turns: Turns = field(default_factory=Turns)
    errors: list[RemoteError] = field(default_factory=list)
    lies: list[Lie] = field(default_factory=list)
    lost: int = 0
    leaves_out: bool = False
    "It has kept something from a delta, which only a night's full comparison finds."
    cut: set[str] = field(default_factory=set)
    "Calendars of which a full answer was told in part: the comparison soon after finds the rest."
    forgot: dict[str, int] = field(default_factory=dict)
    "Sync tokens older than this are refused, by calendar."

    def heal(self) -> None:
        """Faults have ended: it says what is so."""
        for troubles in (self.errors, self.lies, self.hidden, self.lagging):
            troubles.clear()
        self.lost = 0
        self.refused_tokens = False
        self.tells_etags = True

    def purge_tokens(self, calendar: FakeCalendar) -> None:
        self.forgot[calendar.path] = len(calendar.history) + 1
        calendar.history.append(Href(f"{calendar.path}never-was.ics"))

    def take_lie(self) -> Lie | None:
        return self.lies.pop(0) if self.lies else None


@dataclass(frozen=True, slots=True)
class Line:
    """A process's own way to it."""

    cloud: Cloud
    doom: Doom

    def sign_in(self, apple_id: str, password: Secret, *, home_url: str | None = None) -> Account:
        return Account(self.cloud, apple_id, password, self.doom)

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class Account(FakeAccount):
    server: Cloud
    doom: Doom

    async def list_calendars(self, home_url: str) -> tuple[ListedCalendar, ...]:
        told = await super().list_calendars(home_url)
        await self._done("list")
        match self.server.take_lie():
            case Lie.EMPTY:
                return ()
            case Lie.HALF:
                return told[: len(told) // 2]
            case Lie.NO_TOKEN:
                return tuple(replace(each, token=None) for each in told)
            case Lie.TWICE:
                return told[::-1]
        return told

    async def list_changes(self, calendar: str, token: SyncToken | None) -> Changes:
        if token is not None and int(token.rpartition("#")[2]) < self.server.forgot.get(calendar, 0):
            await self._step("changes")
            raise TokenRefused
        told = await super().list_changes(calendar, token)
        await self._done("changes")
        return self._lied(calendar, told, is_full=token is None)

    async def list_resources(self, calendar: str) -> Changes:
        told = await super().list_resources(calendar)
        await self._done("resources")
        lie = self.server.take_lie()
        self.server.cut.discard(calendar)
        # A whole, plain listing is a proof: what it leaves out would be gone.
        return told if lie in {Lie.EMPTY, Lie.HALF, None} else _told(told, lie)

    async def fetch(self, calendar: str, hrefs: Sequence[Href]) -> dict[Href, Fetched]:
        told = await super().fetch(calendar, hrefs)
        await self._done("fetch")
        match self.server.take_lie():
            case Lie.EMPTY | Lie.NOTHING_GIVEN:
                return {}
            case Lie.HALF:
                return dict(list(told.items())[: len(told) // 2])
            case Lie.NO_ETAGS:
                return {href: each._replace(etag=ETag("")) for href, each in told.items()}
        return told

    async def get(self, href: Href) -> Fetched:
        told = await super().get(href)
        await self._done("get")
        return told

    def _lied(self, calendar: str, told: Changes, *, is_full: bool) -> Changes:
        lie = self.server.take_lie()
        if is_full and lie in {Lie.EMPTY, Lie.HALF}:
            self.server.cut.add(calendar)
        if not is_full and lie in {Lie.EMPTY, Lie.HALF}:
            self.server.leaves_out = True
        if lie is Lie.NO_ETAGS and self.server.lagging:
            self.server.leaves_out = True  # An old text is given under its own ETag, and no other was named.
        return told if lie is None else _told(told, lie)

    def _store(self, calendar: FakeCalendar, href: Href, body: str) -> ETag | None:
        told = super()._store(calendar, href, body)
        self._may_lose_the_answer()
        return told

    async def remove(self, href: Href, etag: ETag) -> None:
        await super().remove(href, etag)
        self._may_lose_the_answer()

    def _may_lose_the_answer(self) -> None:
        self.doom.reach()
        if self.server.lost:
            self.server.lost -= 1
            raise Unreachable("done, and its answer lost")

    async def _step(self, name: str) -> None:
        self.doom.reach()
        await self.doom.pause(f"{name} asked")
        await self.server.turns.pause()
        if self.server.errors:
            raise self.server.errors.pop(0)
        await super()._step(name)

    async def _done(self, name: str) -> None:
        await self.doom.pause(f"{name} answered")
        self.doom.reach()


def _with_etag(change: RemoteChange, etag: ETag | None) -> RemoteChange:
    return change._replace(etag=etag) if isinstance(change, Listed) else change


def _told(told: Changes, lie: Lie) -> Changes:
    items = told.items
    match lie:
        case Lie.EMPTY:
            items = ()
        case Lie.HALF:
            items = items[: len(items) // 2]
        case Lie.NO_ETAGS:
            items = tuple(_with_etag(each, None) for each in items)
        case Lie.OLD_ETAGS:
            items = tuple(_with_etag(each, ETag('"old"')) for each in items)
        case Lie.TWICE:
            items = (*reversed(items), *items)
    return replace(told, items=items)
