"""What must hold at any time while loops run: what is closed, how old that is, and what is said of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from benchmarks.faults.account import Slots
from benchmarks.faults.beside import Life
from benchmarks.faults.honest import Texts, appointments, closes, hold_as_said, hold_as_told, texts_of, uid_of
from domain.accounts import AccountStatus
from models.calendar import Calendar, Resource
from models.icloud import ICloudAccount

_LOOKED_AT_WITHIN = 10.0
"""Seconds: over twenty times as long as a well account is left alone, for a machine that has much else to do."""


@dataclass(slots=True)
class Watched:
    """`stood`: what stands in iCloud, by path, and since when. The owner alone changes it, between two looks."""

    life: Life
    stood: dict[str, tuple[str, float]]
    changed: dict[str | None, float] = field(default_factory=dict)
    "By UID: when something of it was last changed."
    closed: Slots = field(default_factory=Counter)
    polled_at: float = 0.0
    "At the last look."
    refused_since: float | None = None
    "Since when the password that we have is none."
    awake_since: float = 0.0
    "Or since when there is something to be polled with again."

    @classmethod
    async def begun(cls, life: Life) -> Watched:
        known = life.known
        made = cls(life, {path: (text, 0.0) for path, text in (await texts_of(known)).items()})
        made.closed = await known.slots()
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

    async def hold(self) -> None:
        """Raises AssertionError."""
        engine = self.life.known.engine
        async with engine.database.reading() as db:
            row = await ICloudAccount.all().using_db(db).get()
            calendars = await Calendar.filter(is_conflict=True).using_db(db)
        closed = await self.life.known.slots()  # No older than what is said of it.
        async with engine.database.reading() as db:
            told = await Resource.filter(has_problems=True).using_db(db)
        problems = frozenset(resource.href for resource in told)
        self._hold_what_was_closed(closed)
        for calendar in calendars:
            self._hold_as_read(calendar, closed, problems)
        self._hold_as_synced(row, closed, problems)
        self._hold_its_age(row)
        await hold_as_told(self.life)
        owns = await appointments(self.life.known)
        await hold_as_said(self.life, owns, await texts_of(self.life.known))
        self.closed, self.polled_at = closed, row.last_polled_at or 0.0

    async def hold_as_ended(self) -> None:
        """Both loops have ended in order: the account is free for others."""
        row = await self.life.known.engine.account()
        assert row.lease_owner is None, f"{row.lease_owner} ended, and did not give its lease back"

    def _hold_what_was_closed(self, closed: Slots) -> None:
        """A poll that began before it stood so may have read it as it was; not one that began later."""
        lasting = self._since(self.polled_at)
        opened = (closes(self.life.known, lasting) & self.closed) - closed
        assert not opened, f"opened, though it stands as it stood: {opened}"

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

    def _hold_its_age(self, row: ICloudAccount) -> None:
        now, polled_at = self.life.known.engine.now, row.last_polled_at or 0.0
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
