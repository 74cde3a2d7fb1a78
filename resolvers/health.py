"""How well the sync loop keeps up with a subaccount's accounts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from domain.accounts import AccountStatus
from models.database import fetch
from resolvers import scope
from resolvers.context import Context
from resolvers.outcomes import Forbidden
from resolvers.views import SyncHealthView

_BY_STATUS = "SELECT status, COUNT(*) AS number FROM icloud_account WHERE subaccount_id = $1 GROUP BY status"
_WRITES = "SELECT COUNT(*) AS number, MIN(created_at) AS oldest FROM pending_write WHERE subaccount_id = $1"


async def sync_health(ctx: Context) -> SyncHealthView | Forbidden:
    """Every status, in order; the lags are this process's."""
    if refusal := scope.admin_only(ctx):
        return refusal
    db, subaccount = await ctx.db(), ctx.actor.subaccount
    counts = {row["status"]: row["number"] for row in await fetch(db, _BY_STATUS, subaccount)}
    [writes] = await fetch(db, _WRITES, subaccount)
    lags = sorted(ctx.services.icloud.lags())
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
