"""What a clock that was set back leaves behind: stamps of the past that lie in the future, and waits without an end.

Set back while a process runs, or between two runs; or ahead, on one of the machines that share the database.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from domain.actor import UserRef
from domain.changes import ChangeKind
from models.changelog import Ledger
from models.sql import Db, execute, fetch

CLOCKS_DIFFER = 60.0
"""Seconds: the clocks of machines may differ by so much, or be set back, without anything being done about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """The latest that a stored stamp of each kind can be, by this machine's clock.

    What lies later was stored by another's that is ahead, or before this one was set back.
    """

    now: float
    past: float
    "What has happened."
    lease: float
    poll: float
    retry: float
    write: float
    comparison: float
    window: int
    "The end of a window that holds what is now."
    hold: float


# By `expanded_until` alone a poll is told that began by a clock that was ahead, and never ended.
_ACCOUNT_IS_AHEAD = """(
    last_polled_at > :past OR poll_asked_at > :past OR lease_until > :lease
    OR next_poll_at > :poll AND failures = 0 OR next_poll_at > :retry
    OR expanded_until > :window AND expanded_zone <> ''
)"""
_WRITE_IS_AHEAD = "(due_at > :past AND attempts = 0 OR due_at > :write OR lease_until > :lease)"
_HOLD_IS_AHEAD = "expires_at > :hold"
# What was to be waited for is waited for anew: iCloud may have told us to.
_ANEW = """CASE
        WHEN last_polled_at > :past AND retry_at > last_polled_at THEN :now + retry_at - last_polled_at
        ELSE :now END"""
_WRITES = f"""UPDATE pending_write SET
    due_at = CASE WHEN due_at > :now THEN :now ELSE due_at END,
    lease_until = CASE WHEN lease_until > :lease THEN :past ELSE lease_until END
WHERE appointment_id IN (
    SELECT appointment_id FROM pending_write
    WHERE {_WRITE_IS_AHEAD} OR user_id IN (SELECT user_id FROM icloud_account WHERE {_ACCOUNT_IS_AHEAD}) :skip
)"""  # noqa: S608
# Another revision: what processes remember of it counts no more, and the next poll is a whole one. Another zone: what a
# later window did not hold any more is expanded again; until then time is closed.
_ACCOUNTS = f"""UPDATE icloud_account SET
    revision = revision + 1,
    watched_until = NULL,
    next_poll_at = CASE WHEN next_poll_at > :now THEN {_ANEW} ELSE next_poll_at END,
    retry_at = CASE WHEN retry_at > :now THEN {_ANEW} ELSE retry_at END,
    lease_until = CASE WHEN lease_until > :lease THEN :past ELSE lease_until END,
    poll_asked_at = CASE WHEN poll_asked_at > :past THEN :now ELSE poll_asked_at END,
    last_polled_at = CASE WHEN last_polled_at > :past THEN NULL ELSE last_polled_at END,
    last_synced_at = CASE WHEN last_synced_at > :past THEN NULL ELSE last_synced_at END,
    last_changed_at = CASE WHEN last_changed_at > :past THEN :now ELSE last_changed_at END,
    expanded_zone = CASE WHEN expanded_until > :window THEN '' ELSE expanded_zone END
WHERE id IN (SELECT id FROM icloud_account WHERE {_ACCOUNT_IS_AHEAD} :skip)"""  # noqa: S608
# Null would be: never read. When it was connected is too early, and never too late.
_CALENDARS = """UPDATE calendar SET
    compare_at = CASE
        WHEN last_synced_at > :past THEN compare_at - last_synced_at + :now
        WHEN compare_at > :comparison THEN :now
        ELSE compare_at END,
    last_synced_at = CASE
        WHEN last_synced_at > :past THEN (
            SELECT CASE WHEN a.connected_at > :now THEN 0 ELSE a.connected_at END
            FROM icloud_account a WHERE a.id = calendar.account_id
        )
        ELSE last_synced_at END
WHERE id IN (
    SELECT c.id FROM calendar c JOIN icloud_account a ON a.id = c.account_id
    WHERE c.last_synced_at > :past OR c.compare_at > :comparison :skip
)"""
_NAME = re.compile(r"(?<!:):(\w+)")


async def is_ahead(db: Db, ahead: Ahead) -> bool:
    """Whether anything is. Calendars are many: what is amiss with one shows on its account."""
    for table, condition in (
        ("icloud_account", _ACCOUNT_IS_AHEAD),
        ("pending_write", _WRITE_IS_AHEAD),
        ("hold", _HOLD_IS_AHEAD),
    ):
        if await fetch(db, *_bound(f"SELECT 1 FROM {table} WHERE {condition} LIMIT 1", ahead)):  # noqa: S608
            return True
    return False


async def bring_back(db: Db, ahead: Ahead) -> None:
    """All of it is due, and its age unknown. What others have locked waits for the next time."""
    for statement in (_WRITES, _ACCOUNTS, _CALENDARS):
        text, *values = _bound(statement.replace(":skip", _skip(db)), ahead)
        await execute(db, text, *values, is_long=True)


async def forget_ages(db: Db, account_id: str, *, before: float) -> None:
    """No state of the account counts as newer, nor does what processes remember of it, until it is polled whole."""
    await execute(
        db,
        "UPDATE icloud_account SET revision = revision + 1, last_synced_at = NULL WHERE id = $1",
        account_id,
    )
    await execute(
        db,
        "UPDATE calendar SET last_synced_at = $1 WHERE account_id = $2 AND last_synced_at > $1",
        before,
        account_id,
    )


async def users_held(db: Db, ahead: Ahead) -> list[UserRef]:
    """Whose time guests hold for longer than they can."""
    statement = f"SELECT DISTINCT subaccount_id, user_id FROM hold WHERE {_HOLD_IS_AHEAD}"  # noqa: S608
    rows = await fetch(db, *_bound(statement, ahead))
    return [UserRef(row["subaccount_id"], row["user_id"]) for row in rows]


async def shorten_holds(ledger: Ledger, ahead: Ahead) -> None:
    """They begin anew."""
    rows = await fetch(
        ledger.db,
        "UPDATE hold SET expires_at = $1 WHERE user_id = $2 AND expires_at > $3 RETURNING id",
        ahead.hold - CLOCKS_DIFFER,
        ledger.user.user,
        ahead.hold,
    )
    for row in rows:
        ledger.note(ChangeKind.HOLD_MADE, row["id"])


def _skip(db: Db) -> str:
    return "FOR UPDATE SKIP LOCKED" if db.capabilities.dialect == "postgres" else ""


def _bound(statement: str, ahead: Ahead) -> tuple[str, *tuple[object, ...]]:
    """With a mark for each name, and their values after it."""
    names = list(dict.fromkeys(_NAME.findall(statement)))
    marked = _NAME.sub(lambda found: f"${names.index(found[1]) + 1}", statement)
    return marked, *(getattr(ahead, name) for name in names)
