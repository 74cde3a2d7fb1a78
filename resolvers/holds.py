"""Holds: one start kept for one guest, for a few minutes."""

from __future__ import annotations

import math
import secrets
from dataclasses import replace

from domain.actor import UserRef
from domain.availability import Rules
from domain.changes import ChangeKind
from domain.ids import Kind
from models.booking import Appointment, AppointmentType, Hold
from models.changelog import Ledger, NoSuchUserError
from models.seal import derive
from models.sql import Db
from resolvers import reach, scope
from resolvers.appointments import is_changeable
from resolvers.asked import NO_SUCH_BOOKING, NO_SUCH_PAGE
from resolvers.context import Context
from resolvers.limits import Rule, network_of
from resolvers.looking import look_first
from resolvers.outcomes import (
    AvailabilityUnknown,
    InvalidInput,
    NotFound,
    RateLimited,
    SlotUnavailable,
)
from resolvers.placing import NotFree, Place, offer, person_of, use_up, why_not
from resolvers.types import as_booked, rules_of
from resolvers.views import HoldView

_TOO_MANY = "This page already keeps as many starts for you as it may: release one, or wait until one ends."
_TOO_OFTEN = "Too many calls from this address: wait a moment, then try again."


@scope.unless_removed
async def hold(
    ctx: Context, *, page_slug: str, start: int, replaces: str | None, manage_token: str | None
) -> HoldView | SlotUnavailable | AvailabilityUnknown | RateLimited | InvalidInput | NotFound:
    if ctx.is_booking and (retry_at := ctx.services.limits.take(Rule.HOLD, ctx.counted_as)):
        return RateLimited(_TOO_OFTEN, retry_at)
    type_ = await reach.page_type(await ctx.db(), ctx.actor, page_slug)
    if type_ is None:
        return NO_SUCH_PAGE
    user = UserRef(type_.subaccount_id, type_.user_id)
    if refusal := await look_first(ctx, user):
        return refusal
    async with ctx.changing(user) as ledger:
        made = await _hold(ctx, ledger, page_slug, start, replaces=replaces, manage_token=manage_token)
    if isinstance(made, NotFree):
        return await offer(ctx, made)
    if isinstance(made, HoldView):
        await _release_elsewhere(ctx, user, replaces)
        await ctx.services.watch((user,))
    return made


async def release(ctx: Context, *, token: str) -> str | NotFound:
    """One that has ended already is as good as released."""
    found = await reach.held(await ctx.db(), ctx.actor, token, now=ctx.now)
    await ctx.renew()
    if found is not None:
        await _end(ctx, UserRef(found.subaccount_id, found.user_id), token)
    return token


def kept_open(rules: Rules, hold: Hold | None, start: int, *, now: float, hold_for: int) -> Rules:
    """For who holds this very start: what was soon enough when the hold was made is so now."""
    if hold is None or hold.starts != start:
        return rules
    held_since = hold.expires_at - hold_for
    return replace(rules, notice=max(rules.notice - math.ceil(max(now - held_since, 0)), 0))


async def own_hold(db: Db, ctx: Context, user: UserRef, token: str | None) -> Hold | None:
    """The live hold of this token on this user's time; any other is ignored."""
    found = await reach.held(db, ctx.actor, token, now=ctx.now)
    return found if found is not None and found.user_id == user.user else None


async def _hold(
    ctx: Context,
    ledger: Ledger,
    page_slug: str,
    start: int,
    *,
    replaces: str | None,
    manage_token: str | None,
) -> HoldView | NotFree | AvailabilityUnknown | RateLimited | InvalidInput | NotFound:
    db, user, now = ledger.db, ledger.user, ctx.now
    type_ = await reach.page_type(db, ctx.actor, page_slug)
    if type_ is None or type_.user_id != user.user:
        return NO_SUCH_PAGE
    person = await person_of(db, user, now=now)
    rules = rules_of(type_, person.zone, now=math.ceil(now))
    moved = await _moved(db, ctx, user, manage_token)
    if isinstance(moved, InvalidInput | NotFound):
        return moved
    replaced = await own_hold(db, ctx, user, replaces)
    address = _address(ctx)
    if refusal := await _too_many(db, ctx, type_, address, replaced):
        return refusal
    place = Place(
        person=person,
        start=start,
        rules=rules if moved is None else as_booked(rules, moved),
        type_id=type_.id,
        own_appointment=None if moved is None else moved.id,
        own_hold=None if replaced is None else replaced.id,
    )
    if refused := await why_not(db, ctx.services, place):
        return refused
    await use_up(ledger, replaced)
    return await _store(ctx, ledger, place, address)


async def _store(ctx: Context, ledger: Ledger, place: Place, address: str | None) -> HoldView:
    row = await Hold.create(
        using_db=ledger.db,
        id=ctx.services.new_id(Kind.HOLD),
        token=secrets.token_urlsafe(24),
        subaccount_id=ledger.user.subaccount,
        user_id=ledger.user.user,
        type_id=place.type_id,
        address=address,
        starts=place.span.start,
        ends=place.span.end,
        buffer_before=place.rules.buffer_before,
        buffer_after=place.rules.buffer_after,
        expires_at=ctx.now + ctx.services.settings.hold_for,
    )
    ledger.note(ChangeKind.HOLD_MADE, row.id)
    return HoldView(row.token, row.starts, row.ends, row.expires_at)


async def _moved(
    db: Db, ctx: Context, user: UserRef, token: str | None
) -> Appointment | InvalidInput | NotFound | None:
    """The booking that is to move there."""
    if token is None:
        return None
    row = await reach.booked(db, ctx.actor, token, identity_key=ctx.services.identity_key)
    if row is None:
        return NO_SUCH_BOOKING
    if row.user_id != user.user:
        return InvalidInput("This booking is with another host: hold a start on its own page.", "manageToken")
    if not is_changeable(row, now=ctx.now):
        return InvalidInput(
            "This booking is cancelled or has begun: book another one instead.", "manageToken"
        )
    return row


async def _too_many(
    db: Db, ctx: Context, type_: AppointmentType, address: str | None, replaced: Hold | None
) -> RateLimited | None:
    """Live holds of one address on one page. Keys of a back end speak for many guests: they are not counted."""
    if address is None:
        return None
    live = Hold.filter(type_id=type_.id, user_id=type_.user_id, address=address, expires_at__gt=ctx.now)
    ends = [row.expires_at for row in await live.using_db(db) if replaced is None or row.id != replaced.id]
    if len(ends) < ctx.services.settings.holds_per_address_and_page:
        return None
    return RateLimited(_TOO_MANY, min(ends))


def _address(ctx: Context) -> str | None:
    """Who holds, without saying who: the database keeps no addresses."""
    if not ctx.is_booking:
        return None
    return derive(ctx.services.identity_key, "address", network_of(ctx.address))


async def _release_elsewhere(ctx: Context, user: UserRef, token: str | None) -> None:
    """The hold that was replaced may lie on another user's time: that one has a lock of its own."""
    found = await reach.held(await ctx.db(), ctx.actor, token, now=ctx.now)
    await ctx.renew()
    if found is not None and found.user_id != user.user:
        await _end(ctx, UserRef(found.subaccount_id, found.user_id), found.token)


async def _end(ctx: Context, user: UserRef, token: str) -> None:
    try:
        async with ctx.changing(user) as ledger:
            await use_up(ledger, await own_hold(ledger.db, ctx, user, token))
    except NoSuchUserError:
        return  # Removed meanwhile, and its holds with it.
