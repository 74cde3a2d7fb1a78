"""All that is held of a calendar against a full listing: deltas can leave out what they should tell, in silence."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from models.calendar import Calendar
from models.copies import unsent_copies
from models.held import known_etags, unreadable
from models.resources import forget_etags
from models.sql import execute
from sync.absence import NotToldError, by_turns, there
from sync.fetching import fetch_all
from sync.plan import FEW_GONE, plan_comparison, plan_pull
from sync.poll import Poll
from sync.reading import read_kept
from sync.remote import (
    ETag,
    Fetched,
    Forbidden,
    Href,
    NameTooLong,
    PasswordRefused,
    RemoteError,
    SyncToken,
    Throttled,
    TokenRefused,
    Unreachable,
)
from sync.spelling import as_held
from sync.told import all_changes

log = logging.getLogger(__name__)

_MOST_DOUBTS = 500
"""So many differences are no slip: they are read anew without asking for each."""


async def compare(poll: Poll, calendar: Calendar) -> bool:
    """Whether the calendar is to be read again: from the start, where deltas missed something; else on from its token.

    A failure to tell waits an hour.
    """
    try:
        missed, told = await _missed(poll, calendar)
        misread = await _readable_by_now(poll, calendar)
    except NameTooLong:
        # What is read from the start finds it too, and says so.
        until = poll.started + poll.context.settings.longest_retry
        await _put_off(poll, calendar, until, forgotten=["sync_token", "listed_token"])
        return True
    except RemoteError as error:
        log.info("calendar %s could not be compared: %s", calendar.id, error)
        await _put_off(poll, calendar, poll.started + poll.context.settings.longest_retry)
        if isinstance(error, Throttled | PasswordRefused):
            raise
        return False
    memory = poll.context.memory
    memory.compared += 1
    memory.missed += len(missed | misread)
    next_at = plan_comparison(poll.started, poll.zone, calendar.id, poll.context.settings)
    # What a delta would tell now changed since this poll looked, or an old answer was once taken for a new one: then
    # nothing but its listing would ever call for that delta.
    forgotten = ["sync_token", "listed_token"] if missed or misread else ["listed_token"] if told else []
    await _put_off(poll, calendar, next_at, forgotten=forgotten, misread=misread)
    if missed or misread:
        log.warning("calendar %s: %d resources differ that no delta told", calendar.id, len(missed | misread))
    return bool(forgotten)


async def _missed(poll: Poll, calendar: Calendar) -> tuple[set[Href], set[Href]]:
    """What differs, is told by no delta, and differs still when asked for itself: a listing can be old too.

    And what differs that a delta tells.
    """
    poll.context.memory.without_changes.discard(calendar.id)
    known, listed, gone = await _differing(poll, calendar)
    differing, told = listed | gone, set[Href]()
    if differing and calendar.sync_token:
        told = differing & await _told(poll, calendar, SyncToken(calendar.sync_token), known)
        differing -= told
    if not differing or len(differing) > _MOST_DOUBTS:
        return differing, told
    try:
        given = await fetch_all(poll, calendar, differing)
    except (Unreachable, Forbidden, Throttled) as error:
        if differing <= gone and not told:
            raise  # There is nothing to be read anew, and what is gone would close its time for another day.
        # One that it fails at for good, or is silent on, keeps the others from nothing: what is read anew goes on
        # without it.
        log.info("what differs in calendar %s is read without being asked for: %s", calendar.id, error)
        return differing - gone, told
    untold = await _ask_for_few(poll, (differing & listed) - given.keys(), given)
    return {href for href in differing if href in untold or _is_other(href, known, given)}, told


async def _ask_for_few(poll: Poll, left_out: AbstractSet[Href], given: dict[Href, Fetched]) -> set[Href]:
    """One request for many may leave out what is there, or not know of it yet: into `given` with what is.

    Those of which it was not told: one that is silent for good keeps the others from nothing either.
    """
    untold = set()
    for href in by_turns(poll, left_out)[:FEW_GONE]:
        try:
            if (found := await there(poll, href)) is not None:
                given[href] = found
        except NotToldError:
            untold.add(href)
    return untold


async def _readable_by_now(poll: Poll, calendar: Calendar) -> set[Href]:
    """What could not be read when it was given, and can be now: it was a slip of the server's."""
    async with poll.context.database.reading() as db:
        doubtful = await unreadable(db, calendar)
    try:
        given = await fetch_all(poll, calendar, map(Href, doubtful))
    except (Unreachable, Forbidden, Throttled):
        return set()
    read = await read_kept(poll, given.values())
    return {Href(each.href) for each in read if each.is_readable}


async def _differing(poll: Poll, calendar: Calendar) -> tuple[dict[Href, ETag], set[Href], set[Href]]:
    """What is held; of what is listed, what is held otherwise or not; and what is held and not listed."""
    listed = await poll.remote.list_resources(calendar.path)
    if listed.too_long:
        raise NameTooLong("resources with names that are too long to be kept")
    async with poll.context.database.reading() as db:
        etags = await known_etags(db, calendar)
        unsent = await unsent_copies(db, calendar)
    known = {Href(href): ETag(etag) for href, etag in etags.items()}
    plan = plan_pull(known, as_held(listed.items, known), full_listing=True)
    # Listed, and held without an ETag, it is asked for anyway: written a moment ago, or never given. But not while its
    # next write waits.
    return known, {href for href in plan.fetch if known.get(href) != "" or href in unsent}, {*plan.forget}


async def _told(poll: Poll, calendar: Calendar, token: SyncToken, known: Iterable[Href]) -> set[Href]:
    try:
        changes = await all_changes(poll, calendar, token)
    except TokenRefused:
        return set()
    return {change.href for change in as_held(changes.items, known)}


def _is_other(href: Href, known: Mapping[Href, ETag], given: Mapping[Href, Fetched]) -> bool:
    found = given.get(href)
    if found is None:
        return href in known
    return not found.etag or known.get(href) != found.etag


async def _put_off(
    poll: Poll,
    calendar: Calendar,
    until: float,
    *,
    forgotten: Sequence[str] = (),
    misread: AbstractSet[Href] = frozenset(),
) -> None:
    """Without its tokens the next read is a full one, whoever makes it; without the listed one it is made at all."""
    tokens = "".join(f", {token} = NULL" for token in forgotten)
    async with poll.changing(calendar) as (ledger, _):
        await execute(
            ledger.db,
            f"UPDATE calendar SET compare_at = $1{tokens} WHERE id = $2",  # noqa: S608
            until,
            calendar.id,
        )
        await forget_etags(ledger.db, calendar, sorted(misread))
    calendar.compare_at = until
    if forgotten:
        calendar.update_from_dict(dict.fromkeys(forgotten))
        poll.verified.discard(calendar.id)
