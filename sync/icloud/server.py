"""iCloud over CalDAV. What every poll asks goes by `sync.icloud.wire`, all else by `sync.icloud.by_caldav`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Protocol, TypeVar

from domain.calendars import ListedCalendar
from domain.paths import path_key
from models.seal import Secret
from sync.icloud import members, multistatus, queries
from sync.icloud.answers import (
    Answer,
    etag_of,
    expect_multistatus,
    is_page,
    refuse,
    refuse_at_all,
    refuse_write,
)
from sync.icloud.budget import Budgets
from sync.icloud.by_caldav import ByCaldav
from sync.icloud.deadlines import Deadlines
from sync.icloud.guard import LONGEST, Guard, raw_path
from sync.icloud.home import read_home
from sync.icloud.members import read_members
from sync.icloud.multistatus import Multistatus, read_multistatus
from sync.icloud.settings import TransportSettings
from sync.icloud.wire import MISDIRECTED, Asked, Pool
from sync.remote import (
    Changes,
    Discovery,
    ETag,
    Fetched,
    Forbidden,
    Glance,
    Href,
    NameTooLong,
    NotThere,
    SyncToken,
    TokenRefused,
    UnexpectedAnswer,
    Unreachable,
)

T = TypeVar("T")

_XML = 'application/xml; charset="utf-8"'
_MEMBERS = {"Content-Type": _XML, "Depth": "1"}
_LISTING = queries.LISTING_QUERY.encode()
_ICS = "text/calendar; charset=utf-8"
_MOST_HOPS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PARSE_APART = 256 * 1024
_CREATED = 201


class ICloud:
    """A CalDAV server: one pool of connections that all its accounts share."""

    def __init__(self, guard: Guard, settings: TransportSettings | None = None) -> None:
        self.guard = guard
        self.settings = settings or TransportSettings()
        self.pool = Pool(
            connections=self.settings.connections,
            most_bytes=self.settings.most_bytes,
            user_agent=self.settings.user_agent,
            ca_file=self.settings.ca_file,
        )
        self.by_caldav = ByCaldav(self.pool, self.settings)
        most = self.settings.requests_per_minute
        self.budgets = None if most is None else Budgets(most, time.monotonic)
        self.deadlines = Deadlines(self.settings.request_seconds)

    def sign_in(self, apple_id: str, password: Secret, *, home_url: str | None = None) -> Account:
        return Account(self, apple_id, password, home_url)

    async def close(self) -> None:
        await self.pool.close()
        self.deadlines.close()


class Send(Protocol):
    """One request and its answer, whatever its status. Raises Unreachable and UnexpectedAnswer."""

    async def __call__(self, asked: Asked, *, anew: bool) -> Answer: ...


@dataclass(slots=True)
class Account:
    """One signed-in account; see `sync.remote.RemoteCalendars`."""

    server: ICloud
    apple_id: str
    password: Secret = field(repr=False)
    home_url: str | None = None
    _listing: tuple[str, Asked] | None = field(default=None, repr=False)
    "A home, and the question for its calendars: written once, asked at every poll."

    async def discover(self) -> Discovery:
        principal_url = await self._find_principal()
        answer, url = await self._propfind(principal_url, queries.HOME_QUERY, depth=0)
        home, addresses = multistatus.read_home_set(answer)
        self.home_url = self.server.guard.resolve(url, home if home.endswith("/") else f"{home}/")
        if len(self.home_url) > LONGEST:
            raise NameTooLong("a calendar home that is too long to be kept")
        path = raw_path(principal_url, principal_url)
        # In one spelling for all: by it an Apple account is known to be the same.
        return Discovery(f"{path_key(path)}/", self.home_url, addresses | {path.lower()})

    async def _find_principal(self) -> str:
        entry = self.server.guard.entry
        # On iCloud the well-known address is of no use, and answers with pages for people.
        tries = [entry] if self.server.guard.is_icloud else [entry, "/.well-known/caldav"]
        refused: Exception = UnexpectedAnswer("the server does not tell who signed in")
        for where in tries:
            try:
                asked = self.server.guard.resolve(entry, where)
                answer, url = await self._propfind(asked, queries.PRINCIPAL_QUERY, depth=0)
            except (NotThere, UnexpectedAnswer, Forbidden) as error:
                refused = error
                continue
            if href := multistatus.read_principal(answer):
                return self.server.guard.resolve(url, href)
        raise refused

    async def list_calendars(self, home_url: str) -> tuple[ListedCalendar, ...]:
        return await (await self.glance(home_url)).read()

    async def glance(self, home_url: str) -> Glance:
        if self._listing is None or self._listing[0] != home_url:
            self._listing = home_url, self._asked(home_url, "PROPFIND", _LISTING, _MEMBERS)
        answer = await self._send(self._listing[1], self.server.pool.ask)
        expect_multistatus(answer)
        self.home_url = home_url

        async def read() -> tuple[ListedCalendar, ...]:
            return await self._read(answer, lambda body: read_home(body, answer.url))

        return Glance(hash(answer.body), lambda: sha256(answer.body).hexdigest(), read)

    async def list_changes(self, calendar: str, token: SyncToken | None) -> Changes:
        url = self._url(calendar)
        answer = await self._look(url, "REPORT", queries.changes_query(token))
        status = answer.status_code
        if status in {400, 403, 405, 409, 410, 412, 415, 501, 507}:
            if status == 403 and multistatus.VALID_SYNC_TOKEN not in multistatus.read_error(answer.body):
                # A bare 403 can be the token's, or the calendar's: the calendar tells which.
                await self.check_calendar(calendar)
            raise TokenRefused(f"{status} for a token")
        return await self._read(answer, lambda body: members.read_changes(read_members(body), url))

    async def list_resources(self, calendar: str) -> Changes:
        url = self._url(calendar)
        answer = await self._look(url, "PROPFIND", queries.RESOURCES_QUERY)
        return await self._read(answer, lambda body: members.read_resources(read_members(body), url))

    async def fetch(self, calendar: str, hrefs: Sequence[Href]) -> dict[Href, Fetched]:
        url = self._url(calendar)
        answer = await self._look(url, "REPORT", queries.texts_query(hrefs))
        return await self._read(answer, lambda body: members.read_texts(read_members(body), url, hrefs))

    async def get(self, href: Href) -> Fetched:
        answer = await self._ask(self._url(href), "GET")
        if answer.status_code == 404 and "%40" in href:
            # iCloud once did not take back what it had escaped itself.
            answer = await self._ask(self._url(href.replace("%40", "@")), "GET")
        refuse(answer)
        if answer.status_code != 200 or not answer.body.strip() or is_page(answer.body):
            raise UnexpectedAnswer(f"{answer.status_code} for an object")
        if answer.may_be_cut:
            # Two calendars in one text, cut between them, are one whole one. A multistatus has its end tag.
            raise UnexpectedAnswer("an object that may have been cut off")
        body = answer.body.decode("utf-8", errors="replace").replace("\x00", "")
        etag = etag_of(answer)
        if etag is None and "BEGIN:VCALENDAR" not in body.upper():
            raise UnexpectedAnswer("something else than the object")
        return Fetched(href, etag or ETag(""), body)

    async def check_calendar(self, calendar: str) -> None:
        answer, _ = await self._propfind(self._url(calendar), queries.RESOURCES_QUERY, depth=0)
        multistatus.refuse_absent(answer)

    async def create(self, href: Href, body: str) -> ETag | None:
        answer = await self._put(href, body, {"If-None-Match": "*"})
        etag = etag_of(answer)
        if etag is None and answer.status_code != _CREATED:
            # Whatever it was that succeeded: this is looked for, and written anew where it is not (RFC 9110, 9.3.4).
            raise UnexpectedAnswer(f"{answer.status_code} for what was to be created")
        return etag

    async def replace(self, href: Href, body: str, etag: ETag) -> ETag | None:
        assert etag.strip() not in {"", "*"}  # iCloud takes `If-Match: *` backwards.
        return etag_of(await self._put(href, body, {"If-Match": etag}))

    async def remove(self, href: Href, etag: ETag) -> None:
        assert etag.strip() not in {"", "*"}
        answer = await self._ask(self._url(href), "DELETE", headers={"If-Match": etag})
        refuse_write(answer)

    async def _put(self, href: Href, body: str, condition: Mapping[str, str]) -> Answer:
        answer = await self._ask(self._url(href), "PUT", body, {**condition, "Content-Type": _ICS})
        refuse_write(answer)
        return answer

    async def _look(self, url: str, method: str, body: str) -> Answer:
        """What is asked of a collection's members, again and again."""
        return await self._send(self._asked(url, method, body.encode(), _MEMBERS), self.server.pool.ask)

    def _url(self, path: str) -> str:
        base = self.home_url or self.server.guard.entry
        return self.server.guard.resolve(base, path)

    async def _propfind(self, url: str, body: str, *, depth: int) -> tuple[Multistatus, str]:
        """What was answered, and by which address: hrefs are relative to that one."""
        answer = await self._ask(url, "PROPFIND", body, {"Depth": str(depth)})
        return await self._read(answer, read_multistatus), answer.url

    async def _read(self, answer: Answer, read: Callable[[bytes], T]) -> T:
        expect_multistatus(answer)
        if len(answer.body) < _PARSE_APART:
            return read(answer.body)
        return await asyncio.to_thread(read, answer.body)

    async def _ask(
        self, url: str, method: str, body: str = "", headers: Mapping[str, str] | None = None
    ) -> Answer:
        given = {"Content-Type": _XML, **(headers or {})}
        return await self._send(self._asked(url, method, body.encode(), given), self._by_caldav)

    def _asked(self, url: str, method: str, body: bytes, headers: Mapping[str, str]) -> Asked:
        """Raises ForeignHost."""
        return Asked(self.server.guard.admit(url, self.apple_id, self.password), method, headers, body)

    async def _send(self, asked: Asked, send: Send) -> Answer:
        """One request and its redirects, under one deadline. 401 and a call to wait are raised, all else returned."""
        budgets = self.server.budgets
        if budgets is not None:
            # Before the deadline: it is we who wait here, not the server.
            await budgets.of(self.apple_id).take()
        try:
            with self.server.deadlines.begin():
                return await self._follow(asked, send)
        except TimeoutError:
            raise Unreachable("no answer in time") from None

    async def _follow(self, asked: Asked, send: Send) -> Answer:
        for _ in range(_MOST_HOPS + 1):
            answer = await self._try(asked, send)
            if answer.status_code not in _REDIRECTS:
                refuse_at_all(answer)
                return answer
            # By hand: a library would drop the body, or make a GET of it. The guard checks where it leads.
            location = (answer.headers.get("Location") or "").strip()
            if not location:
                raise UnexpectedAnswer("a redirect to nowhere")  # And not to where it came from.
            url = self.server.guard.resolve(asked.where.url, location)
            asked = replace(asked, where=self.server.guard.admit(url, self.apple_id, self.password))
        raise UnexpectedAnswer("a redirect without end")

    async def _try(self, asked: Asked, send: Send) -> Answer:
        try:
            answer = await send(asked, anew=False)
            if answer.status_code != MISDIRECTED:
                return answer
        except Unreachable:
            # A kept connection that the server closed meanwhile fails at once; a write is not repeated blindly.
            if asked.method in {"PUT", "DELETE"}:
                raise
        return await send(asked, anew=True)

    async def _by_caldav(self, asked: Asked, *, anew: bool) -> Answer:
        return await self.server.by_caldav.ask(asked, self.apple_id, self.password, anew=anew)
