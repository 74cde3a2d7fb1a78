"""Which time is free, and why the rest is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from domain.actor import UserRef
from domain.closed import BlockedTime, ClosedSpan, Reason, Subject, SubjectKind, why_closed
from domain.interval import Span
from models.blocked import BlockedSlot
from models.booking import Appointment
from models.changelog import slots_of
from models.sql import Db
from resolvers import calendars, scope
from resolvers.answers import Moment, already, answer
from resolvers.appointments import appointment_view
from resolvers.asked import NO_SUCH_TYPE, Asked, resolve
from resolvers.context import Context, Services
from resolvers.limits import Rule
from resolvers.outcomes import Forbidden, InvalidInput, NotFound, RateLimited
from resolvers.paging import read_range
from resolvers.question import MOST_DAYS, AvailabilityQuestion, StalePolicy
from resolvers.remembered import remembered
from resolvers.types import rules_of
from resolvers.user_time import MARGIN, Wanted, load_user_times, read_people
from resolvers.views import (
    AvailabilityView,
    ClosedReasonView,
    ClosedSpanView,
    SlotView,
)

TOO_OFTEN = "Too many calls from this address: wait a moment, then try again."

__all__ = ["AvailabilityQuestion", "StalePolicy", "availability", "closed_spans", "refreshed"]


async def availability(
    ctx: Context, question: AvailabilityQuestion
) -> AvailabilityView | RateLimited | InvalidInput | NotFound | Forbidden:
    if refusal := _limited(ctx):
        return refusal
    now = ctx.now
    moment = moment_of(question, ctx.services, now=now, rules_now=int(now), refreshed_at=None)
    if (known := await remembered(ctx, question, moment)) is not None:
        return known
    if question.on_stale == StalePolicy.REFRESH:
        return await _after_a_refresh(ctx, question)
    return await _answer(ctx, await ctx.db(), question, refreshed_at=None)


def _limited(ctx: Context) -> RateLimited | None:
    """Counts one more question of a guest's address."""
    if not ctx.is_booking:
        return None
    retry_at = ctx.services.limits.take(Rule.AVAILABILITY, ctx.counted_as)
    return None if retry_at is None else RateLimited(TOO_OFTEN, retry_at)


async def _answer(
    ctx: Context, db: Db, question: AvailabilityQuestion, *, refreshed_at: float | None
) -> AvailabilityView | InvalidInput | NotFound | Forbidden:
    services, now = ctx.services, ctx.now
    asked = await resolve(db, ctx.actor, question, identity_key=services.identity_key, now=now)
    if not isinstance(asked, Asked):
        return asked
    ctx.looks_at(asked.users)
    moment = moment_of(question, services, now=now, rules_now=int(now), refreshed_at=refreshed_at)
    found = await answer(already(db), services, asked, moment)
    return found if isinstance(found, NotFound) else found.view


async def _after_a_refresh(
    ctx: Context, question: AvailabilityQuestion
) -> AvailabilityView | InvalidInput | NotFound | Forbidden:
    """From a snapshot of its own, since the operation's may be older than the poll."""
    services, now = ctx.services, ctx.now
    try:
        async with _own_snapshot(services) as db:
            asked = await resolve(db, ctx.actor, question, identity_key=services.identity_key, now=now)
            stale = await stale_users(db, asked, services, now=now) if isinstance(asked, Asked) else ()
        refreshed_at = now if await refreshed(services, stale) else None
        async with _own_snapshot(services) as db:
            return await _answer(ctx, db, question, refreshed_at=refreshed_at)
    except TimeoutError:
        return await _answer(ctx, await ctx.db(), question, refreshed_at=None)


@asynccontextmanager
async def _own_snapshot(services: Services) -> AsyncIterator[Db]:
    """Raises TimeoutError: other fields of the operation may hold a snapshot while this one waits for its second."""
    async with asyncio.timeout(services.settings.look_at_most):
        snapshot = await services.database.open_snapshot()
    try:
        yield snapshot.db
    finally:
        await snapshot.close()


def moment_of(
    question: AvailabilityQuestion,
    services: Services,
    *,
    now: float,
    rules_now: int,
    refreshed_at: float | None,
) -> Moment:
    """States from before `since` are too old; one that a poll has just given is not, however little is allowed."""
    since = now - (question.max_staleness_seconds or services.settings.staleness_limit)
    if refreshed_at is not None:
        since = min(since, refreshed_at)
    return Moment(now, rules_now, since, refreshed=refreshed_at is not None)


async def stale_users(db: Db, asked: Asked, services: Services, *, now: float) -> tuple[UserRef, ...]:
    people = await read_people(db, asked.users, now=now) or []
    moment = moment_of(asked.question, services, now=now, rules_now=int(now), refreshed_at=None)
    return tuple(person.ref for person in people if person.sync.older_than(moment.since))


async def refreshed(services: Services, users: Sequence[UserRef]) -> bool:
    """Polls iCloud for each at once; whether there was anything to poll."""
    wait = services.settings.look_at_most
    await asyncio.gather(*(services.icloud.refresh(user, wait=wait) for user in users))
    return bool(users)


@dataclass(frozen=True, slots=True)
class Closed:
    """What is asked about closed time: a range, and the type by whose rules."""

    from_: int
    to: int
    type_id: str | None


async def closed_spans_by_user(
    ctx: Context, users: Sequence[UserRef], asked: Closed
) -> Mapping[UserRef, tuple[ClosedSpanView, ...]] | InvalidInput:
    """All of the range that is not free, each span with every reason. By start. As many queries for all as for one."""
    within = read_range(asked.from_, asked.to, most_days=MOST_DAYS)
    if isinstance(within, InvalidInput):
        return within
    none: dict[UserRef, tuple[ClosedSpanView, ...]] = dict.fromkeys(users, ())
    reached = [user for user in users if ctx.actor.may_manage(user)]
    if not reached:
        return none
    db = await ctx.db()
    type_ = await scope.appointment_type(ctx, asked.type_id) if asked.type_id is not None else None
    if isinstance(type_, NotFound):
        return InvalidInput(NO_SUCH_TYPE.message, "appointmentTypeId")
    now, settings = ctx.now, ctx.services.settings
    people = await read_people(db, reached, now=now)
    if people is None:
        return none
    times = await load_user_times(
        ctx.db,
        people,
        Wanted(within=within, now=now, type_id=asked.type_id),
        closures=[person.sync.closure(now - settings.staleness_limit) for person in people],
        timelines=ctx.services.timelines,
        days_ahead=settings.horizon_ahead_days,
    )
    slots = await _slots(db, reached, within)
    spans: dict[UserRef, Sequence[ClosedSpan]] = {}
    for user, time in zip(reached, times, strict=True):
        rules = None if type_ is None else rules_of(type_, time.zone, now=int(now))
        own = (view.slot for view in slots.values() if view.user == user)
        blocked = (BlockedTime(Span(slot.start, slot.end), slot.id) for slot in own)
        spans[user] = why_closed(time, rules, blocked, within=within, now=int(now))
    reasons = {reason for found in spans.values() for span in found for reason in span.reasons}
    views = await _views(ctx, db, reached, reasons, slots)
    return none | {
        user: tuple(
            ClosedSpanView(span.span, tuple(views[reason] for reason in span.reasons)) for span in found
        )
        for user, found in spans.items()
    }


async def closed_spans(
    ctx: Context, user: UserRef, *, from_: int, to: int, type_id: str | None
) -> tuple[ClosedSpanView, ...] | InvalidInput:
    """One user's."""
    found = await closed_spans_by_user(ctx, (user,), Closed(from_, to, type_id))
    return found if isinstance(found, InvalidInput) else found[user]


async def _slots(db: Db, users: Sequence[UserRef], within: Span) -> dict[object, SlotView]:
    rows = (
        await BlockedSlot.filter(
            subaccount_id=users[0].subaccount,
            user_id__in=[user.user for user in users],
            starts__lt=within.end + MARGIN,
            ends__gt=within.start - MARGIN,
        )
        .using_db(db)
        .values()
    )
    return {
        slot.id: SlotView(UserRef(row["subaccount_id"], row["user_id"]), slot)
        for row, slot in zip(rows, slots_of(rows), strict=True)
    }


async def _views(
    ctx: Context, db: Db, users: Sequence[UserRef], reasons: set[Reason], slots: dict[object, SlotView]
) -> dict[Reason, ClosedReasonView]:
    subjects = {reason.subject for reason in reasons if reason.subject is not None}
    ids = [subject.id for subject in subjects if subject.kind is SubjectKind.APPOINTMENT]
    rows = await Appointment.filter(id__in=ids).using_db(db) if ids else []
    appointments = {Subject(SubjectKind.APPOINTMENT, row.id): appointment_view(row) for row in rows}
    is_stale = any(subject.kind is SubjectKind.CALENDAR for subject in subjects)
    by_user = await calendars.calendars_by_user(ctx, users) if is_stale else {}
    stale = {Subject(SubjectKind.CALENDAR, view.id): view for views in by_user.values() for view in views}
    views: dict[Reason, ClosedReasonView] = {}
    for reason in reasons:
        subject = reason.subject
        is_slot = subject is not None and subject.kind is SubjectKind.BLOCKED_SLOT
        views[reason] = ClosedReasonView(
            code=str(reason.code),
            slot=slots.get(subject.id) if subject is not None and is_slot else None,
            appointment=appointments.get(subject) if subject is not None else None,
            calendar=stale.get(subject) if subject is not None else None,
        )
    return views
