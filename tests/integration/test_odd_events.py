"""Whatever a server fails at, event by event: no time opens that it lists, and no account is out of reach for good.

A few short runs; `SLOTWIRE_ODD_RUNS=500 SLOTWIRE_ODD_SEED=7` before the command makes more of them, and others.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import pytest

from domain.accounts import AccountStatus
from models.bell import Bell
from models.calendar import Calendar, Resource
from models.database import Database
from models.rows import NOT_GIVEN
from models.sql import fetch
from sync.context import Memory, SyncContext
from sync.remote import Href
from sync.settings import SyncSettings
from tests.fakes.calendar_server import FakeCalendar
from tests.fakes.odd_server import OddServer, Stopped
from tests.integration.engine import DAY, NOW, Engine, event
from tests.integration.odd_texts import Closing, closing_of, with_a_problem

RUNS = int(os.environ.get("SLOTWIRE_ODD_RUNS", "0"))
"""On each of the two databases."""
SEED = int(os.environ.get("SLOTWIRE_ODD_SEED", "1"))
FOUND = (7, 9, 17, 40, 51, 84, 112, 132, 136, 140)
"""Seeds of the few that are always run: most of them found something."""
FIRST, QUARTER = int(NOW) + 40 * DAY, 900
Span = tuple[int, int]


@dataclass
class Life:
    """The owner, the server, the engine, and chance: each text closes time from a quarter of an hour on of its own."""

    engine: Engine
    server: OddServer
    contexts: list[SyncContext]
    "Of processes: the first one polls."
    chance: random.Random
    calendars: list[FakeCalendar]
    uids: dict[Href, str] = field(default_factory=dict)
    closings: dict[str, Closing] = field(default_factory=dict)
    "By text."
    events: int = 0
    held: set[str] = field(default_factory=set)
    "By UID: they closed time once all calendars had been read, and are not deleted."
    polls_without: dict[Href, int] = field(default_factory=dict)
    "In a row, of what is listed and not held so."
    polls_behind: Counter[str] = field(default_factory=Counter)
    "In a row: of a calendar, those since it was last read to its end."
    given_up: set[Href] = field(default_factory=set)

    # --- What can happen

    def add(self) -> Href:
        uid = f"e{self.events}"
        name = f"{uid}@x" if self.chance.random() < 0.3 else uid
        return self._put(self.chance.choice(self.calendars), name, uid, self._text(uid))

    def edit(self) -> Href:
        calendar, href = self._any()
        name = href.rpartition("/")[2].removesuffix(".ics")
        return self._put(calendar, name, self.uids[href], self._text(self.uids[href]))

    def move(self) -> Href:
        """To any calendar, perhaps its own, under a new name."""
        calendar, href = self._any()
        _, text = calendar.texts[href]
        calendar.delete(href)
        name = f"m{self.events}"
        self.events += 1
        return self._put(self.chance.choice(self.calendars), name, self.uids[href], text)

    def add_odd(self) -> None:
        self.server.make_odd(self.add(), self.chance)

    def edit_oddly(self) -> None:
        self.server.make_odd(self.edit(), self.chance)

    def edit_without_an_answer(self) -> None:
        """Several: no answer comes to any request that is for one of them among others."""
        for _ in range(4):
            href = self.edit()
            self.server.among_many[href] = self.server.by_itself[href] = "silence"

    def move_oddly(self) -> None:
        self.server.make_odd(self.move(), self.chance)

    def delete(self) -> None:
        calendar, href = self._any()
        if len(self.closings_there()) > 2:
            calendar.delete(href)
            self.held.discard(self.uids[href])

    def draw_anew(self) -> None:
        self.server.make_even()
        for _ in range(self.chance.choice([0, 1, 2, 5])):
            self.server.make_odd(self._any()[1], self.chance)

    def limit(self) -> None:
        self.server.most = self.chance.choice([None, 1, 3])

    def fall_silent(self) -> None:
        self.server.silent_on = self.chance.choice(
            [frozenset(), frozenset({"fetch"}), frozenset({"get"}), frozenset({"fetch", "get"})]
        )

    def refuse_tokens(self) -> None:
        self.server.refused_tokens = not self.server.refused_tokens

    def respell(self) -> None:
        self.server.spells = self.chance.choice([None, "changes", "resources"])

    def take_over(self) -> None:
        """Another process polls from now on, by what it remembers itself."""
        self.contexts.reverse()

    def be_well(self) -> None:
        """But for what is odd of its own."""
        self.server.most, self.server.silent_on, self.server.refused_tokens = None, frozenset(), False

    def _put(self, calendar: FakeCalendar, name: str, uid: str, text: str) -> Href:
        href = self.server.put(calendar, name, text)
        self.uids[href] = uid
        return href

    def _text(self, uid: str) -> str:
        start = FIRST + self.events * QUARTER
        self.events += 1
        text = event(uid, start, start + QUARTER)
        if self.chance.random() < 0.3:
            text = with_a_problem(text, uid, self.chance)
        self.closings[text] = closing_of(text)
        return text

    def _any(self) -> tuple[FakeCalendar, Href]:
        return self.chance.choice(
            [(calendar, href) for calendar in self.calendars for href in calendar.texts]
        )

    # --- The engine's turn

    async def poll(self) -> None:
        """When it is due."""
        self.engine.now = max((await self.engine.account()).next_poll_at or 0, self.engine.now + 1)
        await self._poll()

    async def poll_by_night(self) -> None:
        """When each calendar's comparison is due."""
        due = [(await self.engine.calendar(calendar.name)).compare_at or 0 for calendar in self.calendars]
        self.engine.now = max(*due, self.engine.now) + 1
        await self._poll()

    async def poll_and_stop(self) -> None:
        self.server.stops_at = self.chance.randint(1, 12)
        await self.poll()

    async def _poll(self) -> None:
        self.server.requests = self.server.given = 0
        try:
            await self.engine.poll(self.contexts[0])
        except Stopped:
            self.engine.now += self.engine.settings.lease + 1
            self.contexts[0] = replace(self.contexts[0], memory=Memory())
        self.server.stops_at = None
        # A first reading that is told in parts asks twice for what is not given, each time in two ways.
        assert self.server.requests <= 30 + 4 * len(self.closings_there())
        await self.check()

    # --- What must hold

    async def check(self) -> None:
        """After each poll, whatever it met."""
        closed = await self.closed()
        resources = {_plain(each.href): each for each in await self.engine.resources()}
        rows = [await self.engine.calendar(calendar.name) for calendar in self.calendars]
        self._count(resources)
        for calendar, row in zip(self.calendars, rows, strict=True):
            is_read = await self._is_read(row)
            self.polls_behind[row.name] += 1
            for href, (_, text) in calendar.texts.items():
                self._check_whether_given_up(href, resources.get(href), row)
                is_closed = _closes(closed, self.closings[text])
                assert is_closed or not is_read or href in self.given_up, f"{href} is open"
            if is_read:
                self.polls_behind[row.name] = 0
        if all(row.last_synced_at for row in rows):
            given_up = {self.uids[href] for href in self.given_up}
            opened = self.held & self.uids_there() - closed.keys() - given_up
            assert not opened, f"{opened} were closed"
            self.held |= closed.keys()

    def _count(self, resources: dict[Href, Resource]) -> None:
        etags = {href: each.etag for href, each in resources.items()}
        self.polls_without = {
            href: self.polls_without.get(href, 0) + 1
            for calendar in self.calendars
            for href, (etag, _) in calendar.texts.items()
            if etags.get(href) != etag
        }

    def _check_whether_given_up(self, href: Href, stored: Resource | None, row: Calendar) -> None:
        """After so many polls, and in one that gave something."""
        if stored is None or stored.etag or NOT_GIVEN.as_json() not in stored.problems:
            self.given_up.discard(href)
        elif href not in self.given_up:
            self.given_up.add(href)
            most = self.engine.settings.most_missing_polls
            has_waited = self.polls_without[href] > most or self.polls_behind[row.name] > 3 * most
            assert has_waited, f"{href} was given up after {self.polls_without[href]} polls"
            assert self.server.given, f"{href} was given up where nothing was given"

    async def _is_read(self, row: Calendar) -> bool:
        read_at = row.last_synced_at
        return read_at is not None and self.engine.now in {
            read_at,
            (await self.engine.account()).last_synced_at,
        }

    async def is_in_step(self) -> bool:
        account = await self.engine.account()
        return account.status == AccountStatus.CONNECTED and account.last_synced_at == self.engine.now

    async def is_as_there(self) -> bool:
        closed = await self.closed()
        unsure = {uid for each in self.closings_there() if not each.is_readable for uid in each.uids}
        there = {
            uid: sorted(spans)
            for each in self.closings_there()
            for uid, spans in each.spans.items()
            if uid not in unsure
        }
        sure = {uid: sorted(spans) for uid, spans in closed.items() if uid not in unsure}
        return await self.is_in_step() and sure == there

    async def closed(self) -> dict[str, list[Span]]:
        """By UID."""
        async with self.engine.database.reading() as db:
            rows = await fetch(
                db, "SELECT b.starts, b.ends, e.uid FROM blocked_slot b JOIN event e ON e.id = b.event_id"
            )
        found: dict[str, list[Span]] = {}
        for row in rows:
            found.setdefault(row["uid"], []).append((row["starts"], row["ends"]))
        return found

    def uids_there(self) -> set[str]:
        """Without those of a second event in a text: an older one that comes in its place has perhaps none."""
        return {self.uids[href] for calendar in self.calendars for href in calendar.texts}

    def closings_there(self) -> list[Closing]:
        return [self.closings[text] for calendar in self.calendars for _, text in calendar.texts.values()]

    def has_few_odd(self) -> bool:
        """Each calendar gives more than it fails at."""
        return all(
            2 * len(_of(calendar, self.server.among_many)) < len(calendar.texts)
            for calendar in self.calendars
        )


HAPPENINGS = (
    *(Life.add, Life.edit, Life.move, Life.delete) * 2,
    *(Life.add_odd, Life.edit_oddly, Life.move_oddly, Life.draw_anew) * 2,
    Life.edit_without_an_answer,
    *(Life.limit, Life.fall_silent, Life.refuse_tokens, Life.respell, Life.take_over, Life.be_well),
)
POLLS = (*(Life.poll,) * 12, Life.poll_by_night, Life.poll_and_stop)


def _of(calendar: FakeCalendar, hrefs: Iterable[Href]) -> set[Href]:
    return calendar.texts.keys() & set(hrefs)


def _closes(closed: Mapping[str, list[Span]], wanted: Closing) -> bool:
    """What can't be read closes time too: where something is held, of before."""
    return all(
        spans <= set(closed.get(uid, ())) if wanted.is_readable else uid in closed
        for uid, spans in wanted.spans.items()
    )


def _plain(href: str) -> Href:
    return Href(href.replace("%40", "@"))


async def life_on(database: Database, bell: Bell, chance: random.Random) -> Life:
    server = OddServer()
    calendars = [server.add(name) for name in ("Home", "Work", "Club")[: chance.randint(1, 3)]]
    settings = SyncSettings(batch=chance.choice([2, 4, 50]), requests_in_flight=chance.randint(1, 2))
    engine = Engine(database, bell, server, settings)
    await engine.set_up()
    contexts = [replace(engine.context(name), chance=chance.random) for name in ("process-1", "process-2")]
    life = Life(engine, server, contexts, chance, calendars)
    server.has_sync = chance.random() < 0.9
    server.most_told = chance.choice([None, None, 3])
    for _ in range(chance.randint(3, 30)):
        life.add()
    life.draw_anew()
    await engine.choose(*(calendar.name for calendar in calendars))
    return life


@pytest.mark.parametrize("seed", range(SEED, SEED + RUNS) if RUNS else FOUND)
async def test_what_a_server_fails_at_opens_no_time_and_closes_none_for_good(
    database: Database, bell: Bell, seed: int
) -> None:
    chance = random.Random(seed)
    life = await life_on(database, bell, chance)
    for _ in range(25):
        for happens in chance.choices(HAPPENINGS, k=chance.choice([0, 0, 1, 2])):
            happens(life)
        await chance.choice(POLLS)(life)
    life.be_well()
    if chance.random() < 0.5:
        life.server.make_even()
        life.edit_without_an_answer()
    if life.has_few_odd():
        for _ in range(40):
            await life.poll()
        assert await in_step_within(life, 10)
    life.server.make_even()
    for _ in range(2):
        for _ in range(20):
            await life.poll()
        if await life.is_as_there():
            return
        await life.poll_by_night()
    assert await life.is_as_there()


async def in_step_within(life: Life, polls: int) -> bool:
    for _ in range(polls):
        await life.poll()
        if await life.is_in_step():
            return True
    return False
