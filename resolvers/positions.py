"""Where a user's change log stands, as clients hold it."""

from __future__ import annotations

from domain.actor import UserRef
from models.changelog import read_position
from resolvers.context import Context
from resolvers.cursors import write_cursor


async def newest(ctx: Context, user: UserRef) -> str:
    """The newest position, in the snapshot that the rest of the answer is read from."""
    return write_cursor(ctx.services.epoch, user, await read_position(await ctx.db(), user))
