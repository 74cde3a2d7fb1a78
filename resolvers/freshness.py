"""How old the calendars' state is that a user's time rests on, and what follows from that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from domain.actor import UserRef
from domain.availability import Closure, NothingChosen, Stale
from models.clocks import CLOCKS_DIFFER
from models.sql import Db, Row, fetch, marks


@dataclass(frozen=True, slots=True)
class SyncState:
    """What iCloud's side of one user's time rests on: the conflict calendars, and when each was last known.

    Where that is None the calendar was never read whole, or nobody knows when, or its events were expanded for another
    zone than the user's.
    """

    needs_calendars: bool = False
    read: tuple[tuple[str, float | None], ...] = ()
    known_until: int | None = None
    """Where the expanded events end; None where no calendar takes part."""
    retry_at: float | None = None

    @property
    def as_of(self) -> float | None:
        """The oldest state that was read; None where none was, or none takes part."""
        return min((at for _, at in self.read if at is not None), default=None)

    @property
    def never_read(self) -> tuple[str, ...]:
        return tuple(calendar for calendar, at in self.read if at is None)

    def older_than(self, moment: float) -> tuple[str, ...]:
        """Never read is older than any."""
        return tuple(calendar for calendar, at in self.read if at is None or at < moment)

    def closure(self, since: float, *, serves_last_known: bool = False) -> Closure | None:
        """Why all the time is closed, where states from before `since` are too old."""
        if self.needs_calendars:
            return NothingChosen()
        closing = self.never_read if serves_last_known else self.older_than(since)
        return Stale(closing) if closing else None


NO_ACCOUNT = SyncState()


async def read_sync_states(
    db: Db, users: Sequence[UserRef], zones: Sequence[str], *, now: float
) -> list[SyncState]:
    """In the order of the users; `zones` are the users' own."""
    asked = marks(len(users), after=1)
    values = (users[0].subaccount, *(user.user for user in users))
    accounts = await fetch(
        db,
        "SELECT user_id, has_chosen, last_synced_at, expanded_zone, expanded_until, retry_at, next_poll_at"
        " FROM icloud_account WHERE subaccount_id = $1 AND user_id IN (:users)".replace(":users", asked),
        *values,
    )
    if not accounts:
        return [NO_ACCOUNT] * len(users)
    # A calendar that is proved gone holds no events any more: it closes nothing.
    calendars = await fetch(
        db,
        "SELECT id, user_id, last_synced_at FROM calendar WHERE (is_conflict OR is_linked) AND NOT is_gone"
        " AND subaccount_id = $1 AND user_id IN (:users) ORDER BY id".replace(":users", asked),
        *values,
    )
    by_user = {account["user_id"]: account for account in accounts}
    return [
        _state(by_user[user.user], zone, [row for row in calendars if row["user_id"] == user.user], now=now)
        if user.user in by_user
        else NO_ACCOUNT
        for user, zone in zip(users, zones, strict=True)
    ]


def _state(account: Row, zone: str, calendars: Sequence[Row], *, now: float) -> SyncState:
    is_expanded = account["expanded_zone"] == zone
    read = tuple(
        (
            row["id"],
            known_at(row["last_synced_at"], account["last_synced_at"], now=now) if is_expanded else None,
        )
        for row in calendars
    )
    return SyncState(
        needs_calendars=not account["has_chosen"],
        read=read,
        known_until=account["expanded_until"] if read else None,
        retry_at=account["retry_at"] or account["next_poll_at"],
    )


def known_at(calendar: float | None, account: float | None, *, now: float) -> float | None:
    """A poll that left every conflict calendar as it is in iCloud counts for each that was read whole before.

    None, too, where it is not known when: a stamp that lies in the future is of a clock that was set back since.
    """
    if calendar is None:
        return None
    latest = now + CLOCKS_DIFFER
    if account is not None and account <= latest and not account < calendar <= latest:
        return account
    return calendar if calendar <= latest else None
