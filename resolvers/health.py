"""How well the sync loop keeps up with a subaccount's accounts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from domain.accounts import AccountStatus
from models.sql import fetch
from resolvers import scope
from resolvers.context import Context
from resolvers.outcomes import Forbidden
from resolvers.views import SyncHealthView

_BY_STATUS = "SELECT status, COUNT(*) AS number FROM icloud_account WHERE subaccount_id = $1 GROUP BY status"
_WRITES = "SELECT COUNT(*) AS number, MIN(created_at) AS oldest FROM pending_write WHERE subaccount_id = $1"


# One that is due is late by now, whatever the last one was. Whether a leased one has begun or waits in its process no
# row tells: the first seconds are taken for a poll under way, and what lasts longer for a wait.
_LAGS = (
    "SELECT CASE WHEN next_poll_at < CASE WHEN lease_until >= $2 THEN $4 ELSE $2 END THEN $2 - next_poll_at"
    " ELSE poll_lag END AS lag FROM icloud_account WHERE subaccount_id = $1 AND next_poll_at IS NOT NULL"
    " AND (next_poll_at < $2 OR poll_lag IS NOT NULL AND last_polled_at >= $3)"
)
_UNDER_WAY = 10.0
_LOOKS_BACK = 300.0


async def sync_health(ctx: Context) -> SyncHealthView | Forbidden:
    """Every status, in order. The lags are of this subaccount's accounts, whichever process polls them."""
    if refusal := scope.admin_only(ctx):
        return refusal
    db, subaccount = await ctx.db(), ctx.actor.subaccount
    counts = {row["status"]: row["number"] for row in await fetch(db, _BY_STATUS, subaccount)}
    [writes] = await fetch(db, _WRITES, subaccount)
    rows = await fetch(db, _LAGS, subaccount, ctx.now, ctx.now - _LOOKS_BACK, ctx.now - _UNDER_WAY)
    lags = sorted(row["lag"] for row in rows if row["lag"] is not None)
    return SyncHealthView(
        accounts=sum(counts.values()),
        by_status=[(status, counts.get(status, 0)) for status in AccountStatus],
        lag_p50=percentile(lags, 50),
        lag_p99=percentile(lags, 99),
        pending_writes=writes["number"],
        oldest_pending_write_at=writes["oldest"],
    )


def percentile(ordered: Sequence[float], percent: int) -> float:
    """The least of them that `percent` in a hundred do not exceed; 0 where there is none."""
    return ordered[math.ceil(len(ordered) * percent / 100) - 1] if ordered else 0.0
