"""The one way time is taken, moved and given back: decided and written under the user's lock.

Guests and owners, bookings, reschedules and holds all come through `why_not`; what differs is the rules they bring.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tortoise.exceptions import IntegrityError

from domain.actor import UserRef
from domain.availability import Rules
from domain.booking import SEARCHES, NotOpen, decide, nearest_starts
from domain.changes import ChangeKind
from domain.copies import WriteState
from domain.interval import Span
from models.bell import SYNC
from models.booking import Appointment, Hold
from models.calendar import Calendar
from models.changelog import Ledger, NoSuchUserError
from models.outbox import queue_write
from models.resources import settle_copies
from models.settle import settle_conflicts
from models.sql import Db
from resolvers import audit
from resolvers.appointments import CANCELLED, is_changeable
from resolvers.context import Context, Services
from resolvers.idempotency import Call, Done, recall, remember
from resolvers.looking import unknown
from resolvers.outcomes import AppointmentNotChangeable, AvailabilityUnknown, Refusal, SlotUnavailable
from resolvers.user_time import (
    Person,
    Wanted,
    known_until,
    load_user_time_locked,
    load_user_times,
    read_people,
)

NOT_CHANGEABLE = AppointmentNotChangeable(
    "This appointment is cancelled or has begun: book another one instead."
)
_STAYS_IN_ICLOUD = "iCloud was disconnected since: change or delete the event there by hand."
_JUST_TAKEN = "This time was taken a moment ago: choose another start."


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A span of one user's time that someone wants. The own booking's and the own hold's time counts as free."""

    person: Person
    start: int
    rules: Rules
    type_id: str | None
    own_appointment: str | None = None
    own_hold: str | None = None
    ignores_page_rules: bool = False

    @property
    def span(self) -> Span:
        return Span(self.start, self.start + self.rules.duration)

    def wanted(self, within: Span, now: float) -> Wanted:
        return Wanted(
            within=within,
            now=now,
            type_id=self.type_id,
            without_appointment=self.own_appointment,
            without_hold=self.own_hold,
        )


@dataclass(frozen=True, slots=True)
class NotFree:
    """The place is not open. What else is, is looked up when the lock is let go."""

    place: Place
    message: str


class JustTakenError(Exception):
    """The backstop behind the lock: the database knows an appointment there, whatever was read before."""

    def __init__(self, place: Place) -> None:
        super().__init__(f"{place.span} is taken")
        self.place = place


async def person_of(db: Db, user: UserRef, *, now: float) -> Person:
    """Raises NoSuchUserError."""
    people = await read_people(db, (user,), now=now)
    if people is None:
        raise NoSuchUserError(user.user)
    return people[0]


async def why_not(db: Db, services: Services, place: Place) -> NotFree | AvailabilityUnknown | None:
    """None: the place is open, and stays so while the user's lock is held."""
    now, settings = services.clock(), services.settings
    if refusal := unknown(place.person.sync, now=now, limit=settings.staleness_limit):
        return refusal
    time = await load_user_time_locked(
        db,
        place.person,
        place.wanted(place.span, now),
        closure=place.person.sync.closure(now - settings.staleness_limit),
        days_ahead=settings.horizon_ahead_days,
    )
    decision = decide(
        place.start,
        user=time,
        rules=place.rules,
        now=math.ceil(now),
        ignore_page_rules=place.ignores_page_rules,
    )
    return NotFree(place, decision.message) if isinstance(decision, NotOpen) else None


async def offer(ctx: Context, refused: NotFree) -> SlotUnavailable:
    """With the nearest open starts, from a snapshot after the refusal."""
    place, services, now = refused.place, ctx.services, ctx.now
    await ctx.renew()
    db = await ctx.db()
    people = await read_people(db, (place.person.ref,), now=now)
    if people is None:
        return SlotUnavailable(refused.message, ())
    [person], days_ahead = people, services.settings.horizon_ahead_days
    last = known_until(person.sync, now=now, days_ahead=days_ahead)
    rules = replace(place.rules, last_start=min(place.rules.last_start or last, last))
    around = max(min(place.start, last), int(now) + rules.notice)
    for far in SEARCHES:
        [time] = await load_user_times(
            ctx.db,
            people,
            place.wanted(Span(around - far, around + far), now),
            closures=[person.sync.closure(now - services.settings.staleness_limit)],
            timelines=services.timelines,
            days_ahead=days_ahead,
        )
        starts = nearest_starts(time, rules, around=around, now=math.ceil(now), search=far)
        if starts or time.closed is not None:
            break
    return SlotUnavailable(
        refused.message, tuple(Span(start, start + place.rules.duration) for start in starts)
    )


async def once(
    ctx: Context,
    user: UserRef,
    call: Call | None,
    act: Callable[[Ledger], Awaitable[Appointment | Refusal | NotFree]],
) -> Done | Refusal:
    """One transaction under the user's lock, unless this very call was made before. Holds no snapshot meanwhile."""
    await ctx.renew()
    try:
        outcome = await _locked(ctx, user, call, act)
    except JustTakenError as taken:
        outcome = NotFree(taken.place, _JUST_TAKEN)
    except IntegrityError:
        # One effect a call: the same key was used at the same moment for another user's time.
        seen = await recall(await ctx.db(), call) if call else None
        if seen is None:
            raise
        return seen
    if isinstance(outcome, NotFree):
        return await offer(ctx, outcome)
    if isinstance(outcome, Done):
        await ctx.services.bell.ring(SYNC)
    return outcome


async def _locked(
    ctx: Context,
    user: UserRef,
    call: Call | None,
    act: Callable[[Ledger], Awaitable[Appointment | Refusal | NotFree]],
) -> Done | Refusal | NotFree:
    async with ctx.changing(user) as ledger:
        if call and (seen := await recall(ledger.db, call)):
            return seen
        outcome = await act(ledger)
        if not isinstance(outcome, Appointment):
            return outcome
        if call:
            await remember(ledger.db, call, user, outcome.id, now=ctx.now)
        return Done(outcome.id)


async def store_booked(
    ctx: Context, ledger: Ledger, row: Appointment, place: Place, *, hold: Hold | None
) -> Appointment:
    """A new appointment, to be written to the calendar that is linked now, if one is."""
    linked = await _linked(ledger)
    row.calendar_id = None if linked is None else linked.id
    row.write_state = str(WriteState.NOT_LINKED if linked is None else WriteState.PENDING)
    with _backstop(place):
        await row.save(using_db=ledger.db, force_create=True)
    if linked is not None:
        await queue_write(ledger.db, ledger.user, row.id, now=ctx.now)
    await use_up(ledger, hold)
    ledger.note(ChangeKind.APPOINTMENT_BOOKED, row.id)
    await audit.note(ledger.db, ctx, "appointment.booked", row.id)
    return row


async def store_moved(
    ctx: Context, ledger: Ledger, row: Appointment, place: Place, *, hold: Hold | None
) -> Appointment:
    """It keeps its length and buffers. What it overlaps now was looked for just before: nothing."""
    await use_up(ledger, hold)
    if place.start == row.starts:
        return row
    row.starts, row.ends = place.span
    await _say(ctx, ledger, row)
    with _backstop(place):
        await row.save(using_db=ledger.db, update_fields=["starts", "ends", *_SAID])
    ledger.note(ChangeKind.APPOINTMENT_RESCHEDULED, row.id)
    await _settle(ledger, row)
    await audit.note(ledger.db, ctx, "appointment.rescheduled", row.id)
    return row


async def store_cancelled(
    ctx: Context, ledger: Ledger, row: Appointment, *, by: str, reason: str | None
) -> Appointment | AppointmentNotChangeable:
    """Cancelling twice answers twice alike: the first one's words stay."""
    if row.status == CANCELLED:
        return row
    if not is_changeable(row, now=ctx.now):
        return NOT_CHANGEABLE
    cancelled = {
        "status": CANCELLED,
        "cancelled_at": ctx.now,
        "cancelled_by": str(by),
        "cancel_reason": reason,
    }
    row.update_from_dict(cancelled)
    await _say(ctx, ledger, row)
    await row.save(using_db=ledger.db, update_fields=[*cancelled, *_SAID])
    ledger.note(ChangeKind.APPOINTMENT_CANCELLED, row.id)
    await _settle(ledger, row)
    await audit.note(ledger.db, ctx, "appointment.cancelled", row.id)
    return row


async def use_up(ledger: Ledger, hold: Hold | None) -> None:
    if hold is not None:
        await hold.delete(using_db=ledger.db)
        ledger.note(ChangeKind.HOLD_ENDED, hold.id)


@contextmanager
def _backstop(place: Place) -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise JustTakenError(place) from error


async def _settle(ledger: Ledger, row: Appointment) -> None:
    """What its copies in iCloud close changes with it, before any write gets there; so do conflicts."""
    await settle_copies(ledger, row.id)
    await settle_conflicts(ledger)


def _is_deleted(row: Appointment) -> bool:
    """Of one that was written and is out of our sight: its owner had deleted it, or so it was when we last said so."""
    return row.write_state == WriteState.DELETED_IN_ICLOUD or (
        row.write_state == WriteState.NOT_LINKED and row.write_problem is None
    )


async def _linked(ledger: Ledger) -> Calendar | None:
    return await Calendar.filter(user_id=ledger.user.user, is_linked=True).using_db(ledger.db).first()


_SAID = ["modified_at", "revision", "calendar_id", "write_state", "write_problem"]


async def _say(ctx: Context, ledger: Ledger, row: Appointment) -> None:
    """Something new is said to the guest: its copy in iCloud, if it has or should have one, is to say it too."""
    row.modified_at, row.revision = ctx.now, row.revision + 1
    if row.calendar_id is None:
        if row.written_at is None:
            return
        linked = None if row.status == CANCELLED else await _linked(ledger)
        if linked is None:
            # Not as what is there should be: where it is found again, it is brought up to date.
            problem = None if _is_deleted(row) else _STAYS_IN_ICLOUD
            row.write_state, row.write_problem = str(WriteState.NOT_LINKED), problem
            return
        row.calendar_id, row.write_state = linked.id, str(WriteState.PENDING)
    if row.write_state != WriteState.NOT_LINKED:
        row.write_state, row.write_problem = str(WriteState.PENDING), None
        await queue_write(ledger.db, ledger.user, row.id, now=ctx.now)
