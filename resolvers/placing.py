"""The one way time is taken, moved and given back: decided and written under the user's lock.

Guests and owners, bookings, reschedules and holds all come through `why_not`; what differs is the rules they bring.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from tortoise.exceptions import IntegrityError

from domain.actor import UserRef
from domain.availability import Rules
from domain.booking import SEARCH, NotOpen, decide, nearest_starts
from domain.changes import ChangeKind
from domain.interval import Span
from models.bell import SYNC
from models.booking import Appointment, Hold
from models.calendar import Calendar
from models.changelog import Ledger, NoSuchUserError
from models.database import Db
from models.outbox import WriteState, queue_write
from resolvers import audit
from resolvers.appointments import CANCELLED, is_changeable
from resolvers.context import Context, Services
from resolvers.idempotency import Call, Done, recall, remember
from resolvers.looking import unknown
from resolvers.outcomes import AppointmentNotChangeable, AvailabilityUnknown, Refusal, SlotUnavailable
from resolvers.user_time import Person, Wanted, load_user_time_locked, load_user_times, read_people

NOT_CHANGEABLE = AppointmentNotChangeable(
    "This appointment is cancelled or has begun: it can't be changed any more."
)
_STAYS_IN_ICLOUD = "iCloud was disconnected since: change or delete the event there by hand."
_JUST_TAKEN = SlotUnavailable("This time was taken a moment ago: choose another start.", ())


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


async def person_of(db: Db, user: UserRef) -> Person:
    """Raises NoSuchUserError."""
    people = await read_people(db, (user,))
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
    people = await read_people(db, (place.person.ref,))
    if people is None:
        return SlotUnavailable(refused.message, ())
    around = max(min(place.start, place.rules.last_start or place.start), int(now))
    [time] = await load_user_times(
        db,
        people,
        place.wanted(Span(around - SEARCH, around + SEARCH), now),
        closures=[people[0].sync.closure(now - services.settings.staleness_limit)],
        timelines=services.timelines,
        days_ahead=services.settings.horizon_ahead_days,
    )
    rules = place.rules if place.rules.last_start else replace(place.rules, last_start=time.known_until)
    starts = nearest_starts(time, rules, around=place.start, now=math.ceil(now))
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
    except IntegrityError:
        # The backstops behind the lock: no overlap, and one effect a call of whatever user.
        seen = await recall(await ctx.db(), call) if call else None
        return seen or _JUST_TAKEN
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


async def store_booked(ctx: Context, ledger: Ledger, row: Appointment, *, hold: Hold | None) -> Appointment:
    """A new appointment, to be written to the calendar that is linked now, if one is."""
    linked = await Calendar.filter(user_id=row.user_id, is_linked=True).using_db(ledger.db).first()
    row.calendar_id = None if linked is None else linked.id
    row.write_state = str(WriteState.NOT_LINKED if linked is None else WriteState.PENDING)
    await row.save(using_db=ledger.db, force_create=True)
    if linked is not None:
        await queue_write(ledger.db, ledger.user, row.id, now=ctx.now)
    await use_up(ledger, hold)
    ledger.note(ChangeKind.APPOINTMENT_BOOKED, row.id)
    await audit.note(ledger.db, ctx, "appointment.booked", row.id)
    return row


async def store_moved(
    ctx: Context, ledger: Ledger, row: Appointment, start: int, *, hold: Hold | None
) -> Appointment:
    """It keeps its length and buffers. What it overlaps now was looked for just before: nothing."""
    await use_up(ledger, hold)
    if start == row.starts:
        return row
    row.starts, row.ends = start, start + row.ends - row.starts
    await _say(ctx, ledger, row)
    await row.save(using_db=ledger.db, update_fields=["starts", "ends", *_SAID])
    ledger.note(ChangeKind.APPOINTMENT_RESCHEDULED, row.id)
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
    await audit.note(ledger.db, ctx, "appointment.cancelled", row.id)
    return row


async def use_up(ledger: Ledger, hold: Hold | None) -> None:
    if hold is not None:
        await hold.delete(using_db=ledger.db)
        ledger.note(ChangeKind.HOLD_ENDED, hold.id)


_SAID = ["modified_at", "revision", "has_conflict", "write_state", "write_problem"]


async def _say(ctx: Context, ledger: Ledger, row: Appointment) -> None:
    """Something new is said to the guest: its copy in iCloud, if it has or should have one, is to say it too."""
    row.modified_at, row.revision = ctx.now, row.revision + 1
    if row.has_conflict:
        row.has_conflict = False
        ledger.note(ChangeKind.CONFLICT_RESOLVED, row.id)
    if row.calendar_id is None:
        if row.written_at is not None:
            row.write_problem = _STAYS_IN_ICLOUD
        return
    if row.write_state != WriteState.NOT_LINKED:
        row.write_state, row.write_problem = str(WriteState.PENDING), None
        await queue_write(ledger.db, ledger.user, row.id, now=ctx.now)
