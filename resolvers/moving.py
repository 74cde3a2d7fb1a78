"""Moves and cancels an appointment, for its guest and for its owner alike."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

from domain.actor import UserRef
from domain.availability import Rules
from models.booking import Appointment, AppointmentType
from models.changelog import Ledger
from models.sql import Db
from resolvers.appointments import is_changeable
from resolvers.asked import NO_SUCH_APPOINTMENT
from resolvers.context import Context
from resolvers.holds import kept_open, own_hold
from resolvers.idempotency import Call, Done, recall
from resolvers.looking import look_first
from resolvers.outcomes import Refusal
from resolvers.placing import (
    NOT_CHANGEABLE,
    NotFree,
    Place,
    once,
    person_of,
    store_cancelled,
    store_moved,
    why_not,
)
from resolvers.types import as_booked, rules_of
from resolvers.user_time import Person

_OFFERED_STEP = 15 * 60

Act = Callable[[Ledger], Awaitable[Appointment | Refusal | NotFree]]


async def look_and_act(ctx: Context, user: UserRef, call: Call, act: Act) -> Done | Refusal:
    """What was answered before is answered again without a look at iCloud."""
    if seen := await recall(await ctx.db(), call):
        return seen
    if refusal := await look_first(ctx, user):
        return refusal
    return await once(ctx, user, call, act)


async def move(
    ctx: Context, row: Appointment, start: int, call: Call, *, hold_token: str | None, is_owner: bool
) -> Done | Refusal:
    user = UserRef(row.subaccount_id, row.user_id)
    if seen := await recall(await ctx.db(), call):
        return seen
    if not is_changeable(row, now=ctx.now):
        return NOT_CHANGEABLE

    async def act(ledger: Ledger) -> Appointment | Refusal | NotFree:
        db = ledger.db
        current = await Appointment.filter(id=row.id).using_db(db).first()
        if current is None:
            return NO_SUCH_APPOINTMENT
        if not is_changeable(current, now=ctx.now):
            return NOT_CHANGEABLE
        person = await person_of(db, user, now=ctx.now)
        held = await own_hold(db, ctx, user, hold_token)
        rules = as_booked(await _rules_to_move(db, current, person, now=ctx.now), current)
        place = Place(
            person=person,
            start=start,
            rules=kept_open(rules, held, start, now=ctx.now, hold_for=ctx.services.settings.hold_for),
            type_id=current.type_id,
            own_appointment=current.id,
            own_hold=None if held is None else held.id,
            ignores_page_rules=is_owner,
        )
        # To where it is already is no move: it is asked nothing.
        if start != current.starts and (refused := await why_not(db, ctx.services, place)):
            return refused
        return await store_moved(ctx, ledger, current, place, hold=held)

    return await look_and_act(ctx, user, call, act)


async def _rules_to_move(db: Db, row: Appointment, person: Person, *, now: float) -> Rules:
    type_ = None
    if row.type_id is not None:
        type_ = await AppointmentType.filter(id=row.type_id).using_db(db).first()
    if type_ is None:
        length = row.ends - row.starts
        return Rules(duration=length, step=60, grid_zone=person.zone)
    return rules_or_usual(type_, person, 0, now=now)


def rules_or_usual(type_: AppointmentType | None, person: Person, length: int, *, now: float) -> Rules:
    """By them an owner is offered other starts, held to them or not."""
    if type_ is None:
        return Rules(duration=length, step=_OFFERED_STEP, grid_zone=person.zone)
    return rules_of(type_, person.zone, now=math.ceil(now))


async def cancel(ctx: Context, row: Appointment, *, by: str, reason: str | None) -> Done | Refusal:
    async def act(ledger: Ledger) -> Appointment | Refusal | NotFree:
        current = await Appointment.filter(id=row.id).using_db(ledger.db).first()
        if current is None:
            return NO_SUCH_APPOINTMENT
        return await store_cancelled(ctx, ledger, current, by=by, reason=reason)

    return await once(ctx, UserRef(row.subaccount_id, row.user_id), None, act)


async def read_done(ctx: Context, outcome: Done | Refusal) -> Appointment | Refusal:
    """As it is now: what is stored of an answer is an id."""
    if isinstance(outcome, Refusal):
        return outcome
    await ctx.renew()
    named = Appointment.filter(id=outcome.appointment_id, subaccount_id=ctx.actor.subaccount)
    return await named.using_db(await ctx.db()).first() or NO_SUCH_APPOINTMENT
