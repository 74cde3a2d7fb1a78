"""All that is held of a calendar against a full listing: deltas can leave out what they should tell, in silence."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from models.calendar import Calendar
from models.database import execute
from models.resources import known_etags
from sync.pages import fetch_all
from sync.plan import plan_comparison, plan_pull
from sync.poll import Poll
from sync.remote import (
    ETag,
    Fetched,
    Href,
    PasswordRefused,
    RemoteChange,
    RemoteError,
    SyncToken,
    Throttled,
    TokenRefused,
)

log = logging.getLogger(__name__)

_MOST_DOUBTS = 500
"""So many differences are no slip: they are read anew without asking for each."""


async def compare(poll: Poll, calendar: Calendar) -> bool:
    """Whether deltas missed something, so that the calendar is to be read anew. A failure to tell waits an hour."""
    try:
        missed = await _missed(poll, calendar)
    except RemoteError as error:
        log.info("calendar %s could not be compared: %s", calendar.id, error)
        await _put_off(poll, calendar, poll.started + poll.context.settings.longest_retry)
        if isinstance(error, Throttled | PasswordRefused):
            raise
        return False
    memory = poll.context.memory
    memory.compared += 1
    memory.missed += len(missed)
    next_at = plan_comparison(poll.started, poll.zone, calendar.id, poll.context.settings)
    await _put_off(poll, calendar, next_at, forget_tokens=bool(missed))
    if missed:
        log.warning("calendar %s: %d resources differ that no delta told", calendar.id, len(missed))
    return bool(missed)


async def _missed(poll: Poll, calendar: Calendar) -> set[Href]:
    """What differs, is not about to be told, and differs still when asked for itself: a listing can be old too."""
    poll.context.memory.without_changes.discard(calendar.id)
    known, differing = await _differing(poll, calendar)
    if differing and calendar.sync_token:
        differing -= await _told(poll, calendar, SyncToken(calendar.sync_token))
    if not differing or len(differing) > _MOST_DOUBTS:
        return differing
    given = await fetch_all(poll, calendar, differing)
    return {href for href in differing if _is_other(href, known, given)}


async def _differing(poll: Poll, calendar: Calendar) -> tuple[dict[Href, ETag], set[Href]]:
    listed = await poll.remote.list_resources(calendar.path)
    async with poll.context.database.reading() as db:
        etags = await known_etags(db, calendar, None)
    known = {Href(href): ETag(etag) for href, etag in etags.items()}
    plan = plan_pull(known, listed.items, full_listing=True)
    # Without an ETag it is asked for anyway: written a moment ago, or never given.
    return known, {href for href in plan.fetch.keys() | plan.forget if known.get(href) != ""}


async def _told(poll: Poll, calendar: Calendar, token: SyncToken) -> set[Href]:
    """What changed since this poll looked is the next one's to read."""
    try:
        changes = await poll.remote.list_changes(calendar.path, token)
    except TokenRefused:
        return set()
    return _hrefs(changes.items)


def _hrefs(items: Iterable[RemoteChange]) -> set[Href]:
    return {change.href for change in items}


def _is_other(href: Href, known: Mapping[Href, ETag], given: Mapping[Href, Fetched]) -> bool:
    found = given.get(href)
    if found is None:
        return href in known
    return not found.etag or known.get(href) != found.etag


async def _put_off(poll: Poll, calendar: Calendar, until: float, *, forget_tokens: bool = False) -> None:
    """Without tokens the next read is a full one, whoever makes it."""
    tokens = ", sync_token = NULL, listed_token = NULL" if forget_tokens else ""
    async with poll.changing(calendar) as (ledger, _):
        await execute(
            ledger.db,
            f"UPDATE calendar SET compare_at = $1{tokens} WHERE id = $2",  # noqa: S608
            until,
            calendar.id,
        )
    calendar.compare_at = until
    if forget_tokens:
        calendar.update_from_dict({"sync_token": None, "listed_token": None})
        poll.verified.discard(calendar.id)
