"""What is gone from a calendar: absence is believed on proof alone, and much at once only when said twice."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from models.calendar import Calendar
from models.resources import copies_among, count_resources
from sync.pages import fetch_all
from sync.plan import FEW_GONE, PullPlan, is_mass_removal, plan_pull
from sync.poll import Poll
from sync.remote import ETag, Fetched, Href, NotThere
from sync.spelling import as_held, spelled_anew

log = logging.getLogger(__name__)


async def confirm_absence(
    poll: Poll, calendar: Calendar, known: Mapping[Href, ETag], plan: PullPlan
) -> PullPlan:
    """Absence is a proof only in a plain listing, which shows the calendar too: an empty answer names nothing.

    And only of what is not given either, since both listings can leave out the same. Much at once has its own rule.
    """
    listed = await poll.remote.list_resources(calendar.path)
    items = as_held(listed.items, known)
    again = plan_pull(known, items, full_listing=True)
    gone = plan.forget & again.forget
    if not is_mass_removal(len(known), len(gone)):
        given = await fetch_all(poll, calendar, gone)
        # One that was stored in two spellings is listed in one, and given in both.
        gone -= given.keys() - spelled_anew(gone, items)
    return PullPlan({**again.fetch, **plan.fetch}, gone)


async def may_remove(poll: Poll, calendar: Calendar, plan: PullPlan, *, is_full: bool) -> bool:
    """Much gone at once waits for a second, full listing a minute later that says the same."""
    since = poll.context.memory.removals_since
    gone, known = len(plan.forget), 0
    if gone > FEW_GONE:
        known = await count_resources(poll.context.database, calendar, most=2 * gone)
    if not is_mass_removal(known, gone):
        since.pop(calendar.id, None)
        return True
    wait = poll.context.settings.removal_wait
    first = poll.since(since, calendar.id)
    if is_full and poll.started - first >= wait:
        since.pop(calendar.id)
        return True
    log.warning("calendar %s: %d of %d gone at once, looking again", calendar.id, gone, known)
    poll.hurry(max(first + wait - poll.started, 1))
    return False


async def confirm_deletions(
    poll: Poll, calendar: Calendar, plan: PullPlan, *, is_full: bool
) -> tuple[PullPlan, frozenset[Href]]:
    """What is told as gone and given all the same stays, and is doubtful: the token waits until it is told otherwise.

    Our own event is deleted only where a GET says so too. Of a full listing's absences the rest were asked for already.
    """
    if not plan.forget:
        return plan, frozenset()
    copies = await copies_among(poll.context.database, calendar, plan.forget)
    own = {href for href in plan.forget if href in copies}
    there = {
        href: found.etag or None for href in sorted(own) if (found := await _there(poll, href)) is not None
    }
    doubtful = frozenset() if is_full else frozenset(await fetch_all(poll, calendar, plan.forget - own))
    fetch = {**plan.fetch, **dict.fromkeys(doubtful), **there}
    return PullPlan(fetch, plan.forget - there.keys() - doubtful), doubtful


async def _there(poll: Poll, href: Href) -> Fetched | None:
    """By its ETag an older text is known that is given a moment later."""
    try:
        return await poll.remote.get(href)
    except NotThere:
        return None
