"""The outbox: which appointments' copies in iCloud are not yet what they should be, and who is writing them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from domain.accounts import APPLES_WAITS
from domain.actor import UserRef
from domain.changes import ChangeKind
from domain.copies import WriteState
from models.calendar import Calendar
from models.changelog import Ledger
from models.sql import Db, execute, execute_many, fetch, marks

UNSENT = frozenset({WriteState.PENDING, WriteState.FAILED})
"""What iCloud has is not yet what it should be: a row of the outbox stands for it."""


@dataclass(frozen=True, slots=True)
class TakenWrite:
    """An outbox row that is ours until `lease_until`, which tells our lease from a later one."""

    appointment_id: str
    user: UserRef
    due_at: float
    attempts: int
    lease_until: float


async def queue_write(db: Db, user: UserRef, appointment_id: str, *, now: float) -> None:
    """In the transaction that changed the appointment; several changes before a write are one row."""
    await execute(
        db,
        "INSERT INTO pending_write (appointment_id, subaccount_id, user_id, due_at, attempts, created_at)"
        " VALUES ($1, $2, $3, $4, 0, $4)"
        " ON CONFLICT (appointment_id) DO UPDATE SET due_at = $4, attempts = 0",
        appointment_id,
        user.subaccount,
        user.user,
        now,
    )


async def queue_again(
    db: Db, user: UserRef, appointment_id: str, *, now: float, due_at: float, attempts: int
) -> None:
    """What was written and did not stay: its tries count on. A write that waits does it too."""
    await execute(
        db,
        "INSERT INTO pending_write (appointment_id, subaccount_id, user_id, due_at, attempts, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (appointment_id) DO NOTHING",
        appointment_id,
        user.subaccount,
        user.user,
        due_at,
        attempts,
        now,
    )


async def queue_tidying(db: Db, user: UserRef, appointment_id: str, *, now: float, wait: float) -> None:
    """Only what was left behind of its copies is to be looked at; a write that waits does that too."""
    await queue_again(db, user, appointment_id, now=now, due_at=now + wait, attempts=0)


_MAY_BE_ASKED = (
    "a.refusals = 0 AND a.status <> 'NEEDS_NEW_PASSWORD'"
    " AND (COALESCE(a.problem_code, '') <> 'THROTTLED'"
    " OR COALESCE(a.retry_at, 0) <= $2)"
)


async def take_due(db: Db, *, now: float, lease: float, limit: int) -> list[TakenWrite]:
    """Leases what is due, one of an account at a time: no account takes the places of the others.

    Of those due at once, as after a wait for all, what was tried least goes first: what is never taken keeps none back.
    Nothing is due of an account that was told to wait, or whose password was refused, until a poll has tried again.
    """
    skip = "FOR UPDATE OF p SKIP LOCKED" if db.capabilities.dialect == "postgres" else ""
    rows = await fetch(
        db,
        "UPDATE pending_write SET lease_until = $1 WHERE appointment_id IN ("  # noqa: S608 - constants.
        " SELECT p.appointment_id FROM pending_write p JOIN ("
        "  SELECT w.appointment_id, ROW_NUMBER() OVER (PARTITION BY w.user_id"
        "  ORDER BY w.due_at, w.attempts, w.appointment_id)"
        "  AS place FROM pending_write w JOIN icloud_account a ON a.user_id = w.user_id"
        f"  WHERE w.due_at <= $2 AND {_MAY_BE_ASKED} AND NOT EXISTS (SELECT 1 FROM pending_write o"
        "  WHERE o.user_id = w.user_id AND o.subaccount_id = w.subaccount_id AND o.lease_until > $2)"
        " ) line ON line.appointment_id = p.appointment_id AND line.place = 1"
        " WHERE p.due_at <= $2 AND (p.lease_until IS NULL OR p.lease_until <= $2)"
        f" ORDER BY p.due_at LIMIT $3 {skip})"
        " RETURNING appointment_id, subaccount_id, user_id, due_at, attempts, lease_until",
        now + lease,
        now,
        limit,
    )
    return [
        TakenWrite(
            row["appointment_id"],
            UserRef(row["subaccount_id"], row["user_id"]),
            row["due_at"],
            row["attempts"],
            row["lease_until"],
        )
        for row in rows
    ]


async def still_ours(db: Db, taken: TakenWrite) -> TakenWrite | None:
    """The row as it is, if it is there and leased to us.

    Another than was taken: somebody asked for the write since, and what it met meanwhile is no answer to that.
    """
    rows = await fetch(
        db,
        "SELECT due_at, attempts FROM pending_write WHERE appointment_id = $1 AND lease_until = $2",
        taken.appointment_id,
        taken.lease_until,
    )
    if not rows:
        return None
    found = replace(taken, **rows[0])
    return taken if found == taken else replace(found, attempts=0)


async def give_back(db: Db, writes: Sequence[TakenWrite]) -> None:
    """Unfinished, to whoever looks next."""
    await execute_many(
        db,
        "UPDATE pending_write SET lease_until = NULL WHERE appointment_id = $1 AND lease_until = $2",
        [(taken.appointment_id, taken.lease_until) for taken in writes],
    )


async def finish_write(db: Db, taken: TakenWrite) -> None:
    await execute(db, "DELETE FROM pending_write WHERE appointment_id = $1", taken.appointment_id)


async def refusing_calendars(db: Db, user: UserRef, problem: str) -> frozenset[str]:
    """In which writes wait that were given up for that."""
    rows = await fetch(
        db,
        "SELECT DISTINCT a.calendar_id FROM pending_write p JOIN appointment a ON a.id = p.appointment_id"
        " WHERE p.subaccount_id = $1 AND p.user_id = $2 AND a.write_state = $3 AND a.write_problem = $4",
        user.subaccount,
        user.user,
        str(WriteState.FAILED),
        problem,
    )
    return frozenset(row["calendar_id"] for row in rows)


async def put_back(db: Db, taken: TakenWrite, *, due_at: float, attempts: int) -> None:
    """Frees the row for a later try."""
    await execute(
        db,
        "UPDATE pending_write SET due_at = $1, attempts = $2, lease_until = NULL WHERE appointment_id = $3",
        due_at,
        attempts,
        taken.appointment_id,
    )


async def hold_back(db: Db, user: UserRef, *, until: float) -> None:
    """One write was told to wait, and so is the account: its others would be told the same, one after the other."""
    await execute(
        db,
        "UPDATE pending_write SET due_at = $1"
        " WHERE subaccount_id = $2 AND user_id = $3 AND due_at < $1 AND lease_until IS NULL",
        until,
        user.subaccount,
        user.user,
    )


async def free_writes(db: Db) -> None:
    """Whoever had them."""
    await execute(
        db, "UPDATE pending_write SET lease_until = NULL WHERE lease_until IS NOT NULL", is_long=True
    )


async def note_refusal(db: Db, user: UserRef, *, password: bytes, look_by: float) -> None:
    """A write met a refused password: it counts as a poll's does, and a poll finds out, before other writes ask.

    Not before the time that a poll was told to wait for, which ended while it was written.
    """
    await execute(
        db,
        "UPDATE icloud_account SET refusals = refusals + 1,"  # noqa: S608 - marks.
        " next_poll_at = CASE WHEN COALESCE(next_poll_at, 0) <= $1 THEN next_poll_at"
        f" WHEN retry_at > $1 AND problem_code IN ({marks(len(APPLES_WAITS), after=4)}) THEN retry_at ELSE $1 END"
        " WHERE subaccount_id = $2 AND user_id = $3 AND sealed_password = $4",
        look_by,
        user.subaccount,
        user.user,
        password,
        *sorted(APPLES_WAITS),
    )


async def hasten_writes(db: Db, user: UserRef, *, now: float) -> None:
    """After a renewed password: what was waiting for a later try is due at once."""
    await execute(
        db,
        "UPDATE pending_write SET due_at = $1 WHERE subaccount_id = $2 AND user_id = $3 AND due_at > $1",
        now,
        user.subaccount,
        user.user,
    )


async def hasten_refused(ledger: Ledger, calendar: Calendar) -> None:
    """It takes no writes any more, and another is linked: those that were given up in it can go there."""
    await execute(
        ledger.db,
        "UPDATE pending_write SET due_at = $1 WHERE user_id = $2 AND due_at > $1 AND appointment_id IN ("
        " SELECT id FROM appointment WHERE user_id = $2 AND calendar_id = $3 AND write_state = $4)",
        ledger.now,
        ledger.user.user,
        calendar.id,
        str(WriteState.FAILED),
    )


async def revive_writes(ledger: Ledger, calendar: Calendar) -> None:
    """The linked calendar takes writes again: those that were given up are due."""
    rows = await fetch(
        ledger.db,
        "UPDATE appointment SET write_state = $1, write_problem = NULL"
        " WHERE subaccount_id = $2 AND user_id = $3 AND calendar_id = $4 AND write_state = $5"
        " AND id IN (SELECT appointment_id FROM pending_write WHERE user_id = $3) RETURNING id",
        str(WriteState.PENDING),
        ledger.user.subaccount,
        ledger.user.user,
        calendar.id,
        str(WriteState.FAILED),
    )
    for row in rows:
        await queue_write(ledger.db, ledger.user, row["id"], now=ledger.now)
        ledger.note(ChangeKind.APPOINTMENT_WRITTEN, row["id"])


async def queue_left_behind(ledger: Ledger, calendar: Calendar) -> None:
    """The calendar takes writes again: copies stand in it of appointments that went elsewhere since, or were cancelled.

    Only there: a second copy in another calendar can be the owner's move, whose other half was not read yet.
    """
    rows = await fetch(
        ledger.db,
        "UPDATE appointment SET write_state = $1, write_problem = NULL WHERE write_state IN ($2, $3)"
        " AND id IN (SELECT r.appointment_id FROM resource r JOIN appointment a ON a.id = r.appointment_id"
        " WHERE r.calendar_id = $4 AND r.href <> COALESCE(a.href, '')) RETURNING id",
        str(WriteState.PENDING),
        str(WriteState.WRITTEN),
        str(WriteState.REMOVED),
        calendar.id,
    )
    for row in rows:
        await queue_write(ledger.db, ledger.user, row["id"], now=ledger.now)
        ledger.note(ChangeKind.APPOINTMENT_WRITTEN, row["id"])
    # Of those that their owner changed where they went to, nothing is written again.
    changed = await fetch(
        ledger.db,
        "SELECT a.id FROM resource r JOIN appointment a ON a.id = r.appointment_id"
        " WHERE r.calendar_id = $1 AND r.href <> COALESCE(a.href, '') AND a.write_state = $2",
        calendar.id,
        str(WriteState.CHANGED_IN_ICLOUD),
    )
    for name in sorted({row["id"] for row in changed}):
        await queue_tidying(ledger.db, ledger.user, name, now=ledger.now, wait=0)


_UNLINKED = "No calendar is linked any more, and its event in the one before could not be brought up to date."
"""Of what was written once. Without a problem it would be taken for one that its owner deleted."""


async def relink_writes(ledger: Ledger, linked: Calendar | None) -> list[str]:
    """The linked calendar changed: unsent and given-up writes to come go to the new one; without one, nowhere.

    A write that was sent and not answered stays where it was sent until it is known to be there or not. The answer
    names the appointments: what a copy that stays behind closes is to be settled.
    """
    rows = await fetch(
        ledger.db,
        "SELECT id, href FROM appointment WHERE subaccount_id = $1 AND user_id = $2 AND status = 'CONFIRMED'"
        " AND ends > $3 AND (href IS NULL OR write_state = $4)"
        " AND id IN (SELECT appointment_id FROM pending_write WHERE user_id = $2)",
        ledger.user.subaccount,
        ledger.user.user,
        int(ledger.now),
        str(WriteState.FAILED),
    )
    state = WriteState.NOT_LINKED if linked is None else WriteState.PENDING
    for row in rows:
        await execute(
            ledger.db,
            "UPDATE appointment SET calendar_id = $1, href = NULL, etag = NULL, write_state = $2,"
            " write_problem = $3 WHERE id = $4",
            None if linked is None else linked.id,
            str(state),
            _UNLINKED if linked is None and row["href"] is not None else None,
            row["id"],
        )
        if linked is None:
            await execute(ledger.db, "DELETE FROM pending_write WHERE appointment_id = $1", row["id"])
        else:
            await queue_write(ledger.db, ledger.user, row["id"], now=ledger.now)
        ledger.note(ChangeKind.APPOINTMENT_WRITTEN, row["id"])
    return [row["id"] for row in rows]


async def drop_writes(ledger: Ledger) -> None:
    """The account is disconnected: nothing more is written, and what is in iCloud stays there."""
    rows = await fetch(
        ledger.db,
        "DELETE FROM pending_write WHERE subaccount_id = $1 AND user_id = $2 RETURNING appointment_id",
        ledger.user.subaccount,
        ledger.user.user,
    )
    for row in rows:
        await execute(
            ledger.db,
            "UPDATE appointment SET write_state = $1, write_problem = CASE WHEN href IS NULL THEN NULL"
            " ELSE 'iCloud was disconnected before its event there could be brought up to date.' END"
            " WHERE id = $2 AND write_state IN ($3, $4)",
            str(WriteState.NOT_LINKED),
            row["appointment_id"],
            *sorted(map(str, UNSENT)),
        )
        ledger.note(ChangeKind.APPOINTMENT_WRITTEN, row["appointment_id"])
    # The UID stays: by it the event is known again after a new connection.
    await execute(
        ledger.db,
        "UPDATE appointment SET calendar_id = NULL, href = NULL, etag = NULL"
        " WHERE subaccount_id = $1 AND user_id = $2 AND calendar_id IS NOT NULL",
        ledger.user.subaccount,
        ledger.user.user,
        is_long=True,
    )
