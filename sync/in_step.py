"""One calendar, brought in step: asked what changed, what it lists and we lack fetched, what is gone removed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet

from models.calendar import Calendar
from sync.absence import Removal, prove
from sync.closing import Closing
from sync.compare import compare
from sync.fetching import keep_slow
from sync.first_reading import FirstReading
from sync.pages import read_pages
from sync.plan import PullPlan, plan_pull
from sync.poll import Poll, is_comparison_due
from sync.remote import ETag, Href, NameTooLong, UnexpectedAnswer
from sync.told import Told, ask, moves_for_nothing, once_not_given
from sync.unseen import look_for_unseen

Spares = Callable[[AbstractSet[Href]], Awaitable[bool]]
"""Whether what is told as gone may have moved to where it is not read yet: it closes its time until it is."""


def is_in_step(poll: Poll, calendar: Calendar, token: str | None) -> bool:
    """`token`: as the home lists it now. Also where it is in step but for what is not given, and rests."""
    is_known = token is not None and token == calendar.listed_token and calendar.last_synced_at is not None
    return is_known or _rests(poll, calendar, token)


def _rests(poll: Poll, calendar: Calendar, token: str | None) -> bool:
    """In step but for what is not given, which is asked for ever more seldom: each time, all of it is listed.

    Without a token nothing says that it is in step.
    """
    ungiven = poll.context.memory.ungiven.get(calendar.id)
    return (
        ungiven is not None
        and token is not None
        and not calendar.listed_token
        and token == ungiven.token
        and calendar.sync_token == ungiven.read_to
        and ungiven.since <= poll.started < ungiven.until
    )


def is_as_read(poll: Poll, calendar: Calendar, token: str | None) -> bool:
    """Also where it changed after it was listed and before it was read: on iCloud the two tokens are one."""
    is_read_to = token is not None and token == calendar.sync_token and calendar.last_synced_at is not None
    return is_read_to or is_in_step(poll, calendar, token)


async def keep_in_step(
    poll: Poll, calendar: Calendar, token: str | None, *, spares: Spares, ends_poll: bool
) -> bool:
    """Whether something is gone that was spared. `ends_poll`: nothing is read after it."""
    is_spared = False
    if is_in_step(poll, calendar, token):
        poll.behind.discard(calendar.id)
    elif calendar.last_synced_at is None:
        async with poll.reading_first():
            await _read(poll, calendar, token, spares=spares, ends_poll=ends_poll)
    else:
        is_spared = await _read(poll, calendar, token, spares=spares, ends_poll=ends_poll)
    if is_spared:
        return True
    if calendar.id in poll.unseen:
        await look_for_unseen(poll, calendar)
    # What is still under way has a full listing to come.
    is_due = is_comparison_due(poll, calendar) and calendar.id in poll.verified
    if is_due and await compare(poll, calendar):
        return await _read(poll, calendar, token, spares=spares, is_doubted=True)
    return False


async def _read(
    poll: Poll,
    calendar: Calendar,
    listed_token: str | None,
    *,
    spares: Spares,
    is_doubted: bool = False,
    ends_poll: bool = False,
) -> bool:
    """Whether something is gone, and was spared. `is_doubted`: deltas left something out, a plain listing is asked too.

    Raises RemoteError, as where much is listed and not given.
    """
    ungiven = await once_not_given(poll, calendar)
    first = FirstReading(poll, calendar) if calendar.last_synced_at is None else None
    told = await ask(
        poll, calendar, listed_token, anew=bool(ungiven), on_part=None if first is None else first.store
    )
    if told is None:
        if moves_for_nothing(poll, calendar):
            poll.behind.discard(calendar.id)
        return False
    plan = _plan(poll, calendar, told)
    poll.gone[calendar.id] = plan.forget
    is_spared = bool(plan.forget) and first is None and await spares(plan.forget)
    if is_spared and not (plan.fetch or told.too_long):
        poll.behind.discard(calendar.id)
        return True
    if is_spared:
        removal = Removal(plan=plan.forgetting(frozenset()), is_proved=False)
    else:
        removal = await prove(poll, calendar, told, plan, is_doubted=is_doubted)
    if first is not None:
        await first.count(len(removal.plan.fetch))
    closing = Closing(
        poll=poll,
        calendar=calendar,
        token=told.token,
        told=told,
        removal=removal,
        listed_token=listed_token,
        ungiven=ungiven,
        is_half_proved=(told.is_full or first is not None)
        and not (is_doubted or ungiven)
        and calendar.id not in poll.context.memory.without_changes,
        ends_poll=ends_poll,
    )
    keep_slow(poll, calendar, removal.plan.fetch)
    await read_pages(
        poll,
        calendar,
        removal.plan.fetch,
        closing,
        held=_held_of_changes(told, removal),
        is_first_read=first is not None,
    )
    if not closing.is_behind:
        poll.behind.discard(calendar.id)
    if closing.is_refused:
        raise UnexpectedAnswer(f"{len(closing.lagging)} resources are listed and not given")
    if told.too_long:
        # The rest is read; what these close nobody knows, so that the calendar is not in step until they are gone.
        raise NameTooLong(f"{told.too_long} resources with names that are too long to be kept")
    return is_spared


def _held_of_changes(told: Told, removal: Removal) -> dict[Href, ETag]:
    """A listing without ETags tells of no change, nor does what is told as gone and given all the same."""
    if told.is_full:
        return {}
    return {href: etag for href, etag in told.known.items() if href not in removal.doubtful}


def _plan(poll: Poll, calendar: Calendar, told: Told) -> PullPlan:
    plan = plan_pull(told.known, told.items, full_listing=told.is_full)
    if not told.is_full:
        return plan
    # What a listing lacks of what we wrote and nobody has read was perhaps never there.
    return plan.forgetting(plan.forget - poll.unseen.get(calendar.id, frozenset()))
