"""Appointments as their owner sees them, and as their guest does."""

from __future__ import annotations

from domain.actor import UserRef
from models.booking import Appointment, AppointmentType
from models.people import User
from models.sql import Db, fetch
from resolvers import reach, scope
from resolvers.context import Context
from resolvers.outcomes import InvalidInput, NotFound
from resolvers.paging import page_of, read_page, read_range
from resolvers.types import page_view
from resolvers.views import (
    AppointmentView,
    BookingView,
    CancellationView,
    GuestView,
    Page,
    WrittenView,
)

CONFIRMED = "CONFIRMED"
CANCELLED = "CANCELLED"


async def appointments(
    ctx: Context,
    user: UserRef,
    *,
    from_: int,
    to: int,
    status: str | None,
    first: int | None,
    after: str | None,
) -> Page[AppointmentView] | InvalidInput:
    """All that meet the range, cancelled ones too unless a status is asked for. By start, then id."""
    asked = read_page("appointments", first, after, start=(-(1 << 61), ""))
    if isinstance(asked, InvalidInput):
        return asked
    within = read_range(from_, to)
    if isinstance(within, InvalidInput):
        return within
    if not ctx.actor.may_manage(user):
        return page_of(asked, (), keys=_keys, view=appointment_view)
    db = await ctx.db()
    start, after_id = asked.after
    ids = await fetch(
        db,
        "SELECT id FROM appointment WHERE subaccount_id = $1 AND user_id = $2 AND starts < $3 AND ends > $4"
        " AND (starts > $5 OR (starts = $5 AND id > $6)) AND ($7 = '' OR status = $7)"
        " ORDER BY starts, id LIMIT $8",
        user.subaccount,
        user.user,
        within.end,
        within.start,
        start,
        after_id,
        str(status or ""),
        asked.first + 1,
    )
    rows = await Appointment.filter(id__in=[row["id"] for row in ids]).using_db(db).order_by("starts", "id")
    return page_of(asked, rows, keys=_keys, view=appointment_view)


async def appointment(ctx: Context, appointment_id: str) -> AppointmentView | None:
    row = await scope.appointment(ctx, appointment_id)
    return None if isinstance(row, NotFound) else appointment_view(row)


async def booking(ctx: Context, manage_token: str) -> BookingView | None:
    """For whoever holds the token that the guest was handed."""
    row = await reach.booked(await ctx.db(), ctx.actor, manage_token, identity_key=ctx.services.identity_key)
    return None if row is None else await booking_view(ctx, row)


async def booking_view(ctx: Context, row: Appointment) -> BookingView | None:
    db = await ctx.db()
    host = await User.filter(id=row.user_id, subaccount_id=row.subaccount_id).using_db(db).first()
    if host is None:
        return None
    type_ = await _open_type(db, row)
    return BookingView(
        id=row.id,
        manage_token=reach.manage_token(ctx.services.identity_key, row.id),
        page=None if type_ is None else page_view(type_, host, now=ctx.now),
        host_name=host.name,
        host_time_zone=host.time_zone,
        title=row.title,
        start=row.starts,
        end=row.ends,
        status=row.status,
        is_changeable=is_changeable(row, now=ctx.now),
        guest=_guest(row),
        notes=row.notes,
        cancellation=_cancellation(row),
    )


def is_changeable(row: Appointment, *, now: float) -> bool:
    return row.status == CONFIRMED and row.starts > now


def appointment_view(row: Appointment) -> AppointmentView:
    return AppointmentView(
        id=row.id,
        user=UserRef(row.subaccount_id, row.user_id),
        type_id=row.type_id,
        title=row.title,
        start=row.starts,
        end=row.ends,
        status=row.status,
        guest=_guest(row),
        notes=row.notes,
        cancellation=_cancellation(row),
        created_at=row.created_at,
        written=WrittenView(
            row.write_state, row.calendar_id, row.written_at, row.write_attempts, row.write_problem
        ),
        has_conflict=row.has_conflict,
    )


async def _open_type(db: Db, row: Appointment) -> AppointmentType | None:
    if row.type_id is None:
        return None
    return await AppointmentType.filter(id=row.type_id, is_archived=False).using_db(db).first()


def _guest(row: Appointment) -> GuestView:
    return GuestView(row.guest_name, row.guest_email, row.guest_phone)


def _cancellation(row: Appointment) -> CancellationView | None:
    if row.cancelled_at is None:
        return None
    return CancellationView(row.cancelled_at, row.cancelled_by or "", row.cancel_reason)


def _keys(row: Appointment) -> tuple[int, str]:
    return row.starts, row.id
