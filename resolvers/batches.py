"""Many of one kind at once, for lists whose items each lead to one: a query a kind, not a query an item."""

from __future__ import annotations

from collections.abc import Sequence

from models.booking import Appointment
from models.people import User
from resolvers import scope
from resolvers.appointments import appointment_view
from resolvers.context import Context
from resolvers.people import user_view
from resolvers.views import AppointmentView, UserView


async def appointments_by_id(ctx: Context, ids: Sequence[str]) -> dict[str, AppointmentView]:
    """Those of many that there are, and that the caller reaches."""
    rows = await Appointment.filter(id__in=ids, **scope.reach(ctx.actor)).using_db(await ctx.db())
    return {row.id: appointment_view(row) for row in rows}


async def users_by_id(ctx: Context, ids: Sequence[str]) -> dict[str, UserView]:
    rows = await User.filter(id__in=ids, subaccount_id=ctx.actor.subaccount).using_db(await ctx.db())
    views = (user_view(row) for row in rows)
    return {view.ref.user: view for view in views if ctx.actor.may_manage(view.ref)}
