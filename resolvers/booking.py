"""Booking, rescheduling and cancelling: a guest's way under the page's rules, an owner's held to the overlap alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from domain.actor import UserRef
from domain.booking import CancelledBy
from domain.validate import Invalid, check_idempotency_key, check_instant, check_name, check_notes
from models.booking import Appointment, AppointmentType
from models.changelog import Ledger
from resolvers import reach, scope
from resolvers.appointments import appointment_view, booking, booking_view
from resolvers.asked import NO_SUCH_APPOINTMENT, NO_SUCH_BOOKING, NO_SUCH_PAGE, NO_SUCH_TYPE
from resolvers.context import Context
from resolvers.drafts import Texts, check_texts, row_of
from resolvers.holds import hold, kept_open, own_hold, release
from resolvers.idempotency import Done, call_of, recall
from resolvers.inputs import invalid
from resolvers.limits import Rule
from resolvers.moving import cancel, look_and_act, move, read_done, rules_or_usual
from resolvers.outcomes import InvalidInput, NotFound, RateLimited, Refusal
from resolvers.placing import (
    NotFree,
    Place,
    person_of,
    store_booked,
    why_not,
)
from resolvers.types import rules_of
from resolvers.views import AppointmentView, BookingView, GuestView

__all__ = [
    "Saved",
    "book",
    "booking",
    "cancel_appointment",
    "cancel_booking",
    "create_appointment",
    "hold",
    "release",
    "reschedule_appointment",
    "reschedule_booking",
]

_LONGEST = 31 * 86_400
_TOO_OFTEN = "Too many bookings from this address: wait a moment, then try again."


@dataclass(frozen=True, slots=True)
class Saved:
    """What an owner's call answers: the appointment, and what to hand to its guest."""

    appointment: AppointmentView
    booking: BookingView


@scope.unless_removed
async def book(
    ctx: Context,
    *,
    idempotency_key: str,
    page_slug: str,
    start: int,
    guest: GuestView,
    notes: str | None,
    hold_token: str | None,
) -> BookingView | Refusal:
    checked = check_texts(idempotency_key, guest, notes)
    if isinstance(checked, Invalid):
        return invalid(checked)
    if refusal := _limited(ctx):
        return refusal
    given = [page_slug, start, guest.name, guest.email, guest.phone, notes, hold_token]
    call = call_of(ctx.actor, "bookAppointment", idempotency_key, {"given": given})
    if seen := await recall(await ctx.db(), call):
        return await _booking(ctx, seen)
    type_ = await reach.page_type(await ctx.db(), ctx.actor, page_slug)
    if type_ is None:
        return NO_SUCH_PAGE
    user = UserRef(type_.subaccount_id, type_.user_id)

    async def act(ledger: Ledger) -> Appointment | Refusal | NotFree:
        return await _book(ctx, ledger, page_slug, start, checked, hold_token=hold_token)

    return await _booking(ctx, await look_and_act(ctx, user, call, act))


@scope.unless_removed
async def reschedule_booking(
    ctx: Context, *, idempotency_key: str, manage_token: str, start: int, hold_token: str | None
) -> BookingView | Refusal:
    """By the type's rules as they are now, archived or not; without a type, any whole minute of working hours."""
    checked = check_idempotency_key(idempotency_key)
    if isinstance(checked, Invalid):
        return invalid(checked)
    if refusal := _limited(ctx):
        return refusal
    row = await _by_token(ctx, manage_token)
    if isinstance(row, NotFound):
        return row
    given = {"given": [manage_token, start, hold_token]}
    call = call_of(ctx.actor, "rescheduleBooking", idempotency_key, given)
    return await _booking(ctx, await move(ctx, row, start, call, hold_token=hold_token, is_owner=False))


@scope.unless_removed
async def cancel_booking(ctx: Context, *, manage_token: str, reason: str | None) -> BookingView | Refusal:
    words = check_notes(reason, field="reason")
    if isinstance(words, Invalid):
        return invalid(words)
    if refusal := _limited(ctx):
        return refusal
    row = await _by_token(ctx, manage_token)
    if isinstance(row, NotFound):
        return row
    return await _booking(ctx, await cancel(ctx, row, by=CancelledBy.GUEST, reason=words))


@scope.unless_removed
async def create_appointment(
    ctx: Context,
    *,
    idempotency_key: str,
    user_id: str,
    type_id: str | None,
    start: int,
    end: int | None,
    title: str | None,
    guest: GuestView,
    notes: str | None,
) -> Saved | Refusal:
    """`end` None is the type's length after the start."""
    checked = check_texts(idempotency_key, guest, notes)
    named = None if title is None else check_name(title, field="title")
    for wrong in (checked, named):
        if isinstance(wrong, Invalid):
            return invalid(wrong)
    assert not isinstance(checked, Invalid)
    user = await scope.user(ctx, user_id)
    if isinstance(user, NotFound):
        return user
    type_ = None if type_id is None else await _type_of(ctx, user, type_id)
    if isinstance(type_, NotFound):
        return type_
    length = _length(type_, start, end)
    if isinstance(length, InvalidInput):
        return length
    given = [user_id, type_id, start, end, title, guest.name, guest.email, guest.phone, notes]
    call = call_of(ctx.actor, "createAppointment", idempotency_key, {"given": given})

    async def act(ledger: Ledger) -> Appointment | Refusal | NotFree:
        person = await person_of(ledger.db, user, now=ctx.now)
        rules = replace(rules_or_usual(type_, person, length, now=ctx.now), duration=length)
        place = Place(person=person, start=start, rules=rules, type_id=type_id, ignores_page_rules=True)
        if refused := await why_not(ledger.db, ctx.services, place):
            return refused
        row = row_of(ctx, place, checked, title=str(named) if named else None, type_=type_)
        return await store_booked(ctx, ledger, row, place, hold=None)

    return await _saved(ctx, await look_and_act(ctx, user, call, act))


@scope.unless_removed
async def reschedule_appointment(
    ctx: Context, *, idempotency_key: str, appointment_id: str, start: int
) -> Saved | Refusal:
    for wrong in (check_idempotency_key(idempotency_key), check_instant(start, field="start")):
        if isinstance(wrong, Invalid):
            return invalid(wrong)
    row = await scope.appointment(ctx, appointment_id)
    if isinstance(row, NotFound):
        return row
    given = {"given": [appointment_id, start]}
    call = call_of(ctx.actor, "rescheduleAppointment", idempotency_key, given)
    return await _saved(ctx, await move(ctx, row, start, call, hold_token=None, is_owner=True))


@scope.unless_removed
async def cancel_appointment(ctx: Context, *, appointment_id: str, reason: str | None) -> Saved | Refusal:
    words = check_notes(reason, field="reason")
    if isinstance(words, Invalid):
        return invalid(words)
    row = await scope.appointment(ctx, appointment_id)
    if isinstance(row, NotFound):
        return row
    return await _saved(ctx, await cancel(ctx, row, by=CancelledBy.HOST, reason=words))


def _limited(ctx: Context) -> RateLimited | None:
    """A guest's address; keys of a back end speak for many guests."""
    if not ctx.is_booking:
        return None
    retry_at = ctx.services.limits.take(Rule.BOOKING, ctx.counted_as)
    return None if retry_at is None else RateLimited(_TOO_OFTEN, retry_at)


async def _book(
    ctx: Context, ledger: Ledger, page_slug: str, start: int, texts: Texts, *, hold_token: str | None
) -> Appointment | Refusal | NotFree:
    db, user = ledger.db, ledger.user
    type_ = await reach.page_type(db, ctx.actor, page_slug)
    if type_ is None or type_.user_id != user.user:
        return NO_SUCH_PAGE
    person = await person_of(db, user, now=ctx.now)
    held = await own_hold(db, ctx, user, hold_token)
    rules = rules_of(type_, person.zone, now=math.ceil(ctx.now))
    place = Place(
        person=person,
        start=start,
        rules=kept_open(rules, held, start, now=ctx.now, hold_for=ctx.services.settings.hold_for),
        type_id=type_.id,
        own_hold=None if held is None else held.id,
    )
    if refused := await why_not(db, ctx.services, place):
        return refused
    row = row_of(ctx, place, texts, title=None, type_=type_)
    return await store_booked(ctx, ledger, row, place, hold=held)


def _length(type_: AppointmentType | None, start: int, end: int | None) -> int | InvalidInput:
    if wrong := check_instant(start, field="start"):
        return invalid(wrong)
    if end is not None:
        if not 0 < end - start <= _LONGEST:
            return InvalidInput("Let it end after it starts, and last at most 31 days.", "end")
        return end - start
    if type_ is None:
        return InvalidInput("Give an end, or an appointment type whose length to take.", "end")
    return type_.duration_minutes * 60


async def _type_of(ctx: Context, user: UserRef, type_id: str) -> AppointmentType | NotFound:
    type_ = await scope.appointment_type(ctx, type_id)
    if isinstance(type_, NotFound) or type_.user_id != user.user:
        return NO_SUCH_TYPE
    return type_


async def _by_token(ctx: Context, token: str) -> Appointment | NotFound:
    key = ctx.services.identity_key
    return await reach.booked(await ctx.db(), ctx.actor, token, identity_key=key) or NO_SUCH_BOOKING


async def _booking(ctx: Context, outcome: Done | Refusal) -> BookingView | Refusal:
    row = await read_done(ctx, outcome)
    if isinstance(row, Refusal):
        return row
    return await booking_view(ctx, row) or NO_SUCH_BOOKING


async def _saved(ctx: Context, outcome: Done | Refusal) -> Saved | Refusal:
    row = await read_done(ctx, outcome)
    if isinstance(row, Refusal):
        return row
    view = await booking_view(ctx, row)
    return NO_SUCH_APPOINTMENT if view is None else Saved(appointment_view(row), view)
