"""The accounts that this process has, and what it will say of them: all at once, in the loop's next turn."""

from __future__ import annotations

import asyncio

from models.polling import Lease, Places, Stamp, lease_account, release_all, trade_leases
from sync.context import SyncContext


class Leases:
    """A lease that is not given back keeps the account from the others until it ends by itself, and no longer."""

    def __init__(self, context: SyncContext) -> None:
        self._context = context
        self._ends: dict[str, float] = {}
        self._stamps: dict[str, Stamp] = {}
        self._turn = asyncio.Lock()
        self._has_taken = False

    async def trade(self, places: Places = Places(), *, ahead: float = 0.0) -> list[Lease]:  # noqa: B008
        """One statement for all that there is to say and to take, or none. What is due within `ahead` seconds, too."""
        context = self._context
        async with self._turn:
            now, lease = context.clock(), context.settings.lease
            stamps, self._stamps = self._stamps, {}
            # One that seems to end later than it can was taken before the clock was set back.
            kept = [
                name
                for name, ends in self._ends.items()
                if not lease * 2 / 3 <= ends - now <= lease and name not in stamps
            ]
            if not (stamps or kept or places.healthy > 0 or places.failing > 0):
                return []
            self._has_taken = True
            try:
                async with context.database.whole.writing() as db:
                    taken = await trade_leases(
                        db,
                        owner=context.owner,
                        now=now,
                        lease=lease,
                        until=now + ahead,
                        places=places,
                        stamps=tuple(stamps.values()),
                        kept=kept,
                    )
            except BaseException:
                # Said again at the next turn; one that is lost means an early poll and no more.
                self._stamps = stamps | self._stamps
                raise
            for name in stamps:
                self._ends.pop(name, None)
            self._ends |= dict.fromkeys((name for name in kept if name in self._ends), now + lease)
            self._ends |= dict.fromkeys((each.account_id for each in taken), now + lease)
            return taken

    async def take(self, account_id: str) -> Lease | None:
        """Leases the account as it is now, due or not; None where another process has it."""
        context = self._context
        async with self._turn:
            # Polled a moment ago and not given back yet: it will be after the poll that is to come.
            stamp = self._stamps.pop(account_id, None)
            now, owner, self._has_taken = context.clock(), context.owner, True
            try:
                async with context.database.whole.writing() as db:
                    lease = await lease_account(
                        db, account_id, owner=owner, now=now, lease=context.settings.lease
                    )
            except BaseException:
                if stamp is not None:
                    # No poll is to come: unsaid, the account would be kept by us for ever and polled by nobody.
                    self._stamps.setdefault(account_id, stamp)
                raise
            if lease is not None:
                self._ends[account_id] = now + context.settings.lease
            return lease

    @property
    def has_stamps(self) -> bool:
        """That are not told yet."""
        return bool(self._stamps)

    def stamp(self, stamp: Stamp) -> None:
        self._stamps[stamp.account_id] = stamp

    def forget(self, account_id: str) -> None:
        """It was given back by other means."""
        self._ends.pop(account_id, None)

    async def give_back_all(self) -> None:
        """Those too that were taken by a statement whose answer nobody heard any more. Tried once."""
        if not self._has_taken:
            return
        try:
            await self.trade()
            async with self._context.database.whole.writing() as db:
                await release_all(db, owner=self._context.owner)
        finally:
            self._has_taken = False
        self._ends.clear()
