"""Many of one kind at once, for lists whose items each lead to one: a query a kind, not a query an item."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from domain.actor import UserRef
from models.blocked import OVERLAPS_FAR, OVERLAPS_NEAR
from models.booking import Appointment
from models.changelog import Timeline, slots_of
from models.icloud import ICloudAccount
from models.people import User
from models.sql import fetch, marks
from resolvers import scope
from resolvers.account_state import account_view
from resolvers.appointments import appointment_view
from resolvers.context import Context
from resolvers.cursors import write_cursor
from resolvers.people import user_view
from resolvers.views import AccountView, AppointmentView, SlotView, UserView

_OVERLAPPING = (
    "SELECT a.id AS appointment_id, a.subaccount_id, a.user_id, b.id AS id, b.starts AS starts, b.ends,"
    " b.is_all_day, b.source, b.title, b.event_id, b.calendar_id"
    " FROM appointment a JOIN blocked_slot b ON {} WHERE a.id IN (:ids)"
)
_CONFLICTS = (
    f"{_OVERLAPPING.format(OVERLAPS_NEAR)} UNION ALL {_OVERLAPPING.format(OVERLAPS_FAR)} ORDER BY starts, id"
)


async def appointments_by_id(ctx: Context, ids: Sequence[str]) -> dict[str, AppointmentView]:
    """Those of many that there are, and that the caller reaches."""
    rows = await Appointment.filter(id__in=ids).using_db(await ctx.db())
    return {row.id: appointment_view(row) for row in scope.reached(ctx, rows)}


async def users_by_id(ctx: Context, ids: Sequence[str]) -> dict[str, UserView]:
    rows = await User.filter(id__in=ids).using_db(await ctx.db())
    views = (user_view(row) for row in rows)
    return {view.ref.user: view for view in views if ctx.actor.may_manage(view.ref)}


async def accounts_by_user(ctx: Context, users: Sequence[UserRef]) -> dict[UserRef, AccountView]:
    """Of those that are connected."""
    rows = await ICloudAccount.filter(**scope.of_users(ctx, users)).using_db(await ctx.db())
    return {view.user: view for view in map(account_view, rows)}


async def positions_by_user(ctx: Context, users: Sequence[UserRef]) -> dict[UserRef, str]:
    """Their change logs' newest positions, in the snapshot that the rest of the answer is read from."""
    rows = await Timeline.filter(**scope.of_users(ctx, users)).using_db(await ctx.db())
    refs = {UserRef(row.subaccount_id, row.user_id): row.seq for row in rows}
    return {user: write_cursor(ctx.services.epoch, user, seq) for user, seq in refs.items()}


async def conflicts(ctx: Context, appointment_ids: Sequence[str]) -> dict[str, tuple[SlotView, ...]]:
    """Blocked slots that came to overlap an appointment after it was booked, of those that have some. By start."""
    db = await ctx.db()
    found_by_id = await Appointment.filter(id__in=appointment_ids, has_conflict=True).using_db(db)
    ids = [row.id for row in scope.reached(ctx, found_by_id)]
    if not ids:
        return {}
    rows = await fetch(db, _CONFLICTS.replace(":ids", marks(len(ids))), *ids)
    found: defaultdict[str, tuple[SlotView, ...]] = defaultdict(tuple)
    for row, slot in zip(rows, slots_of(rows), strict=True):
        user = UserRef(row["subaccount_id"], row["user_id"])
        found[row["appointment_id"]] += (SlotView(user, slot),)
    return found
