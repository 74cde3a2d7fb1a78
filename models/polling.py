"""Whose account is to be polled next and by which process: leases, due times, and what a poll leaves behind."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from domain.accounts import APPLES_WAITS, AccountStatus
from domain.actor import UserRef
from models.sql import Db, Row, execute, fetch, marks


class Lease(NamedTuple):
    """An account that this process alone polls until the lease ends. `due_at`: when the poll should have begun.

    A tuple, as a stamp is: thousands are made a second, and a frozen dataclass takes four times as long to make.
    """

    account_id: str
    user: UserRef
    due_at: float | None
    is_failing: bool
    revision: int
    "Counts the changes of all that decides what a poll does: calendars, password, zone, standing."
    asked_at: float | None


class Stamp(NamedTuple):
    """A poll that found nothing new. It counts for the account as it was at `revision`, and for no other state."""

    account_id: str
    revision: int
    started: float
    lag: float
    asked_at: float | None
    next_poll_at: float
    next_if_watched: float
    seen: str | None = None
    "What the next process is to know of what was seen; None where it knows already."


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """How many accounts are wanted. Failing ones apart, so that they can't crowd out the others."""

    healthy: int = 0
    failing: int = 0


_STAMPED, _KEPT, _TAKEN = 0, 1, 2
_TOLD = ("id", "kind", "revision", "started", "lag", "asked", "planned", "watched", "seen")
"""What `_stamped` says, in its order; of what is only kept, the first two."""
_LEASED = "id, subaccount_id, user_id, next_poll_at, failures, revision, poll_asked_at"


async def trade_leases(
    db: Db,
    *,
    owner: str,
    now: float,
    lease: float,
    until: float,
    places: Places,
    stamps: Sequence[Stamp] = (),
    kept: Sequence[str] = (),
) -> list[Lease]:
    """All that a process says of its polls, in one statement, and the accounts that it gets for it.

    What was polled goes back with its stamp, what is `kept` is leased on, what is due before `until` is taken, the
    longest due first. A stamp for a state that is no longer the account's frees it, to be polled at once.
    """
    told = orjson.dumps([*map(_stamped, stamps), *([name, _KEPT] for name in kept)]).decode()
    rows = await fetch(
        db, _trade(db.capabilities.dialect), owner, now, lease, until, told, places.healthy, places.failing
    )
    before = {*kept, *(stamp.account_id for stamp in stamps)}
    # RETURNING gives rows in any order.
    return sorted(
        (_lease(row) for row in rows if row["id"] not in before), key=lambda each: each.due_at or 0.0
    )


def _stamped(stamp: Stamp) -> list[object]:
    return [
        stamp.account_id, _STAMPED, stamp.revision, stamp.started, stamp.lag, stamp.asked_at,
        stamp.next_poll_at, stamp.next_if_watched, stamp.seen,
    ]  # fmt: skip


@functools.cache
def _trade(dialect: str) -> str:
    """$1 owner, $2 now, $3 seconds of a lease, $4 until, $5 what is told, $6 and $7 places."""
    is_postgres = dialect == "postgres"
    due = """SELECT id FROM icloud_account
        WHERE next_poll_at <= $4 AND (lease_until IS NULL OR lease_until <= $2)
          AND failures {} 0 AND id NOT IN (SELECT id FROM told)
        ORDER BY next_poll_at LIMIT {}""" + (" FOR UPDATE SKIP LOCKED" if is_postgres else "")  # noqa: S608
    nothing = ", ".join("NULL" for _ in _TOLD[2:])
    now, until = _number("$2"), _number("$2", "$3")
    leased = ", ".join(f"icloud_account.{name}" if is_postgres else name for name in _LEASED.split(", "))
    return f"""WITH told AS ({_told(is_postgres=is_postgres)}),
          healthy AS ({due.format("=", "$6")}),
          failing AS ({due.format(">", "$7")}),
          traded AS (
            SELECT * FROM told
            UNION ALL SELECT id, {_TAKEN}, {nothing} FROM healthy
            UNION ALL SELECT id, {_TAKEN}, {nothing} FROM failing
          )
        UPDATE icloud_account SET
          lease_owner = CASE WHEN traded.kind <> {_STAMPED} THEN $1 END,
          lease_until = CASE WHEN traded.kind <> {_STAMPED} THEN {until} END,
          last_polled_at = COALESCE(traded.started, last_polled_at),
          poll_lag = COALESCE(traded.lag, poll_lag),
          seen = COALESCE(traded.seen, icloud_account.seen),
          last_synced_at = CASE
            WHEN traded.revision = icloud_account.revision THEN traded.started
            ELSE last_synced_at END,
          next_poll_at = CASE
            WHEN traded.kind <> {_STAMPED} OR next_poll_at IS NULL THEN next_poll_at
            WHEN traded.revision <> icloud_account.revision THEN {now}
            -- Asked for since the account was leased. Times can't tell: who asks looks at the clock, then waits.
            WHEN COALESCE(poll_asked_at, 0) <> COALESCE(traded.asked, 0) THEN poll_asked_at
            WHEN watched_until > {now} THEN traded.watched
            ELSE traded.planned END
        FROM traded
        WHERE icloud_account.id = traded.id AND (traded.kind = {_TAKEN} OR icloud_account.lease_owner = $1)
        RETURNING {leased}"""  # noqa: S608 - constants.


def _told(*, is_postgres: bool) -> str:
    """Rows out of JSON: one text however many there are; a list of marks would be a new statement for each count."""
    if is_postgres:
        kinds = {"id": "text", "kind": "int", "revision": "bigint", "seen": "text"}
        columns = (f"(row ->> {at})::{kinds.get(name, 'float8')} AS {name}" for at, name in enumerate(_TOLD))
        return f"SELECT {', '.join(columns)} FROM jsonb_array_elements($5::jsonb) AS row"  # noqa: S608
    columns = (f"json_extract(value, '$[{at}]') AS {name}" for at, name in enumerate(_TOLD))
    return f"SELECT {', '.join(columns)} FROM json_each($5)"  # noqa: S608


def _number(*marked: str) -> str:
    """PostgreSQL asks what kind of value a mark stands for where it can't tell by the column beside it."""
    return " + ".join(f"CAST({mark} AS DOUBLE PRECISION)" for mark in marked)


async def lease_account(db: Db, account_id: str, *, owner: str, now: float, lease: float) -> Lease | None:
    """Takes this one now, due or not, and anew where `owner` has it; None while another has it."""
    rows = await fetch(
        db,
        "UPDATE icloud_account SET lease_owner = $1, lease_until = $2"  # noqa: S608 - a constant.
        f" WHERE id = $3 AND (lease_until IS NULL OR lease_until <= $4 OR lease_owner = $1) RETURNING {_LEASED}",
        owner,
        now + lease,
        account_id,
        now,
    )
    return _lease(rows[0])._replace(due_at=None) if rows else None


async def release(db: Db, account_id: str, *, owner: str) -> None:
    await execute(
        db,
        "UPDATE icloud_account SET lease_owner = NULL, lease_until = NULL WHERE id = $1 AND lease_owner = $2",
        account_id,
        owner,
    )


async def release_all(db: Db, *, owner: str) -> None:
    await execute(
        db,
        "UPDATE icloud_account SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = $1",
        owner,
        is_long=True,
    )


async def free_accounts(db: Db) -> None:
    """Whoever had them."""
    await execute(
        db,
        "UPDATE icloud_account SET lease_owner = NULL, lease_until = NULL WHERE lease_owner IS NOT NULL",
        is_long=True,
    )


async def ask_for_poll(db: Db, account_id: str, *, now: float) -> float | None:
    """Whoever has the account is to poll it again from now, or when Apple lets us; ring SYNC after the commit.

    Gives when. None where it is not polled at all: a password that Apple refused is not tried again for being asked.
    What we wait of ourselves after another failure is over: what was asked for may be what mends it.
    """
    rows = await fetch(
        db,
        "UPDATE icloud_account SET poll_asked_at = $1, next_poll_at ="  # noqa: S608 - marks.
        f" CASE WHEN retry_at > $1 AND problem_code IN ({marks(len(APPLES_WAITS), after=4)}) THEN retry_at ELSE $1 END"
        " WHERE id = $2 AND status NOT IN ($3, $4) RETURNING next_poll_at",
        now,
        account_id,
        str(AccountStatus.NEEDS_CALENDARS),
        str(AccountStatus.NEEDS_NEW_PASSWORD),
        *sorted(APPLES_WAITS),
    )
    return float(rows[0]["next_poll_at"]) if rows else None


def _lease(row: Row) -> Lease:
    return Lease(
        account_id=row["id"],
        user=UserRef(row["subaccount_id"], row["user_id"]),
        due_at=row["next_poll_at"],
        is_failing=row["failures"] > 0,
        revision=row["revision"],
        asked_at=row["poll_asked_at"],
    )


async def have_polled_whole(db: Db, user: UserRef) -> None:
    """The next poll goes by more than iCloud's first answer, whatever that is."""
    await execute(
        db,
        "UPDATE icloud_account SET revision = revision + 1 WHERE subaccount_id = $1 AND user_id = $2",
        user.subaccount,
        user.user,
    )
