"""The texts of a calendar, fetched ahead: in halves where no answer comes, each by itself where one spoils it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain

from models.calendar import Calendar
from models.held import given_beside
from sync.plan import FEW_GONE
from sync.poll import Poll
from sync.remote import (
    ETag,
    Fetched,
    Forbidden,
    Href,
    NotThere,
    RemoteError,
    ServerFailed,
    Throttled,
    UnexpectedAnswer,
    Unreachable,
)

log = logging.getLogger(__name__)

_BEGIN = "BEGIN:VCALENDAR"


@dataclass(frozen=True, slots=True)
class Page:
    """`lagging`: what was not given, or in another state than the listing told."""

    fetched: tuple[Fetched, ...]
    lagging: frozenset[Href]
    is_last: bool = False


async def fetch_pages(
    poll: Poll, calendar: Calendar, wanted: Mapping[Href, ETag | None], held: Mapping[Href, ETag]
) -> AsyncGenerator[Page, None]:
    """In order, several answers to a page, with the next requests under way while one is stored."""
    most, slow = poll.context.settings.requests_in_flight, poll.context.memory.slow.get(calendar.id, ())
    batches = _batches(wanted, slow, poll.context.settings.batch)
    under_way: deque[asyncio.Task[Page]] = deque()
    in_hand: list[Page] = []
    try:
        while batches or under_way:
            while batches and len(under_way) < most:
                asked = {href: wanted[href] for href in batches.pop(0)}
                under_way.append(asyncio.create_task(_fetch_page(poll, calendar, asked, held)))
            try:
                in_hand.append(await _waited(poll, under_way.popleft(), keeps_place=bool(in_hand)))
            except RemoteError:
                if in_hand:
                    yield _one_page(in_hand)  # What came before it is not asked for again.
                raise
            is_last = not (batches or under_way)
            if is_last or len(in_hand) == poll.context.settings.answers_stored_at_once:
                yield _one_page(in_hand, is_last=is_last)
                in_hand = []
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def _waited(poll: Poll, page: asyncio.Task[Page], *, keeps_place: bool) -> Page:
    """With others in hand it keeps its place: their texts in any number of polls would fill the memory."""
    return await (page if keeps_place else poll.place.answer(page))


def _one_page(pages: Sequence[Page], *, is_last: bool = False) -> Page:
    return Page(
        tuple(each for page in pages for each in page.fetched),
        frozenset[Href]().union(*(page.lagging for page in pages)),
        is_last,
    )


def _batches(
    wanted: Mapping[Href, ETag | None], slow: Sequence[AbstractSet[Href]], size: int
) -> list[list[Href]]:
    """Those last that no answer came to, each part of them by itself."""
    later = [sorted(part & wanted.keys()) for part in slow]
    apart = frozenset(chain.from_iterable(later))
    return [*_parts_of([href for href in wanted if href not in apart], size), *filter(None, later)]


def _parts_of(hrefs: Sequence[Href], size: int) -> Iterator[list[Href]]:
    return (list(hrefs[start : start + size]) for start in range(0, len(hrefs), size))


async def _fetch_page(
    poll: Poll, calendar: Calendar, asked: Mapping[Href, ETag | None], held: Mapping[Href, ETag]
) -> Page:
    try:
        found, doubtful = await _fetch_texts(poll, calendar, asked, held)
    except (Unreachable, Throttled):
        _ask_apart(poll, calendar, asked)
        raise
    # One that is asked for alone stays so until it is given: any others would have no answer beside it.
    _forget_slow(poll, calendar, asked if len(asked) > 1 else found.keys() - doubtful)
    lagging = {href for href, etag in asked.items() if href not in found or _is_other(found[href].etag, etag)}
    # What is doubtful closes time until another is given; without the ETag that was listed it is asked for again.
    etags = {**asked, **dict.fromkeys(doubtful)}
    fetched = [
        each if each.etag else each._replace(etag=etags[each.href] or ETag("")) for each in found.values()
    ]
    return Page(tuple(fetched), doubtful | lagging)


async def _fetch_texts(
    poll: Poll, calendar: Calendar, asked: Mapping[Href, ETag | None], held: Mapping[Href, ETag]
) -> tuple[dict[Href, Fetched], frozenset[Href]]:
    """And which of them are doubtful: perhaps older than was listed."""
    try:
        found = _texts_of(await poll.remote.fetch(calendar.path, list(asked)))
    except UnexpectedAnswer:
        found = {}
    except (NotThere, Forbidden, ServerFailed):
        # Perhaps for one object's sake. Where it is for the calendar's, that says so too.
        await poll.remote.check_calendar(calendar.path)
        found = {}
    except (Unreachable, Throttled) as error:
        was_apart = asked.keys() in poll.context.memory.slow.get(calendar.id, ())
        if len(asked) > 1 or (isinstance(error, Throttled) and not was_apart):
            raise
        _ask_apart(poll, calendar, asked)
        found = {}
    if not found:
        # A server that drops them all, or one object that spoils the whole answer.
        return await _fetch_each(poll, calendar, list(asked), is_alone=len(asked) == 1), frozenset()
    poll.giving.add(calendar.id)
    # A text without an ETag can be an older one than was listed: it counts as it is given by itself. So does the one
    # that we hold, where no ETag was listed.
    doubtful = [
        href
        for href, each in found.items()
        if not each.etag or (asked.get(href) is None and each.etag == held.get(href))
    ]
    by_itself = await _fetch_each(poll, calendar, doubtful, is_alone=len(asked) == 1)
    return found | by_itself, frozenset(doubtful) - by_itself.keys()


async def _fetch_each(
    poll: Poll, calendar: Calendar, hrefs: Sequence[Href], *, is_alone: bool
) -> dict[Href, Fetched]:
    """By themselves. Those are left out that the server fails at, and of many a few that it is silent on.

    Where that is all of them, it fails at these alone while it gives another. Raises Unreachable, Throttled.
    """
    found: dict[Href, Fetched] = {}
    failed: RemoteError | None = None
    for href in hrefs:
        try:
            found |= await _fetch_one_by_one(poll, [href])
        except (Unreachable, Throttled) as error:
            if not is_alone and (isinstance(error, Throttled) or not poll.bears(error)):
                raise
            failed = error
    if found := _texts_of(found):
        poll.giving.add(calendar.id)
    elif calendar.id not in poll.giving and not await _is_another_asked_for(poll, calendar, hrefs) and failed:
        raise failed
    return found


async def _is_another_asked_for(poll: Poll, calendar: Calendar, hrefs: Iterable[Href]) -> bool:
    """One that is held, if there is any: each time another, which can be odd too. Raises what concerns the server."""
    odd = frozenset(hrefs).union(
        *poll.context.memory.slow.get(calendar.id, ()), poll.gone.get(calendar.id, ())
    )
    async with poll.context.database.reading() as db:
        others = sorted(await given_beside(db, calendar, odd, most=FEW_GONE))
    if not others:
        return False
    another = Href(others[int(poll.context.chance() * len(others))])
    if _texts_of(await _fetch_one_by_one(poll, [another])):
        poll.giving.add(calendar.id)
    return True


def _ask_apart(poll: Poll, calendar: Calendar, asked: Iterable[Href]) -> None:
    """Half as many at once: soon each that is to blame is asked for alone, however many they are."""
    hrefs = list(asked)
    middle = len(hrefs) // 2
    _forget_slow(poll, calendar, hrefs)
    halves = filter(None, (frozenset(hrefs[:middle]), frozenset(hrefs[middle:])))
    poll.context.memory.slow.setdefault(calendar.id, []).extend(halves)


def _forget_slow(poll: Poll, calendar: Calendar, asked: Iterable[Href]) -> None:
    slow, hrefs = poll.context.memory.slow, frozenset(asked)
    if left := [rest for part in slow.pop(calendar.id, ()) if (rest := part - hrefs)]:
        slow[calendar.id] = left


def keep_slow(poll: Poll, calendar: Calendar, wanted: Iterable[Href]) -> None:
    """These alone are to be asked for of the whole calendar: the others are gone, or given by now."""
    known = frozenset[Href]().union(*poll.context.memory.slow.get(calendar.id, ()))
    _forget_slow(poll, calendar, known.difference(wanted))


async def fetch_all(poll: Poll, calendar: Calendar, hrefs: Iterable[Href]) -> dict[Href, Fetched]:
    """Those that are given; nothing is stored."""
    size, wanted = poll.context.settings.batch, sorted(hrefs)
    given: dict[Href, Fetched] = {}
    for start in range(0, len(wanted), size):
        batch = wanted[start : start + size]
        try:
            given |= await poll.remote.fetch(calendar.path, batch)
        except (UnexpectedAnswer, NotThere):
            # A server that answers as a whole for one that is not there.
            given |= await _fetch_one_by_one(poll, batch)
    return given


async def _fetch_one_by_one(poll: Poll, hrefs: Iterable[Href]) -> dict[Href, Fetched]:
    """Without those that are refused, not there, or answered by something else. Raises what concerns the server."""
    found: dict[Href, Fetched] = {}
    for href in hrefs:
        try:
            found[href] = await poll.remote.get(href)
        except (NotThere, UnexpectedAnswer, Forbidden) as error:
            log.info("a resource could not be fetched: %s", error)
    return found


def _texts_of(given: Mapping[Href, Fetched]) -> dict[Href, Fetched]:
    return {href: each for href, each in given.items() if _is_calendar(each.body)}


def _is_calendar(text: str) -> bool:
    """Something else in its place, a page to sign in, is no text of it: whatever ETag it is given with."""
    return _BEGIN in text or _BEGIN in text.upper()


def _is_other(etag: ETag, listed: ETag | None) -> bool:
    return bool(etag) and listed is not None and etag != listed
