"""Each user's blocked slots as one merged set, kept in memory for one position of its change log."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from domain import edges as sweep
from domain.actor import UserRef
from domain.availability import Busy, merge_busy
from domain.edges import Edges
from domain.interval import Span
from models.sql import Db, fetch
from resolvers.passage import Passage, read_passage

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

    async def busy(
        self,
        db: Db,
        user: UserRef,
        position: int,
        *,
        known_until: int | None = None,
        passage: Passage | None = None,
    ) -> Busy:
        """The user's blocked slots, merged; `position` was read in the snapshot that `db` is.

        `passage` is how the log came there, where that was read.
        """
        kept = self._kept.get(user)
        if kept is not None and (kept.position, kept.known_until) == (position, known_until):
            self._kept.move_to_end(user)
            return kept.busy
        if kept is not None and kept.known_until == known_until:
            if passage is None or passage.after != kept.position:
                passage = await read_passage(db, user, kept.position, to=position)
        else:
            passage = None
        busy = (
            await read_busy(db, user)
            if kept is None or passage is None
            else await spliced(db, user, kept.busy, passage.touched)
        )
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


async def spliced(db: Db, user: UserRef, busy: Busy, touched: Edges) -> Busy:
    """A merged set, brought to the snapshot's state where that is another. Elsewhere it is as it was."""
    edges = busy.edges
    for start, end in sweep.pairs(touched):
        # A slot that reaches in from before lies in the time that was closed already, or in what was touched.
        now = await read_busy(db, user, within=Span(start, end), since=sweep.run_start(edges, start))
        edges = sweep.replace(edges, start, end, sweep.clip(now.edges, start, end))
    return Busy(edges)


async def read_busy(
    db: Db,
    user: UserRef,
    *,
    within: Span | None = None,
    since: int | None = None,
    without_copy_of: str | None = None,
) -> Busy:
    """Straight from the table: all of it, or what meets `within`; without what an appointment's own copy closes.

    `since`: no slot that meets `within` is known to start before; it spares a look at all that did.
    """
    statement = "SELECT starts, ends FROM blocked_slot WHERE subaccount_id = $1 AND user_id = $2"
    values: list[object] = [user.subaccount, user.user]
    if within is not None:
        statement += " AND starts < $3 AND ends > $4"
        values += [within.end, within.start]
    if since is not None:
        statement += f" AND starts >= ${len(values) + 1}"
        values.append(since)
    if without_copy_of is not None:
        statement += (
            " AND (resource_id IS NULL OR resource_id NOT IN"
            " (SELECT id FROM resource WHERE appointment_id = :own AND user_id = $2))"
        ).replace(":own", f"${len(values) + 1}")
        values.append(without_copy_of)
    return merge_busy((row["starts"], row["ends"]) for row in await fetch(db, statement, *values))
