"""An account's row: as a view, after a new password, after a choice of calendars, and when it goes."""

from __future__ import annotations

from collections.abc import Sequence

from domain.accounts import CHOICE_PROBLEMS, AccountStatus, standing
from domain.actor import UserRef
from domain.changes import ChangeKind
from models.calendar import Calendar, are_read
from models.changelog import Ledger
from models.icloud import ICloudAccount
from models.settle import forget_account
from resolvers.principals import release
from resolvers.views import AccountProblem, AccountView, Progress

HEALED = (
    "status",
    "problem_code",
    "problem_message",
    "problem_since",
    "retry_at",
    "failures",
    "refusals",
    "next_poll_at",
    "poll_asked_at",
)
"""What `heal` may change. The rest of the row is the sync loop's, which may be at it right now."""


def account_view(row: ICloudAccount) -> AccountView:
    status = AccountStatus(row.status)
    return AccountView(
        id=row.id,
        user=UserRef(row.subaccount_id, row.user_id),
        apple_id=row.apple_id,
        status=status,
        problem=_problem(row),
        connected_at=row.connected_at,
        last_synced_at=row.last_synced_at,
        next_sync_at=row.next_poll_at,
        progress=_progress(row) if status is AccountStatus.SYNCING else None,
    )


def heal(row: ICloudAccount, chosen: Sequence[Calendar], *, now: float) -> None:
    """Apple took a password: what it refused is over, and the account is where its calendars put it."""
    row.failures = row.refusals = 0
    if row.problem_code not in CHOICE_PROBLEMS:
        row.clear_problem()
    row.retry_at = None
    was_syncing = row.status == AccountStatus.SYNCING
    is_read = not was_syncing and are_read(chosen)
    row.status = standing(has_chosen=row.has_chosen, is_read=is_read)
    row.next_poll_at = row.poll_asked_at = now if row.has_chosen else None


def start_reading(row: ICloudAccount) -> None:
    """A calendar is read for the first time; what keeps the account from being read stays as it is."""
    if AccountStatus(row.status) in {AccountStatus.NEEDS_CALENDARS, AccountStatus.CONNECTED}:
        row.status = AccountStatus.SYNCING
        row.progress_done, row.progress_total = 0, None


async def forget(ledger: Ledger, row: ICloudAccount) -> None:
    """All that came from iCloud goes, and the Apple account is free again once no user has it."""
    await forget_account(ledger, row)
    await row.delete(using_db=ledger.db)
    await release(ledger.db, row.principal_hmac)
    ledger.note(ChangeKind.ACCOUNT, row.id)


def _problem(row: ICloudAccount) -> AccountProblem | None:
    if row.problem_code is None:
        return None
    since = row.connected_at if row.problem_since is None else row.problem_since
    return AccountProblem(row.problem_code, row.problem_message or "", since, row.retry_at)


def _progress(row: ICloudAccount) -> Progress | None:
    return None if row.progress_done is None else Progress(row.progress_done, row.progress_total)
