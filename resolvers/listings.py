"""Pages of several users' lists at once, for an answer whose users each hold one: a query a kind, not one a user."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from domain.actor import UserRef
from models.blocked import BlockedSlot
from models.booking import Appointment
from models.calendar import Event
from models.sql import fetch, marks
from resolvers import appointments, events
from resolvers.appointments import appointment_view
from resolvers.context import Context
from resolvers.events import event_view, slot_view
from resolvers.outcomes import InvalidInput
from resolvers.paging import Asked, page_of, read_page, read_range
from resolvers.views import AppointmentView, EventView, Page, SlotView

M = TypeVar("M", Event, BlockedSlot, Appointment)
V = TypeVar("V")

_APPOINTMENTS = "appointment"
_TABLES = {"events": "event", "slots": "blocked_slot", "appointments": _APPOINTMENTS}
_BEFORE_ALL = (-(1 << 61), "")
# One that takes no time counts where it stands; an appointment always takes some.
_IDS = (
    "SELECT id FROM (SELECT id, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY starts, id) AS place FROM :table"
    " WHERE subaccount_id = $1 AND starts < $2 AND (ends > $3 OR (starts >= $3 AND ends = starts))"
    " AND (starts > $4 OR (starts = $4 AND id > $5)) AND ($6 = '' OR :status = $6) AND user_id IN (:users)"
    ") AS placed WHERE place <= $7"
)


@dataclass(frozen=True, slots=True)
class Listing:
    """Which page of each user's list is asked for."""

    from_: int
    to: int
    first: int | None
    after: str | None
    status: str | None = None


Pages = Mapping[UserRef, Page[V]] | InvalidInput


async def events_by_user(ctx: Context, users: Sequence[UserRef], listing: Listing) -> Pages[EventView]:
    if len(users) == 1:
        return _alone(users, await events.events(ctx, users[0], *_range_and_page(listing)))
    return await _together(ctx, "events", Event, event_view, users, listing)


async def blocked_slots_by_user(ctx: Context, users: Sequence[UserRef], listing: Listing) -> Pages[SlotView]:
    if len(users) == 1:
        return _alone(users, await events.blocked_slots(ctx, users[0], *_range_and_page(listing)))
    return await _together(ctx, "slots", BlockedSlot, slot_view, users, listing)


async def appointments_by_user(
    ctx: Context, users: Sequence[UserRef], listing: Listing
) -> Pages[AppointmentView]:
    if len(users) == 1:
        page = await appointments.appointments(
            ctx,
            users[0],
            from_=listing.from_,
            to=listing.to,
            status=listing.status,
            first=listing.first,
            after=listing.after,
        )
        return _alone(users, page)
    return await _together(ctx, "appointments", Appointment, appointment_view, users, listing)


def _range_and_page(listing: Listing) -> tuple[int, int, int | None, str | None]:
    return (listing.from_, listing.to, listing.first, listing.after)


def _alone(users: Sequence[UserRef], page: Page[V] | InvalidInput) -> Pages[V]:
    return page if isinstance(page, InvalidInput) else {users[0]: page}


async def _together(  # noqa: PLR0917 - what is listed, and of whom.
    ctx: Context,
    name: str,
    table: type[M],
    view: Callable[[M], V],
    users: Sequence[UserRef],
    listing: Listing,
) -> Pages[V]:
    asked = _asked(name, listing)
    if isinstance(asked, InvalidInput):
        return asked
    reached = [user for user in users if ctx.actor.may_manage(user)]
    rows = await _rows(ctx, _TABLES[name], table, reached, listing, asked) if reached else []
    return {
        user: page_of(asked, [row for row in rows if row.user_id == user.user], keys=_keys, view=view)
        for user in users
    }


def _asked(name: str, listing: Listing) -> Asked | InvalidInput:
    within = read_range(listing.from_, listing.to)
    page = read_page(name, listing.first, listing.after, start=_BEFORE_ALL)
    # As each list by itself has it: appointments name the page's mistake first.
    first, second = (page, within) if name == "appointments" else (within, page)
    if isinstance(first, InvalidInput):
        return first
    return second if isinstance(second, InvalidInput) else page


async def _rows(  # noqa: PLR0917 - the same.
    ctx: Context, name: str, table: type[M], users: Sequence[UserRef], listing: Listing, asked: Asked
) -> list[M]:
    db = await ctx.db()
    statement = (
        _IDS.replace(":table", name)
        .replace(":status", "status" if name == _APPOINTMENTS else "''")
        .replace(":users", marks(len(users), after=7))
    )
    values = (ctx.actor.subaccount, listing.to, listing.from_, *asked.after, str(listing.status or ""))
    found = await fetch(db, statement, *values, asked.first + 1, *(user.user for user in users))
    ids = [row["id"] for row in found]
    return await table.filter(id__in=ids).using_db(db).order_by("starts", "id")


def _keys(row: Event | BlockedSlot | Appointment) -> tuple[int, str]:
    return (row.starts, row.id)
