"""What must hold at any time while loops run: what is closed, how old that is, and what is said of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from benchmarks.faults.account import Slots
from benchmarks.faults.beside import Life
from benchmarks.faults.honest import Texts, appointments, closes, hold_as_said, hold_as_told, texts_of, uid_of
from benchmarks.fresh import slots_by_id
from domain.accounts import AccountStatus
from domain.changes import ChangeKind
from models.calendar import Calendar, Resource
from models.changelog import LogRow
from models.icloud import ICloudAccount

_LOOKED_AT_WITHIN = 30.0
"""Seconds: many times as long as a well account is left alone, for a machine that has much else to do."""

Closed = tuple[int, int, str]
"""From when to when, and by which UID."""


@dataclass(slots=True)
class Watched:
    """`stood`: what stands in iCloud, by path, and since when. The owner alone changes it, between two looks."""

    life: Life
    stood: dict[str, tuple[str, float]]
    changed: dict[str | None, float] = field(default_factory=dict)
    "By UID: when something of it was last changed."
    closed: dict[str, Closed] = field(default_factory=dict)
    "By slot; at the last look, as these two."
    polled_at: float = 0.0
    position: int = 0
    refused_since: float | None = None
    "Since when the password that we have is none."
    awake_since: float = 0.0
    "Or since when there is something to be polled with again."

    @classmethod
    async def begun(cls, life: Life) -> Watched:
        known = life.known
        made = cls(life, {path: (text, 0.0) for path, text in (await texts_of(known)).items()})
        made.position, made.closed = await known.engine.position(), await slots_by_id(known.engine.database)
        return made

    async def note(self, now: float) -> None:
        """Something may have been changed, and no later than now."""
        texts = await texts_of(self.life.known)
        before = {path: text for path, (text, _) in self.stood.items()}
        for _, text in texts.items() ^ before.items():
            self.changed[uid_of(text)] = now
        self.stood = {
            path: self.stood[path] if before.get(path) == text else (text, now)
            for path, text in texts.items()
        }

    async def hold(self, clock: Callable[[], float]) -> None:
        """Raises AssertionError."""
        engine = self.life.known.engine
        async with engine.database.reading() as db:
            row = await ICloudAccount.all().using_db(db).get()
            calendars = await Calendar.filter(is_conflict=True).using_db(db)
        slots = await slots_by_id(engine.database)  # No older than what is said of it.
        closed = Counter(slots.values())
        log = await engine.log(self.position)
        async with engine.database.reading() as db:
            told = await Resource.filter(has_problems=True).using_db(db)
        problems = frozenset(resource.href for resource in told)
        self._hold_what_was_closed(slots, log)
        for calendar in calendars:
            self._hold_as_read(calendar, closed, problems)
        self._hold_as_synced(row, closed, problems)
        self._hold_its_age(row, clock())  # What was read is older.
        await hold_as_told(self.life)
        owns = await appointments(self.life.known)
        await hold_as_said(self.life, owns, await texts_of(self.life.known))
        self.closed, self.polled_at = slots, row.last_polled_at or 0.0
        self.position = log[-1].seq if log else self.position

    async def hold_as_ended(self) -> None:
        """Both loops have ended in order: the account is free for others."""
        row = await self.life.known.engine.account()
        assert row.lease_owner is None, f"{row.lease_owner} ended, and did not give its lease back"

    def _hold_what_was_closed(self, slots: Mapping[str, Closed], log: Sequence[LogRow]) -> None:
        """A poll that began before it stood so may have read it as it was; not one that began later.

        After each transaction since the last look: what opens for a moment alone may be booked in it.
        """
        lasting = closes(self.life.known, self._since(self.polled_at)) & Counter(self.closed.values())
        closed = dict(self.closed)
        for at, rows in groupby(log, key=lambda row: row.detected_at):
            for row in rows:
                _replay(row, closed, slots)
            opened = lasting - Counter(closed.values())
            assert not opened, f"opened at {at}, though it stands as it stood: {opened}"
        opened = lasting - Counter(slots.values())
        assert not opened, f"opened, and the log does not say when: {opened}"

    def _hold_as_read(self, calendar: Calendar, closed: Slots, problems: frozenset[str]) -> None:
        """It says from when it is: what stood there then, and stands there yet, closes its time."""
        read_at = calendar.last_synced_at or 0.0
        texts = {
            path: text
            for path, text in self._since(read_at).items()
            if path.startswith(calendar.path) and path not in problems
        }
        lacking = closes(self.life.known, texts) - closed
        assert not lacking, f"{calendar.name} was read at {read_at}, and leaves open: {lacking}"

    def _hold_as_synced(self, row: ICloudAccount, closed: Slots, problems: frozenset[str]) -> None:
        """Nothing else closes time by then."""
        synced_at = row.last_synced_at or 0.0
        known, texts = self.life.known, {path: text for path, (text, _) in self.stood.items()}
        extra = closed - closes(known, texts)
        excused = {uid_of(texts[path]) for path in problems & texts.keys()}
        wrong = {
            slot: count
            for slot, count in extra.items()
            if self.changed.get(slot[2], 0.0) < synced_at and slot[2] not in excused
        }
        assert not wrong, f"all was read at {synced_at}, and is closed by nothing: {wrong}"

    def _hold_its_age(self, row: ICloudAccount, now: float) -> None:
        polled_at = row.last_polled_at or 0.0
        assert polled_at <= now, f"polled at {polled_at}, which is yet to come at {now}"
        assert (row.last_synced_at or 0.0) <= polled_at, "in step since a poll that never was"
        if row.status == AccountStatus.CONNECTED:
            assert now - max(polled_at, self.awake_since) < _LOOKED_AT_WITHIN, (
                f"connected, and last looked at {now - polled_at} s ago"
            )
            assert self.refused_since is None or polled_at <= self.refused_since, (
                f"connected by a poll at {polled_at}, by a password that is none since {self.refused_since}"
            )

    def _since(self, moment: float) -> Texts:
        """What has stood as it stands since before then."""
        return {path: text for path, (text, since) in self.stood.items() if since < moment}


def _replay(row: LogRow, closed: dict[str, Closed], slots: Mapping[str, Closed]) -> None:
    """`slots`: as they are now. The log knows no UIDs."""
    name = row.subject_id or ""
    if row.kind == ChangeKind.SLOT_REMOVED:
        closed.pop(name, None)
    elif row.kind in {ChangeKind.SLOT_ADDED, ChangeKind.SLOT_CHANGED} and name in slots:
        closed[name] = slots[name]
