"""A choice of calendars: what joins, what leaves, what is read for the first time, where unsent writes go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from domain.accounts import ICloudProblemCode
from domain.changes import ChangeKind
from models.calendar import Calendar, is_readable
from models.changelog import Ledger
from models.icloud import ICloudAccount
from models.outbox import relink_writes
from models.polling import ask_for_poll
from models.resources import settle_copies
from models.settle import settle_calendar, settle_conflicts
from resolvers.account_state import start_reading


@dataclass(frozen=True, slots=True)
class Choice:
    """Ids of calendars. The linked one is always a conflict calendar too."""

    linked: str | None
    conflict: frozenset[str]


def choice_of(calendars: Sequence[Calendar]) -> Choice:
    """What stands."""
    linked = next((calendar.id for calendar in calendars if calendar.is_linked), None)
    return Choice(linked, frozenset(calendar.id for calendar in calendars if calendar.is_conflict))


async def choose(
    ledger: Ledger, account: ICloudAccount, calendars: Sequence[Calendar], choice: Choice
) -> bool:
    """Puts the choice in the place of the one that stands; whether that changed anything. Ring SYNC after it."""
    stands = choice_of(calendars)
    is_first = not account.has_chosen
    if choice == stands and not is_first:
        return False
    account.has_chosen = True
    for calendar in calendars:
        await _place(ledger, calendar, choice)
    if choice.linked != stands.linked:
        await _relink(ledger, next((each for each in calendars if each.id == choice.linked), None))
        if account.problem_code == ICloudProblemCode.LINKED_CALENDAR_UNUSABLE:
            account.clear_problem()
    is_all_readable = all(is_readable(calendar) for calendar in calendars if calendar.is_conflict)
    if account.problem_code == ICloudProblemCode.CONFLICT_CALENDAR_UNREADABLE and is_all_readable:
        account.clear_problem()
    if is_first or choice.conflict - stands.conflict:
        start_reading(account)
    await _store(ledger, account)
    ledger.note(ChangeKind.CALENDARS)
    ledger.note(ChangeKind.ACCOUNT, account.id)
    return True


async def _relink(ledger: Ledger, linked: Calendar | None) -> None:
    for appointment_id in await relink_writes(ledger, linked):
        await settle_copies(ledger, appointment_id)
    await settle_conflicts(ledger)


async def _place(ledger: Ledger, calendar: Calendar, choice: Choice) -> None:
    """What leaves loses its events and slots at once; what is gone from iCloud too is no longer listed."""
    leaves = calendar.is_conflict and calendar.id not in choice.conflict
    calendar.is_conflict = calendar.id in choice.conflict
    calendar.is_linked = calendar.id == choice.linked
    await calendar.save(using_db=ledger.db, update_fields=["is_linked", "is_conflict"])
    if leaves:
        await settle_calendar(ledger, calendar)
        if calendar.is_gone:
            await calendar.delete(using_db=ledger.db)


async def _store(ledger: Ledger, account: ICloudAccount) -> None:
    await account.save(
        using_db=ledger.db,
        update_fields=[
            "status",
            "has_chosen",
            "problem_code",
            "problem_message",
            "problem_since",
            "progress_done",
            "progress_total",
        ],
    )
    account.next_poll_at = await ask_for_poll(ledger.db, account.id, now=ledger.now)
