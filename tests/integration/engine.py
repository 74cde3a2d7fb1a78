"""A connected user, a calendar server in memory, and the engine over a clock that a test sets."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from domain.accounts import AccountStatus
from domain.actor import UserRef
from domain.changes import ChangeKind
from domain.copies import WriteState
from domain.ids import Kind, new_id
from models.bell import Bell
from models.blocked import BlockedSlot
from models.booking import Appointment, PendingWrite
from models.calendar import Calendar, Event, Resource, store_listing
from models.changelog import LogRow, Timeline, changing, read_after
from models.database import Database
from models.icloud import ICloudAccount
from models.outbox import queue_write, take_due
from models.people import User
from models.polling import lease_account
from models.seal import Sealer, Secret
from models.settle import forget_account, settle_calendar
from models.sql import fetch
from sync.context import SyncContext
from sync.ical.resource import AppointmentText, write_appointment
from sync.pull import PullOutcome, pull
from sync.push import push
from sync.remote import CalendarServer
from sync.settings import SyncSettings
from tests.fakes.calendar_server import APPLE_ID, HOME, PASSWORD, PRINCIPAL, FakeServer

USER = UserRef("sub_1", "usr_1")
NOW = datetime(2026, 11, 2, 8, tzinfo=UTC).timestamp()
HOUR, DAY = 3600, 86_400
ZONE = "Europe/Berlin"


def at(day: int, hour: int, minute: int = 0) -> int:
    """An instant of November 2026, in UTC."""
    return int(datetime(2026, 11, day, hour, minute, tzinfo=UTC).timestamp())


def event(uid: str, start: int, end: int, title: str = "Busy", *, extra: str = "", free: bool = False) -> str:
    body = write_appointment(AppointmentText(uid, 0, start, end, title, "", NOW, NOW))
    if free:
        body = body.replace("TRANSP:OPAQUE", "TRANSP:TRANSPARENT")
    return body.replace("END:VEVENT", f"{extra}\r\nEND:VEVENT") if extra else body


@dataclass
class Engine:
    database: Database
    bell: Bell
    server: FakeServer
    settings: SyncSettings = field(default_factory=SyncSettings)
    sealer: Sealer = field(default_factory=lambda: Sealer({"k": bytes(32)}, "k"))
    now: float = NOW
    account_id: str = "acc_1"
    user: UserRef = USER
    remote: CalendarServer | None = None

    def context(self, owner: str = "process-1", at: Callable[[str], None] = lambda _: None) -> SyncContext:
        return SyncContext(
            database=self.database,
            bell=self.bell,
            sealer=self.sealer,
            server=self.remote or self.server,
            settings=self.settings,
            clock=lambda: self.now,
            owner=owner,
            chance=lambda: 0.5,
            at=at,
        )

    async def set_up(
        self,
        *,
        home_url: str = HOME,
        apple_id: str = APPLE_ID,
        principal: str = PRINCIPAL,
        identity: str = "h",
    ) -> None:
        async with self.database.writing() as db:
            await Timeline.create(using_db=db, user_id=self.user.user, subaccount_id=self.user.subaccount)
            await User.create(
                using_db=db,
                id=self.user.user,
                subaccount_id=self.user.subaccount,
                name="Anna",
                time_zone=ZONE,
                created_at=NOW,
            )
            await ICloudAccount.create(
                using_db=db,
                id=self.account_id,
                subaccount_id=self.user.subaccount,
                user_id=self.user.user,
                apple_id=apple_id,
                principal_hmac=identity,
                principal_path=principal,
                home_url=home_url,
                addresses=sorted({apple_id, principal}),
                sealed_password=self.sealer.seal(Secret(PASSWORD), row=self.account_id),
                status=AccountStatus.NEEDS_CALENDARS,
                connected_at=NOW,
            )

    async def connect_anew(self) -> None:
        """All that came from iCloud is forgotten, as by a disconnect; nothing is chosen yet."""
        async with changing(self.database, self.bell, self.user, now=self.now) as ledger:
            account = await ICloudAccount.all().using_db(ledger.db).get()
            await forget_account(ledger, account)
            fresh = {"expanded_until": None, "expanded_zone": None}
            await account.update_from_dict(fresh).save(using_db=ledger.db)

    async def choose(self, *names: str, linked: str | None = None) -> None:
        """As the owner would: lists, marks them and lets the engine read."""
        account = self.server.sign_in(APPLE_ID, Secret(PASSWORD)) if self.remote is None else None
        async with changing(self.database, self.bell, self.user, now=self.now) as ledger:
            row = await ICloudAccount.filter(id=self.account_id).using_db(ledger.db).get()
            if account is not None:
                await store_listing(
                    ledger.db, row, await account.list_calendars(self.server.home_url), now=self.now
                )
            for calendar in await Calendar.filter(account_id=row.id).using_db(ledger.db):
                was_chosen = calendar.is_conflict
                calendar.is_conflict = calendar.name in names or calendar.name == linked
                calendar.is_linked = calendar.name == linked
                await calendar.save(using_db=ledger.db)
                if was_chosen and not calendar.is_conflict:
                    await settle_calendar(ledger, calendar)
            row.status, row.has_chosen, row.next_poll_at = AccountStatus.SYNCING, True, self.now
            await row.save(using_db=ledger.db)

    async def poll(self, context: SyncContext | None = None) -> PullOutcome:
        context = context or self.context()
        async with self.database.writing() as db:
            lease = await lease_account(
                db, self.account_id, owner=context.owner, now=self.now, lease=context.settings.lease
            )
        assert lease is not None, "someone else has the account"
        return await pull(context, lease)

    async def settle(self, context: SyncContext) -> None:
        """Polls until there is nothing more to be found: from then on it is quiet."""
        await self.poll(context)
        self.now += 150  # Past the comparison that follows a first reading.
        for _ in range(2):
            await self.poll(context)
            self.now += 10

    async def book(self, start: int, end: int, *, name: str = "apt_00000000000000000000000001") -> str:
        async with changing(self.database, self.bell, self.user, now=self.now) as ledger:
            linked = await Calendar.filter(is_linked=True).using_db(ledger.db).first()
            await Appointment.create(
                using_db=ledger.db,
                id=name,
                subaccount_id=self.user.subaccount,
                user_id=self.user.user,
                title="Intro with Gina",
                starts=start,
                ends=end,
                status="CONFIRMED",
                guest_name="Gina",
                guest_email="gina@example.test",
                guest_phone="+49 30 1",
                notes="Second floor",
                created_at=self.now,
                modified_at=self.now,
                write_state=WriteState.PENDING if linked else WriteState.NOT_LINKED,
            )
            ledger.note(ChangeKind.APPOINTMENT_BOOKED, name)
            if linked:
                await queue_write(ledger.db, self.user, name, now=self.now)
        return name

    async def change(self, name: str, **facts: object) -> None:
        """Reschedules or cancels."""
        async with changing(self.database, self.bell, self.user, now=self.now) as ledger:
            own = await Appointment.filter(id=name).using_db(ledger.db).get()
            own.update_from_dict({**facts, "revision": own.revision + 1, "write_state": WriteState.PENDING})
            await own.save(using_db=ledger.db)
            await queue_write(ledger.db, self.user, name, now=self.now)
            ledger.note(ChangeKind.APPOINTMENT_RESCHEDULED, name)

    async def push(self, context: SyncContext | None = None) -> int:
        """Writes all that is due; how much that was."""
        context = context or self.context()
        due = sum(row.due_at is not None and row.due_at <= self.now for row in await self.pending())
        written = 0
        for _ in range(due):
            async with self.database.writing() as db:
                taken = await take_due(db, now=self.now, lease=context.settings.lease, limit=100)
            for write in taken:
                await push(context, write)
            written += len(taken)
        return written

    # --- What is stored

    async def account(self) -> ICloudAccount:
        async with self.database.reading() as db:
            return await ICloudAccount.filter(id=self.account_id).using_db(db).get()

    async def calendar(self, name: str) -> Calendar:
        async with self.database.reading() as db:
            return await Calendar.filter(name=name).using_db(db).get()

    async def appointment(self, name: str) -> Appointment:
        async with self.database.reading() as db:
            return await Appointment.filter(id=name).using_db(db).get()

    async def slots(self) -> list[tuple[int, int]]:
        async with self.database.reading() as db:
            rows = await BlockedSlot.all().using_db(db).order_by("starts", "ends")
        return [(row.starts, row.ends) for row in rows]

    async def events(self) -> list[Event]:
        async with self.database.reading() as db:
            return await Event.all().using_db(db).order_by("starts", "id")

    async def resources(self) -> list[Resource]:
        async with self.database.reading() as db:
            return await Resource.all().using_db(db).order_by("href")

    async def pending(self) -> list[PendingWrite]:
        async with self.database.reading() as db:
            return await PendingWrite.all().using_db(db)

    async def log(self, after: int = 0) -> list[LogRow]:
        async with self.database.reading() as db:
            return await read_after(db, self.user, after, limit=100_000)

    async def position(self) -> int:
        async with self.database.reading() as db:
            rows = await fetch(db, "SELECT seq FROM timeline")
        return int(rows[0]["seq"])

    async def kinds(self, after: int = 0) -> list[ChangeKind]:
        return [row.kind for row in await self.log(after)]


async def engine_on(database: Database, bell: Bell, settings: SyncSettings | None = None) -> Engine:
    server = FakeServer()
    server.add("Home"), server.add("Work")
    engine = Engine(database, bell, server, settings or SyncSettings())
    await engine.set_up()
    return engine


async def linked_engine_on(database: Database, bell: Bell) -> Engine:
    """Home is read, Work is linked; both were read once."""
    engine = await engine_on(database, bell)
    await engine.choose("Home", linked="Work")
    await engine.poll()
    return engine


def fresh_id(kind: Kind) -> str:
    return new_id(kind, now=NOW, entropy=os.urandom(10))
