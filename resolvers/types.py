"""Appointment types, and the booking pages that guests see of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tortoise.exceptions import IntegrityError

from domain.actor import UserRef
from domain.availability import Rules, last_start_of
from domain.changes import ChangeKind
from domain.ids import Kind
from domain.validate import Invalid, check_name, check_numbers, check_slug
from models.booking import Appointment, AppointmentType
from models.people import User
from resolvers import audit, reach, scope
from resolvers.context import Context
from resolvers.inputs import UNSET, Absent, invalid, not_null
from resolvers.outcomes import InvalidInput, NotFound, SlugTaken
from resolvers.views import AppointmentTypeView, BookingPageView

SLUG_TAKEN = SlugTaken("This slug is taken in the subaccount, by an archived type perhaps: choose another.")

# As they are called in the input, and in the table.
_NUMBERS = {
    "durationMinutes": "duration_minutes",
    "stepMinutes": "step_minutes",
    "bufferBeforeMinutes": "buffer_before_minutes",
    "bufferAfterMinutes": "buffer_after_minutes",
    "minimumNoticeMinutes": "minimum_notice_minutes",
    "horizonDays": "horizon_days",
    "maximumPerDay": "maximum_per_day",
}


async def types_by_user(
    ctx: Context, users: Sequence[UserRef]
) -> dict[UserRef, tuple[AppointmentTypeView, ...]]:
    """Archived ones too, of those that have some. By name, then id."""
    rows = await AppointmentType.filter(**scope.of_users(ctx, users)).using_db(await ctx.db())
    found: defaultdict[UserRef, tuple[AppointmentTypeView, ...]] = defaultdict(tuple)
    for row in sorted(rows, key=lambda row: (row.name, row.id)):
        found[UserRef(row.subaccount_id, row.user_id)] += (type_view(row),)
    return found


async def type_by_id(ctx: Context, type_id: str) -> AppointmentTypeView | None:
    row = await scope.appointment_type(ctx, type_id)
    return None if isinstance(row, NotFound) else type_view(row)


@scope.unless_removed
async def create_type(
    ctx: Context,
    *,
    user_id: str,
    name: str,
    slug: str,
    duration_minutes: int,
    step_minutes: int | None = None,
    buffer_before_minutes: int | None = 0,
    buffer_after_minutes: int | None = 0,
    minimum_notice_minutes: int | None = 0,
    horizon_days: int | None = 60,
    maximum_per_day: int | None = None,
) -> AppointmentTypeView | SlugTaken | InvalidInput | NotFound:
    """Without a step one start follows the other."""
    user = await scope.user(ctx, user_id)
    if isinstance(user, NotFound):
        return user
    fields = _checked(
        {
            "name": name,
            "slug": slug,
            "duration_minutes": duration_minutes,
            "step_minutes": duration_minutes if step_minutes is None else step_minutes,
            "buffer_before_minutes": buffer_before_minutes or 0,
            "buffer_after_minutes": buffer_after_minutes or 0,
            "minimum_notice_minutes": minimum_notice_minutes or 0,
            "horizon_days": 60 if horizon_days is None else horizon_days,
            "maximum_per_day": maximum_per_day,
        }
    )
    if isinstance(fields, Invalid):
        return invalid(fields)
    return await _store(ctx, user, None, fields, action="appointmentType.created")


@scope.unless_removed
async def update_type(
    ctx: Context,
    *,
    type_id: str,
    name: str | Absent | None = UNSET,
    slug: str | Absent | None = UNSET,
    duration_minutes: int | Absent | None = UNSET,
    step_minutes: int | Absent | None = UNSET,
    buffer_before_minutes: int | Absent | None = UNSET,
    buffer_after_minutes: int | Absent | None = UNSET,
    minimum_notice_minutes: int | Absent | None = UNSET,
    horizon_days: int | Absent | None = UNSET,
    maximum_per_day: int | Absent | None = UNSET,
) -> AppointmentTypeView | SlugTaken | InvalidInput | NotFound:
    """What is booked keeps the length and buffers it was booked with."""
    row = await scope.appointment_type(ctx, type_id)
    if isinstance(row, NotFound):
        return row
    asked: dict[str, object] = {
        "name": name,
        "slug": slug,
        "duration_minutes": duration_minutes,
        "step_minutes": step_minutes,
        "buffer_before_minutes": buffer_before_minutes,
        "buffer_after_minutes": buffer_after_minutes,
        "minimum_notice_minutes": minimum_notice_minutes,
        "horizon_days": horizon_days,
        "maximum_per_day": maximum_per_day,
    }
    given = {column: value for column, value in asked.items() if value is not UNSET}
    for column, value in given.items():
        if value is None and column != "maximum_per_day":
            return not_null(next((field for field, named in _NUMBERS.items() if named == column), column))
    fields = _checked(given)
    if isinstance(fields, Invalid):
        return invalid(fields)
    return await _store(ctx, _owner(row), type_id, fields, action="appointmentType.updated")


@scope.unless_removed
async def archive_type(
    ctx: Context, *, type_id: str
) -> AppointmentTypeView | SlugTaken | InvalidInput | NotFound:
    """Its page is gone, its appointments stay, its slug stays taken."""
    row = await scope.appointment_type(ctx, type_id)
    if isinstance(row, NotFound):
        return row
    fields = {"is_archived": True}
    return await _store(ctx, _owner(row), type_id, fields, action="appointmentType.archived")


async def page(ctx: Context, slug: str) -> BookingPageView | None:
    db = await ctx.db()
    row = await reach.page_type(db, ctx.actor, slug)
    if row is None:
        return None
    host = await User.filter(id=row.user_id, subaccount_id=row.subaccount_id).using_db(db).first()
    return None if host is None else page_view(row, host, now=ctx.now)


def page_view(row: AppointmentType, host: User, *, now: float) -> BookingPageView:
    rules = rules_of(row, host.time_zone, now=int(now))
    assert rules.last_start is not None
    return BookingPageView(
        slug=row.slug,
        name=row.name,
        host_name=host.name,
        host_time_zone=host.time_zone,
        duration_minutes=row.duration_minutes,
        bookable_from=now + rules.notice,
        bookable_until=rules.last_start,
    )


def rules_of(row: AppointmentType, zone: str, *, now: int) -> Rules:
    """All the rules of a page, in the zone of its host."""
    return Rules(
        duration=row.duration_minutes * 60,
        step=row.step_minutes * 60,
        buffer_before=row.buffer_before_minutes * 60,
        buffer_after=row.buffer_after_minutes * 60,
        notice=row.minimum_notice_minutes * 60,
        last_start=last_start_of(now, zone, row.horizon_days),
        maximum_per_day=row.maximum_per_day,
        grid_zone=zone,
    )


def as_booked(rules: Rules, moved: Appointment) -> Rules:
    """For a booking that moves: it keeps its length and buffers."""
    return replace(
        rules,
        duration=moved.ends - moved.starts,
        buffer_before=moved.buffer_before,
        buffer_after=moved.buffer_after,
    )


def type_view(row: AppointmentType) -> AppointmentTypeView:
    return AppointmentTypeView(
        id=row.id,
        user=_owner(row),
        name=row.name,
        slug=row.slug,
        duration_minutes=row.duration_minutes,
        step_minutes=row.step_minutes,
        buffer_before_minutes=row.buffer_before_minutes,
        buffer_after_minutes=row.buffer_after_minutes,
        minimum_notice_minutes=row.minimum_notice_minutes,
        horizon_days=row.horizon_days,
        maximum_per_day=row.maximum_per_day,
        is_archived=row.is_archived,
    )


def _owner(row: AppointmentType) -> UserRef:
    return UserRef(row.subaccount_id, row.user_id)


def _checked(fields: dict[str, Any]) -> dict[str, Any] | Invalid:
    """The clean values of the columns given, or the first thing wrong with them."""
    checks = {"name": check_name, "slug": check_slug}
    texts = {column: check(fields[column]) for column, check in checks.items() if column in fields}
    if wrong := next((text for text in texts.values() if isinstance(text, Invalid)), None):
        return wrong
    numbers = {field: fields[column] for field, column in _NUMBERS.items() if column in fields}
    return check_numbers(numbers) or {**fields, **texts}


async def _store(
    ctx: Context, user: UserRef, type_id: str | None, fields: dict[str, Any], *, action: str
) -> AppointmentTypeView | SlugTaken | NotFound:
    await ctx.renew()
    try:
        async with ctx.changing(user) as ledger:
            if type_id is None:
                row = await AppointmentType.create(
                    using_db=ledger.db,
                    id=ctx.services.new_id(Kind.APPOINTMENT_TYPE),
                    subaccount_id=user.subaccount,
                    user_id=user.user,
                    created_at=ctx.now,
                    **fields,
                )
            else:
                row = await AppointmentType.filter(id=type_id).using_db(ledger.db).get()
                changed = {column: value for column, value in fields.items() if getattr(row, column) != value}
                if not changed:
                    return type_view(row)
                await row.update_from_dict(changed).save(using_db=ledger.db, update_fields=list(changed))
            ledger.note(ChangeKind.TYPES, row.id)
            await audit.note(ledger.db, ctx, action, row.id)
    except IntegrityError:
        # The one thing that is unique here; another subaccount's slugs are its own.
        return SLUG_TAKEN
    return type_view(row)
