"""One poll of an account: list its calendars, and bring the chosen ones to what they are in iCloud."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from domain.paths import path_key
from models.calendar import Calendar, is_readable
from models.polling import Lease
from sync.absence import tell_unseen_deletions
from sync.context import SyncContext
from sync.expand import keep_expanded
from sync.in_step import is_in_step
from sync.listing import keep_listing, list_home
from sync.poll import Poll, SupersededError, begin, is_comparison_due, sign_in
from sync.quiet import Looked, remember
from sync.record import finish, give_up
from sync.remote import RemoteError, Stalled
from sync.room import Place, Room
from sync.turns import Turns
from sync.unseen import find_unseen

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PullOutcome:
    """`changes` counts blocked slots. Not complete: the ground moved, and the account is due again at once, or is gone,
    or another process has it by now.
    """

    is_complete: bool
    changes: int = 0
    error: RemoteError | None = None


async def pull(
    context: SyncContext,
    lease: Lease,
    looked: Looked | None = None,
    *,
    place: Place | None = None,
    first_reads: Room | None = None,
) -> PullOutcome:
    """Never raises what the calendar server did; frees the lease at its end.

    `looked`: the home was asked already. `place`: taken as soon as it has answered, before anything is read.
    `first_reads`: where there is another for a calendar that was never read.
    """
    poll = await begin(context, lease, started=None if looked is None else looked.started)
    if poll is None:
        return PullOutcome(is_complete=False)
    poll.seen, poll.place = None if looked is None else looked.met, place or Place()
    poll.first_reads = first_reads
    try:
        met = await _look(poll)
        if met is not None:
            # What it passed through holds the whole answer, and it: a circle, which may wait long for the collector.
            met.__traceback__ = None
        await finish(poll, met)
    except SupersededError:
        await give_up(context, lease, due_at=context.clock())
        return PullOutcome(is_complete=False, changes=poll.changes)
    return PullOutcome(is_complete=True, changes=poll.changes, error=met)


async def _look(poll: Poll) -> RemoteError | None:
    limit = asyncio.timeout(poll.context.settings.poll_seconds)
    try:
        poll.signed_in = sign_in(poll.context, poll.account)
        async with limit:
            return await _pull(poll)
    except TimeoutError:
        if not limit.expired():
            raise  # The database did not answer.
        # What was read is stored; the next poll goes on from there.
        poll.hurry(0)
        return None if poll.has_changed else Stalled("the poll took too long")
    except RemoteError as error:
        return error


async def _pull(poll: Poll) -> RemoteError | None:
    """Raises what concerns the whole account; what one calendar met is returned after the others had their turn."""
    listed = await list_home(poll)
    await poll.place.take()
    await keep_listing(poll, listed)
    await keep_expanded(poll)
    if any(calendar.is_linked for calendar in poll.calendars):
        poll.unseen = await find_unseen(poll)
    tokens = {calendar.path: calendar.token for calendar in listed}
    due = _due(poll, tokens)
    never_read = {calendar.id for calendar in due if calendar.last_synced_at is None}
    doubted = {calendar.id for calendar in due if is_comparison_due(poll, calendar)}
    # Ours until the last is done, where something is to be told once all are read.
    may_end_poll = not (poll.unseen or never_read or doubted)
    turns = Turns(poll=poll, due=due, tokens=tokens, may_end_poll=may_end_poll)
    met = await turns.read_all()
    if met is None:
        # Once all are read: what is gone from one may have moved to another.
        for calendar in due:
            if calendar.id in (never_read | doubted) & poll.verified:
                await tell_unseen_deletions(poll, calendar, is_first_read=calendar.id in never_read)
        if turns.is_stale and never_read & poll.verified:
            poll.hurry(0)  # What changed elsewhere while much was read has waited long enough.
        remember(poll, tokens)
    return met


def _due(poll: Poll, tokens: Mapping[str, str | None]) -> list[Calendar]:
    """Those that something is to be asked of, the failing ones last; the others are as they were."""
    due = []
    for calendar in poll.chosen:
        if path_key(calendar.path) in poll.missing:
            poll.behind.add(calendar.id)
            continue
        if not is_readable(calendar):
            continue
        token = tokens.get(calendar.path)
        if is_in_step(poll, calendar, token):
            poll.verified.add(calendar.id)
            if not is_comparison_due(poll, calendar) and calendar.id not in poll.unseen:
                continue
        due.append(calendar)
    return sorted(due, key=lambda calendar: calendar.id in poll.context.memory.failing)
