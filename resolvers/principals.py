"""One Apple account, one subaccount: who has it, held by a row under concurrent connects."""

from __future__ import annotations

from models.sql import Db, execute, fetch


async def claim(db: Db, principal: str, subaccount: str) -> str:
    """The subaccount that has this Apple account: this one, where none had it.

    Where the row stands, an update that changes nothing locks it, so that a disconnect that finds itself the last
    cannot drop it meanwhile.
    """
    rows = await fetch(
        db,
        "INSERT INTO apple_principal (hmac, subaccount_id) VALUES ($1, $2)"
        " ON CONFLICT (hmac) DO UPDATE SET hmac = excluded.hmac RETURNING subaccount_id",
        principal,
        subaccount,
    )
    owner: str = rows[0]["subaccount_id"]
    return owner


async def release(db: Db, principal: str) -> None:
    """Free again, once no user has it. The lock comes first: the delete then sees what was connected meanwhile."""
    await execute(db, "UPDATE apple_principal SET hmac = hmac WHERE hmac = $1", principal)
    await execute(
        db,
        "DELETE FROM apple_principal WHERE hmac = $1"
        " AND NOT EXISTS (SELECT 1 FROM icloud_account WHERE principal_hmac = $1)",
        principal,
    )
