"""Any node by its id alone, as far as the caller may see it."""

from __future__ import annotations

from domain.actor import Role
from domain.ids import Kind, kind_of
from models.people import Subaccount
from resolvers import accounts, appointments, audit, calendars, events, keys, people, types
from resolvers.context import Context
from resolvers.views import (
    AccountView,
    AppointmentTypeView,
    AppointmentView,
    AuditView,
    CalendarView,
    EventView,
    KeyView,
    SlotView,
    SubaccountView,
    UserView,
)

NodeView = (
    SubaccountView
    | UserView
    | KeyView
    | AccountView
    | CalendarView
    | EventView
    | SlotView
    | AppointmentTypeView
    | AppointmentView
    | AuditView
)


async def node(ctx: Context, node_id: str) -> NodeView | None:
    """None for what there is not, and for what this key may not see."""
    kind = kind_of(node_id)
    if ctx.actor.role is Role.BOOKING and kind is not Kind.SUBACCOUNT:
        return None
    match kind:
        case Kind.SUBACCOUNT:
            return await _subaccount(ctx, node_id)
        case Kind.USER:
            return await people.user(ctx, node_id)
        case Kind.KEY:
            return await keys.key(ctx, node_id)
        case Kind.ACCOUNT:
            return await accounts.account_by_id(ctx, node_id)
        case Kind.CALENDAR:
            return await calendars.calendar(ctx, node_id)
        case Kind.EVENT:
            return await events.event(ctx, node_id)
        case Kind.BLOCKED_SLOT:
            return await events.blocked_slot(ctx, node_id)
        case Kind.APPOINTMENT_TYPE:
            return await types.type_by_id(ctx, node_id)
        case Kind.APPOINTMENT:
            return await appointments.appointment(ctx, node_id)
        case Kind.AUDIT:
            return await audit.entry(ctx, node_id)
        case _:
            return None


async def _subaccount(ctx: Context, node_id: str) -> SubaccountView | None:
    if node_id != ctx.actor.subaccount:
        return None
    row = await Subaccount.filter(id=node_id).using_db(await ctx.db()).first()
    return None if row is None else SubaccountView(row.id, row.name)
