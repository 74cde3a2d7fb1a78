"""Asking the sync loop to look at an account soon."""

from __future__ import annotations

from domain.accounts import AccountStatus
from models.database import Db
from models.icloud import ICloudAccount

_UNPOLLED = frozenset({AccountStatus.NEEDS_CALENDARS, AccountStatus.NEEDS_NEW_PASSWORD})


def is_polled(account: ICloudAccount) -> bool:
    """Whether there is something to read, with a password that Apple takes."""
    return AccountStatus(account.status) not in _UNPOLLED


async def ask(db: Db, account: ICloudAccount, *, now: float) -> None:
    """The next poll is due now, or when Apple lets us; ring SYNC after the commit."""
    account.poll_asked_at = now
    account.next_poll_at = max(now, account.retry_at or now)
    await account.save(using_db=db, update_fields=["poll_asked_at", "next_poll_at"])
