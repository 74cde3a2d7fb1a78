"""Each user's blocked slots as one merged set, kept in memory for one position of its change log."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from domain.actor import UserRef
from domain.availability import Busy, merge_busy
from domain.interval import Span
from models.database import Db, fetch

MOST_EDGES = 8_000_000
"""Of all users together: 8 bytes each."""


@dataclass(frozen=True, slots=True)
class _Kept:
    # The horizon rolls without a row in the log: its end is part of what the merged set stands for.
    position: int
    known_until: int | None
    busy: Busy


class Timelines:
    def __init__(self, *, most_edges: int = MOST_EDGES) -> None:
        self._kept: OrderedDict[UserRef, _Kept] = OrderedDict()
        self._edges = 0
        self._most_edges = most_edges

    async def busy(self, db: Db, user: UserRef, position: int, *, known_until: int | None = None) -> Busy:
        """The user's blocked slots, merged; `position` was read in the snapshot that `db` is."""
        kept = self._kept.get(user)
        if kept is not None and (kept.position, kept.known_until) == (position, known_until):
            self._kept.move_to_end(user)
            return kept.busy
        busy = await read_busy(db, user)
        self._keep(user, _Kept(position, known_until, busy))
        return busy

    def _keep(self, user: UserRef, fresh: _Kept) -> None:
        """A snapshot older than what is kept does not replace it. The longest unasked go when there are too many."""
        kept = self._kept.get(user)
        if kept is not None and kept.position > fresh.position:
            return
        self._forget(user)
        self._kept[user] = fresh
        self._edges += len(fresh.busy.edges)
        while self._edges > self._most_edges:
            self._forget(next(iter(self._kept)))

    def _forget(self, user: UserRef) -> None:
        kept = self._kept.pop(user, None)
        if kept is not None:
            self._edges -= len(kept.busy.edges)


async def read_busy(
    db: Db, user: UserRef, *, within: Span | None = None, without_copy_of: str | None = None
) -> Busy:
    """Straight from the table: all of it, or what meets `within`; without what an appointment's own copy closes."""
    statement = "SELECT starts, ends FROM blocked_slot WHERE subaccount_id = $1 AND user_id = $2"
    values: list[object] = [user.subaccount, user.user]
    if within is not None:
        statement += " AND starts < $3 AND ends > $4"
        values += [within.end, within.start]
    if without_copy_of is not None:
        statement += (
            " AND (resource_id IS NULL OR resource_id NOT IN"
            " (SELECT id FROM resource WHERE appointment_id = :own AND user_id = $2))"
        ).replace(":own", f"${len(values) + 1}")
        values.append(without_copy_of)
    return merge_busy((row["starts"], row["ends"]) for row in await fetch(db, statement, *values))
