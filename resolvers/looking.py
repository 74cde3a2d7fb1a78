"""Looks at iCloud before time is given away: a booking rests on a state of the last minute, where iCloud answers."""

from __future__ import annotations

from domain.actor import UserRef
from models.changelog import NoSuchUserError
from resolvers.context import Context
from resolvers.freshness import SyncState
from resolvers.outcomes import AvailabilityUnknown
from resolvers.user_time import read_people

UNKNOWN = "The calendar could not be checked just now, so nothing can be confirmed: try again in a minute."


async def look_first(ctx: Context, user: UserRef) -> AvailabilityUnknown | None:
    """None: go on. One poll is shared by all who wait for it; where it fails, a state within the limit will do.

    Holds no snapshot while it waits, and none when it returns. Raises NoSuchUserError.
    """
    state = await _state(ctx, user)
    settings = ctx.services.settings
    if state.older_than(ctx.now - settings.look_again_after):
        await ctx.services.icloud.refresh(user, wait=settings.look_at_most)
        state = await _state(ctx, user)
    return unknown(state, now=ctx.now, limit=settings.staleness_limit)


def unknown(state: SyncState, *, now: float, limit: float) -> AvailabilityUnknown | None:
    """Older than the limit, or never read."""
    if not state.older_than(now - limit):
        return None
    return AvailabilityUnknown(UNKNOWN, state.retry_at)


async def _state(ctx: Context, user: UserRef) -> SyncState:
    people = await read_people(await ctx.db(), (user,), now=ctx.now)
    await ctx.renew()
    if people is None:
        raise NoSuchUserError(user.user)
    return people[0].sync
