"""How a poll's end is put on record: the account's standing, and when to look again."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from domain.accounts import APPLES_WAITS, CHOICE_PROBLEMS, AccountStatus, ICloudProblemCode, standing
from domain.changes import ChangeKind
from models.calendar import Calendar, are_read, chosen_calendars, is_readable, why_unlinkable
from models.changelog import Ledger, NoSuchUserError, changing
from models.icloud import ICloudAccount
from models.polling import Lease, release
from models.sql import Db, execute, fetch, marks, models_of
from sync.context import SyncContext
from sync.plan import Recovery, plan_next_poll, plan_recovery
from sync.poll import Poll, SupersededError
from sync.remote import Broken, PasswordRefused, PasswordUnreadable, RemoteError, Throttled, Unreachable


async def finish(poll: Poll, error: RemoteError | None) -> None:
    """Puts the poll's end on record and frees the account. Only a changed standing takes the user's lock; each failure
    changes it, by when the next try is.

    Raises SupersededError.
    """
    if poll.is_recorded:
        return
    if _may_differ(poll, error):
        try:
            async with changing(
                poll.context.database, poll.context.bell, poll.user, now=poll.context.clock()
            ) as ledger:
                if await _record(ledger.db, poll, error, may_differ=True):
                    ledger.note(ChangeKind.ACCOUNT, poll.account.id)
        except NoSuchUserError:
            return
    else:
        async with poll.context.database.writing() as db:
            await _record(db, poll, error, may_differ=False)


async def finish_with(ledger: Ledger, poll: Poll, read: Calendar) -> bool:
    """In the transaction that stores the last of what it read; whether it did: not where the standing may change."""
    if _may_differ(poll, None):
        return False
    await _record(ledger.db, poll, None, may_differ=False, read=read)
    return True


async def give_up(context: SyncContext, lease: Lease, *, due_at: float) -> None:
    """Frees the account without a word about it, to be polled again."""
    async with context.database.writing() as db:
        await execute(
            db,
            "UPDATE icloud_account SET next_poll_at = $1 WHERE id = $2 AND lease_owner = $3"
            " AND next_poll_at IS NOT NULL",
            due_at,
            lease.account_id,
            context.owner,
        )
        await release(db, lease.account_id, owner=context.owner)


def _may_differ(poll: Poll, error: RemoteError | None) -> bool:
    account = poll.account
    is_settled = account.status in {AccountStatus.CONNECTED, AccountStatus.NEEDS_CALENDARS}
    return (
        error is not None
        or not is_settled
        or account.problem_code != _problem_of(poll.calendars, poll.refusing)
        or account.progress_done is not None
        or not are_read(poll.calendars)
    )


def _told(account: ICloudAccount) -> tuple[object, ...]:
    """One code stands for several problems, of which the message alone says what there is to do."""
    problem = account.problem_code, account.problem_message, account.retry_at
    return account.status, *problem, account.progress_done


async def _record(
    db: Db, poll: Poll, error: RemoteError | None, *, may_differ: bool, read: Calendar | None = None
) -> bool:
    """Whether the account's standing changed. `read`: in this transaction."""
    # In the order of who chooses calendars, which counts on the account: on PostgreSQL the two would wait in a ring.
    await _stamp_calendars(db, poll)
    # A write first: from here on nobody else changes the row.
    rows = await fetch(
        db,
        "UPDATE icloud_account SET lease_owner = NULL, lease_until = NULL WHERE id = $1 AND lease_owner = $2"
        " RETURNING *",
        poll.account.id,
        poll.context.owner,
    )
    if not rows:
        return False
    [fresh] = models_of(ICloudAccount, rows)
    if fresh.last_polled_at != poll.account.last_polled_at:
        # Another process had it meanwhile, and we have it again: what is told since is newer.
        raise SupersededError
    before = _told(fresh)
    if error is None:
        verified = poll.verified if read is None else poll.verified | {read.id}
        await _record_success(db, poll, fresh, verified, may_differ=may_differ)
    else:
        _record_failure(poll, fresh, error)
    fresh.last_polled_at = poll.started
    if poll.lease.due_at is not None:
        fresh.poll_lag = max(poll.started - poll.lease.due_at, 0.0)
    asked_at = fresh.poll_asked_at
    if asked_at is not None and asked_at != poll.account.poll_asked_at and fresh.next_poll_at is not None:
        # Asked for since this poll read the account. Times can't tell: who asks looks at the clock, then waits.
        waits = fresh.problem_code in APPLES_WAITS
        fresh.next_poll_at = max(asked_at, (fresh.retry_at if waits else None) or asked_at)
    await execute(db, _RECORD, fresh.id, *(getattr(fresh, name) for name in _RECORDED))
    return before != _told(fresh)


_RECORDED = (
    "status",
    "problem_code",
    "problem_message",
    "problem_since",
    "retry_at",
    "last_synced_at",
    "last_polled_at",
    "last_changed_at",
    "poll_lag",
    "next_poll_at",
    "failures",
    "refusals",
    "progress_done",
    "progress_total",
)
_SETS = ", ".join(f"{name} = ${at}" for at, name in enumerate(_RECORDED, 2))
_RECORD = f"UPDATE icloud_account SET {_SETS} WHERE id = $1"  # noqa: S608


async def _record_success(
    db: Db, poll: Poll, fresh: ICloudAccount, verified: AbstractSet[str], *, may_differ: bool
) -> None:
    chosen = await chosen_calendars(db, fresh)
    is_read = are_read(chosen)
    fresh.failures = fresh.refusals = 0
    fresh.retry_at = None
    if poll.has_changed:
        fresh.last_changed_at = poll.started
    if is_read and {each.id for each in chosen if not each.is_gone} <= verified:
        fresh.last_synced_at = poll.started
    if may_differ:
        fresh.status = standing(has_chosen=fresh.has_chosen, is_read=is_read)
        if is_read:
            fresh.progress_done = fresh.progress_total = None
    if may_differ:
        code = _problem_of(chosen, poll.refusing)
        _set_problem(fresh, code, "" if code is None else CHOICE_PROBLEMS[code], now=poll.started)
    fresh.next_poll_at = _next_poll(poll, fresh, is_read=is_read) if fresh.has_chosen else None


def _next_poll(poll: Poll, fresh: ICloudAccount, *, is_read: bool) -> float:
    now = poll.context.clock()
    planned = plan_next_poll(
        poll.context.settings,
        now=now,
        watched_until=fresh.watched_until,
        last_changed_at=fresh.last_changed_at,
        connected_at=fresh.connected_at,
        chance=poll.context.chance(),
    )
    if poll.look_again_after is not None:
        planned = min(planned, now + poll.look_again_after)
    return planned if is_read else min(planned, now + poll.context.settings.watched_every)


def _record_failure(poll: Poll, fresh: ICloudAccount, error: RemoteError) -> None:
    if bytes(fresh.sealed_password) != bytes(poll.account.sealed_password):
        return  # The password was renewed meanwhile: what this poll met is no longer so.
    recovery = _recovery(poll, fresh, error)
    fresh.failures += 1
    fresh.refusals = _refusals(fresh, error)
    fresh.retry_at = fresh.next_poll_at = recovery.retry_at
    fresh.status = recovery.status
    _set_problem(fresh, recovery.code, recovery.message, now=_since(poll, recovery.code))


def _since(poll: Poll, code: ICloudProblemCode) -> float:
    """A first reading takes the problem back while it reads: what it began and ended with is one."""
    known = poll.account
    return (known.problem_since if known.problem_code == code else None) or poll.started


def _refusals(account: ICloudAccount, error: RemoteError) -> int:
    """In a row. What came without a look at the password says nothing about it."""
    match error:
        case PasswordRefused():
            return account.refusals + 1
        case Unreachable() | Throttled() | PasswordUnreadable() | Broken():
            return account.refusals
        case _:
            return 0


def _recovery(poll: Poll, account: ICloudAccount, error: RemoteError) -> Recovery:
    return plan_recovery(
        error,
        poll.context.settings,
        has_chosen=account.has_chosen,
        failures=account.failures + 1,
        refusals=_refusals(account, error),
        now=poll.context.clock(),
        chance=poll.context.chance(),
    )


def _set_problem(account: ICloudAccount, code: ICloudProblemCode | None, message: str, *, now: float) -> None:
    if code is None:
        account.clear_problem()
        return
    if account.problem_code != code:
        account.problem_since = now
    account.problem_code, account.problem_message = code, message


def _problem_of(calendars: list[Calendar], refusing: AbstractSet[str]) -> ICloudProblemCode | None:
    """Of those that are chosen."""
    if any(
        calendar.is_linked and (why_unlinkable(calendar) is not None or calendar.id in refusing)
        for calendar in calendars
    ):
        return ICloudProblemCode.LINKED_CALENDAR_UNUSABLE
    if any(not calendar.is_gone and not is_readable(calendar) for calendar in calendars):
        return ICloudProblemCode.CONFLICT_CALENDAR_UNREADABLE
    return None


async def _stamp_calendars(db: Db, poll: Poll) -> None:
    """Those that were as they were; what was read was stamped with its last page."""
    read = {calendar.id for calendar in poll.calendars if calendar.last_synced_at == poll.started}
    ids = sorted(poll.verified - read)
    if not ids:
        return
    await execute(
        db,
        "UPDATE calendar SET last_synced_at = $1"  # noqa: S608
        f" WHERE last_synced_at IS NOT NULL AND id IN ({marks(len(ids), after=3)})"
        " AND EXISTS (SELECT 1 FROM icloud_account WHERE id = $2 AND lease_owner = $3)",
        poll.started,
        poll.account.id,
        poll.context.owner,
        *ids,
    )
