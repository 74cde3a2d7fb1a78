"""One poll of one account: what it began from, and how its end is put on record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from domain.actor import UserRef
from domain.interval import Span
from models.booking import Appointment
from models.calendar import Calendar, Facts, is_readable, known_calendars
from models.changelog import Ledger, NoSuchUserError, changing
from models.clocks import CLOCKS_DIFFER
from models.icloud import ICloudAccount
from models.outbox import refusing_calendars
from models.polling import Lease
from models.seal import UnsealError
from models.settle import closes_time
from models.sql import Db, execute, fetch, models_of
from sync.context import Streak, SyncContext
from sync.places import READ_ONLY
from sync.plan import latest_comparison, plan_window
from sync.remote import (
    Glance,
    Href,
    PasswordUnreadable,
    RemoteCalendars,
    RemoteError,
    ServerFailed,
    Unreachable,
)
from sync.room import Patient, Place, Room

_MOST_SILENCES = 3
"""In one poll. Each lasts 20 s, in which nothing else is read of the account; what is left is asked for by the next."""


class SupersededError(Exception):
    """The account, its zone, its calendars or our lease are not what this poll began from: nothing more is stored."""


@dataclass(slots=True, kw_only=True)
class Poll:
    """One look at an account, and what came of it so far."""

    context: SyncContext
    lease: Lease
    account: ICloudAccount
    zone: str
    window: Span
    started: float
    calendars: list[Calendar]
    "Those that are linked or read, gone or not."
    refusing: frozenset[str]
    "Calendars that refuse writes, whatever the home says of them."
    facts: frozenset[Facts]
    "On record of all calendars that the home showed."
    signed_in: RemoteCalendars = field(init=False)
    "From the sign-in on."
    place: Place = field(default_factory=Place)
    "At which it works once the home has answered."
    first_reads: Room | None = None
    "Where it works while it reads a calendar for the first time. None: at its own place."
    verified: set[str] = field(default_factory=set)
    "Calendars that are stored as they were in iCloud when this poll began."
    missing: set[str] = field(default_factory=set)
    """Keys of paths: calendars that the home did not show. Whether they are gone is not known yet, and nothing is read
    of them."""
    unseen: Mapping[str, AbstractSet[Href]] = field(default_factory=dict)
    "By calendar, what we wrote and nobody has read since."
    behind: set[str] = field(default_factory=set)
    "Calendars of which it could not read all that is new: what is gone from another may have moved there."
    giving: set[str] = field(default_factory=set)
    "Calendars of which any text was given: what is not given of them is at fault itself."
    gone: dict[str, AbstractSet[Href]] = field(default_factory=dict)
    "By calendar, what is told as gone."
    silences: int = 0
    "Events that iCloud did not answer for by themselves."
    counted: set[str] = field(default_factory=set)
    "Calendars whose polls without all that is listed were counted on."
    waited_out: set[str] = field(default_factory=set)
    "Calendars that were listed as changed for so many polls, and nothing told, that it is believed."
    changes: int = 0
    "Blocked slots that changed."
    has_changed: bool = False
    is_counting: bool = False
    "Whether the progress on record is this poll's own."
    left_over: int = 0
    "Of calendars that it read for the first time before the one at hand, what was not given."
    seen: Glance | RemoteError | None = None
    "The home's answer, where it was asked for before the poll began."
    digest: int | None = None
    "Of the home's answer that this poll went by."
    look_again_after: float | None = None
    "Something is left to do so soon."
    is_recorded: bool = False
    "Its end is on record already."

    @property
    def user(self) -> UserRef:
        return self.lease.user

    @property
    def remote(self) -> RemoteCalendars:
        return Patient(self.signed_in, self.place)

    @property
    def chosen(self) -> list[Calendar]:
        return [calendar for calendar in self.calendars if not calendar.is_gone]

    def reads_beside(self, calendar: Calendar) -> bool:
        """Whether others are read, too: what is gone from this one may have moved to one of them."""
        return any(each.id != calendar.id and is_readable(each) for each in self.chosen)

    @property
    def is_met_by_silence(self) -> bool:
        return self.silences >= _MOST_SILENCES

    def bears(self, error: Unreachable) -> bool:
        """Whether the event may be to blame that was asked for by itself: after a few silences it is the server."""
        if isinstance(error, ServerFailed):
            return True
        self.silences += 1
        return self.silences <= _MOST_SILENCES

    def since(self, seen: dict[str, float], name: str, *, read_at: float | None) -> float:
        """When `name` was first seen, kept in `seen`: never later than this poll, also where the clock was set back.

        Anew where its calendar was read after that, or may have been: another process looked, and saw it otherwise.
        """
        first = min(seen.get(name, self.started), self.started)
        is_read_since = read_at is not None and first < read_at <= self.started
        if is_read_since or self.started - first > 2 * self.context.settings.longest_retry:
            first = self.started
        seen[name] = first
        return first

    def count_on(self, streaks: dict[str, Streak], calendar: Calendar) -> int:
        """With this poll, how many of the calendar met the same, kept in `streaks`."""
        before = streaks.get(calendar.id)
        if before is None or before.read_at != calendar.last_synced_at:
            before = Streak(calendar.last_synced_at, 0)
        streaks[calendar.id] = before._replace(polls=before.polls + 1)
        return streaks[calendar.id].polls

    def is_older_than(self, own: Appointment) -> bool:
        """Whether its copy was written since this poll began: what was told of it may be of before.

        A stamp far ahead of now is from before the clock was set back, and so from before this poll.
        """
        latest = self.context.clock() + CLOCKS_DIFFER
        return own.written_at is not None and self.started < own.written_at <= latest

    @asynccontextmanager
    async def reading_first(self) -> AsyncIterator[None]:
        """Among those that read much for long, at a place of theirs: its own is another's meanwhile."""
        if self.first_reads is None or not self.place.takes_turns:
            yield
            return
        own, self.place = self.place, Place(self.first_reads)
        own.leave()
        try:
            await self.place.take()
            yield
        finally:
            self.place.leave()
            self.place = own
            if not _is_cancelled():
                await own.take()

    def hurry(self, after: float) -> None:
        self.look_again_after = after if self.look_again_after is None else min(self.look_again_after, after)

    @asynccontextmanager
    async def changing(
        self, calendar: Calendar | None = None
    ) -> AsyncIterator[tuple[Ledger, Calendar | None]]:
        """The user's lock, and the calendar as it is under it. Raises SupersededError where the ground has moved."""
        context = self.context
        try:
            async with changing(context.database, context.bell, self.user, now=context.clock()) as ledger:
                fresh = await self._check(ledger.db, calendar)
                yield ledger, fresh
                self.changes += ledger.slot_changes
                self.has_changed = self.has_changed or ledger.has_changes
        except NoSuchUserError:
            raise SupersededError from None

    async def note_read(self, db: Db) -> None:
        """Before what this process read is stored.

        Beside rows that another read by its own rules of time zones: by which all of them were, nobody can say any
        more, and whoever has those in force reads them again.
        """
        if self.account.expanded_rules not in {None, self.context.rules}:
            await execute(
                db, "UPDATE icloud_account SET expanded_rules = NULL WHERE id = $1", self.account.id
            )
            self.account.expanded_rules = None

    async def _check(self, db: Db, calendar: Calendar | None) -> Calendar | None:
        # On PostgreSQL nobody takes the account before the transaction ends: they would look past what it stores.
        keep = " FOR NO KEY UPDATE OF a" if db.capabilities.dialect == "postgres" else ""
        rows = await fetch(
            db,
            "SELECT a.lease_owner, a.last_polled_at AS polled_at, u.time_zone, c.*"  # noqa: S608 - constants.
            " FROM icloud_account a"
            f" JOIN users u ON u.id = a.user_id LEFT JOIN calendar c ON c.id = $2 WHERE a.id = $1{keep}",
            self.account.id,
            None if calendar is None else calendar.id,
        )
        if not rows or rows[0]["lease_owner"] != self.context.owner or rows[0]["time_zone"] != self.zone:
            raise SupersededError
        if rows[0]["polled_at"] != self.account.last_polled_at:
            # Another process had it meanwhile, and we have it again: what it stored is newer than what we were given.
            raise SupersededError
        if calendar is None:
            return None
        if rows[0]["id"] is None:
            raise SupersededError
        [fresh] = models_of(Calendar, rows)
        if fresh.generation != calendar.generation or not closes_time(fresh):
            raise SupersededError
        if fresh.sync_token != calendar.sync_token:
            # Read on by another, or to be read again from further back: what we were told begins elsewhere.
            raise SupersededError
        return fresh


async def begin(context: SyncContext, lease: Lease, *, started: float | None = None) -> Poll | None:
    """None where the account is no longer there, or no longer ours to poll."""
    started = context.clock() if started is None else started
    async with context.database.reading() as db:
        rows = await fetch(
            db,
            "SELECT u.time_zone, a.* FROM icloud_account a JOIN users u ON u.id = a.user_id"
            " WHERE a.id = $1 AND a.lease_owner = $2",
            lease.account_id,
            context.owner,
        )
        if not rows:
            return None
        [account], zone = models_of(ICloudAccount, rows), rows[0]["time_zone"]
        calendars, facts = await known_calendars(db, account)
        is_written = any(calendar.is_linked for calendar in calendars)
        refusing = await refusing_calendars(db, lease.user, READ_ONLY) if is_written else frozenset()
    return Poll(
        context=context,
        lease=lease,
        account=account,
        zone=zone,
        window=plan_window(started, zone, context.settings),
        started=started,
        calendars=calendars,
        refusing=refusing,
        facts=facts,
    )


def _is_cancelled() -> bool:
    here = asyncio.current_task()
    return here is not None and here.cancelling() > 0


def is_comparison_due(poll: Poll, calendar: Calendar) -> bool:
    """Or planned by a clock that ran ahead."""
    at = calendar.compare_at
    latest = latest_comparison(poll.started + CLOCKS_DIFFER, poll.context.settings)
    return at is not None and not poll.started < at <= latest


def sign_in(context: SyncContext, account: ICloudAccount) -> RemoteCalendars:
    """Raises PasswordUnreadable."""
    try:
        password = context.sealer.unseal(account.sealed_password, row=account.id)
    except UnsealError as error:
        raise PasswordUnreadable(str(error)) from None
    return context.server.sign_in(account.apple_id, password, home_url=account.home_url)
