"""What is gone from a calendar: absence is believed on proof alone, and much at once only when said twice."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from models.calendar import Calendar
from models.copies import unheld_copies
from models.held import copies_among, count_resources, known_etags
from sync.context import Looked
from sync.fetching import fetch_all
from sync.own import note_deleted
from sync.plan import FEW_GONE, PullPlan, is_mass_removal, plan_pull
from sync.poll import Poll
from sync.remote import (
    ETag,
    Fetched,
    Forbidden,
    Href,
    Listed,
    NotThere,
    UnexpectedAnswer,
    Unreachable,
)
from sync.spelling import as_held, spelled_anew
from sync.told import Told

log = logging.getLogger(__name__)

_MOST_ASKED_FOR = 1000
"""Of what a calendar that is replaced again and again has lost since its first listing: 20 requests."""
_MOST_TURNS = 10
"""In which all of it may be another within a minute, where it was more before than now."""


class NotToldError(Exception):
    """Whether it is there. By one object alone nothing is held up: where more is amiss, the next request tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What may be removed, of a reading's plan."""

    plan: PullPlan
    doubtful: AbstractSet[Href] = frozenset()
    "Told as gone, and given all the same."
    untold: AbstractSet[Href] = frozenset()
    "Told as gone, of ours, and not to be asked for: they are to be told as gone once more."
    is_proved: bool
    "Whether nothing of what is told as gone has to wait for another poll."


async def prove(poll: Poll, calendar: Calendar, told: Told, plan: PullPlan, *, is_doubted: bool) -> Removal:
    """`is_doubted`: a plain listing is asked in any case."""
    if told.is_full and (plan.forget or not told.items or is_doubted):
        plan = await _confirm_absence(poll, calendar, told, plan)
    may_go = await _surely_gone(poll, calendar, told, plan)
    is_proved = may_go == plan.forget
    # What is new closes time at once, whatever is thought of what is gone.
    plan = plan.forgetting(may_go)
    plan, doubtful, untold = await _confirm_deletions(poll, calendar, plan, is_full=told.is_full)
    return Removal(plan=plan, doubtful=doubtful, untold=untold, is_proved=is_proved)


async def _confirm_absence(poll: Poll, calendar: Calendar, told: Told, plan: PullPlan) -> PullPlan:
    """Absence is a proof only in a plain listing, which shows the calendar too: an empty answer names nothing.

    And only of what is not given either, since both listings can leave out the same. Much at once has its own rule.
    """
    listed = await poll.remote.list_resources(calendar.path)
    items = as_held(listed.items, [*(each.href for each in told.items), *told.known])
    again = plan_pull(told.known, items, full_listing=True)
    gone = plan.forget & again.forget
    if not is_mass_removal(len(told.known), len(gone)):
        given = await fetch_all(poll, calendar, gone)
        # One that was stored in two spellings is listed in one, and given in both.
        gone -= given.keys() - spelled_anew(gone, items)
    return PullPlan({**again.fetch, **plan.fetch}, gone)


async def _surely_gone(poll: Poll, calendar: Calendar, told: Told, plan: PullPlan) -> frozenset[Href]:
    """Much gone at once waits for a second, full listing a minute later: what both say is gone, and nothing else.

    What the second one alone leaves out is not asked for, as of little at once it would be: but where it is much again.
    """
    memory = poll.context.memory
    gone, known = len(plan.forget), 0
    if gone > FEW_GONE:
        known = await count_resources(poll.context.database, calendar, most=2 * gone)
    if not is_mass_removal(known, gone):
        memory.forget_removal(calendar.id)
        return plan.forget
    wait = poll.context.settings.removal_wait
    first = poll.since(memory.removals_since, calendar.id, read_at=calendar.last_synced_at)
    looked = memory.removals.get(calendar.id) if first < poll.started else None
    looked = await _first_look(poll, calendar, told, plan) if looked is None else looked
    again = plan.forget & looked.missing
    memory.removals[calendar.id] = looked._replace(missing=again)
    if told.is_full and poll.started - first >= wait:
        memory.forget_removal(calendar.id)
        since = plan.forget - again
        if is_mass_removal(known - len(again), len(since)) and _is_replaced(told, looked, len(since)):
            again |= since - (await fetch_all(poll, calendar, since)).keys()
        if again != plan.forget:
            poll.hurry(1)
        return again
    log.warning("calendar %s: %d of %d gone at once, looking again", calendar.id, gone, known)
    poll.hurry(max(first + wait - poll.started, 1))
    return frozenset()


async def _first_look(poll: Poll, calendar: Calendar, told: Told, plan: PullPlan) -> Looked:
    """At much that is gone at once."""
    async with poll.context.database.reading() as db:
        held = await known_etags(db, calendar)
    return Looked(missing=plan.forget, known=_listed(told) | set(map(Href, held)))


def _is_replaced(told: Told, looked: Looked, gone: int) -> bool:
    """Whether as much came since the first look as there should be, where a calendar is replaced again and again.

    Another minute's wait would end no sooner there: it would never be read.
    """
    return gone <= min(len(_listed(told) - looked.known) * _MOST_TURNS, _MOST_ASKED_FOR)


def _listed(told: Told) -> frozenset[Href]:
    return frozenset(item.href for item in told.items if isinstance(item, Listed))


async def _confirm_deletions(
    poll: Poll, calendar: Calendar, plan: PullPlan, *, is_full: bool
) -> tuple[PullPlan, AbstractSet[Href], AbstractSet[Href]]:
    """What is told as gone and given all the same stays, and is doubtful: the token waits until it is told otherwise.

    Our own event is deleted only where a GET says so too. Of a full listing's absences the rest were asked for already.
    """
    if not plan.forget:
        return plan, frozenset(), frozenset()
    copies = await copies_among(poll.context.database, calendar, plan.forget)
    own = {href for href in plan.forget if href in copies}
    given: dict[Href, ETag | None] = {}
    untold: set[Href] = set()
    for href in by_turns(poll, own):
        try:
            if (found := await there(poll, href)) is not None:
                given[href] = found.etag or None
        except NotToldError:
            untold.add(href)
    doubtful = frozenset() if is_full else frozenset(await fetch_all(poll, calendar, plan.forget - own))
    fetch = {**plan.fetch, **dict.fromkeys(doubtful), **given}
    return PullPlan(fetch, plan.forget - given.keys() - doubtful - untold), doubtful, untold


async def tell_unseen_deletions(poll: Poll, calendar: Calendar, *, is_first_read: bool) -> None:
    """Our own events that stand there by our record, and are in nothing that was read: deleted while nobody looked on.

    A calendar that was left out of the choice for a while tells of no deletion in between. Much at once waits for the
    comparison that follows a first reading; each makes good what one that was cut short did not tell.
    """
    async with poll.context.database.reading() as db:
        found, standing = await unheld_copies(db, calendar, after=poll.window.start)
    unheld = by_turns(poll, map(Href, found))
    if is_first_read and is_mass_removal(standing, len(unheld)):
        log.warning("calendar %s: %d of %d own events gone at once", calendar.id, len(unheld), standing)
        return
    size = poll.context.settings.batch
    for start in range(0, len(unheld), size):
        part = unheld[start : start + size]
        gone = [href for href in part if await _is_gone(poll, href)]
        if gone:
            await _tell_gone(poll, calendar, gone)


async def _is_gone(poll: Poll, href: Href) -> bool:
    try:
        return await there(poll, href) is None
    except NotToldError:
        return False


async def _tell_gone(poll: Poll, calendar: Calendar, gone: Sequence[Href]) -> None:
    async with poll.changing(calendar) as (ledger, fresh):
        assert fresh is not None
        await note_deleted(ledger, poll, fresh, gone)


def by_turns(poll: Poll, hrefs: Iterable[Href]) -> list[Href]:
    """Another one first in each poll: those behind one that is never answered for are asked for too."""
    ordered = sorted(hrefs)
    first = int(poll.context.chance() * len(ordered))
    return ordered[first:] + ordered[:first]


async def there(poll: Poll, href: Href) -> Fetched | None:
    """An event by itself. By its ETag an older text is known that is given a moment later. Raises NotToldError."""
    if poll.is_met_by_silence:
        raise NotToldError
    try:
        return await poll.remote.get(href)
    except NotThere:
        return None
    except (Forbidden, UnexpectedAnswer, Unreachable) as error:
        if isinstance(error, Unreachable):
            poll.bears(error)
        log.info("whether an event is there was not told: %s", error)
        raise NotToldError from None
