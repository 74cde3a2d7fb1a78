"""A calendar server in memory, behind the same port as the real ones, that fails and lies when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from domain.calendars import CalendarKind, ListedCalendar
from domain.paths import path_key
from models.seal import Secret
from sync.ical.resource import read_written
from sync.icloud.guard import LONGEST
from sync.remote import (
    Changes,
    Discovery,
    ETag,
    Fetched,
    Forbidden,
    Glance,
    Gone,
    Href,
    Listed,
    NotThere,
    PasswordRefused,
    RemoteChange,
    RemoteError,
    StaleWrite,
    SyncToken,
    TokenRefused,
    Unreachable,
)
from sync.spelling import is_odd

APPLE_ID = "a@icloud.com"
PASSWORD = "abcd-efgh-ijkl-mnop"
HOME = "https://fake.test/1/calendars/"
PRINCIPAL = "/1/principal/"


@dataclass
class FakeCalendar:
    path: str
    name: str
    kind: CalendarKind = CalendarKind.EVENTS
    can_write: bool = True
    texts: dict[Href, tuple[ETag, str]] = field(default_factory=dict)
    history: list[Href] = field(default_factory=list)

    @property
    def token(self) -> str:
        return f"{self.path}#{len(self.history)}"

    def put(self, name: str, body: str) -> Href:
        """As another device would."""
        href = Href(f"{self.path}{name}.ics")
        self.history.append(href)
        self.texts[href] = (ETag(f'"{len(self.history)}"'), body)
        return href

    def delete(self, href: Href) -> None:
        self.history.append(href)
        del self.texts[href]


@dataclass
class FakeServer:
    """`failures` are raised by the next calls of the operation, in order; `asked` tells what was called."""

    passwords: dict[str, str] = field(default_factory=lambda: {APPLE_ID: PASSWORD})
    calendars: dict[str, FakeCalendar] = field(default_factory=dict)
    home_url: str = HOME
    asked: list[str] = field(default_factory=list)
    unshown: set[str] = field(default_factory=set)
    "Paths of calendars that are there, and that the home does not list."
    reads: int = 0
    "How often the home's answer was read."
    failures: dict[str, list[BaseException]] = field(default_factory=dict)
    hidden: set[Href] = field(default_factory=set)
    "Listed, and not given."
    spoiling: dict[Href, RemoteError] = field(default_factory=dict)
    "Every answer that is to hold one of them fails so."
    lagging: dict[Href, tuple[ETag, str]] = field(default_factory=dict)
    "Given as they were, whatever they are by now."
    drops_put_answers: int = 0
    hangs: asyncio.Event | None = None
    "Every call waits for it."
    after: Callable[[str, str], Awaitable[None]] | None = None
    "Told each operation and who asked, before it answers: what happens meanwhile."
    done: Callable[[str], Awaitable[None]] | None = None
    "Told each write once it was made, before who asked hears of it: what happens meanwhile."
    refused_tokens: bool = False
    has_sync: bool = True
    most_told: int | None = None
    "Changes in one answer; the next goes on from its token (RFC 6578 section 3.6)."
    untold: set[Href] = field(default_factory=set)
    "Left out of what changed since a token, and of a first answer: only a plain listing shows them."
    unlisted: set[Href] = field(default_factory=set)
    "Left out of a plain listing."
    tells_etags: bool = True

    def add(
        self, name: str, kind: CalendarKind = CalendarKind.EVENTS, *, can_write: bool = True
    ) -> FakeCalendar:
        path = f"/1/calendars/{name.lower()}/"
        self.calendars[path] = FakeCalendar(path, name, kind, can_write)
        return self.calendars[path]

    def sign_in(self, apple_id: str, password: Secret, *, home_url: str | None = None) -> FakeAccount:
        return FakeAccount(self, apple_id, password)

    async def close(self) -> None:
        """Nothing is open."""

    async def step(self, name: str, apple_id: str, password: Secret) -> None:
        self.asked.append(name)
        if self.hangs is not None:
            await self.hangs.wait()
        await asyncio.sleep(0)
        if self.failures.get(name):
            raise self.failures[name].pop(0)
        if self.passwords.get(apple_id) != password.reveal():
            raise PasswordRefused
        if self.after is not None:
            await self.after(name, apple_id)

    def calendar_of(self, href: str) -> FakeCalendar:
        key = path_key(href.rpartition("/")[0])
        found = next((each for path, each in self.calendars.items() if path_key(path) == key), None)
        if found is None:
            raise NotThere
        return found


@dataclass
class FakeAccount:
    server: FakeServer
    apple_id: str
    password: Secret

    async def discover(self) -> Discovery:
        await self._step("discover")
        return Discovery(PRINCIPAL, self.server.home_url, frozenset({self.apple_id, PRINCIPAL}))

    async def list_calendars(self, home_url: str) -> tuple[ListedCalendar, ...]:
        await self._step("list")
        if home_url != self.server.home_url:
            raise NotThere
        return tuple(
            ListedCalendar(each.path, each.name, "#FF2968", each.kind, each.can_write, each.token)
            for each in self.server.calendars.values()
            if each.path not in self.server.unshown
        )

    async def glance(self, home_url: str) -> Glance:
        listed = await self.list_calendars(home_url)

        async def read() -> tuple[ListedCalendar, ...]:
            self.server.reads += 1
            return listed

        told = repr(listed).encode()
        return Glance(hash(told), lambda: sha256(told).hexdigest(), read)

    async def list_changes(self, calendar: str, token: SyncToken | None) -> Changes:
        await self._step("changes")
        found = self.server.calendar_of(calendar)
        if not self.server.has_sync:
            raise TokenRefused
        since = 0
        if token is not None:
            path, _, number = token.partition("#")
            if self.server.refused_tokens or path != found.path or not number.isdecimal():
                raise TokenRefused
            since = int(number)
        changed = list(dict.fromkeys(found.history[since:])) if token else list(found.texts)
        changed = [href for href in changed if href not in self.server.untold]
        told, token_now = self._told(found, changed)
        items: list[RemoteChange] = [
            Listed(href, found.texts[href][0]) if href in found.texts else Gone(href) for href in told
        ]
        return replace(_kept(items, SyncToken(token_now)), is_truncated=len(told) < len(changed))

    def _told(self, calendar: FakeCalendar, changed: Sequence[Href]) -> tuple[Sequence[Href], str]:
        """As many of them as one answer has, and the token of the last."""
        if self.server.most_told is None or len(changed) <= self.server.most_told:
            return changed, calendar.token
        last = {href: number for number, href in enumerate(calendar.history, 1)}
        told = sorted(changed, key=last.__getitem__)[: self.server.most_told]
        return told, f"{calendar.path}#{last[told[-1]]}"

    async def list_resources(self, calendar: str) -> Changes:
        await self._step("resources")
        found = self.server.calendar_of(calendar)
        shown = {href: etag for href, (etag, _) in found.texts.items() if href not in self.server.unlisted}
        return _kept([Listed(href, etag) for href, etag in shown.items()], None)

    async def fetch(self, calendar: str, hrefs: Sequence[Href]) -> dict[Href, Fetched]:
        await self._step("fetch")
        self._spoil(hrefs)
        texts = self.server.calendar_of(calendar).texts | self.server.lagging
        there = {
            href: found
            for href in hrefs
            if (found := _in_any_spelling(href, texts)) not in self.server.hidden
        }
        return {href: Fetched(href, *texts[found]) for href, found in there.items() if found is not None}

    async def get(self, href: Href) -> Fetched:
        await self._step("get")
        self._spoil([href])
        texts = self.server.calendar_of(href).texts
        if href not in texts or href in self.server.hidden:
            raise NotThere
        return Fetched(href, *texts[href])

    def _spoil(self, hrefs: Sequence[Href]) -> None:
        for href in hrefs:
            if href in self.server.spoiling:
                raise self.server.spoiling[href]

    async def check_calendar(self, calendar: str) -> None:
        await self._step("check")
        self.server.calendar_of(calendar)

    async def create(self, href: Href, body: str) -> ETag | None:
        await self._step("create")
        calendar = self._taking(href)
        uid = _uid(body)
        taken = {_uid(text) for each in self.server.calendars.values() for _, text in each.texts.values()}
        if href in calendar.texts or uid in taken:
            raise StaleWrite
        etag = self._store(calendar, href, body)
        await self._done("create")
        return etag

    async def replace(self, href: Href, body: str, etag: ETag) -> ETag | None:
        await self._step("replace")
        calendar = self._taking(href)
        if href not in calendar.texts or calendar.texts[href][0] != etag:
            raise StaleWrite
        new_etag = self._store(calendar, href, body)
        await self._done("replace")
        return new_etag

    async def remove(self, href: Href, etag: ETag) -> None:
        await self._step("remove")
        calendar = self._writable(href)
        if href not in calendar.texts:
            raise NotThere
        if calendar.texts[href][0] != etag:
            raise StaleWrite
        calendar.delete(href)
        await self._done("remove")

    def _store(self, calendar: FakeCalendar, href: Href, body: str) -> ETag | None:
        calendar.put(href.rpartition("/")[2].removesuffix(".ics"), body)
        if self.server.drops_put_answers:
            self.server.drops_put_answers -= 1
            raise Unreachable("the answer was lost")
        return calendar.texts[href][0] if self.server.tells_etags else None

    def _taking(self, href: Href) -> FakeCalendar:
        calendar = self._writable(href)
        if calendar.kind is not CalendarKind.EVENTS:
            raise Forbidden
        return calendar

    def _writable(self, href: Href) -> FakeCalendar:
        calendar = self.server.calendar_of(href)
        if not calendar.can_write:
            raise Forbidden
        return calendar

    async def _step(self, name: str) -> None:
        await self.server.step(name, self.apple_id, self.password)

    async def _done(self, name: str) -> None:
        if self.server.done is not None:
            await self.server.done(name)


def _kept(items: Sequence[RemoteChange], token: SyncToken | None) -> Changes:
    kept = tuple(each for each in items if len(each.href) <= LONGEST)
    return Changes(kept, token, too_long=sum(isinstance(each, Listed) and each not in kept for each in items))


def _in_any_spelling(href: Href, texts: Mapping[Href, object]) -> Href | None:
    if href in texts or not is_odd(href):
        return href if href in texts else None
    return next((each for each in texts if path_key(each) == path_key(href)), None)


def _uid(body: str) -> str | None:
    written = read_written(body)
    return None if written is None else written.uid
