"""Who is being looked at: the accounts of watched users are polled more often."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from domain.actor import UserRef
from models.bell import SYNC, Bell
from models.database import Database
from models.sql import Db, fetch
from models.unavailable import where_it_can
from resolvers.settings import ResolverSettings

_MOST_REMEMBERED = 50_000

# No lock: it changes nobody's time. An account that failed keeps its own pace, and one that is not polled stays so.
_WATCH = (
    "UPDATE icloud_account SET watched_until = $1, next_poll_at = CASE"
    " WHEN failures = 0 AND (watched_until IS NULL OR watched_until < $2) AND next_poll_at > $3"
    " THEN CASE WHEN COALESCE(last_polled_at, 0) + $4 < $2 THEN $2"
    " WHEN COALESCE(last_polled_at, 0) + $4 < next_poll_at THEN COALESCE(last_polled_at, 0) + $4"
    " ELSE next_poll_at END"
    " ELSE next_poll_at END"
    " WHERE user_id = $5 AND subaccount_id = $6 RETURNING next_poll_at"
)


class Watches:
    """When each user was last said to be watched, by this process."""

    def __init__(self) -> None:
        self._said: OrderedDict[UserRef, float] = OrderedDict()

    async def watch(
        self,
        users: Iterable[UserRef],
        *,
        database: Database,
        bell: Bell,
        settings: ResolverSettings,
        now: float,
    ) -> None:
        """Makes them watched for a minute from now. It writes: hold no snapshot meanwhile.

        A database too busy to take it fails nothing: whoever looks next says it again.
        """
        due = self.due(users, settings=settings, now=now)
        if not due:
            return
        for user in due:
            self._said[user] = now
            self._said.move_to_end(user)
        while len(self._said) > _MOST_REMEMBERED:
            self._said.popitem(last=False)
        is_sooner = False
        with where_it_can():
            async with database.writing() as db:
                for user in sorted(due, key=lambda user: user.user):
                    is_sooner |= await _mark(db, user, settings, now)
        if is_sooner:
            await bell.ring(SYNC)

    def due(self, users: Iterable[UserRef], *, settings: ResolverSettings, now: float) -> list[UserRef]:
        """Those of whom it was not said lately."""
        again, said = settings.watch_again_after, self._said
        return [user for user in users if not (at := said.get(user, -again)) <= now < at + again]


async def _mark(db: Db, user: UserRef, settings: ResolverSettings, now: float) -> bool:
    """Whether its next poll comes within a watched account's pace: the loop may sleep longer than that."""
    soon = now + settings.watched_poll_every
    rows = await fetch(
        db,
        _WATCH,
        now + settings.watch_for,
        now,
        soon,
        float(settings.watched_poll_every),
        user.user,
        user.subaccount,
    )
    return bool(rows) and rows[0]["next_poll_at"] is not None and rows[0]["next_poll_at"] <= soon
