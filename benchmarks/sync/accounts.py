"""A database with connected accounts in it, and the engine's parts over it: what every benchmark here begins from."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.databases import fresh_database
from benchmarks.sync.replay import token_of
from domain.accounts import AccountStatus
from domain.actor import UserRef
from domain.copies import WriteState
from domain.ids import Kind, new_id
from domain.work import Watch, unwatched
from models.bell import Bell
from models.booking import Appointment
from models.calendar import Calendar
from models.changelog import Timeline, changing
from models.database import Database
from models.icloud import ICloudAccount
from models.outbox import queue_write
from models.people import User
from models.polling import Lease, lease_account
from models.seal import Sealer, Secret
from server.database import open_database
from sync.context import SyncContext
from sync.icloud.guard import Guard
from sync.icloud.server import ICloud
from sync.plan import plan_window
from sync.pull import PullOutcome, pull
from sync.service import server_of
from sync.settings import SyncSettings
from sync.zone_rules import rules_in_use

PASSWORD = "abcd-efgh-ijkl-mnop"
ZONE = "Europe/Berlin"
_SEALER = Sealer({"k": bytes(32)}, "k")


@asynccontextmanager
async def a_database(kind: str, postgres: str) -> AsyncIterator[Database]:
    """Empty, migrated, dropped at the end. `kind`: sqlite or postgres."""
    with tempfile.TemporaryDirectory() as folder:
        async with fresh_database(kind, Path(folder), postgres=postgres) as url:
            # By its own command, as anywhere: what that takes of memory is none of the engine's.
            done = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "server", "migrate"),
                env={**os.environ, "SLOTWIRE_DATABASE_URL": url},
                stdout=asyncio.subprocess.DEVNULL,
            )
            assert await done.wait() == 0
            async with open_database(url) as database:
                yield database


@asynccontextmanager
async def an_engine(
    database: Database,
    url: str,
    settings: SyncSettings | None = None,
    *,
    now: float | Callable[[], float] = time.time,
    watch: Watch = unwatched,
) -> AsyncIterator[SyncContext]:
    server = ICloud(Guard(url)) if settings is None else server_of(settings)
    try:
        yield SyncContext(
            database=database,
            bell=Bell(),
            sealer=_SEALER,
            server=server,
            settings=settings or SyncSettings(),
            clock=now if callable(now) else lambda: now,
            owner="benchmark",
            chance=random.random,
            watch=watch,
        )
    finally:
        await server.close()


async def add_accounts(
    database: Database,
    url: str,
    count: int,
    *,
    calendars: int,
    is_read: bool = False,
    due_over: float = 0.0,
    now: float | None = None,
    sealer: Sealer = _SEALER,
) -> list[str]:
    """Connected, their calendars listed, the first one chosen.

    `is_read`: and read, so that nothing is new; they are due one after the other, over so many seconds.
    """
    now = time.time() if now is None else now
    read = {
        "status": AccountStatus.CONNECTED,
        "expanded_zone": ZONE,
        "expanded_until": plan_window(now, ZONE, SyncSettings()).end,
        "expanded_rules": rules_in_use(),
        "last_synced_at": now,
    }
    of_calendar = {"listed_token": token_of(1), "sync_token": token_of(1), "last_synced_at": now}
    names = [f"{number:05}" for number in range(count)]
    facts: dict[str, Any] = {"subaccount_id": "sub_1"}
    for at in range(0, count, 500):
        part = names[at : at + 500]
        async with database.writing() as db:
            await Timeline.bulk_create(
                [Timeline(user_id=f"usr_{name}", **facts) for name in part], using_db=db
            )
            await User.bulk_create(
                [User(id=f"usr_{name}", name="Anna", time_zone=ZONE, created_at=0, **facts) for name in part],
                using_db=db,
            )
            await ICloudAccount.bulk_create(
                [
                    ICloudAccount(
                        id=f"acc_{name}",
                        user_id=f"usr_{name}",
                        apple_id=f"{name}@icloud.com",
                        principal_hmac=name,
                        principal_path=f"/a{name}/principal/",
                        home_url=f"{url}a{name}/calendars/",
                        addresses=[],
                        sealed_password=sealer.seal(Secret(PASSWORD), row=f"acc_{name}"),
                        has_chosen=True,
                        connected_at=now,
                        next_poll_at=now + due_over * number / count if is_read else None,
                        **({"status": AccountStatus.SYNCING} | (read if is_read else {}) | facts),
                    )
                    for number, name in enumerate(part, at)
                ],
                using_db=db,
            )
            await Calendar.bulk_create(
                [
                    Calendar(
                        id=f"cal_{name}_{place}",
                        user_id=f"usr_{name}",
                        account_id=f"acc_{name}",
                        path=f"/a{name}/calendars/cal{place}/",
                        name=f"Calendar {place}",
                        color="#1E4C63",
                        kind="EVENTS",
                        can_write=True,
                        is_conflict=place == 0,
                        is_linked=place == 0,
                        **((of_calendar if is_read and place == 0 else {}) | facts),
                    )
                    for name in part
                    for place in range(calendars)
                ],
                using_db=db,
            )
    return [f"acc_{name}" for name in names]


async def book(database: Database, name: str, *, starts: int) -> None:
    """As `bookAppointment` stores it, for the user of that name."""
    user, now = UserRef("sub_1", f"usr_{name}"), time.time()
    number = new_id(Kind.APPOINTMENT, now=now, entropy=os.urandom(10))
    async with changing(database, Bell(), user, now=now) as ledger:
        await Appointment.create(
            using_db=ledger.db, id=number, subaccount_id=user.subaccount, user_id=user.user, title="Intro call",
            starts=starts, ends=starts + 1_800, status="CONFIRMED", guest_name="Gina",
            guest_email="gina@example.test", created_at=now, modified_at=now, write_state=WriteState.PENDING,
        )  # fmt: skip
        await queue_write(ledger.db, user, number, now=now)


async def poll(context: SyncContext, account: str) -> PullOutcome:
    return await pulled(context, await lease(context, account))


async def lease(context: SyncContext, account: str) -> Lease:
    async with context.database.writing() as db:
        taken = await lease_account(
            db, account, owner=context.owner, now=context.clock(), lease=context.settings.lease
        )
    assert taken is not None
    return taken


async def pulled(context: SyncContext, taken: Lease) -> PullOutcome:
    outcome = await pull(context, taken)
    assert outcome.error is None, outcome.error
    return outcome
