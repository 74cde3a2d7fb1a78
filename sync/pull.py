"""One poll of an account: list its calendars, and bring the chosen ones to what they are in iCloud."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from domain.paths import path_key
from models.calendar import Calendar, is_readable
from models.polling import Lease
from sync.absence import confirm_absence, confirm_deletions, may_remove, tell_unseen_deletions
from sync.closing import Closing
from sync.compare import compare
from sync.context import SyncContext
from sync.expand import keep_expanded
from sync.first_reading import FirstReading
from sync.listing import keep_listing, list_home
from sync.pages import read_pages
from sync.plan import PullPlan, plan_pull
from sync.poll import Poll, SupersededError, begin, is_comparison_due, sign_in
from sync.quiet import Looked, remember
from sync.record import finish, give_up
from sync.remote import (
    Forbidden,
    ForeignHost,
    Gone,
    NameTooLong,
    NotThere,
    PasswordRefused,
    RemoteError,
    ServerFailed,
    Stalled,
    TokenRefused,
    UnexpectedAnswer,
)
from sync.room import Place, Room
from sync.told import ask_for_changes, beside_held, is_believed, once_not_given
from sync.unseen import find_unseen, look_for_unseen

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PullOutcome:
    """`changes` counts blocked slots. Not complete: the ground moved, and the account is due again at once."""

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
        return PullOutcome(is_complete=True)
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
    met: RemoteError | None = None
    due = []
    for calendar in poll.chosen:
        if not is_readable(calendar) or path_key(calendar.path) in poll.missing:
            continue
        if _is_in_step(calendar, tokens.get(calendar.path)) or _rests(
            poll, calendar, tokens.get(calendar.path)
        ):
            poll.verified.add(calendar.id)
            if not is_comparison_due(poll, calendar) and calendar.id not in poll.unseen:
                continue
        due.append(calendar)
    never_read = {calendar.id for calendar in due if calendar.last_synced_at is None}
    failing = poll.context.memory.failing
    due.sort(key=lambda calendar: calendar.id in failing)
    doubted = {calendar.id for calendar in due if is_comparison_due(poll, calendar)}
    queue = list(due)
    for place, calendar in enumerate(queue, 1):
        token, ends_poll = tokens.get(calendar.path), place == len(queue) and met is None and not poll.unseen
        spares = place < len(due) or bool(poll.behind - {calendar.id})
        poll.behind.add(calendar.id)
        failing.add(calendar.id)
        try:
            is_spared = await _keep_in_step(poll, calendar, token, spares=spares, ends_poll=ends_poll)
            failing.discard(calendar.id)
            if is_spared and place <= len(due):
                queue.append(calendar)
            elif is_spared:
                poll.hurry(poll.context.settings.watched_every)
        except (UnexpectedAnswer, NotThere, Forbidden, TokenRefused, ForeignHost, ServerFailed) as error:
            log.warning("calendar %s could not be read: %s", calendar.id, error)
            met = error
        except PasswordRefused:
            # The home took it in this poll; whether it does still tells a password revoked meanwhile from one calendar.
            await poll.remote.glance(poll.account.home_url)
            log.warning("calendar %s refuses whom the home lets in", calendar.id)
            met = UnexpectedAnswer("a calendar refuses whom the home lets in")
    if met is None:
        # Once all are read: what is gone from one may have moved to another.
        for calendar in due:
            if calendar.id in (never_read | doubted) & poll.verified:
                await tell_unseen_deletions(poll, calendar, is_first_read=calendar.id in never_read)
        remember(poll, tokens)
    return met


# --- One calendar


def _is_in_step(calendar: Calendar, token: str | None) -> bool:
    return token is not None and token == calendar.listed_token and calendar.last_synced_at is not None


def _rests(poll: Poll, calendar: Calendar, token: str | None) -> bool:
    """In step but for what is not given, which is asked for ever more seldom: each time, all of it is listed."""
    ungiven = poll.context.memory.ungiven.get(calendar.id)
    return (
        ungiven is not None
        and not calendar.listed_token
        and token == ungiven.token
        and ungiven.since <= poll.started < ungiven.until
    )


async def _keep_in_step(
    poll: Poll, calendar: Calendar, token: str | None, *, spares: bool, ends_poll: bool
) -> bool:
    """Whether it is to be read once more, after the others."""
    if _is_in_step(calendar, token):
        poll.behind.discard(calendar.id)
    if calendar.last_synced_at is None:
        async with poll.reading_first():
            await _read_calendar(poll, calendar, token, ends_poll=ends_poll)
    elif not _is_in_step(calendar, token) and await _read_calendar(
        poll, calendar, token, spares=spares, ends_poll=ends_poll
    ):
        return True
    if calendar.id in poll.unseen:
        await look_for_unseen(poll, calendar)
    # What is still under way has a full listing to come.
    is_due = is_comparison_due(poll, calendar) and calendar.id in poll.verified
    if is_due and await compare(poll, calendar):
        await _read_calendar(poll, calendar, token, is_doubted=True)
    return False


async def _read_calendar(
    poll: Poll,
    calendar: Calendar,
    listed_token: str | None,
    *,
    is_doubted: bool = False,
    spares: bool = False,
    ends_poll: bool = False,
) -> bool:
    """`is_doubted`: deltas left something out, so that a plain listing is asked too.

    `spares`: others are read after it, and what is gone may have moved to one of them: it goes on closing its time
    until they have it. Whether there is such, so that this one is to be read once more.
    """
    ungiven = await once_not_given(poll, calendar)
    first = FirstReading(poll, calendar) if calendar.last_synced_at is None else None
    changes, is_full = await ask_for_changes(
        poll, calendar, anew=bool(ungiven), on_part=None if first is None else first.store
    )
    if (
        not is_full
        and not changes.items
        and not changes.too_long
        and not is_believed(poll, calendar, listed_token)
    ):
        return False
    items, known = await beside_held(poll, calendar, changes.items, is_full=is_full)
    plan = plan_pull(known, items, full_listing=is_full)
    if is_full:
        # What a listing lacks of these was perhaps never there.
        plan = PullPlan(plan.fetch, plan.forget - poll.unseen.get(calendar.id, frozenset()))
    gone_unheld = {change.href for change in items if isinstance(change, Gone)} - known.keys()
    is_spared = spares and bool(plan.forget) and first is None
    if is_spared:
        plan = PullPlan(plan.fetch, frozenset())
        if not plan.fetch:
            poll.behind.discard(calendar.id)
            return True
    if is_full and (plan.forget or not changes.items or is_doubted):
        plan = await confirm_absence(poll, calendar, known, plan)
    is_proved = is_spared or await may_remove(poll, calendar, plan, is_full=is_full)
    # What is new closes time at once, whatever is thought of what is gone.
    plan = plan if is_proved else PullPlan(plan.fetch, frozenset())
    plan, doubtful = await confirm_deletions(poll, calendar, plan, is_full=is_full)
    if first is not None:
        await first.count(len(plan.fetch))
    closing = Closing(
        poll=poll,
        calendar=calendar,
        plan=plan,
        token=changes.token,
        listed_token=listed_token,
        doubtful=doubtful,
        ungiven=ungiven,
        gone_unheld=gone_unheld,
        is_proved=is_proved and not (changes.too_long or is_spared),
        is_half_proved=(is_full or first is not None)
        and not (is_doubted or ungiven)
        and calendar.id not in poll.context.memory.without_changes,
        ends_poll=ends_poll,
    )
    await read_pages(poll, calendar, plan.fetch, closing, is_first_read=first is not None)
    if not closing.is_behind:
        poll.behind.discard(calendar.id)
    if closing.is_refused:
        raise UnexpectedAnswer(f"{len(closing.lagging)} resources are listed and not given")
    if changes.too_long and not is_spared:
        # The rest is read; what these close nobody knows, so that the calendar is not in step until they are gone.
        raise NameTooLong(f"{changes.too_long} resources with names that are too long to be kept")
    return is_spared
