"""A user's calendars: what can be chosen, what is, and what counts as busy in each."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, TypedDict, Unpack

from tortoise.expressions import RawSQL
from tortoise.functions import Count
from tortoise.queryset import QuerySet

from domain.actor import UserRef
from domain.busy import BusyPolicy, BusyRule
from domain.calendars import CalendarKind, NotSelectableReason, why_not_conflict
from domain.changes import ChangeKind
from domain.interval import Span
from models.bell import SYNC
from models.calendar import Calendar, Event, calendars_of, why_unlinkable
from models.icloud import ICloudAccount
from models.people import User
from models.settle import closes_time, policy_of, settle_calendar
from models.sql import fetch, marks
from resolvers import audit, scope
from resolvers.accounts import NOT_CONNECTED
from resolvers.choosing import Choice, choice_of, choose
from resolvers.context import Context
from resolvers.freshness import known_at
from resolvers.inputs import UNSET, Absent, not_null
from resolvers.outcomes import CalendarNotSelectable, InvalidInput, NotFound
from resolvers.paging import check_first
from resolvers.people import user_view
from resolvers.views import CalendarView, EventProblemView, UserView

_WHY_NOT = {
    NotSelectableReason.READ_ONLY: "{} is read-only: link a calendar that you can add events to.",
    NotSelectableReason.SUBSCRIPTION: "{} is subscribed to by its address: choose a calendar of your own.",
    NotSelectableReason.HOLDS_NO_EVENTS: "{} holds reminders, not events: choose another calendar.",
    NotSelectableReason.GONE: "{} is gone from iCloud: leave it out, or choose another calendar.",
}
_NO_SUCH = NotFound("There is no such calendar: list the account's calendars anew.")
_PROBLEMS = (
    "SELECT calendar_id, problems FROM (SELECT calendar_id, problems, ROW_NUMBER() OVER (PARTITION BY calendar_id"
    " ORDER BY COALESCE(uid, '') COLLATE \"C\", id) AS place FROM resource"
    " WHERE has_problems AND calendar_id IN ({})) AS found WHERE place <= $1 ORDER BY calendar_id, place"
)


class PolicyRules(TypedDict, total=False):
    """Named as in BusyPolicy."""

    declined: BusyRule | Absent | None
    unanswered: BusyRule | Absent | None
    tentative: BusyRule | Absent | None
    all_day_busy: BusyRule | Absent | None
    all_day_free: BusyRule | Absent | None
    travel_time: BusyRule | Absent | None


Decided = Choice | CalendarNotSelectable | NotFound | None
"""None: all stays as it is."""


async def calendars(ctx: Context, user: UserRef) -> tuple[CalendarView, ...]:
    """All that the account shows, usable or not. By name, then id."""
    return (await calendars_by_user(ctx, [user])).get(user, ())


async def calendars_by_user(
    ctx: Context, users: Sequence[UserRef]
) -> dict[UserRef, tuple[CalendarView, ...]]:
    """The same for many at once; only those that have some."""
    rows = await _with_account(Calendar.filter(**scope.of_users(ctx, users)).using_db(await ctx.db()))
    found: defaultdict[UserRef, tuple[CalendarView, ...]] = defaultdict(tuple)
    for row in sorted(rows, key=lambda row: (row.name, row.id)):
        found[UserRef(row.subaccount_id, row.user_id)] += (_view(row, ctx.now),)
    return found


async def calendar(ctx: Context, calendar_id: str) -> CalendarView | None:
    row = await scope.calendar(ctx, calendar_id)
    return None if isinstance(row, NotFound) else await _view_of(ctx, calendar_id)


async def event_counts(ctx: Context, calendar_ids: Sequence[str]) -> dict[str, int]:
    """Occurrences by calendar. None of one that is neither linked nor conflict: only those are read."""
    rows = (
        await Event.filter(calendar_id__in=calendar_ids, **scope.reach(ctx.actor))
        .using_db(await ctx.db())
        .annotate(number=Count("id"))
        .group_by("calendar_id")
        .values_list("calendar_id", "number")
    )
    return dict(rows)


async def problems(
    ctx: Context, calendar_ids: Sequence[str], first: int | None
) -> dict[str, tuple[EventProblemView, ...]] | InvalidInput:
    """Events that could not be read whole, `first` of each calendar that has some. By UID."""
    if refusal := check_first(first):
        return refusal
    db = await ctx.db()
    known = scope.reached(ctx, await Calendar.filter(id__in=calendar_ids).using_db(db))
    if not known:
        return {}
    of_these = marks(len(known), after=1)
    rows = await fetch(db, _PROBLEMS.format(of_these), first, *(calendar.id for calendar in known))
    found: defaultdict[str, tuple[EventProblemView, ...]] = defaultdict(tuple)
    for row in rows:
        found[row["calendar_id"]] += tuple(_problem(problem) for problem in json.loads(row["problems"]))
    return {calendar_id: views[:first] for calendar_id, views in found.items()}


@scope.unless_removed
async def set_linked(
    ctx: Context, *, user_id: str, calendar_id: str | Absent | None
) -> UserView | CalendarNotSelectable | InvalidInput | NotFound:
    """Where appointments are written. The one that was linked stays a conflict calendar until it is taken out."""
    if calendar_id is UNSET:
        return InvalidInput("Give the calendar to link, or null to unlink.", "calendarId")
    user = await scope.user(ctx, user_id)
    if isinstance(user, NotFound):
        return user

    def decide(known: Sequence[Calendar]) -> Decided:
        stands = choice_of(known)
        if calendar_id is None:
            # Unlinking what is not linked chooses nothing.
            return None if stands.linked is None else Choice(None, stands.conflict)
        row = next((row for row in known if row.id == calendar_id), None)
        if row is None:
            return _NO_SUCH
        if reason := why_unlinkable(row):
            return _not_selectable(row, reason)
        return Choice(row.id, stands.conflict | {row.id})

    return await _decide(ctx, user, decide)


@scope.unless_removed
async def set_conflict(
    ctx: Context, *, user_id: str, calendar_ids: Sequence[str]
) -> UserView | CalendarNotSelectable | NotFound:
    """The whole new set; the linked calendar stays in it, given or not."""
    user = await scope.user(ctx, user_id)
    if isinstance(user, NotFound):
        return user

    def decide(known: Sequence[Calendar]) -> Decided:
        rows = {row.id: row for row in known}
        if any(calendar_id not in rows for calendar_id in calendar_ids):
            return _NO_SUCH
        linked_id = choice_of(known).linked
        for calendar_id in calendar_ids:
            reason = _why_not_conflict(rows[calendar_id])
            if reason and calendar_id != linked_id:
                return _not_selectable(rows[calendar_id], reason)
        return Choice(linked_id, frozenset(calendar_ids) | ({linked_id} if linked_id else frozenset()))

    return await _decide(ctx, user, decide)


@scope.unless_removed
async def set_policy(
    ctx: Context, /, *, calendar_id: str, **rules: Unpack[PolicyRules]
) -> CalendarView | InvalidInput | NotFound:
    """A rule that is absent stays. What blocks is decided anew at once."""
    for name, rule in rules.items():
        if rule is None:
            return not_null(_camel(name))
    found = await scope.calendar(ctx, calendar_id)
    if isinstance(found, NotFound):
        return found
    given = {name: rule for name, rule in rules.items() if isinstance(rule, BusyRule)}
    await ctx.renew()
    async with ctx.changing(UserRef(found.subaccount_id, found.user_id)) as ledger:
        row = await Calendar.filter(id=calendar_id).using_db(ledger.db).first()
        if row is None:
            return _NO_SUCH
        policy = replace(policy_of(row), **given)
        if policy != policy_of(row):
            row.policy = _differing(policy)
            await row.save(using_db=ledger.db, update_fields=["policy"])
            await settle_calendar(ledger, row)
            ledger.note(ChangeKind.CALENDARS)
            await audit.note(ledger.db, ctx, "calendar.policy", calendar_id)
    await ctx.renew()
    return await _view_of(ctx, calendar_id) or _NO_SUCH


async def _decide(
    ctx: Context, user: UserRef, decide: Callable[[Sequence[Calendar]], Decided]
) -> UserView | CalendarNotSelectable | NotFound:
    await ctx.renew()
    async with ctx.changing(user) as ledger:
        account = await ICloudAccount.filter(user_id=user.user).using_db(ledger.db).first()
        if account is None:
            return NOT_CONNECTED
        known = await calendars_of(ledger.db, account)
        decided = decide(known)
        if isinstance(decided, CalendarNotSelectable | NotFound):
            return decided
        if decided is not None and await choose(ledger, account, known, decided):
            await audit.note(ledger.db, ctx, "calendars.chosen", user.user)
        row = await User.filter(id=user.user).using_db(ledger.db).get()
    await ctx.services.bell.ring(SYNC)
    return user_view(row)


def _not_selectable(row: Calendar, reason: NotSelectableReason) -> CalendarNotSelectable:
    return CalendarNotSelectable(_WHY_NOT[reason].format(row.name), row.id, reason)


def _why_not_conflict(row: Calendar) -> NotSelectableReason | None:
    return why_not_conflict(CalendarKind(row.kind), is_gone=row.is_gone)


def _differing(policy: BusyPolicy) -> dict[str, str]:
    default = asdict(BusyPolicy())
    return {name: str(rule) for name, rule in asdict(policy).items() if rule is not default[name]}


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def _problem(stored: Mapping[str, Any]) -> EventProblemView:
    blocked = None if stored["blocked"] is None else Span(*stored["blocked"])
    return EventProblemView(stored["uid"], stored["code"], stored["message"], blocked)


def _with_account(rows: QuerySet[Calendar]) -> QuerySet[Calendar]:
    """A poll that found nothing new is put on record once, on the account."""
    return rows.annotate(
        account_synced_at=RawSQL(
            "(SELECT a.last_synced_at FROM icloud_account a WHERE a.id = calendar.account_id)"
        )
    )


async def _view_of(ctx: Context, calendar_id: str) -> CalendarView | None:
    row = await _with_account(Calendar.filter(id=calendar_id).using_db(await ctx.db())).first()
    return None if row is None else _view(row, ctx.now)


def _view(row: Calendar, now: float) -> CalendarView:
    account_synced_at: float | None = getattr(row, "account_synced_at")  # noqa: B009 - from `_with_account`.
    return CalendarView(
        id=row.id,
        user=UserRef(row.subaccount_id, row.user_id),
        name=row.name,
        color=row.color,
        kind=CalendarKind(row.kind),
        can_write=row.can_write,
        why_not_linked=why_unlinkable(row),
        why_not_conflict=_why_not_conflict(row),
        is_linked=row.is_linked,
        is_conflict=row.is_conflict,
        policy=policy_of(row),
        last_synced_at=known_at(row.last_synced_at, account_synced_at if closes_time(row) else None, now=now),
    )
