"""The tenant filter: what of all that is stored the caller can reach. It stands here and nowhere else.

Another tenant's id answers as one that does not exist does. A text that is no id never gets to the database.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from tortoise.models import Model

from domain.actor import Actor, Role, UserRef
from domain.ids import Kind, is_id
from models.audit import AuditEntry
from models.blocked import BlockedSlot
from models.booking import Appointment, AppointmentType
from models.calendar import Calendar, Event
from models.changelog import NoSuchUserError
from models.icloud import ICloudAccount
from models.people import Key, User
from resolvers.context import Context
from resolvers.outcomes import Forbidden, NotFound

P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M", bound=Model)
OfUser = TypeVar("OfUser", Appointment, Calendar, Event)

NO_SUCH_SLOT = "There is no such blocked slot: list them anew, it may have been deleted."
NO_SUCH_APPOINTMENT = "There is no such appointment: list them anew."
NO_SUCH_TYPE = "There is no such appointment type: list the user's types anew."
NO_SUCH_USER = NotFound("There is no such user: check the id, it may have been removed.")


def reach(actor: Actor) -> dict[str, str]:
    """The filter for rows that belong to a user: all of the subaccount's for ADMIN, the own for OWNER, else none."""
    if actor.role is Role.ADMIN:
        return {"subaccount_id": actor.subaccount}
    return {"subaccount_id": actor.subaccount, "user_id": actor.user or ""}


def of_user(ctx: Context, user: UserRef) -> dict[str, str]:
    """The filter for one user's rows; of one that the caller may not manage there are none."""
    return {"subaccount_id": ctx.actor.subaccount, "user_id": user.user if ctx.actor.may_manage(user) else ""}


def of_users(ctx: Context, users: Iterable[UserRef]) -> dict[str, Any]:
    """The same for several users at once."""
    return {**reach(ctx.actor), "user_id__in": [user.user for user in users]}


def reached(ctx: Context, rows: Iterable[OfUser]) -> list[OfUser]:
    """Of rows that were found by their ids alone, those that the caller reaches.

    Not by a filter in the statement: SQLite takes any index of the tenant's rows for better than three ids, and goes
    through all of them.
    """
    return [row for row in rows if ctx.actor.may_manage(UserRef(row.subaccount_id, row.user_id))]


def admin_only(ctx: Context) -> Forbidden | None:
    if ctx.actor.role is Role.ADMIN:
        return None
    return Forbidden("Only an ADMIN key may do this: ask who runs this subaccount.")


async def user(ctx: Context, user_id: str) -> UserRef | NotFound:
    row = await user_row(ctx, user_id)
    return row if isinstance(row, NotFound) else ref_of(row)


async def user_row(ctx: Context, user_id: str) -> User | NotFound:
    ref = UserRef(ctx.actor.subaccount, user_id)
    if not is_id(user_id, Kind.USER) or not ctx.actor.may_manage(ref):
        return NO_SUCH_USER
    found = await User.filter(id=user_id, subaccount_id=ref.subaccount).using_db(await ctx.db()).first()
    return found or NO_SUCH_USER


async def account(ctx: Context, account_id: str) -> ICloudAccount | NotFound:
    return await _owned(
        ctx, ICloudAccount, Kind.ACCOUNT, account_id, "There is no such iCloud account: connect one."
    )


async def calendar(ctx: Context, calendar_id: str) -> Calendar | NotFound:
    return await _owned(
        ctx, Calendar, Kind.CALENDAR, calendar_id, "There is no such calendar: list them anew."
    )


async def event(ctx: Context, event_id: str) -> Event | NotFound:
    return await _owned(
        ctx,
        Event,
        Kind.EVENT,
        event_id,
        "There is no such event: list them anew, it may be gone from iCloud.",
    )


async def blocked_slot(ctx: Context, slot_id: str) -> BlockedSlot | NotFound:
    return await _owned(ctx, BlockedSlot, Kind.BLOCKED_SLOT, slot_id, NO_SUCH_SLOT)


async def appointment(ctx: Context, appointment_id: str) -> Appointment | NotFound:
    return await _owned(ctx, Appointment, Kind.APPOINTMENT, appointment_id, NO_SUCH_APPOINTMENT)


async def appointment_type(ctx: Context, type_id: str) -> AppointmentType | NotFound:
    return await _owned(ctx, AppointmentType, Kind.APPOINTMENT_TYPE, type_id, NO_SUCH_TYPE)


async def key(ctx: Context, key_id: str) -> Key | NotFound:
    """ADMIN's alone."""
    return await _of_admin(ctx, Key, Kind.KEY, key_id, "There is no such key: list them anew.")


async def audit_entry(ctx: Context, entry_id: str) -> AuditEntry | NotFound:
    """ADMIN's alone."""
    return await _of_admin(ctx, AuditEntry, Kind.AUDIT, entry_id, "There is no such entry: list them anew.")


async def _owned(ctx: Context, table: type[M], kind: Kind, row_id: str, sentence: str) -> M | NotFound:
    if not is_id(row_id, kind):
        return NotFound(sentence)
    found = await table.filter(id=row_id, **reach(ctx.actor)).using_db(await ctx.db()).first()
    return found or NotFound(sentence)


async def _of_admin(ctx: Context, table: type[M], kind: Kind, row_id: str, sentence: str) -> M | NotFound:
    if admin_only(ctx):
        return NotFound(sentence)
    return await _owned(ctx, table, kind, row_id, sentence)


def ref_of(row: User) -> UserRef:
    return UserRef(row.subaccount_id, row.id)


def unless_removed(
    use_case: Callable[P, Awaitable[R]],
) -> Callable[P, Coroutine[Any, Any, R | NotFound]]:
    """Answers NotFound where the user was removed between the look and the lock."""

    @wraps(use_case)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> R | NotFound:
        try:
            return await use_case(*args, **kwargs)
        except NoSuchUserError:
            return NO_SUCH_USER

    return guarded
