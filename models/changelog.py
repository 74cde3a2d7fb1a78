"""The change log: per user, every change that can alter its availability, numbered without gaps.

The user's lock is the cursor's lock: whoever changes a user's time takes the row of `timeline` first, decides, and
last gives the rows their numbers. A serial id would not do: a reader of `id > last` misses rows that commit late.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from dataclasses import fields as fields_of
from typing import Any

from tortoise import fields
from tortoise.models import Model

from domain.actor import UserRef
from domain.changes import MOST_SLOTS_AT_ONCE, SLOT_KINDS, BlockedSlotSource, ChangeKind, Slot
from models.bell import Bell
from models.database import Database
from models.sql import Db, Row, execute, execute_many, fetch

Reads = Callable[..., Awaitable[list[Row]]]
"""A statement and its values; the rows of a snapshot, or of a glance."""

_NEWS = (
    "SELECT t.seq AS newest, c.seq, c.kind, c.subject_id, c.payload, c.detected_at FROM timeline t"
    " LEFT JOIN change c ON c.user_id = t.user_id AND c.seq > $1"
    " WHERE t.user_id = $2 AND t.subaccount_id = $3 ORDER BY c.seq LIMIT $4"
)
_CUTS = (
    "SELECT user_id, MAX(seq) AS floor FROM (SELECT user_id, seq FROM change WHERE detected_at < $1"
    " UNION ALL SELECT user_id, seq - $2 FROM timeline WHERE seq - $2 > floor) old GROUP BY user_id"
    " ORDER BY user_id"  # So that two processes that trim wait for each other, and not in a ring.
)
_CUT_AT_ONCE = 50
"""Users. A transaction for each would be a wait for the disk for each."""
_SLOT_FACTS = tuple(each.name for each in fields_of(Slot))
_Slots = tuple[Slot | None, Slot | None]
"""A slot as it is now, and as it was."""


class Timeline(Model):
    user_id = fields.CharField(max_length=32, primary_key=True)
    subaccount_id = fields.CharField(max_length=32)
    seq = fields.BigIntField(default=0)
    # Rows up to here were dropped as too old: they need not be looked for again.
    floor = fields.BigIntField(default=0)

    class Meta:
        table = "timeline"


class Change(Model):
    id = fields.BigIntField(primary_key=True, generated=True)  # The database's own; `seq` is the position.
    subaccount_id = fields.CharField(max_length=32)
    user_id = fields.CharField(max_length=32)
    seq = fields.BigIntField()
    kind = fields.CharField(max_length=32)
    subject_id = fields.CharField(max_length=32, null=True)
    payload = fields.TextField(null=True)
    detected_at = fields.FloatField()

    class Meta:
        table = "change"
        unique_together = (("user_id", "seq"),)
        indexes = (("detected_at",),)


class NoSuchUserError(Exception):
    """The user was removed, or never was in this subaccount."""


@dataclass(frozen=True, slots=True)
class LogRow:
    """One row of the log. `slot` and `previous` are set for the slot kinds, as that kind needs."""

    seq: int
    kind: ChangeKind
    subject_id: str | None
    slot: Slot | None
    previous: Slot | None
    detected_at: float


@dataclass(slots=True)
class Ledger:
    """The user's timeline, locked: what is noted here is numbered and stored when the transaction ends."""

    db: Db
    user: UserRef
    position: int
    now: float
    _noted: list[tuple[ChangeKind, str | None, _Slots | None]] = field(default_factory=list)
    _slots: int = 0

    def note(self, kind: ChangeKind, subject_id: str | None = None) -> None:
        self._noted.append((kind, subject_id, None))

    def slot_added(self, slot: Slot) -> None:
        self._note_slot(ChangeKind.SLOT_ADDED, slot, None)

    def slot_changed(self, slot: Slot, previous: Slot) -> None:
        self._note_slot(ChangeKind.SLOT_CHANGED, slot, previous)

    def slot_removed(self, previous: Slot) -> None:
        self._note_slot(ChangeKind.SLOT_REMOVED, None, previous)

    def many_slots(self, count: int) -> None:
        """So many changes at once that one row stands for all of them."""
        assert count > MOST_SLOTS_AT_ONCE
        self._slots += count

    def reset_slots(self) -> None:
        """One row in place of each change: a calendar chosen or left, a disconnect, a policy."""
        self._slots = MOST_SLOTS_AT_ONCE + 1

    @property
    def slot_changes(self) -> int:
        return self._slots

    @property
    def has_changes(self) -> bool:
        return bool(self._noted) or self._slots > MOST_SLOTS_AT_ONCE

    def _note_slot(self, kind: ChangeKind, slot: Slot | None, previous: Slot | None) -> None:
        self._slots += 1
        if self._slots > MOST_SLOTS_AT_ONCE:
            return
        subject = slot or previous
        assert subject is not None
        self._noted.append((kind, subject.id, (slot, previous)))

    async def write(self) -> None:
        """Numbers and stores what was noted; a transaction that noted nothing uses no number."""
        noted = self._noted
        if self._slots > MOST_SLOTS_AT_ONCE:
            noted = [row for row in noted if row[0] not in SLOT_KINDS]
            noted.append((ChangeKind.SLOTS_RESET, None, None))
        if not noted:
            return
        await execute_many(
            self.db,
            "INSERT INTO change (subaccount_id, user_id, seq, kind, subject_id, payload, detected_at)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7)",
            [
                (
                    self.user.subaccount,
                    self.user.user,
                    self.position + number,
                    str(kind),
                    subject,
                    slots and _dump(*slots),
                    self.now,
                )
                for number, (kind, subject, slots) in enumerate(noted, 1)
            ],
        )
        self.position += len(noted)
        await execute(
            self.db, "UPDATE timeline SET seq = $1 WHERE user_id = $2", self.position, self.user.user
        )


@asynccontextmanager
async def changing(database: Database, bell: Bell, user: UserRef, *, now: float) -> AsyncIterator[Ledger]:
    """The one way to change a user's time: its lock, then the block's reads and writes, then the log, then the bell.

    Raises NoSuchUserError where the user is gone.
    """
    async with database.writing() as db:
        ledger = await lock(db, user, now=now)
        yield ledger
        changed = ledger.has_changes
        await ledger.write()
    if changed:
        await bell.ring(user.user)


async def lock(db: Db, user: UserRef, *, now: float) -> Ledger:
    # A write, so that it locks on PostgreSQL and SQLite alike.
    rows = await fetch(
        db,
        "UPDATE timeline SET seq = seq WHERE user_id = $1 AND subaccount_id = $2 RETURNING seq",
        user.user,
        user.subaccount,
    )
    if not rows:
        raise NoSuchUserError(user.user)
    return Ledger(db=db, user=user, position=rows[0]["seq"], now=now)


async def read_position(db: Db, user: UserRef) -> int:
    """The log's newest position in this snapshot; 0 before the first change."""
    rows = await fetch(
        db,
        "SELECT seq FROM timeline WHERE user_id = $1 AND subaccount_id = $2",
        user.user,
        user.subaccount,
    )
    if not rows:
        raise NoSuchUserError(user.user)
    position: int = rows[0]["seq"]
    return position


async def read_after(db: Db, user: UserRef, after: int, *, limit: int = 1000) -> list[LogRow]:
    """Rows with a higher position than `after`, in order."""
    rows = await fetch(
        db,
        "SELECT seq, kind, subject_id, payload, detected_at FROM change"
        " WHERE user_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        user.user,
        after,
        limit,
    )
    return [_load(row) for row in rows]


async def read_news(reads: Reads, user: UserRef, after: int, *, limit: int) -> tuple[int, list[LogRow]]:
    """The log's newest position, and the rows after `after`, in one statement: of one state, though by a glance."""
    rows = await reads(_NEWS, after, user.user, user.subaccount, limit)
    if not rows:
        raise NoSuchUserError(user.user)
    return int(rows[0]["newest"]), [_load(row) for row in rows if row["seq"] is not None]


async def erase_icloud_texts(db: Db, user: UserRef) -> None:
    """Takes iCloud's titles and times out of the log, and keeps the numbers."""
    await execute(
        db,
        "UPDATE change SET kind = $1, payload = NULL, subject_id = NULL"
        " WHERE user_id = $2 AND payload IS NOT NULL AND payload LIKE '%\"ICLOUD\"%'",
        str(ChangeKind.ERASED),
        user.user,
        is_long=True,
    )


async def trim(database: Database, *, before: float, most_rows: int) -> None:
    """Drops rows older than `before` and all but the newest `most_rows` of each user, and remembers where it cut.

    A few users a transaction, and those alone of whom something is dropped: the row that remembers is the user's lock.
    """
    async with database.reading() as db:
        cuts = await fetch(db, _CUTS, before, most_rows)
    for start in range(0, len(cuts), _CUT_AT_ONCE):
        async with database.writing() as db:
            for cut in cuts[start : start + _CUT_AT_ONCE]:
                await _cut(db, cut["user_id"], cut["floor"])


async def _cut(db: Db, user_id: str, floor: int) -> None:
    await execute(db, "UPDATE timeline SET floor = $1 WHERE user_id = $2 AND floor < $1", floor, user_id)
    await execute(db, "DELETE FROM change WHERE user_id = $1 AND seq <= $2", user_id, floor, is_long=True)


def _dump(slot: Slot | None, previous: Slot | None) -> str:
    both = {"slot": slot and _facts(slot), "previous": previous and _facts(previous)}
    return json.dumps(both, separators=(",", ":"), ensure_ascii=False)


def _facts(slot: Slot) -> dict[str, object]:
    # Not `asdict`, which copies every value deeply: a first sync notes tens of thousands.
    return {name: getattr(slot, name) for name in _SLOT_FACTS}


def _load(row: dict[str, Any]) -> LogRow:
    payload = json.loads(row["payload"]) if row["payload"] else {}
    return LogRow(
        seq=row["seq"],
        kind=ChangeKind(row["kind"]),
        subject_id=row["subject_id"],
        slot=_slot(payload.get("slot")),
        previous=_slot(payload.get("previous")),
        detected_at=row["detected_at"],
    )


def _slot(stored: dict[str, Any] | None) -> Slot | None:
    if stored is None:
        return None
    return Slot(**{**stored, "source": BlockedSlotSource(stored["source"])})


def slots_of(rows: Sequence[dict[str, Any]]) -> list[Slot]:
    """Rows of `blocked_slot` as values."""
    return [
        Slot(
            id=row["id"],
            start=row["starts"],
            end=row["ends"],
            is_all_day=bool(row["is_all_day"]),
            source=BlockedSlotSource(row["source"]),
            title=row["title"],
            event_id=row["event_id"],
            calendar_id=row["calendar_id"],
        )
        for row in rows
    ]
