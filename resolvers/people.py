"""Subaccounts and their users."""

from __future__ import annotations

from typing import Any

from domain.actor import Role, UserRef
from domain.changes import ChangeKind
from domain.ids import Kind
from domain.validate import Invalid, check_email, check_name
from models.bell import SYNC
from models.blocked import BlockedSlot
from models.booking import Appointment, AppointmentType, Hold, IdempotentCall, PendingWrite
from models.changelog import Change, Timeline, lock
from models.icloud import ICloudAccount
from models.people import Key, Subaccount, User
from models.polling import ask_for_poll
from models.sql import fetch
from resolvers import audit, scope
from resolvers.account_state import forget
from resolvers.context import Context, Services
from resolvers.inputs import UNSET, Absent, check_zone, invalid, not_null
from resolvers.outcomes import Forbidden, HasUpcomingAppointments, InvalidInput, NotFound
from resolvers.paging import page_of, read_page
from resolvers.stored_hours import hours_of
from resolvers.views import Page, SubaccountView, UserView, ViewerView

COMMAND_LINE = "command line"
"""Who acts, in the audit log, where no key does."""

_USERS = (
    "SELECT id FROM users WHERE subaccount_id = $1"
    ' AND (name COLLATE "C" > $2 OR (name = $2 AND id > $3)) ORDER BY name COLLATE "C", id LIMIT $4'
)

_OF_A_USER = (
    PendingWrite,
    Hold,
    IdempotentCall,
    Appointment,
    AppointmentType,
    BlockedSlot,
    Key,
    Change,
    Timeline,
)


async def viewer(ctx: Context) -> ViewerView:
    found = await Subaccount.filter(id=ctx.actor.subaccount).using_db(await ctx.db()).get()
    own = await user(ctx, ctx.actor.user) if ctx.actor.role is Role.OWNER and ctx.actor.user else None
    return ViewerView(ctx.actor.role, SubaccountView(found.id, found.name), own)


async def user(ctx: Context, user_id: str) -> UserView | None:
    row = await scope.user_row(ctx, user_id)
    return None if isinstance(row, NotFound) else user_view(row)


async def users(
    ctx: Context, first: int | None, after: str | None
) -> Page[UserView] | InvalidInput | Forbidden:
    """By name, then id."""
    if refusal := scope.admin_only(ctx):
        return refusal
    asked = read_page("users", first, after, start=("", ""))
    if isinstance(asked, InvalidInput):
        return asked
    db = await ctx.db()
    ids = [row["id"] for row in await fetch(db, _USERS, ctx.actor.subaccount, *asked.after, asked.first + 1)]
    found = await User.in_bulk(ids, using_db=db)
    return page_of(asked, [found[id_] for id_ in ids], keys=lambda row: (row.name, row.id), view=user_view)


async def create_user(
    ctx: Context, *, name: str, email: str | None, time_zone: str
) -> UserView | InvalidInput | Forbidden:
    if refusal := scope.admin_only(ctx):
        return refusal
    fields = _checked(name=name, email=email, time_zone=time_zone)
    if isinstance(fields, Invalid):
        return invalid(fields)
    user_id, subaccount = ctx.services.new_id(Kind.USER), ctx.actor.subaccount
    await ctx.renew()
    async with ctx.services.database.writing() as db:
        row = await User.create(
            using_db=db, id=user_id, subaccount_id=subaccount, created_at=ctx.now, **fields
        )
        await Timeline.create(using_db=db, user_id=user_id, subaccount_id=subaccount)
        await audit.note(db, ctx, "user.created", user_id)
    return user_view(row)


@scope.unless_removed
async def update_user(
    ctx: Context,
    *,
    user_id: str,
    name: str | Absent | None = UNSET,
    email: str | Absent | None = UNSET,
    time_zone: str | Absent | None = UNSET,
) -> UserView | InvalidInput | NotFound:
    """A new zone moves working hours at once, all-day and floating events as soon as they are expanded anew."""
    ref = await scope.user(ctx, user_id)
    if isinstance(ref, NotFound):
        return ref
    for field, value in (("name", name), ("timeZone", time_zone)):
        if value is None:
            return not_null(field)
    fields = _checked(name=name, email=email, time_zone=time_zone)
    if isinstance(fields, Invalid):
        return invalid(fields)
    if await _store(ctx, ref, fields):
        await ctx.services.bell.ring(SYNC)
        await ctx.services.icloud.refresh(ref, wait=ctx.services.settings.look_at_most)
    await ctx.renew()
    return await user(ctx, user_id) or scope.NO_SUCH_USER


@scope.unless_removed
async def remove_user(
    ctx: Context, *, user_id: str, cancel_upcoming: bool = False
) -> str | HasUpcomingAppointments | NotFound | Forbidden:
    """All of the user goes, log and appointments too; the audit log keeps ids. Its id is the answer."""
    if refusal := scope.admin_only(ctx):
        return refusal
    ref = await scope.user(ctx, user_id)
    if isinstance(ref, NotFound):
        return ref
    await ctx.renew()
    async with ctx.services.database.writing() as db:
        ledger = await lock(db, ref, now=ctx.now)
        upcoming = Appointment.filter(user_id=user_id, status="CONFIRMED", starts__gt=int(ctx.now))
        count = await upcoming.using_db(db).count()
        if count and not cancel_upcoming:
            return HasUpcomingAppointments(
                "This user has appointments to come: cancel them first, or give cancelUpcoming.", count
            )
        account = await ICloudAccount.filter(user_id=user_id).using_db(db).first()
        if account is not None:
            await forget(ledger, account)
        # What the ledger noted goes with the log: it is never written.
        for table in _OF_A_USER:
            await table.filter(user_id=user_id).using_db(db).delete()
        await User.filter(id=user_id).using_db(db).delete()
        await audit.note(db, ctx, "user.removed", user_id)
    ctx.services.keyring.forget_user(user_id)
    if account is not None:
        ctx.services.icloud.forget(account.id)
    await ctx.services.bell.ring(user_id)
    return user_id


async def _store(ctx: Context, ref: UserRef, fields: dict[str, Any]) -> bool:
    """Whether iCloud's events are to be expanded anew for it, now."""
    await ctx.renew()
    async with ctx.changing(ref) as ledger:
        row = await User.filter(id=ref.user).using_db(ledger.db).get()
        changed = {field: value for field, value in fields.items() if getattr(row, field) != value}
        if not changed:
            return False
        await row.update_from_dict(changed).save(using_db=ledger.db, update_fields=list(changed))
        ledger.note(ChangeKind.USER, ref.user)
        await audit.note(ledger.db, ctx, "user.updated", ref.user)
        if "time_zone" not in changed:
            return False
        ledger.note(ChangeKind.HOURS, ref.user)
        account = await ICloudAccount.filter(user_id=ref.user).using_db(ledger.db).first()
        if account is None:
            return False
        return await ask_for_poll(ledger.db, account.id, now=ctx.now) == ctx.now


def _checked(
    *, name: str | Absent | None, email: str | Absent | None, time_zone: str | Absent | None
) -> dict[str, Any] | Invalid:
    """The clean values of what was given."""
    checked: dict[str, str | Invalid | None] = {}
    if isinstance(name, str):
        checked["name"] = check_name(name)
    if email is not UNSET:
        checked["email"] = None if email is None else check_email(email)
    if isinstance(time_zone, str):
        checked["time_zone"] = check_zone(time_zone)
    return next((value for value in checked.values() if isinstance(value, Invalid)), checked)


async def create_subaccount(services: Services, name: str) -> SubaccountView | InvalidInput:
    checked = check_name(name)
    if isinstance(checked, Invalid):
        return invalid(checked)
    subaccount = services.new_id(Kind.SUBACCOUNT)
    async with services.database.writing() as db:
        await Subaccount.create(using_db=db, id=subaccount, name=checked, created_at=services.clock())
        await audit.note_by(
            db,
            services,
            subaccount=subaccount,
            actor=COMMAND_LINE,
            action="subaccount.created",
            subject_id=subaccount,
        )
    return SubaccountView(subaccount, checked)


async def list_subaccounts(services: Services) -> tuple[SubaccountView, ...]:
    """By name, then id."""
    async with services.database.reading() as db:
        rows = await Subaccount.all().using_db(db)
    return tuple(SubaccountView(row.id, row.name) for row in sorted(rows, key=lambda row: (row.name, row.id)))


def user_view(row: User) -> UserView:
    return UserView(scope.ref_of(row), row.name, row.email, row.time_zone, hours_of(row))
