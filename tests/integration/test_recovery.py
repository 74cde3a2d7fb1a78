"""After any mix of phone edits, faults, lies and crashes that ends, the slots are those of a full, fresh sync.

A hundred short runs; `SLOTWIRE_RECOVERY_RUNS=5000 SLOTWIRE_RECOVERY_SEED=7` before the command
makes more of them, and others.
"""

from __future__ import annotations

import os
import random
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from domain.calendars import ListedCalendar
from models.bell import Bell
from models.booking import Appointment
from models.calendar import store_listing
from models.database import Database
from models.icloud import ICloudAccount
from models.seal import Secret
from models.sql import execute, fetch
from server.database import open_database
from standin.owner import Phone
from standin.server import StandIn
from sync.context import SyncContext
from sync.icloud.guard import Guard
from sync.icloud.server import ICloud
from sync.remote import (
    Changes,
    Glance,
    NotThere,
    RemoteCalendars,
    TokenRefused,
    UnexpectedAnswer,
    Unreachable,
)
from tests.conftest import POSTGRES, TestServer
from tests.fakes.calendar_server import APPLE_ID, PASSWORD, FakeServer
from tests.integration.engine import NOW, Engine

RUNS = int(os.environ.get("SLOTWIRE_RECOVERY_RUNS", "50"))
"""On each of the two databases."""
SEED = int(os.environ.get("SLOTWIRE_RECOVERY_SEED", "1"))
CALENDARS = ("Home", "Work")
STEPS = (
    "page read",
    "page stored",
    "token saved",
    "outbox taken",
    "write sent",
    "write answered",
    "write marked",
)
FIRST = datetime(2026, 11, 10, 8, tzinfo=UTC)
OURS = "slotwire-"


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Liar:
    """The real server, now and then with another answer than its own, while `is_lying`."""

    server: ICloud
    chance: random.Random
    is_lying: bool = False

    def sign_in(self, apple_id: str, password: Secret, *, home_url: str | None = None) -> RemoteCalendars:
        return _Lying(self, self.server.sign_in(apple_id, password, home_url=home_url))  # type: ignore[return-value]

    async def close(self) -> None:
        await self.server.close()


class _Lying:
    def __init__(self, liar: Liar, account: RemoteCalendars) -> None:
        self._liar = liar
        self._account = account

    def __getattr__(self, name: str) -> Callable[..., object]:
        real = getattr(self._account, name)

        async def asked(*args: object, **kwargs: object) -> object:
            is_lie = self._liar.is_lying and self._liar.chance.random() < 0.3
            return await self._lie(name, real, *args, **kwargs) if is_lie else await real(*args, **kwargs)

        return asked

    async def _lie(self, name: str, real: Callable[..., object], *args: object, **kwargs: object) -> object:
        if name in {"create", "replace", "remove"} and self._liar.chance.random() < 0.5:
            await real(*args, **kwargs)  # type: ignore[misc]
            raise Unreachable("done, and its answer lost")
        if name == "glance":
            return await self._lie_of_home(await self._account.glance(*args))  # type: ignore[arg-type]
        told: object = None
        with suppress(NotThere, TokenRefused):
            told = await real(*args, **kwargs) if name.startswith(("list", "fetch")) else None  # type: ignore[misc]
        match told:
            case tuple():
                return told[: self._liar.chance.randrange(len(told))]
            case dict():
                return dict(list(told.items())[: self._liar.chance.randrange(len(told) + 1)])
            case Changes(_, token) if args[1:] == (None,):
                return Changes((), token)
        raise self._liar.chance.choice([Unreachable(), UnexpectedAnswer(), NotThere(), TokenRefused()])

    async def _lie_of_home(self, glance: Glance) -> Glance:
        listed = await glance.read()
        cut = listed[: self._liar.chance.randrange(len(listed))]

        async def read() -> tuple[ListedCalendar, ...]:
            return cut

        return Glance(hash(repr(cut)), lambda: sha256(repr(cut).encode()).hexdigest(), read)


@dataclass
class Life:
    """The owner, the phone, the engine, and chance."""

    engine: Engine
    fresh: Engine
    icloud: StandIn
    phone: Phone
    liar: Liar
    chance: random.Random
    context: SyncContext
    events: list[str] = field(default_factory=list)
    booked: list[str] = field(default_factory=list)

    # --- What can happen

    async def add(self) -> None:
        start, end = self._span()
        rule = self.chance.choice(["", "", "", "FREQ=DAILY;COUNT=3", "FREQ=WEEKLY"])
        is_free = self.chance.random() < 0.1
        calendar = self.chance.choice(CALENDARS)
        self.events.append(await self.phone.add(calendar, "Busy", start, end, rule=rule, free=is_free))

    async def move(self) -> None:
        if self.events:
            await self.phone.move(self.chance.choice(self.events), *self._span())

    async def delete(self) -> None:
        if self.events:
            await self.phone.delete(self.events.pop(self.chance.randrange(len(self.events))))

    async def switch(self) -> None:
        if self.events:
            await self.phone.free(self.chance.choice(self.events), free=self.chance.random() < 0.5)

    async def touch(self) -> None:
        self.icloud.faults(APPLE_ID).touch(self.chance.choice(CALENDARS))

    async def purge(self) -> None:
        self.icloud.faults(APPLE_ID).purge_tokens(self.chance.choice(CALENDARS))

    async def book(self) -> None:
        start, end = (int(moment.timestamp()) for moment in self._span())
        name = f"apt_{len(self.booked):026}"
        async with self.engine.database.reading() as db:
            overlapping = Appointment.filter(status="CONFIRMED", starts__lt=end, ends__gt=start)
            is_taken = await overlapping.using_db(db).exists()
        if not is_taken:
            self.booked.append(await self.engine.book(start, end, name=name))

    async def cancel(self) -> None:
        if self.booked:
            await self.engine.change(self.chance.choice(self.booked), status="CANCELLED")

    async def poll(self) -> None:
        await self._surviving(self.engine.poll)

    async def push(self) -> None:
        await self._surviving(self.engine.push)

    async def poll_in_trouble(self) -> None:
        await self._in_trouble(self.engine.poll)

    async def push_in_trouble(self) -> None:
        await self._in_trouble(self.engine.push)

    # --- What must hold

    async def heal(self) -> None:
        """Faults have ended: until one sync went well, and nothing is left to write."""
        for _ in range(20):
            self.engine.now += 61
            await self.engine.poll(self.context)
            if (await self.engine.account()).last_synced_at == self.engine.now and not await self._write():
                return
        raise AssertionError("never healed")

    async def check(self) -> None:
        stored = await _slots(self.engine.database)
        await self._read_afresh()
        wanted_slots = await _slots(self.fresh.database)
        here, there = Counter(stored) - Counter(wanted_slots), Counter(wanted_slots) - Counter(stored)
        assert not here, here
        assert not there, there
        async with self.engine.database.reading() as db:
            wanted = await Appointment.filter(status="CONFIRMED").using_db(db)
        text = "\n".join([event.text for event in await self.phone.events("Home")]).replace("\r", "")
        standing = Counter(re.findall(r"^DTSTART:(\d{8}T\d{6}Z)\nDTEND", text, re.MULTILINE))
        uids = re.findall(rf"^UID:({OURS}.*)$", text, re.MULTILINE)
        assert Counter(uids) == Counter(own.uid for own in wanted), standing

    async def _write(self) -> int:
        await self.engine.push(self.context)
        async with self.engine.database.writing() as db:
            await execute(db, "UPDATE pending_write SET due_at = $1", self.engine.now)
        return len(await self.engine.pending())

    async def _read_afresh(self) -> None:
        async with self.fresh.database.writing() as db:
            for table in (
                "blocked_slot",
                "event",
                "resource",
                "calendar",
                "icloud_account",
                "change",
                "timeline",
                "users",
            ):
                await execute(db, f"DELETE FROM {table}")
        self.fresh.now = self.engine.now
        await connect(self.fresh, self.liar.server)
        outcome = await self.fresh.poll()
        assert outcome.error is None

    async def _surviving(self, act: Callable[[SyncContext], object]) -> None:
        """A process that was killed is followed by another; its leases end."""
        try:
            await act(self.context)  # type: ignore[misc]
        except Killed:
            self.engine.now += self.engine.settings.lease + 1
            self.context = self.engine.context(f"process-{self.engine.now}")

    async def _in_trouble(self, act: Callable[[SyncContext], object]) -> None:
        faults = self.icloud.faults(APPLE_ID)
        match self.chance.randrange(8):
            case 0:
                faults.throttle(1)
            case 1:
                faults.unauthorized(1)
            case 2:
                faults.fail(self.chance.randint(1, 3), status=self.chance.choice([500, 502, 404]))
            case 3:
                faults.drop_put_answers(1)
            case 4:
                step = self.chance.choice(STEPS)
                self.context = self.engine.context(f"doomed-{self.engine.now}", _kill_at(step))
            case _:
                if self.chance.random() < 0.5:
                    await self.purge()
                self.liar.is_lying = True
        await self._surviving(act)
        faults.clear()
        self.liar.is_lying = False
        self.engine.now += 1
        if self.context.owner.startswith("doomed"):
            self.context = self.engine.context(f"process-{self.engine.now}")

    def _span(self) -> tuple[datetime, datetime]:
        start = FIRST + timedelta(minutes=15 * self.chance.randrange(2000))
        return start, start + timedelta(minutes=15 * self.chance.randint(1, 8))


HAPPENINGS = (
    *(Life.add, Life.move, Life.delete, Life.switch, Life.touch, Life.purge, Life.book, Life.cancel),
    *(Life.add, Life.move, Life.delete, Life.poll, Life.push),
    *(Life.poll_in_trouble, Life.push_in_trouble) * 4,
)


def _kill_at(step: str) -> Callable[[str], None]:
    def at(reached: str) -> None:
        if reached == step:
            raise Killed

    return at


async def connect(engine: Engine, server: ICloud) -> None:
    account = server.sign_in(APPLE_ID, Secret(PASSWORD))
    found = await account.discover()
    await engine.set_up(home_url=found.home_url, principal=found.principal_path)
    async with engine.database.writing() as db:
        row = await ICloudAccount.all().using_db(db).get()
        await store_listing(db, row, await account.list_calendars(found.home_url), now=engine.now)
    await engine.choose(*CALENDARS, linked="Home")


async def _slots(database: Database) -> list[tuple[int, int, str]]:
    """What iCloud's own events close, by UID; copies of our appointments are looked at for themselves."""
    async with database.reading() as db:
        rows = await fetch(
            db,
            "SELECT b.starts, b.ends, e.uid FROM blocked_slot b JOIN event e ON e.id = b.event_id"
            f" WHERE e.uid NOT LIKE '{OURS}%'",
        )
    return sorted((row["starts"], row["ends"], row["uid"]) for row in rows)


@pytest.fixture
async def fresh_url(
    database_url: str, tmp_path: Path, sqlite_template: Path, postgres_template: str
) -> AsyncIterator[str]:
    """Of the same kind: the ORM speaks one dialect a process."""
    if database_url.startswith("sqlite"):
        path = tmp_path / "fresh.sqlite3"
        path.write_bytes(sqlite_template.read_bytes())
        yield f"sqlite:///{path}"
        return
    server, name = TestServer(POSTGRES), f"slotwire_test_{secrets.token_hex(6)}"
    await server.run(f"CREATE DATABASE {name} TEMPLATE {postgres_template}")
    yield server.url_of(name)
    await server.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def life(database: Database, bell: Bell, fresh_url: str) -> AsyncIterator[Life]:
    chance = random.Random(SEED)
    async with StandIn() as icloud, open_database(fresh_url) as other:
        icloud.add_account(APPLE_ID, PASSWORD)
        liar = Liar(ICloud(Guard(icloud.entry_url, icloud.hosts)), chance)
        engine = Engine(database, bell, FakeServer(), remote=liar, now=NOW)
        fresh = Engine(other, Bell(), FakeServer(), remote=liar.server, now=NOW)
        await connect(engine, liar.server)
        phone = Phone(icloud.entry_url, APPLE_ID, PASSWORD)
        yield Life(engine, fresh, icloud, phone, liar, chance, engine.context())
        await liar.close()


@pytest.mark.timeout(0 if RUNS > 50 else 300)
async def test_recovery_equals_a_fresh_sync(life: Life) -> None:
    for run in range(RUNS):
        story = [life.chance.choice(HAPPENINGS) for _ in range(6)]
        try:
            for happens in story:
                await happens(life)
            await life.heal()
            await life.check()
        except BaseException as error:
            error.add_note(f"run {run} of seed {SEED}: {[happens.__name__ for happens in story]}")
            raise
