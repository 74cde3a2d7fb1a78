"""The ways from use cases to the calendar server, connect and refresh, and the loop that keeps all in step."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Callable
from dataclasses import dataclass

from domain.accounts import APPLES_WAITS, AccountStatus, ICloudProblemCode
from domain.actor import UserRef
from domain.calendars import ListedCalendar
from domain.work import Watch, unwatched
from models.bell import SYNC, Bell
from models.changelog import NoSuchUserError, read_position
from models.database import Database
from models.icloud import ICloudAccount
from models.polling import ask_for_poll
from models.seal import Sealer, Secret
from models.sql import fetch
from sync.context import SyncContext, pass_by
from sync.icloud.guard import Guard
from sync.icloud.server import ICloud
from sync.icloud.settings import TransportSettings
from sync.loop import Loop
from sync.remote import (
    CalendarServer,
    PasswordRefused,
    RemoteError,
    Throttled,
    UnexpectedAnswer,
    Unreachable,
)
from sync.settings import SyncSettings

log = logging.getLogger(__name__)

_ASK_AGAIN = 0.25
_OTHER_CONNECTIONS = 256
"""To the calendar server, beside one of each poll: each may have two, and writes and new accounts want some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """A password that was accepted, and what it opens."""

    principal_path: str
    home_url: str
    addresses: frozenset[str]
    calendars: tuple[ListedCalendar, ...]


@dataclass(frozen=True, slots=True)
class RefreshOutcome:
    """`changes` counts blocked slots. Not complete: the poll goes on."""

    is_complete: bool
    changes: int
    error: RemoteError | None


class Sync:
    """One a process. Close it at the end, whether or not it ran the loop."""

    def __init__(
        self,
        *,
        database: Database,
        bell: Bell,
        sealer: Sealer,
        settings: SyncSettings,
        clock: Callable[[], float],
        server: CalendarServer | None = None,
        chance: Callable[[], float] = random.random,
        watch: Watch = unwatched,
        at: Callable[[str], None] = pass_by,
    ) -> None:
        self.context = SyncContext(
            database=database,
            bell=bell,
            sealer=sealer,
            server=server or server_of(settings),
            settings=settings,
            clock=clock,
            owner=f"{os.getpid()}-{os.urandom(6).hex()}",
            chance=chance,
            watch=watch,
            at=at,
        )
        self._loop = Loop(self.context)

    async def connect(self, apple_id: str, password: Secret) -> Discovered:
        """Signs in and lists the calendars; raises RemoteError."""
        account = self.context.server.sign_in(apple_id, password)
        try:
            async with asyncio.timeout(self.context.settings.connect_seconds):
                found = await account.discover()
                calendars = await account.list_calendars(found.home_url)
        except TimeoutError:
            raise Unreachable("no answer in time") from None
        return Discovered(
            principal_path=found.principal_path,
            home_url=found.home_url,
            addresses=found.addresses,
            calendars=calendars,
        )

    async def refresh(self, user: UserRef, *, wait: float) -> RefreshOutcome:
        """Polls now, or shares a poll that begins from now on; waits for its end, at most so long."""
        asked = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(wait):
                return await self._look(user, asked)
        except TimeoutError:
            return RefreshOutcome(is_complete=False, changes=0, error=None)
        except NoSuchUserError:
            # Removed meanwhile: as without an account, there is nothing to look at.
            return RefreshOutcome(is_complete=True, changes=0, error=None)

    def forget(self, account_id: str) -> None:
        """After a disconnect: the password goes at once."""
        self.context.memory.forget({account_id})

    async def run(self) -> None:
        await self._loop.run()

    @property
    def compared(self) -> int:
        """Calendars held against a full listing since the start."""
        return self.context.memory.compared

    @property
    def missed(self) -> int:
        """Resources that were found to differ by it, and that no delta had told."""
        return self.context.memory.missed

    async def close(self) -> None:
        await self._loop.drain()
        await self.context.server.close()

    async def _look(self, user: UserRef, asked: float) -> RefreshOutcome:
        """`asked`: by the event loop's clock."""
        asked_at, before = self.context.clock(), None
        position: int | None = None
        while True:
            account = await self._account(user)
            if account is None:
                return RefreshOutcome(is_complete=True, changes=0, error=None)
            if account.status == AccountStatus.NEEDS_NEW_PASSWORD:
                # Not asked again with a password that was refused: Apple locks accounts.
                return RefreshOutcome(is_complete=True, changes=0, error=PasswordRefused())
            if _must_wait(account, self.context.clock()):
                return RefreshOutcome(is_complete=True, changes=0, error=_error_of(account))
            polled_at = account.last_polled_at
            if position is not None and polled_at is not None and before != polled_at >= asked_at:
                return RefreshOutcome(
                    is_complete=True, changes=await self._changes(user, position), error=_error_of(account)
                )
            running = self._loop.running(account.id) or await self._loop.poll_now(account.id)
            if running is None:
                # Another process has it: that one is asked, once, and its answer awaited.
                if position is None:
                    position, before = await self._position(user), polled_at
                    await self._ask(account.id, asked_at)
                await asyncio.sleep(_ASK_AGAIN)
                continue
            # By what it met, whether or not the database took it: iCloud is not asked again for want of a record.
            outcome = await asyncio.shield(running.task)
            # Whoever began it: what is read next is to be of this poll.
            await self._loop.tell_at_once()
            if running.began >= asked and outcome.is_complete:
                return RefreshOutcome(is_complete=True, changes=outcome.changes, error=outcome.error)

    async def _ask(self, account_id: str, asked_at: float) -> None:
        async with self.context.database.whole.writing() as db:
            await ask_for_poll(db, account_id, now=asked_at)
        await self.context.bell.ring(SYNC)

    async def _account(self, user: UserRef) -> ICloudAccount | None:
        async with self.context.database.whole.reading() as db:
            mine = ICloudAccount.filter(subaccount_id=user.subaccount, user_id=user.user)
            return await mine.using_db(db).first()

    async def _position(self, user: UserRef) -> int:
        async with self.context.database.whole.reading() as db:
            return await read_position(db, user)

    async def _changes(self, user: UserRef, after: int) -> int:
        async with self.context.database.whole.reading() as db:
            rows = await fetch(
                db,
                "SELECT COUNT(*) AS count FROM change WHERE user_id = $1 AND seq > $2 AND kind LIKE 'slot.%'",
                user.user,
                after,
            )
        return int(rows[0]["count"])


def server_of(settings: SyncSettings) -> ICloud:
    """The calendar server that the settings name, behind its guard."""
    guard = Guard(settings.caldav_url, settings.caldav_hosts, settings.allows_china)
    transport = TransportSettings(
        request_seconds=settings.request_seconds,
        most_bytes=settings.most_answer_bytes,
        connections=settings.most_polls + _OTHER_CONNECTIONS,
        requests_per_minute=settings.requests_per_minute,
        ca_file=settings.caldav_ca_file,
    )
    return ICloud(guard, transport)


def _must_wait(account: ICloudAccount, now: float) -> bool:
    """However many want to look: a call to wait is heeded, and a password just refused is not tried on and on."""
    return account.retry_at is not None and account.retry_at > now and account.problem_code in APPLES_WAITS


def _error_of(account: ICloudAccount) -> RemoteError | None:
    """What another process met, as far as it put it on record."""
    if account.failures == 0:
        return None
    match account.problem_code:
        case ICloudProblemCode.PASSWORD_REFUSED:
            return PasswordRefused()
        case ICloudProblemCode.THROTTLED:
            return Throttled(None)
        case ICloudProblemCode.UNREACHABLE:
            return Unreachable()
        case _:
            return UnexpectedAnswer()
