"""What tells whether anything of a user's time has moved: the log's position, and how far iCloud was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from domain.actor import UserRef
from models.changelog import Reads
from models.sql import Row, marks
from resolvers.freshness import NO_ACCOUNT, SyncState, known_at

_STAMPS = (
    "SELECT t.user_id, t.seq, a.user_id AS connected, a.has_chosen, a.last_synced_at AS account_synced_at,"
    " a.expanded_zone, a.expanded_until, c.id AS calendar_id, c.last_synced_at AS calendar_synced_at FROM timeline t"
    " LEFT JOIN icloud_account a ON a.subaccount_id = t.subaccount_id AND a.user_id = t.user_id"
    # A calendar that is proved gone holds no events any more: it closes nothing.
    " LEFT JOIN calendar c ON c.subaccount_id = a.subaccount_id AND c.user_id = a.user_id"
    " AND (c.is_conflict OR c.is_linked) AND NOT c.is_gone"
    " WHERE t.subaccount_id = $1 AND t.user_id IN (:users) ORDER BY c.id"
)


@dataclass(frozen=True, slots=True)
class Stamp:
    """While a user's stamp is the same, only time changes what its time is. `calendars`: by id, when each was read."""

    position: int
    is_connected: bool
    has_chosen: bool
    synced_at: float | None
    expanded_zone: str | None
    expanded_until: int | None
    calendars: tuple[tuple[str, float | None], ...]

    @property
    def known_until(self) -> int | None:
        return self.expanded_until if self.calendars else None

    def sync(self, zone: str, *, now: float) -> SyncState:
        """As it is for a user of this zone. When the next poll comes is not in it."""
        if not self.is_connected:
            return NO_ACCOUNT
        is_expanded = self.expanded_zone == zone
        return SyncState(
            needs_calendars=not self.has_chosen,
            read=tuple(
                (calendar, known_at(at, self.synced_at, now=now) if is_expanded else None)
                for calendar, at in self.calendars
            ),
            known_until=self.known_until,
        )


async def read_stamps(reads: Reads, users: Sequence[UserRef]) -> tuple[Stamp, ...] | None:
    """In the order of the users, all of one subaccount, in one statement; None where one of them is gone."""
    statement = _STAMPS.replace(":users", marks(len(users), after=1))
    rows = await reads(statement, users[0].subaccount, *(user.user for user in users))
    by_user: dict[str, list[Row]] = {}
    for row in rows:
        by_user.setdefault(row["user_id"], []).append(row)
    if any(user.user not in by_user for user in users):
        return None
    return tuple(_stamp(by_user[user.user]) for user in users)


def _stamp(rows: Sequence[Row]) -> Stamp:
    first = rows[0]
    return Stamp(
        position=first["seq"],
        is_connected=first["connected"] is not None,
        has_chosen=bool(first["has_chosen"]),
        synced_at=first["account_synced_at"],
        expanded_zone=first["expanded_zone"],
        expanded_until=first["expanded_until"],
        calendars=tuple(
            (row["calendar_id"], row["calendar_synced_at"]) for row in rows if row["calendar_id"] is not None
        ),
    )
