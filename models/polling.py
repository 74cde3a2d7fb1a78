"""Whose account is to be polled next and by which process: leases, due times, and what a poll leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from domain.actor import UserRef
from models.database import Db, execute, fetch, marks


@dataclass(frozen=True, slots=True)
class Lease:
    """An account that this process alone polls until the lease ends. `due_at`: when the poll should have begun."""

    account_id: str
    user: UserRef
    due_at: float | None


async def lease_due(
    db: Db, *, owner: str, now: float, lease: float, limit: int, failing: bool
) -> list[Lease]:
    """The accounts that are due, longest first. Failing ones apart, so that they can't crowd out the others."""
    skip = "FOR UPDATE SKIP LOCKED" if db.capabilities.dialect == "postgres" else ""
    # RETURNING gives rows in any order, and a loop wants the most overdue first.
    rows = await fetch(
        db,
        "UPDATE icloud_account SET lease_owner = $1, lease_until = $2 WHERE id IN ("  # noqa: S608 - constants.
        " SELECT id FROM icloud_account WHERE next_poll_at <= $3 AND (lease_until IS NULL OR lease_until <= $3)"
        f" AND failures {'>' if failing else '='} 0 ORDER BY next_poll_at LIMIT $4 {skip})"
        " RETURNING id, subaccount_id, user_id, next_poll_at",
        owner,
        now + lease,
        now,
        limit,
    )
    leases = [_lease(row["id"], row["subaccount_id"], row["user_id"], row["next_poll_at"]) for row in rows]
    return sorted(leases, key=lambda each: each.due_at or 0.0)


async def lease_account(db: Db, account_id: str, *, owner: str, now: float, lease: float) -> Lease | None:
    """Takes this one now, due or not; None while another has it."""
    rows = await fetch(
        db,
        "UPDATE icloud_account SET lease_owner = $1, lease_until = $2"
        " WHERE id = $3 AND (lease_until IS NULL OR lease_until <= $4) RETURNING id, subaccount_id, user_id",
        owner,
        now + lease,
        account_id,
        now,
    )
    return _lease(rows[0]["id"], rows[0]["subaccount_id"], rows[0]["user_id"], None) if rows else None


async def renew_leases(db: Db, accounts: Sequence[str], *, owner: str, until: float) -> None:
    if accounts:
        await execute(
            db,
            "UPDATE icloud_account SET lease_until = $1 WHERE lease_owner = $2"  # noqa: S608
            f" AND id IN ({marks(len(accounts), after=2)})",
            until,
            owner,
            *accounts,
        )


async def release(db: Db, account_id: str, *, owner: str) -> None:
    await execute(
        db,
        "UPDATE icloud_account SET lease_owner = NULL, lease_until = NULL WHERE id = $1 AND lease_owner = $2",
        account_id,
        owner,
    )


async def ask_for_poll(db: Db, account_id: str, *, now: float) -> None:
    """Whoever has the account is to poll it again from now; ring SYNC after the commit."""
    await execute(
        db,
        "UPDATE icloud_account SET poll_asked_at = $1, next_poll_at = $1 WHERE id = $2",
        now,
        account_id,
    )


def _lease(account_id: str, subaccount: str, user: str, due_at: float | None) -> Lease:
    return Lease(account_id, UserRef(subaccount, user), due_at)
