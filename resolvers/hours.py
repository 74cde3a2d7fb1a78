"""Working hours: set as a whole, in the user's own zone."""

from __future__ import annotations

from collections.abc import Sequence

from domain.changes import ChangeKind
from domain.hours import DateOverride, InvalidHours, WeeklyHours, WorkingHours, validate_hours
from models.people import User
from resolvers import audit, scope
from resolvers.context import Context
from resolvers.outcomes import InvalidInput, NotFound
from resolvers.people import user_view
from resolvers.stored_hours import hours_of
from resolvers.views import UserView


@scope.unless_removed
async def set_working_hours(
    ctx: Context, *, user_id: str, weekly: Sequence[WeeklyHours], overrides: Sequence[DateOverride]
) -> UserView | InvalidInput | NotFound:
    """The hours that are open from now on; appointments outside them stay."""
    user = await scope.user(ctx, user_id)
    if isinstance(user, NotFound):
        return user
    hours = validate_hours(weekly, overrides)
    if isinstance(hours, InvalidHours):
        return InvalidInput(hours.message, hours.field)
    await ctx.renew()
    async with ctx.changing(user) as ledger:
        row = await User.filter(id=user.user).using_db(ledger.db).get()
        if hours != hours_of(row):
            row.hours = _stored(hours)
            await row.save(using_db=ledger.db, update_fields=["hours"])
            ledger.note(ChangeKind.HOURS, user.user)
            await audit.note(ledger.db, ctx, "hours.set", user.user)
    return user_view(row)


def _stored(hours: WorkingHours) -> dict[str, object]:
    return {
        "weekly": [list(span) for span in hours.weekly],
        "overrides": {
            override.date.isoformat(): [list(span) for span in override.hours] for override in hours.overrides
        },
    }
