"""What happened between two positions of a user's log, as far as it says what in memory no longer stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from domain.actor import UserRef
from domain.changes import APPOINTMENT_KINDS, ChangeKind
from domain.edges import Edges, merge
from models.changelog import LogRow, read_after
from models.sql import Db

MOST_ROWS = 64
"""What many rows changed is sooner read anew than piece by piece."""

_SLOTS = frozenset({ChangeKind.SLOT_ADDED, ChangeKind.SLOT_CHANGED, ChangeKind.SLOT_REMOVED})
_BOOKINGS = APPOINTMENT_KINDS | {ChangeKind.HOLD_MADE, ChangeKind.HOLD_ENDED}
# All else may have changed the user's settings, or each of its slots with no word of it.
_PIECEMEAL = _SLOTS | _BOOKINGS | {ChangeKind.TYPES}


@dataclass(frozen=True, slots=True)
class Passage:
    """From `after` on: blocked slots differ in `touched` alone, bookings only where `rebooks`, nothing else does."""

    after: int
    touched: Edges
    rebooks: bool


async def read_passage(db: Db, user: UserRef, after: int, *, to: int) -> Passage | None:
    """`to` is the log's position in the snapshot that `db` is. None where all of the user is to be read anew."""
    if not 0 < to - after <= MOST_ROWS:
        return None
    rows = await read_after(db, user, after, limit=MOST_ROWS)
    # Numbers have no gaps: where one is missing, the log was cut since.
    return passage_of(after, rows) if len(rows) == to - after else None


def passage_of(after: int, rows: Sequence[LogRow]) -> Passage | None:
    if any(row.kind not in _PIECEMEAL for row in rows):
        return None
    slots = [slot for row in rows for slot in (row.slot, row.previous) if slot is not None]
    return Passage(
        after=after,
        touched=merge((slot.start, slot.end) for slot in slots),
        rebooks=any(row.kind in _BOOKINGS for row in rows),
    )
