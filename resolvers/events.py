"""What was fetched from iCloud, and the time that is closed by it or by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from domain.actor import UserRef
from domain.busy import EventStatus, Participation, ShowAs
from domain.changes import BlockedSlotSource, Slot
from domain.ids import Kind
from domain.interval import Span
from domain.validate import NAME_LENGTH, check_instant, clean_line
from models.blocked import BlockedSlot
from models.calendar import Event
from models.settle import settle_conflicts
from resolvers import audit, scope
from resolvers.context import Context
from resolvers.inputs import invalid
from resolvers.outcomes import InvalidInput, NotFound
from resolvers.paging import Asked, Keys, page_of, read_page, read_range
from resolvers.views import EventView, Page, SlotView

_BEFORE_ALL: Keys = (-(1 << 61), "")

M = TypeVar("M", Event, BlockedSlot)


async def events(  # noqa: PLR0917 - in the order that the contract has them
    ctx: Context, user: UserRef, from_: int, to: int, first: int | None, after: str | None
) -> Page[EventView] | InvalidInput:
    """Busy and free alike, one an occurrence, that overlap the range. By start, then id."""
    asked = _asked("events", from_, to, first, after)
    if isinstance(asked, InvalidInput):
        return asked
    rows = await _overlapping(Event.filter(**scope.of_user(ctx, user)), Span(from_, to), asked).using_db(
        await ctx.db()
    )
    return page_of(asked, rows, keys=_keys, view=event_view)


async def event(ctx: Context, event_id: str) -> EventView | None:
    row = await scope.event(ctx, event_id)
    return None if isinstance(row, NotFound) else event_view(row)


async def events_by_id(ctx: Context, event_ids: Sequence[str]) -> dict[str, EventView]:
    """Those of many that there are."""
    rows = await Event.filter(id__in=event_ids).using_db(await ctx.db())
    return {row.id: event_view(row) for row in scope.reached(ctx, rows)}


async def blocked_slots(  # noqa: PLR0917 - the same
    ctx: Context, user: UserRef, from_: int, to: int, first: int | None, after: str | None
) -> Page[SlotView] | InvalidInput:
    """Closed by busy events and by hand, that overlap the range. By start, then id."""
    asked = _asked("slots", from_, to, first, after)
    if isinstance(asked, InvalidInput):
        return asked
    rows = await _overlapping(
        BlockedSlot.filter(**scope.of_user(ctx, user)), Span(from_, to), asked
    ).using_db(await ctx.db())
    return page_of(asked, rows, keys=_keys, view=slot_view)


async def blocked_slot(ctx: Context, slot_id: str) -> SlotView | None:
    row = await scope.blocked_slot(ctx, slot_id)
    return None if isinstance(row, NotFound) else slot_view(row)


@scope.unless_removed
async def create_blocked_slot(
    ctx: Context, *, user_id: str, start: int, end: int, title: str | None = None
) -> SlotView | InvalidInput | NotFound:
    """Closes time by hand; never written to iCloud. Appointments in it stay, and are shown as in conflict."""
    user = await scope.user(ctx, user_id)
    if isinstance(user, NotFound):
        return user
    for field, instant in (("start", start), ("end", end)):
        if wrong := check_instant(instant, field=field):
            return invalid(wrong)
    if end <= start:
        return InvalidInput("Let it end after it starts.", "end")
    words = clean_line(title or "")
    if len(words) > NAME_LENGTH:
        return InvalidInput(f"Shorten this to at most {NAME_LENGTH} characters.", "title")
    await ctx.renew()
    async with ctx.changing(user) as ledger:
        row = await BlockedSlot.create(
            using_db=ledger.db,
            id=ctx.services.new_id(Kind.BLOCKED_SLOT),
            subaccount_id=user.subaccount,
            user_id=user.user,
            starts=start,
            ends=end,
            source=BlockedSlotSource.MANUAL,
            title=words or None,
        )
        ledger.slot_added(slot_view(row).slot)
        await settle_conflicts(ledger)
        await audit.note(ledger.db, ctx, "slot.created", row.id)
    return slot_view(row)


@scope.unless_removed
async def delete_blocked_slot(ctx: Context, *, slot_id: str) -> str | InvalidInput | NotFound:
    found = await scope.blocked_slot(ctx, slot_id)
    if isinstance(found, NotFound):
        return found
    if found.source != BlockedSlotSource.MANUAL:
        return InvalidInput(
            "This time is closed by an event in iCloud: change or delete the event there, or set the calendar's"
            " busy policy.",
            "blockedSlotId",
        )
    await ctx.renew()
    async with ctx.changing(UserRef(found.subaccount_id, found.user_id)) as ledger:
        row = await BlockedSlot.filter(id=slot_id).using_db(ledger.db).first()
        if row is None:
            return NotFound(scope.NO_SUCH_SLOT)
        await row.delete(using_db=ledger.db)
        ledger.slot_removed(slot_view(row).slot)
        await settle_conflicts(ledger)
        await audit.note(ledger.db, ctx, "slot.deleted", slot_id)
    return slot_id


def slot_view(row: BlockedSlot) -> SlotView:
    return SlotView(
        UserRef(row.subaccount_id, row.user_id),
        Slot(
            id=row.id,
            start=row.starts,
            end=row.ends,
            is_all_day=row.is_all_day,
            source=BlockedSlotSource(row.source),
            title=row.title,
            event_id=row.event_id,
            calendar_id=row.calendar_id,
        ),
    )


def _asked(listing: str, from_: int, to: int, first: int | None, after: str | None) -> Asked | InvalidInput:
    within = read_range(from_, to)
    return within if isinstance(within, InvalidInput) else read_page(listing, first, after, start=_BEFORE_ALL)


def _overlapping(rows: QuerySet[M], within: Span, asked: Asked) -> QuerySet[M]:
    """One that takes no time counts where it stands. The first bound lets the index go straight to the page."""
    start, id_ = asked.after
    return (
        rows.filter(starts__lt=within.end, starts__gte=start)
        .filter(Q(ends__gt=within.start) | Q(starts__gte=within.start))
        .filter(Q(starts__gt=start) | Q(id__gt=id_))
        .order_by("starts", "id")
        .limit(asked.first + 1)
    )


def _keys(row: Event | BlockedSlot) -> Keys:
    return (row.starts, row.id)


def event_view(row: Event) -> EventView:
    return EventView(
        id=row.id,
        user=UserRef(row.subaccount_id, row.user_id),
        calendar_id=row.calendar_id,
        uid=row.uid,
        title=row.title,
        start=row.starts,
        end=row.ends,
        is_all_day=row.is_all_day,
        start_date=row.start_date,
        end_date=row.end_date,
        is_recurring=row.is_recurring,
        show_as=ShowAs(row.show_as),
        status=EventStatus(row.status),
        participation=None if row.participation is None else Participation(row.participation),
        blocks=row.blocks,
        appointment_id=row.appointment_id,
    )
