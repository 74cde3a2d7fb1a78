"""What we need of a calendar server, and the ways in which it can fail us.

RemoteError
- PasswordRefused: 401; wrong, revoked, or not an app-specific password
- PasswordUnreadable: the stored one can't be opened, so that nothing was asked at all
- Throttled: asked to wait
- Unreachable: no answer in time, a broken connection, a server's 5xx (ServerFailed)
- UnexpectedAnswer: an answer that is not what was asked for
- Broken: a fault of our own; the server is not to blame
- ForeignHost: an address outside the allow-list; nothing was sent to it
- TokenRefused: the sync token is no longer good; list anew
- StaleWrite: the object is not in the state that the write was made for
- Forbidden: it may not be read, or the calendar does not take this write
- TooLong: the object is longer than the calendar takes
- NotThere: the calendar or the object does not exist
"""
# ruff: noqa: N818 - errors are named for the facts that they tell.

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, NewType, Protocol

from domain.calendars import ListedCalendar
from models.seal import Secret

Href = NewType("Href", str)
"""The path of a resource exactly as the server spells it; to compare two, see `domain.paths.path_key`."""
ETag = NewType("ETag", str)
"""With its quotes, and never weak: see `etag_as_made`. Empty where the server told none."""
SyncToken = NewType("SyncToken", str)


def etag_as_made(told: str) -> ETag:
    """One spelling for all: what packs an answer on its way makes its ETag weak, and some servers forget the quotes.

    A weak one matches nothing in If-Match (RFC 9110 section 13.1.1): what it stands for would never be written over.
    One that no header can carry is none: past a line's end, the rest of it would go out as headers or a request.
    """
    if not (told.isascii() and told.isprintable()):
        return ETag("")
    if told.startswith('"'):
        return ETag(told)
    told = told.removeprefix("W/")
    return ETag(told if told.startswith('"') else f'"{told}"')


class RemoteError(Exception):
    """The calendar server could not do what was asked."""


class PasswordRefused(RemoteError):
    """The server does not take this name and password."""


class PasswordUnreadable(RemoteError):
    """The stored password can't be opened with the keys that there are; nothing was sent."""


class Throttled(RemoteError):
    """The server asked us to slow down."""

    def __init__(self, retry_after: float | None) -> None:
        super().__init__("told to wait" if retry_after is None else f"told to wait {retry_after:.0f} s")
        self.retry_after = retry_after


class Unreachable(RemoteError):
    """No answer, or the server's own failure; trying later can help."""


class ServerFailed(Unreachable):
    """It answered that it failed (5xx): all of it may be out, or only what was asked for."""


class Stalled(Unreachable):
    """It was reached, to no avail: tried as seldom as after any failure, and not as where an outage may have ended."""


class UnexpectedAnswer(RemoteError):
    """The answer is not of the form that was asked for, so nothing can be concluded from it."""


class Broken(UnexpectedAnswer):
    """We broke on it: a fault of our own, which the log tells, and which is told as a failure like any other."""


class ForeignHost(RemoteError):
    """An address that leads away from the allowed hosts; nothing was sent there."""


class NameTooLong(UnexpectedAnswer):
    """An href that is longer than any that we keep; what it names is there all the same."""


class TokenRefused(RemoteError):
    """Changes since this token can't be told; the whole calendar has to be listed."""


class StaleWrite(RemoteError):
    """The object changed, exists already, or is gone (RFC 9110 section 13: 412)."""


class Forbidden(RemoteError):
    """Not for us to read (RFC 9110 section 15.5.4: 403), or to write: read-only, or no place for this object."""


class TooLong(RemoteError):
    """The object is longer than the calendar takes."""


class NotThere(RemoteError):
    """What was asked for does not exist."""


class Listed(NamedTuple):
    """A resource that is there. No ETag: it has to be fetched to know."""

    href: Href
    etag: ETag | None


class Gone(NamedTuple):
    """A resource that the server says is no longer there."""

    href: Href


RemoteChange = Listed | Gone


@dataclass(frozen=True, slots=True)
class Changes:
    """One answer about a calendar's resources. Truncated: ask on from `token` for the rest."""

    items: tuple[RemoteChange, ...]
    token: SyncToken | None
    is_truncated: bool = False
    too_long: int = 0
    "Resources that are not told of: their names are too long to be kept."

    @property
    def is_empty(self) -> bool:
        return not (self.items or self.too_long)


class Fetched(NamedTuple):
    """A resource's text."""

    href: Href
    etag: ETag
    body: str


@dataclass(frozen=True, slots=True)
class Discovery:
    """Who signed in, and where their calendars are."""

    principal_path: str
    home_url: str
    addresses: frozenset[str]


@dataclass(frozen=True, slots=True)
class Glance:
    """A home's answer, not read yet. The same digest, in one process: the same answer, byte for byte."""

    digest: int
    fingerprint: Callable[[], str]
    "Of the same answer the same in any process: what `digest` is too quickly made for."
    read: Callable[[], Awaitable[tuple[ListedCalendar, ...]]]
    "Raises UnexpectedAnswer."


class RemoteCalendars(Protocol):
    """One signed-in account. Every call raises a RemoteError or gives what its name says."""

    async def discover(self) -> Discovery:
        """Asks the entry address who this is; checks the password by doing so."""
        ...

    async def list_calendars(self, home_url: str) -> tuple[ListedCalendar, ...]:
        """All that the home shows, the usable and the unusable. Paths are resolved against it from then on."""
        ...

    async def glance(self, home_url: str) -> Glance:
        """The same question; the answer is read only where it is asked for."""
        ...

    async def list_changes(self, calendar: str, token: SyncToken | None) -> Changes:
        """What changed since `token`; without one, all that is there. Raises TokenRefused."""
        ...

    async def list_resources(self, calendar: str) -> Changes:
        """All that is there, by a plain listing: for a server that can't tell changes."""
        ...

    async def fetch(self, calendar: str, hrefs: Sequence[Href]) -> dict[Href, Fetched]:
        """Several texts at once; one that the server does not give is left out."""
        ...

    async def get(self, href: Href) -> Fetched:
        """One text. Raises NotThere."""
        ...

    async def check_calendar(self, calendar: str) -> None:
        """Raises NotThere where the calendar does not exist."""
        ...

    async def create(self, href: Href, body: str) -> ETag | None:
        """Stores a new object; None where the server tells no ETag. Raises StaleWrite where something is there."""
        ...

    async def replace(self, href: Href, body: str, etag: ETag) -> ETag | None:
        """Stores over the object that has this ETag. Raises StaleWrite where it is another by now."""
        ...

    async def remove(self, href: Href, etag: ETag) -> None:
        """Raises StaleWrite where it is another by now, NotThere where it is gone."""
        ...


class CalendarServer(Protocol):
    """Where accounts sign in."""

    def sign_in(self, apple_id: str, password: Secret, *, home_url: str | None = None) -> RemoteCalendars:
        """No request is made yet."""
        ...

    async def close(self) -> None: ...
