"""What a server tells of a calendar: its changes, in the spellings that we hold, beside what we hold of them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from models.calendar import Calendar
from models.held import etags_of, hrefs_from, known_etags, not_given
from sync.poll import Poll
from sync.remote import Changes, ETag, Gone, Href, RemoteChange, SyncToken, TokenRefused, UnexpectedAnswer
from sync.spelling import as_held, beginning, is_odd

log = logging.getLogger(__name__)

_MOST_PARTS = 1000

OnPart = Callable[[Changes], Awaitable[bool]]
"""Hears of each part of an answer but the last, and says whether it is to hear of the next."""


@dataclass(frozen=True, slots=True)
class Told:
    """Changes in the spellings that we hold, beside what we hold: all of it, or of these alone."""

    items: Sequence[RemoteChange]
    known: Mapping[Href, ETag]
    token: SyncToken | None
    is_full: bool
    "Whether what is not listed is gone."
    too_long: int = 0
    "Resources that are not told of: their names are too long to be kept."

    def gone_unheld(self) -> set[Href]:
        """Told as gone, and not held."""
        return {item.href for item in self.items if isinstance(item, Gone)} - self.known.keys()


async def ask(
    poll: Poll, calendar: Calendar, listed_token: str | None, *, anew: bool, on_part: OnPart | None
) -> Told | None:
    """All that changed since the last time; None where nothing did, though it is listed as changed.

    `anew`: from the start, whatever is held. `on_part`: where it is told in parts.
    """
    changes, is_full = await _ask_for_changes(poll, calendar, anew=anew, on_part=on_part)
    if changes.is_empty and not is_full and not _is_believed(poll, calendar, listed_token):
        return None
    return await beside_held(poll, calendar, changes, is_full=is_full)


async def _ask_for_changes(
    poll: Poll, calendar: Calendar, *, anew: bool, on_part: OnPart | None = None
) -> tuple[Changes, bool]:
    """All that changed since the last time, and whether it is a full listing."""
    memory = poll.context.memory
    if calendar.id in memory.without_changes:
        return await poll.remote.list_resources(calendar.path), True
    token = SyncToken(calendar.sync_token) if calendar.sync_token else None
    if anew or calendar.id in memory.removals_since:
        token = None  # From the start, and what is stored of it already is known by its ETag.
    if token is not None:
        try:
            return await all_changes(poll, calendar, token, on_part), False
        except TokenRefused:
            log.info("calendar %s is listed anew: its token was refused", calendar.id)
    try:
        return await all_changes(poll, calendar, None, on_part), True
    except TokenRefused:
        memory.without_changes.add(calendar.id)
        return await poll.remote.list_resources(calendar.path), True


async def all_changes(
    poll: Poll, calendar: Calendar, token: SyncToken | None, on_part: OnPart | None = None
) -> Changes:
    """Until the server says that it has told all (RFC 6578 section 3.6)."""
    items: list[RemoteChange] = []
    too_long, asked = 0, set[SyncToken | None]()
    while token not in asked and len(asked) < _MOST_PARTS:
        asked.add(token)
        changes = await poll.remote.list_changes(calendar.path, token)
        items += changes.items
        too_long += changes.too_long
        if not changes.is_truncated:
            return Changes(tuple(items), changes.token, too_long=too_long)
        if on_part is not None and not await on_part(changes):
            on_part = None
        token = changes.token
    raise UnexpectedAnswer("a list of changes without end")


def _is_believed(poll: Poll, calendar: Calendar, listed_token: str | None) -> bool:
    """Listed as changed, and nothing is told that did: asked from the same token for a while, then compared in full.

    Told of too early, or only the calendar's own properties changed.
    """
    if listed_token == calendar.sync_token:
        return True  # On iCloud the two are one: it was read on already, while the last poll was under way.
    if listed_token is None or calendar.listed_token == listed_token or calendar.last_synced_at is None:
        # Where it is to be read on from further back, a write of ours, at least, is to be told of.
        return True
    if calendar.id not in poll.waited_out:
        # Once in a poll: a token that moves at each look would begin to be waited for anew. Believed after so many
        # polls, and then each time after as many more: the count tells whether it was before.
        polls = poll.count_on(poll.context.memory.unexplained_polls, calendar)
        if polls % (poll.context.settings.most_missing_polls + 1):
            poll.hurry(poll.context.settings.watched_every)
            return False
        poll.waited_out.add(calendar.id)
    calendar.compare_at = poll.started
    return True


def moves_for_nothing(poll: Poll, calendar: Calendar) -> bool:
    """Whether it was believed so before, when it was last read: what is gone elsewhere waits for it no more."""
    found = poll.context.memory.unexplained_polls.get(calendar.id)
    return found is not None and found.polls > poll.context.settings.most_missing_polls


async def once_not_given(poll: Poll, calendar: Calendar) -> set[Href]:
    """Once listed and not given: asked for until it is given or gone."""
    if calendar.listed_token:
        return set()
    async with poll.context.database.reading() as db:
        return {Href(href) for href in await not_given(db, calendar)}


async def beside_held(poll: Poll, calendar: Calendar, changes: Changes, *, is_full: bool) -> Told:
    """Of a delta, what it names alone is looked up: so one change costs the same in a big calendar."""
    if is_full:
        async with poll.context.database.reading() as db:
            etags = await known_etags(db, calendar)
        known = {Href(href): ETag(etag) for href, etag in etags.items()}
        return Told(
            as_held(changes.items, known), known, changes.token, is_full=True, too_long=changes.too_long
        )
    items, known = await _few_beside_held(poll, calendar, changes.items)
    return Told(items, known, changes.token, is_full=False, too_long=changes.too_long)


async def _few_beside_held(
    poll: Poll, calendar: Calendar, items: Sequence[RemoteChange]
) -> tuple[Sequence[RemoteChange], dict[Href, ETag]]:
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
