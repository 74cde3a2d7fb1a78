"""One connected account over the stand-in, in this process: what goes wrong, and what must hold then and after."""

from __future__ import annotations

import random
import re
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.databases import fresh_database
from benchmarks.fresh import OURS, slots_by_uid
from domain.accounts import AccountStatus
from models.bell import Bell
from models.booking import Appointment
from models.calendar import store_listing
from models.database import Database
from models.icloud import ICloudAccount
from models.seal import Secret
from models.sql import execute
from server.database import migrate, open_database, sqlite_file
from standin.account_faults import AccountFaults
from standin.catalog import CalendarFacts
from standin.manners import STRICT, Manners
from standin.owner import Phone
from standin.server import StandIn
from sync.context import SyncContext
from sync.icloud.guard import Guard
from sync.icloud.server import ICloud
from sync.icloud.settings import TransportSettings
from sync.pull import PullOutcome
from sync.remote import RemoteError
from sync.settings import SyncSettings
from tests.fakes.calendar_server import APPLE_ID, PASSWORD, FakeServer
from tests.integration.engine import NOW, Engine

CALENDARS = ("Home", "Work")
_QUARTER = 900
MOST_EVENTS = 8
_ROUNDS = 60
REQUEST_SECONDS = 1.0
"""For one request; the product's own is 20."""
_OWN_PASSWORD = "the account's own"
"""With which the phone signs in: whatever becomes of ours."""
Slots = Counter[tuple[int, int, str]]


@dataclass(slots=True)
class Account:
    url: str
    "Of its database."
    engine: Engine
    fresh: Engine
    icloud: StandIn
    phone: Phone
    chance: random.Random
    context: SyncContext
    "One process's memory, over all trials."
    calendars: tuple[str, ...] = CALENDARS
    events: list[str] = field(default_factory=list)
    booked: list[str] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    "Appointments whose copies went with their calendar."

    @property
    def faults(self) -> AccountFaults:
        return self.icloud.faults(APPLE_ID)

    def call(self, home: str, work: str) -> None:
        """The calendars' names from now on; the phone looks anew."""
        self.calendars = (home, work)
        self.phone = self.icloud.phone(APPLE_ID)

    # --- Before a trial: something to read, something to write

    async def live(self) -> None:
        """The owner changes one event, and a guest books, moves or cancels."""
        dice = self.chance.random()
        if self.events and (dice < 0.3 or len(self.events) >= MOST_EVENTS):
            await self.phone.delete(self.events.pop(self.chance.randrange(len(self.events))))
        if self.events and dice < 0.5:
            await self.phone.move(self.chance.choice(self.events), *self.span())
        else:
            self.events.append(await self.phone.add(self.chance.choice(self.calendars), "Busy", *self.span()))
        await self._book_or_cancel()

    async def _book_or_cancel(self) -> None:
        if len(self.booked) > 3:
            await self.engine.change(self.booked.pop(0), status="CANCELLED")
        else:
            await self.book()

    async def book(self) -> None:
        span = await self.open_span()
        if span is not None:
            async with self.engine.database.reading() as db:
                number = await Appointment.all().using_db(db).count()
            self.booked.append(await self.engine.book(*span, name=f"apt_{number:026}"))

    async def open_span(self) -> tuple[int, int] | None:
        """In seconds since 1970; None where the drawn one meets an appointment."""
        start, end = (int(moment.timestamp()) for moment in self.span())
        async with self.engine.database.reading() as db:
            met = Appointment.filter(status="CONFIRMED", starts__lt=end, ends__gt=start)
            return None if await met.using_db(db).exists() else (start, end)

    def span(self) -> tuple[datetime, datetime]:
        # Always ahead: some trials let days go by, and what is past closes nothing.
        tomorrow = datetime.fromtimestamp(self.engine.now // _QUARTER * _QUARTER + 86_400, UTC)
        start = tomorrow + timedelta(minutes=15 * self.chance.randrange(2000))
        return start, start + timedelta(minutes=15 * self.chance.randint(1, 8))

    # --- During it

    async def act(self) -> RemoteError | None:
        """A poll and the writes that are due. Nothing but a RemoteError may come of them."""
        outcome: PullOutcome = await self.engine.poll(self.context)
        await self.engine.push(self.context)
        return outcome.error

    # --- After it

    async def heal(self) -> None:
        """The fault has ended: until one sync went well, and nothing is left to write."""
        self.faults.clear()
        for _ in range(_ROUNDS):
            self.engine.now += 61
            outcome = await self.engine.poll(self.context)
            await self.engine.push(self.context)
            await self.hasten()
            account = await self.engine.account()
            is_read = account.last_synced_at == self.engine.now and outcome.error is None
            if is_read and not await self.engine.pending():
                return
        raise AssertionError(f"never healed: {account.status}, {account.problem_code}, {outcome}")

    async def hasten(self) -> None:
        """What waits for a later try is due."""
        async with self.engine.database.writing() as db:
            await execute(db, "UPDATE pending_write SET due_at = $1", self.engine.now)

    async def enter_password(self, password: str = PASSWORD) -> None:
        """The owner's, after iCloud refused it so often that it is asked no more."""
        self.faults.allow(password)
        engine = self.engine
        async with engine.database.writing() as db:
            row = await ICloudAccount.all().using_db(db).get()
            row.update_from_dict(
                {
                    "sealed_password": engine.sealer.seal(Secret(password), row=row.id),
                    "status": AccountStatus.CONNECTED,
                    "problem_code": None,
                    "retry_at": None,
                    "refusals": 0,
                    "failures": 0,
                    "next_poll_at": engine.now,
                }
            )
            await row.save(using_db=db)

    async def slots(self) -> Slots:
        return Counter(await slots_by_uid(self.engine.database))

    async def check(self) -> None:
        """As a fresh sync into an empty database, and each appointment stands once."""
        await self.check_slots()
        async with self.engine.database.reading() as db:
            confirmed = await Appointment.filter(status="CONFIRMED").using_db(db)
        text = "".join([event.text for name in self.calendars for event in await self.phone.events(name)])
        uids = Counter(re.findall(rf"^UID:({OURS}\S*)", text, re.MULTILINE))
        wanted_uids = Counter(own.uid for own in confirmed if own.id not in self.deleted)
        assert uids == wanted_uids, f"too many {uids - wanted_uids}, missing {wanted_uids - uids}"
        account = await self.engine.account()
        assert account.status == AccountStatus.CONNECTED, account.status

    async def check_slots(self) -> None:
        stored, wanted = await self.slots(), await self._slots_of_a_fresh_sync()
        assert stored == wanted, f"too many {stored - wanted}, missing {wanted - stored}"

    async def _slots_of_a_fresh_sync(self) -> Slots:
        async with self.fresh.database.writing() as db:
            for table in _TABLES:
                await execute(db, f"DELETE FROM {table}")
        self.fresh.now = self.engine.now
        account = await self.engine.account()
        # Once healed, it knows where its home is.
        await _choose(self.fresh, self.calendars, home_url=account.home_url, principal=account.principal_path)
        outcome = await self.fresh.poll()
        assert outcome.error is None, outcome.error
        return Counter(await slots_by_uid(self.fresh.database))


_TABLES = (
    *("blocked_slot", "event", "resource", "calendar", "icloud_account", "change", "timeline", "users"),
)


@asynccontextmanager
async def account(
    folder: Path,
    kind: str,
    *,
    postgres: str,
    seed: int,
    manners: Manners = STRICT,
    request_seconds: float = REQUEST_SECONDS,
    more: Sequence[CalendarFacts] = (),
) -> AsyncIterator[Account]:
    """Connected, with Home linked, Work and `more` chosen, and read once."""
    settings = TransportSettings(request_seconds=request_seconds, most_bytes=8 * 1024 * 1024)
    async with (
        StandIn(manners=manners) as icloud,
        _database(folder / "main", kind, postgres) as (url, main),
        _database(folder / "fresh", kind, postgres) as (_, other),
    ):
        icloud.add_account(APPLE_ID, PASSWORD, main_password=_OWN_PASSWORD)
        for facts in more:
            icloud.add_calendar(APPLE_ID, facts)
        server = ICloud(Guard(icloud.entry_url, icloud.hosts), settings)
        # By which no fault is met, so that no deadline need be short.
        patient = ICloud(Guard(icloud.entry_url, icloud.hosts))
        try:
            engine = _engine(main, patient, request_seconds)
            calendars = (*CALENDARS, *(facts.name for facts in more))
            await _connect(engine, calendars)
            engine.remote = server
            made = Account(
                url,
                engine,
                _engine(other, patient, request_seconds),
                icloud,
                icloud.phone(APPLE_ID),
                random.Random(seed),
                engine.context(),
                calendars=calendars,
            )
            for _ in range(4):
                await made.live()
            await made.heal()
            yield made
        finally:
            await server.close()
            await patient.close()


async def _connect(engine: Engine, calendars: tuple[str, ...]) -> None:
    assert engine.remote is not None
    found = await engine.remote.sign_in(APPLE_ID, Secret(PASSWORD)).discover()
    await _choose(engine, calendars, home_url=found.home_url, principal=found.principal_path)


async def _choose(engine: Engine, calendars: tuple[str, ...], *, home_url: str, principal: str) -> None:
    assert engine.remote is not None
    await engine.set_up(home_url=home_url, principal=principal)
    async with engine.database.writing() as db:
        row = await ICloudAccount.all().using_db(db).get()
        listed = await engine.remote.sign_in(APPLE_ID, Secret(PASSWORD)).list_calendars(home_url)
        await store_listing(db, row, listed, now=engine.now)
    await engine.choose(*calendars, linked="Home")


def _engine(database: Database, server: ICloud, request_seconds: float) -> Engine:
    settings = SyncSettings(request_seconds=request_seconds, poll_seconds=20)
    return Engine(database, Bell(), FakeServer(), remote=server, now=NOW, settings=settings)


@asynccontextmanager
async def _database(folder: Path, kind: str, postgres: str) -> AsyncIterator[tuple[str, Database]]:
    """Migrated. A row's SQLite files are so once: each is a copy of its first."""
    folder.mkdir()
    async with fresh_database(kind, folder, postgres=postgres) as url:
        first = folder.parent.parent / "migrated.sqlite3"
        if kind == "sqlite" and first.exists():
            shutil.copy(first, sqlite_file(url))
        else:
            await migrate(url)
            if kind == "sqlite":
                shutil.copy(sqlite_file(url), first)
        async with open_database(url) as database:
            yield url, database
