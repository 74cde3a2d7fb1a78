"""One poll of an account: list its calendars, and bring the chosen ones to what they are in iCloud."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from domain.paths import path_key
from models.calendar import Calendar, is_readable
from models.polling import Lease
from models.resources import etags_of, hrefs_from, known_etags, not_given
from sync.absence import confirm_absence, confirm_deletions, may_remove
from sync.closing import Closing
from sync.compare import compare
from sync.context import SyncContext
from sync.expand import keep_expanded
from sync.listing import keep_listing, list_home
from sync.pages import fetch_pages, note_progress, store_page
from sync.plan import PullPlan, plan_pull
from sync.poll import Poll, SupersededError, begin, is_comparison_due, sign_in
from sync.quiet import Looked, remember
from sync.record import finish, give_up
from sync.remote import (
    Changes,
    ETag,
    Forbidden,
    ForeignHost,
    Gone,
    Href,
    NameTooLong,
    NotThere,
    PasswordRefused,
    RemoteChange,
    RemoteError,
    ServerFailed,
    Stalled,
    SyncToken,
    TokenRefused,
    UnexpectedAnswer,
)
from sync.room import Place
from sync.spelling import as_held, beginning, is_odd

log = logging.getLogger(__name__)

_MOST_PAGES = 1000


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
) -> PullOutcome:
    """Never raises what the calendar server did; frees the lease at its end.

    `looked`: the home was asked already. `place`: taken as soon as it has answered, before anything is read.
    """
    poll = await begin(context, lease, started=None if looked is None else looked.started)
    if poll is None:
        return PullOutcome(is_complete=True)
    poll.seen, poll.place = None if looked is None else looked.met, place or Place()
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
    tokens = {calendar.path: calendar.token for calendar in listed}
    met: RemoteError | None = None
    due = []
    for calendar in poll.chosen:
        if not is_readable(calendar) or path_key(calendar.path) in poll.missing:
            continue
        if _is_in_step(calendar, tokens.get(calendar.path)):
            poll.verified.add(calendar.id)
            if not is_comparison_due(poll, calendar):
                continue
        due.append(calendar)
    queue = list(due)
    for place, calendar in enumerate(queue, 1):
        token, ends_poll = tokens.get(calendar.path), place == len(queue) and met is None
        try:
            if await _keep_in_step(poll, calendar, token, spares=place < len(due), ends_poll=ends_poll):
                queue.append(calendar)
        except (UnexpectedAnswer, NotThere, Forbidden, TokenRefused, ForeignHost, ServerFailed) as error:
            log.warning("calendar %s could not be read: %s", calendar.id, error)
            met = error
        except PasswordRefused:
            # The home took it in this poll; whether it does still tells a password revoked meanwhile from one calendar.
            await poll.remote.glance(poll.account.home_url)
            log.warning("calendar %s refuses whom the home lets in", calendar.id)
            met = UnexpectedAnswer("a calendar refuses whom the home lets in")
    if met is None:
        remember(poll, tokens)
    return met


# --- One calendar


def _is_in_step(calendar: Calendar, token: str | None) -> bool:
    return token is not None and token == calendar.listed_token and calendar.last_synced_at is not None


async def _keep_in_step(
    poll: Poll, calendar: Calendar, token: str | None, *, spares: bool, ends_poll: bool
) -> bool:
    """Whether it is to be read once more, after the others."""
    if not _is_in_step(calendar, token) and await _read_calendar(
        poll, calendar, token, spares=spares, ends_poll=ends_poll
    ):
        return True
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
    ungiven = await _ungiven(poll, calendar)
    changes, is_full = await _changes(poll, calendar, anew=bool(ungiven))
    if (
        not is_full
        and not changes.items
        and not changes.too_long
        and not _is_believed(poll, calendar, listed_token)
    ):
        return False
    items, known = await _held(poll, calendar, changes.items, is_full=is_full)
    plan = plan_pull(known, items, full_listing=is_full)
    gone_unheld = {change.href for change in items if isinstance(change, Gone)} - known.keys()
    is_first_read = calendar.last_synced_at is None
    is_spared = spares and bool(plan.forget) and not is_first_read
    if is_spared:
        plan = PullPlan(plan.fetch, frozenset())
        if not plan.fetch:
            return True
    if is_full and (plan.forget or not changes.items or is_doubted):
        plan = await confirm_absence(poll, calendar, known, plan)
    is_proved = is_spared or await may_remove(poll, calendar, plan, is_full=is_full)
    # What is new closes time at once, whatever is thought of what is gone.
    plan = plan if is_proved else PullPlan(plan.fetch, frozenset())
    plan, doubtful = await confirm_deletions(poll, calendar, plan, is_full=is_full)
    if is_first_read:
        await note_progress(poll, calendar, done=len(known), total=len(known) + len(plan.fetch))
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
        is_half_proved=is_full and not is_doubted and calendar.id not in poll.context.memory.without_changes,
        ends_poll=ends_poll,
    )
    async with aclosing(fetch_pages(poll, calendar, plan.fetch)) as pages:
        async for page in pages:
            await store_page(poll, calendar, page, closing, is_first_read=is_first_read)
            poll.context.at("page stored")
    await closing.finish()
    if changes.too_long and not is_spared:
        # The rest is read; what these close nobody knows, so that the calendar is not in step until they are gone.
        raise NameTooLong(f"{changes.too_long} resources with names that are too long to be kept")
    return is_spared


def _is_believed(poll: Poll, calendar: Calendar, listed_token: str | None) -> bool:
    """Listed as changed, and nothing is told that did: asked from the same token for a while, then compared in full.

    Told of too early, or only the calendar's own properties changed.
    """
    unexplained = poll.context.memory.unexplained_polls
    if listed_token is None or calendar.listed_token in {None, listed_token}:
        return True
    unexplained[calendar.id] = unexplained.get(calendar.id, 0) + 1
    if unexplained[calendar.id] <= poll.context.settings.most_missing_polls:
        poll.hurry(poll.context.settings.watched_every)
        return False
    calendar.compare_at = poll.started
    return True


async def _ungiven(poll: Poll, calendar: Calendar) -> set[Href]:
    """Once listed and not given: asked for until it is given or gone."""
    if calendar.listed_token:
        return set()
    async with poll.context.database.reading() as db:
        return {Href(href) for href in await not_given(db, calendar)}


async def _held(
    poll: Poll, calendar: Calendar, items: Sequence[RemoteChange], *, is_full: bool
) -> tuple[Sequence[RemoteChange], dict[Href, ETag]]:
    """The changes in the spellings that we hold, and what we hold: all of it, or of these alone.

    So one change costs the same in a big calendar.
    """
    if is_full:
        async with poll.context.database.reading() as db:
            etags = await known_etags(db, calendar)
        known = {Href(href): ETag(etag) for href, etag in etags.items()}
        return as_held(items, known), known
    known = await _known(poll, calendar, items)
    unknown = [change.href for change in items if change.href not in known and is_odd(change.href)]
    if not unknown:
        return as_held(items, known), known
    likely = await hrefs_from(poll.context.database, calendar, beginning(unknown))
    items = as_held(items, [*map(Href, likely), *known])
    return items, await _known(poll, calendar, items)


async def _known(poll: Poll, calendar: Calendar, items: Sequence[RemoteChange]) -> dict[Href, ETag]:
    etags = await etags_of(poll.context.database, calendar, [change.href for change in items])
    return {Href(href): ETag(etag) for href, etag in etags.items()}


async def _changes(poll: Poll, calendar: Calendar, *, anew: bool) -> tuple[Changes, bool]:
    """All that changed since the last time, and whether it is a full listing."""
    if calendar.id in poll.context.memory.without_changes:
        return await poll.remote.list_resources(calendar.path), True
    token = SyncToken(calendar.sync_token) if calendar.sync_token else None
    if anew or calendar.last_synced_at is None or calendar.id in poll.context.memory.removals_since:
        token = None  # From the start, and what is stored of it already is known by its ETag.
    if token is not None:
        try:
            return await _all_changes(poll, calendar, token), False
        except TokenRefused:
            log.info("calendar %s is listed anew: its token was refused", calendar.id)
    try:
        return await _all_changes(poll, calendar, None), True
    except TokenRefused:
        poll.context.memory.without_changes.add(calendar.id)
        return await poll.remote.list_resources(calendar.path), True


async def _all_changes(poll: Poll, calendar: Calendar, token: SyncToken | None) -> Changes:
    """Until the server says that it has told all (RFC 6578 section 3.6)."""
    items: list[RemoteChange] = []
    too_long, asked = 0, set[SyncToken | None]()
    while token not in asked and len(asked) < _MOST_PAGES:
        asked.add(token)
        changes = await poll.remote.list_changes(calendar.path, token)
        items += changes.items
        too_long += changes.too_long
        if not changes.is_truncated:
            return Changes(tuple(items), changes.token, too_long=too_long)
        token = changes.token
    raise UnexpectedAnswer("a list of changes without end")
