"""A calendar server in memory that fails at single events, at each in its own way: among many, by itself, or both."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from models.seal import Secret
from sync.remote import (
    Changes,
    ETag,
    Fetched,
    Forbidden,
    Href,
    NotThere,
    RemoteError,
    ServerFailed,
    SyncToken,
    Throttled,
    UnexpectedAnswer,
    Unreachable,
)
from tests.fakes.calendar_server import FakeAccount, FakeCalendar, FakeServer

FAILURES: Mapping[str, RemoteError] = {
    "silence": Unreachable(),
    "500": ServerFailed(),
    "503": Throttled(None),
    "403": Forbidden(),
    "404": NotThere(),
    "weird": UnexpectedAnswer(),
}
WHOLE = ("", *FAILURES, "dropped", "page", "old", "without an ETag")
"""What can come in place of a text. Among many, it can also be an old one without an ETag."""


class Stopped(BaseException):
    """The process ends in the midst of a request."""


@dataclass
class OddServer(FakeServer):
    among_many: dict[Href, str] = field(default_factory=dict)
    by_itself: dict[Href, str] = field(default_factory=dict)
    before: dict[Href, tuple[ETag, str]] = field(default_factory=dict)
    "As they were: what is old."
    silent_on: frozenset[str] = frozenset()
    "Requests of these kinds, `fetch` and `get`."
    most: int | None = None
    "Texts in one answer; of more it makes nothing."
    spells: str | None = None
    "The one of `changes` and `resources` whose answers spell `@` as `%40`."
    requests: int = 0
    given: int = 0
    "Texts, old ones too."
    stops_at: int | None = None
    "The request that its caller does not outlive."

    def sign_in(self, apple_id: str, password: Secret, *, home_url: str | None = None) -> OddAccount:
        return OddAccount(self, apple_id, password)

    def put(self, calendar: FakeCalendar, name: str, body: str) -> Href:
        href = Href(f"{calendar.path}{name}.ics")
        if href in calendar.texts:
            self.before[href] = calendar.texts[href]
        return calendar.put(name, body)

    def make_odd(self, href: Href, chance: random.Random) -> None:
        """In one way or in both, the same or two."""
        many, one = chance.choice((*WHOLE, "old without an ETag")), chance.choice(WHOLE)
        self.among_many[href] = many
        is_same = many in WHOLE and chance.random() < 0.5
        self.by_itself[href] = many if is_same else one

    def make_even(self) -> None:
        self.among_many.clear()
        self.by_itself.clear()

    async def step(self, name: str, apple_id: str, password: Secret) -> None:
        self.requests += 1
        if self.requests == self.stops_at:
            raise Stopped
        await super().step(name, apple_id, password)
        if name in self.silent_on:
            raise Unreachable

    def text_of(self, href: Href, odd: Mapping[Href, str]) -> Fetched | None:
        there, name = self.calendar_of(href).texts, _plain(href)
        how = odd.get(name, "")
        if name not in there or how == "dropped":
            return None
        if how in FAILURES:
            raise FAILURES[how]
        etag, body = self.before.get(name, there[name]) if how.startswith("old") else there[name]
        if how == "page":
            return Fetched(href, etag, "<html>Sign in</html>")
        self.given += 1
        return Fetched(href, ETag("") if how.endswith("without an ETag") else etag, body)


@dataclass
class OddAccount(FakeAccount):
    server: OddServer

    async def list_changes(self, calendar: str, token: SyncToken | None) -> Changes:
        return self._spelled("changes", await super().list_changes(calendar, token))

    async def list_resources(self, calendar: str) -> Changes:
        return self._spelled("resources", await super().list_resources(calendar))

    async def fetch(self, calendar: str, hrefs: Sequence[Href]) -> dict[Href, Fetched]:
        await self._step("fetch")
        if self.server.most is not None and len(hrefs) > self.server.most:
            raise UnexpectedAnswer
        found = [self.server.text_of(href, self.server.among_many) for href in hrefs]
        return {each.href: each for each in found if each is not None}

    async def get(self, href: Href) -> Fetched:
        await self._step("get")
        found = self.server.text_of(href, self.server.by_itself)
        if found is None:
            raise NotThere
        return found

    def _spelled(self, name: str, told: Changes) -> Changes:
        if self.server.spells != name:
            return told
        return replace(
            told,
            items=tuple(item._replace(href=Href(item.href.replace("@", "%40"))) for item in told.items),
        )


def _plain(href: Href) -> Href:
    return Href(href.replace("%40", "@"))
