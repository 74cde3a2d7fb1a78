"""Heeds a wall clock that was set back: what was stored by it is looked at again now, and not when it comes round."""

from __future__ import annotations

import logging
import math

from models.changelog import NoSuchUserError, changing
from models.clocks import CLOCKS_DIFFER, Ahead, bring_back, is_ahead, shorten_holds, users_held
from sync.context import SyncContext
from sync.plan import latest_comparison, latest_window
from sync.settings import SyncSettings

log = logging.getLogger(__name__)


class WallClock:
    """Looked at in each turn of the loop; the database once a minute, and whenever the clock shows less than before."""

    def __init__(self, context: SyncContext) -> None:
        self._context = context
        self._looked_at = -math.inf

    async def heed(self) -> None:
        now = self._context.clock()
        if not self._looked_at <= now < self._looked_at + CLOCKS_DIFFER:
            await set_right(self._context)
            self._looked_at = now


async def set_right(context: SyncContext) -> None:
    ahead = plan_ahead(context.clock(), context.settings)
    async with context.database.reading() as db:
        if not await is_ahead(db, ahead):
            return
        users = await users_held(db, ahead)
    log.warning("a clock was set back, or another machine's runs ahead: what it stored is looked at again")
    async with context.database.writing() as db:
        await bring_back(db, ahead)
    for user in users:
        try:
            async with changing(context.database, context.bell, user, now=ahead.now) as ledger:
                await shorten_holds(ledger, ahead)
        except NoSuchUserError:
            continue


def plan_ahead(now: float, settings: SyncSettings) -> Ahead:
    """How far ahead anything is planned at most, and how far clocks may differ."""
    past = now + CLOCKS_DIFFER
    longest = 1 + settings.jitter
    return Ahead(
        now=now,
        past=past,
        lease=past + settings.lease,
        poll=past + max(settings.watched_every, settings.usual_every, settings.quiet_every) * longest,
        retry=past + settings.longest_retry * longest,
        write=past + settings.longest_write_retry * longest,
        comparison=latest_comparison(past, settings),
        window=latest_window(now, settings),
        hold=past + settings.hold_for,
    )
