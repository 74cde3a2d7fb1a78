"""The iCloud account of a user: connect, renew, disconnect, look now."""

from __future__ import annotations

from dataclasses import dataclass

from domain.accounts import AccountStatus, ICloudProblemCode
from domain.actor import UserRef
from domain.changes import ChangeKind
from domain.ids import Kind
from models.bell import SYNC
from models.calendar import calendars_of, store_listing
from models.icloud import ICloudAccount
from models.outbox import hasten_writes
from models.people import User
from models.seal import Secret, derive
from models.sql import Db
from resolvers import audit, scope
from resolvers.account_state import HEALED, account_view, forget, heal
from resolvers.context import Context
from resolvers.credentials import PASSWORD_REFUSED, check_apple_id, check_password, unavailable
from resolvers.limits import Rule
from resolvers.outcomes import (
    AlreadyConnected,
    AppSpecificPasswordRequired,
    DifferentICloudAccount,
    ICloudAccountInUse,
    ICloudPasswordRefused,
    ICloudUnavailable,
    InvalidInput,
    NotFound,
    RateLimited,
)
from resolvers.people import user_view
from resolvers.principals import claim
from resolvers.views import AccountView, UserView
from sync.plan import describe
from sync.remote import PasswordRefused, PasswordUnreadable, RemoteError
from sync.service import Discovered

NOT_CONNECTED = NotFound("No iCloud account is connected for this user: connect one first.")
_ALREADY = AlreadyConnected("This user has an iCloud account connected already: disconnect that one first.")
_IN_USE = ICloudAccountInUse(
    "This iCloud account is connected elsewhere: disconnect it there, or connect another one."
)
_DIFFERENT = DifferentICloudAccount(
    "This password is for another Apple account than the one connected: disconnect first to change accounts."
)

AppleRefusal = ICloudPasswordRefused | ICloudUnavailable | RateLimited


@dataclass(frozen=True, slots=True)
class Refreshed:
    """`changes` counts blocked slots; the poll goes on after the answer where it is not complete."""

    account: AccountView
    changes: int
    is_complete: bool


async def account(ctx: Context, user: UserRef) -> AccountView | None:
    row = await ICloudAccount.filter(**scope.of_user(ctx, user)).using_db(await ctx.db()).first()
    return None if row is None else account_view(row)


async def account_by_id(ctx: Context, account_id: str) -> AccountView | None:
    row = await scope.account(ctx, account_id)
    return None if isinstance(row, NotFound) else account_view(row)


@scope.unless_removed
async def connect(
    ctx: Context, *, user_id: str, apple_id: str, password: Secret
) -> (
    AccountView
    | AppleRefusal
    | AppSpecificPasswordRequired
    | AlreadyConnected
    | ICloudAccountInUse
    | InvalidInput
    | NotFound
):
    """Verifies with Apple, finds the calendars and keeps the password sealed. Nothing is read before a choice."""
    user = await scope.user(ctx, user_id)
    if isinstance(user, NotFound):
        return user
    checked_id = check_apple_id(apple_id)
    if isinstance(checked_id, InvalidInput):
        return checked_id
    checked = check_password(password, app_specific_only=ctx.services.settings.app_specific_passwords_only)
    if not isinstance(checked, Secret):
        return checked
    if await _row(await ctx.db(), user) is not None:
        return _ALREADY
    found = await _ask_apple(ctx, user, checked_id, checked)
    if not isinstance(found, Discovered):
        return found
    async with ctx.changing(user) as ledger:
        if await _row(ledger.db, user) is not None:
            return _ALREADY
        principal = _principal(ctx, found)
        if await claim(ledger.db, principal, user.subaccount) != user.subaccount:
            return _IN_USE
        account_id = ctx.services.new_id(Kind.ACCOUNT)
        row = await ICloudAccount.create(
            using_db=ledger.db,
            id=account_id,
            subaccount_id=user.subaccount,
            user_id=user.user,
            apple_id=checked_id,
            principal_hmac=principal,
            principal_path=found.principal_path,
            home_url=found.home_url,
            addresses=sorted(found.addresses),
            sealed_password=ctx.services.sealer.seal(checked, row=account_id),
            status=AccountStatus.NEEDS_CALENDARS,
            connected_at=ctx.now,
            # Whoever connects is looking on: their first change is seen at a watched account's pace.
            watched_until=ctx.now + ctx.services.settings.watch_for,
        )
        await store_listing(ledger.db, row, found.calendars, now=ctx.now)
        ledger.note(ChangeKind.ACCOUNT, account_id)
        await audit.note(ledger.db, ctx, "icloud.connected", account_id)
    return account_view(row)


@scope.unless_removed
async def renew_password(
    ctx: Context, *, user_id: str, password: Secret
) -> (
    AccountView
    | AppleRefusal
    | AppSpecificPasswordRequired
    | DifferentICloudAccount
    | InvalidInput
    | NotFound
):
    """A new password for the same Apple account; calendars and their configuration stay."""
    user = await scope.user(ctx, user_id)
    if isinstance(user, NotFound):
        return user
    checked = check_password(password, app_specific_only=ctx.services.settings.app_specific_passwords_only)
    if not isinstance(checked, Secret):
        return checked
    known = await _row(await ctx.db(), user)
    if known is None:
        return NOT_CONNECTED
    found = await _ask_apple(ctx, user, known.apple_id, checked)
    if not isinstance(found, Discovered):
        return found
    async with ctx.changing(user) as ledger:
        row = await _row(ledger.db, user)
        if row is None:
            return NOT_CONNECTED
        if row.principal_hmac != _principal(ctx, found):
            return _DIFFERENT
        row.sealed_password = ctx.services.sealer.seal(checked, row=row.id)
        row.home_url = found.home_url
        chosen = [each for each in await calendars_of(ledger.db, row) if each.is_linked or each.is_conflict]
        if not row.has_chosen:
            # Else the poll that is due now does it, with what it means for the events of a calendar that is gone.
            await store_listing(ledger.db, row, found.calendars, now=ctx.now)
        heal(row, chosen, now=ctx.now)
        renewed = ["sealed_password", "home_url", *HEALED]
        await row.save(using_db=ledger.db, update_fields=renewed)
        await hasten_writes(ledger.db, user, now=ctx.now)
        ledger.note(ChangeKind.ACCOUNT, row.id)
        await audit.note(ledger.db, ctx, "icloud.renewed", row.id)
    await ctx.services.bell.ring(SYNC)
    return account_view(row)


@scope.unless_removed
async def disconnect(ctx: Context, *, user_id: str) -> UserView | NotFound:
    """Password, calendars, events and their slots go at once; appointments, manual slots and hours stay."""
    user = await scope.user(ctx, user_id)
    if isinstance(user, NotFound):
        return user
    await ctx.renew()
    async with ctx.changing(user) as ledger:
        row = await _row(ledger.db, user)
        if row is None:
            return NOT_CONNECTED
        await forget(ledger, row)
        await audit.note(ledger.db, ctx, "icloud.disconnected", row.id)
        view = user_view(await User.filter(id=user.user).using_db(ledger.db).get())
    ctx.services.icloud.forget(row.id)
    return view


async def refresh(
    ctx: Context, *, user_id: str
) -> Refreshed | ICloudPasswordRefused | ICloudUnavailable | RateLimited | NotFound:
    """Polls now; answers when the poll has ended, or is taking too long."""
    user = await scope.user(ctx, user_id)
    if isinstance(user, NotFound):
        return user
    row = await _row(await ctx.db(), user)
    if row is None:
        return NOT_CONNECTED
    if row.status == AccountStatus.NEEDS_NEW_PASSWORD:
        # Not asked again with a password that was refused: Apple locks accounts.
        return ICloudPasswordRefused(
            row.problem_message
            or "Apple refuses the stored password: make a new app-specific password and renew it here."
        )
    if (
        row.problem_code == ICloudProblemCode.THROTTLED
        and row.retry_at is not None
        and row.retry_at > ctx.now
    ):
        return ICloudUnavailable("iCloud asks to wait: try again later.", row.retry_at)
    if (retry_at := ctx.services.limits.take(Rule.REFRESH, row.id)) is not None:
        return RateLimited("This account was looked at just now: try again in a few seconds.", retry_at)
    await ctx.renew()
    outcome = await ctx.services.icloud.refresh(user, wait=ctx.services.settings.refresh_at_most)
    await ctx.renew()
    match outcome.error:
        case PasswordRefused():
            return PASSWORD_REFUSED
        case PasswordUnreadable() as error:
            return ICloudPasswordRefused(describe(error)[1])
        case RemoteError() as error:
            return unavailable(error, now=ctx.now)
    row = await _row(await ctx.db(), user)
    if row is None:
        return NOT_CONNECTED
    return Refreshed(account_view(row), outcome.changes, outcome.is_complete)


async def _ask_apple(
    ctx: Context, user: UserRef, apple_id: str, password: Secret
) -> Discovered | AppleRefusal:
    """No transaction is open meanwhile. What Apple refuses is counted, a user at a time: Apple locks accounts."""
    limits = ctx.services.limits
    if (retry_at := limits.take(Rule.CONNECT, user.user)) is not None:
        return RateLimited("Apple refused too many passwords: wait before you try again.", retry_at)
    await ctx.renew()
    try:
        found = await ctx.services.icloud.connect(apple_id, password)
    except PasswordRefused:
        return PASSWORD_REFUSED
    except RemoteError as error:
        limits.refund(Rule.CONNECT, user.user)
        return unavailable(error, now=ctx.now)
    limits.refund(Rule.CONNECT, user.user)
    return found


async def _row(db: Db, user: UserRef) -> ICloudAccount | None:
    return await ICloudAccount.filter(subaccount_id=user.subaccount, user_id=user.user).using_db(db).first()


def _principal(ctx: Context, found: Discovered) -> str:
    return derive(ctx.services.identity_key, "principal", found.principal_path)
