"""What subscriptions follow: a user's log, the account, and availability, as they change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TypeVar

from domain.actor import UserRef
from domain.changes import SLOT_KINDS, ChangeKind
from models.booking import Appointment
from models.changelog import LogRow, NoSuchUserError, read_position
from resolvers import accounts, scope
from resolvers.appointments import appointment_view
from resolvers.availability import AvailabilityQuestion
from resolvers.context import Context
from resolvers.cursors import ForeignCursorError, read_cursor, write_cursor
from resolvers.feeds import Feed, Reset
from resolvers.limits import Rule
from resolvers.outcomes import InvalidInput, NotFound, Refusal
from resolvers.sources import Source, source_of
from resolvers.views import (
    AccountView,
    AppointmentChangeView,
    AvailabilityUpdateView,
    SlotChangeView,
)

T = TypeVar("T")

_SLOT_KINDS = {
    ChangeKind.SLOT_ADDED: "ADDED",
    ChangeKind.SLOT_CHANGED: "CHANGED",
    ChangeKind.SLOT_REMOVED: "REMOVED",
}
_APPOINTMENT_KINDS = {
    ChangeKind.APPOINTMENT_BOOKED: "BOOKED",
    ChangeKind.APPOINTMENT_RESCHEDULED: "RESCHEDULED",
    ChangeKind.APPOINTMENT_CANCELLED: "CANCELLED",
    ChangeKind.APPOINTMENT_WRITTEN: "ICLOUD_STATE_CHANGED",
    ChangeKind.CONFLICT_DETECTED: "CONFLICT_DETECTED",
    ChangeKind.CONFLICT_RESOLVED: "CONFLICT_RESOLVED",
}
_ACCOUNT_KINDS = frozenset({ChangeKind.ACCOUNT, ChangeKind.CALENDARS})
_RESET = "RESET"


class RefusedError(Exception):
    """The subscription can't begin or go on; what a query would answer as a typed error."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


async def blocked_slot_changes(
    ctx: Context, user_id: str, after: str | None
) -> AsyncGenerator[SlotChangeView, None]:
    """Every change of the user's blocked slots after the cursor, then each as it lands."""
    user = await _followed(ctx, user_id)
    async with _following(ctx, user, after) as (feed, entries):
        async for entry in entries:
            view = feed.plain.of("slot", entry, partial(_slot_change, ctx, user, entry))
            if view is not None:
                yield view


async def appointment_changes(
    ctx: Context, user_id: str, after: str | None
) -> AsyncGenerator[AppointmentChangeView, None]:
    user = await _followed(ctx, user_id)
    async with _following(ctx, user, after) as (feed, entries):
        async for entry in entries:
            make = partial(_apart, ctx, partial(_appointment_change, user=user, entry=entry))
            view = await feed.once.of("appointment", entry, make)
            if view is not None:
                yield view


async def account_changes(ctx: Context, user_id: str) -> AsyncGenerator[AccountView | None, None]:
    """The state now, then whenever it is another one."""
    user = await _followed(ctx, user_id)
    # From one snapshot: no change can fall between the state and the position that is followed from.
    position = await read_position(await ctx.db(), user)
    shown = await accounts.account(ctx, user)
    await ctx.renew()
    yield shown
    async with _from(ctx, user, position) as (feed, entries):
        async for entry in entries:
            if isinstance(entry, LogRow) and entry.kind not in _ACCOUNT_KINDS:
                continue
            current = await feed.once.of("account", entry, partial(_apart, ctx, partial(_account, user=user)))
            # The view does not hold its calendars: what may have changed of them is told unseen.
            if current != shown or isinstance(entry, Reset) or entry.kind is ChangeKind.CALENDARS:
                shown = current
                yield shown


async def _account(ctx: Context, user: UserRef) -> AccountView | None:
    return await accounts.account(ctx, user)


async def _apart(ctx: Context, read: Callable[[Context], Awaitable[T]]) -> T:
    """From a snapshot of its own: it goes on for the others where the one that began it leaves."""
    own = Context(ctx.services, ctx.actor, address=ctx.address)
    try:
        return await read(own)
    finally:
        await own.renew()


async def availability_changes(
    ctx: Context, question: AvailabilityQuestion
) -> AsyncGenerator[AvailabilityUpdateView, None]:
    """The availability now, then whenever it is another one. Computed once for all who ask the same."""
    await _turn(ctx)
    shared = await source_of(ctx, question)
    if isinstance(shared, Refusal):
        raise RefusedError(shared)
    await ctx.renew()
    with ctx.services.sources.sharing(shared.key, shared.source) as source:
        assert isinstance(source, Source)
        async with aclosing(source.follow()) as updates:
            async for update in updates:
                if isinstance(update, Refusal):
                    raise RefusedError(update)
                yield update
                await ctx.renew()


async def _turn(ctx: Context) -> None:
    """After a restart all guests of an address come at once. The later ones wait: to clients a refusal is the end."""
    if not ctx.is_booking:
        return
    limits, who = ctx.services.limits, ctx.counted_as
    seconds = limits.queue(Rule.FOLLOWING, who)
    if not seconds:
        return
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        limits.refund(Rule.FOLLOWING, who)
        raise


async def _followed(ctx: Context, user_id: str) -> UserRef:
    user = await scope.user(ctx, user_id)
    if isinstance(user, NotFound):
        raise RefusedError(user)
    return user


@asynccontextmanager
async def _following(
    ctx: Context, user: UserRef, after: str | None
) -> AsyncIterator[tuple[Feed, AsyncIterator[LogRow | Reset]]]:
    """What lands after a client's cursor; without one, after now."""
    position: int | None
    if after is None:
        position = await read_position(await ctx.db(), user)
    else:
        try:
            position = read_cursor(after, epoch=ctx.services.epoch, user=user)
        except ForeignCursorError as error:
            raise RefusedError(InvalidInput(str(error), "after")) from None
    await ctx.renew()
    async with _from(ctx, user, position) as following:
        yield following


@asynccontextmanager
async def _from(
    ctx: Context, user: UserRef, position: int | None
) -> AsyncIterator[tuple[Feed, AsyncIterator[LogRow | Reset]]]:
    services = ctx.services

    async def watch() -> None:
        await services.watch((user,))

    def make() -> Feed:
        return Feed(
            user, services.database, services.bell, look_every=services.settings.look_every, watch=watch
        )

    with services.feeds.sharing(user, make) as feed:
        async with aclosing(feed.follow(position)) as entries:
            try:
                yield feed, entries
            except NoSuchUserError:
                # The end of a user is a refusal, like the lack of one.
                raise RefusedError(scope.NO_SUCH_USER) from None


def _slot_change(ctx: Context, user: UserRef, entry: LogRow | Reset) -> SlotChangeView | None:
    if isinstance(entry, Reset):
        return _reset_of_slots(ctx, user, entry.position, ctx.now)
    if entry.kind not in SLOT_KINDS:
        return None
    if entry.kind is ChangeKind.SLOTS_RESET:
        return _reset_of_slots(ctx, user, entry.seq, entry.detected_at)
    return SlotChangeView(
        cursor=write_cursor(ctx.services.epoch, user, entry.seq),
        kind=_SLOT_KINDS[entry.kind],
        user=user,
        slot=entry.slot,
        previous=entry.previous,
        detected_at=entry.detected_at,
    )


def _reset_of_slots(ctx: Context, user: UserRef, position: int, at: float) -> SlotChangeView:
    cursor = write_cursor(ctx.services.epoch, user, position)
    return SlotChangeView(cursor, _RESET, user, slot=None, previous=None, detected_at=at)


async def _appointment_change(
    ctx: Context, *, user: UserRef, entry: LogRow | Reset
) -> AppointmentChangeView | None:
    if isinstance(entry, Reset):
        cursor = write_cursor(ctx.services.epoch, user, entry.position)
        return AppointmentChangeView(cursor, _RESET, appointment=None, detected_at=ctx.now)
    kind = _APPOINTMENT_KINDS.get(entry.kind)
    if kind is None:
        return None
    rows = Appointment.filter(id=entry.subject_id, subaccount_id=user.subaccount, user_id=user.user)
    row = await rows.using_db(await ctx.db()).first()
    return AppointmentChangeView(
        cursor=write_cursor(ctx.services.epoch, user, entry.seq),
        kind=kind,
        appointment=None if row is None else appointment_view(row),
        detected_at=entry.detected_at,
    )
