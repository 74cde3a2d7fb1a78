"""The first question of a poll: which calendars are there, and which of them changed."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from domain.calendars import CalendarKind, ListedCalendar
from domain.changes import ChangeKind
from domain.paths import path_key
from models.calendar import (
    Calendar,
    Facts,
    calendars_of,
    is_readable,
    known_calendars,
    preference,
    store_listing,
)
from models.changelog import Ledger
from models.copies import own_hrefs, unheld_copies
from models.icloud import UNKNOWN_ZONE, ICloudAccount
from models.outbox import hasten_refused, queue_left_behind, refusing_calendars, revive_writes
from models.settle import settle_calendar
from sync.own import find_again, note_deleted
from sync.places import READ_ONLY, why_unusable
from sync.poll import Poll, is_comparison_due
from sync.remote import (
    Discovery,
    Forbidden,
    ForeignHost,
    NotThere,
    PasswordRefused,
    RemoteError,
    Stalled,
    Throttled,
    UnexpectedAnswer,
    Unreachable,
)
from sync.spelling import calendars_as_held

log = logging.getLogger(__name__)


async def list_home(poll: Poll) -> tuple[ListedCalendar, ...]:
    listed = _as_held(poll, await _listed(poll))
    keys = {path_key(calendar.path) for calendar in listed}
    since = poll.context.memory.missing_since
    # Those too that nobody reads: appointments may stand in them.
    for known in poll.facts:
        key = path_key(known.path)
        if key not in keys and await _is_kept(poll, known):
            listed = (*listed, _as_it_was(known))
        elif since:
            since.pop(_name_of(poll, known), None)
        keys.add(key)  # One that is known in two spellings is asked for once.
    return listed


async def list_again(poll: Poll) -> tuple[ListedCalendar, ...]:
    """As the home shows them now, in the midst of a poll: for their tokens alone."""
    glance = await poll.remote.glance(poll.account.home_url)
    return _as_held(poll, await glance.read())


def _as_held(poll: Poll, listed: Sequence[ListedCalendar]) -> tuple[ListedCalendar, ...]:
    held = [calendar.path for calendar in sorted(poll.calendars, key=preference)]
    return calendars_as_held(listed, [*held, *(known.path for known in poll.facts)])


async def _is_kept(poll: Poll, known: Facts) -> bool:
    """Gone only on proof: not listed, not there when asked for itself, and both again a minute later."""
    since, wait = poll.context.memory.missing_since, poll.context.settings.removal_wait
    name = _name_of(poll, known)
    if await _is_there(poll, known):
        since.pop(name, None)
    else:
        read_at = next((each.last_synced_at for each in poll.chosen if each.path == known.path), None)
        first = poll.since(since, name, read_at=read_at)
        if poll.started - first >= wait:
            return False
        poll.hurry(max(first + wait - poll.started, 1))
        poll.missing.add(path_key(known.path))
    log.warning("a calendar of account %s is not listed, and kept", poll.account.id)
    return True


async def _is_there(poll: Poll, known: Facts) -> bool:
    try:
        await poll.remote.check_calendar(known.path)
    except (NotThere, Forbidden):
        return False
    except (UnexpectedAnswer, Unreachable, Throttled, PasswordRefused) as error:
        if any(calendar.path == known.path for calendar in poll.chosen):
            if isinstance(error, PasswordRefused):  # The home has just taken it.
                raise UnexpectedAnswer("a calendar refuses whom the home lets in") from None
            raise
        # Nobody waits for what it holds, and nothing says that it is gone.
    return True


def _name_of(poll: Poll, known: Facts) -> str:
    return f"{poll.account.id} {path_key(known.path)}"


def _as_it_was(known: Facts) -> ListedCalendar:
    return ListedCalendar(
        path=known.path,
        name=known.name,
        color=known.color,
        kind=CalendarKind(known.kind),
        can_write=known.can_write,
        token=None,
    )


async def _listed(poll: Poll) -> tuple[ListedCalendar, ...]:
    if poll.account.refusals >= poll.context.settings.refusals_before_stop - 1:
        return await _list_by_the_entrys_word(poll)
    if not poll.account.failures and any(
        is_readable(calendar) and is_comparison_due(poll, calendar) for calendar in poll.chosen
    ):
        await _follow(poll)
    try:
        listed = await _look_home(poll)
    except (NotThere, ForeignHost, Forbidden, UnexpectedAnswer) as error:
        return await _list_anew(poll, error)
    except Unreachable as error:
        if poll.account.failures < 2:
            raise
        return await _list_anew(poll, error)
    return listed if poll.account.failures < 2 else await _listed_where_it_is(poll, listed)


async def _listed_where_it_is(poll: Poll, listed: tuple[ListedCalendar, ...]) -> tuple[ListedCalendar, ...]:
    """A host that the account left may show the home on, and fail in its calendars: the entry tells."""
    shown_at = poll.account.home_url
    await _follow(poll)
    if poll.account.home_url == shown_at:
        return listed
    return await poll.remote.list_calendars(poll.account.home_url)


async def _look_home(poll: Poll) -> tuple[ListedCalendar, ...]:
    """What was seen before the poll began, or else what there is to see now."""
    if isinstance(poll.seen, RemoteError):
        raise poll.seen
    glance = poll.seen or await poll.remote.glance(poll.account.home_url)
    listed = await glance.read()
    poll.digest = glance.digest
    return listed


async def _list_by_the_entrys_word(poll: Poll) -> tuple[ListedCalendar, ...]:
    """The last refusal before we stop is the entry's own: a host that the account left may refuse a good password."""
    await _move(poll, await _discover(poll))
    try:
        return await poll.remote.list_calendars(poll.account.home_url)
    except PasswordRefused:
        raise Stalled("the home refuses whom the entry lets in") from None


async def _follow(poll: Poll) -> None:
    """Once a day, in case the home moved and its old host sends everyone on. Nothing depends on it."""
    try:
        await _move(poll, await _discover(poll))
    except (Throttled, PasswordRefused):
        raise
    except RemoteError as error:
        log.info("where account %s has its home was not told: %s", poll.account.id, error)


async def _list_anew(poll: Poll, met: RemoteError) -> tuple[ListedCalendar, ...]:
    """ICloud moves accounts between its partition hosts: the entry tells where the home is now."""
    found = await _discover(poll)
    if found.home_url == poll.account.home_url:
        raise met
    listed = await poll.remote.list_calendars(found.home_url)
    await _move(poll, found)
    return listed


async def _discover(poll: Poll) -> Discovery:
    found = await poll.remote.discover()
    if found.principal_path != poll.account.principal_path:
        raise UnexpectedAnswer("the server says that this is another account")
    return found


async def _move(poll: Poll, found: Discovery) -> None:
    account, addresses = poll.account, sorted(found.addresses)
    if (account.home_url, account.addresses) == (found.home_url, addresses):
        return
    found_anew: dict[str, object] = {"home_url": found.home_url, "addresses": addresses}
    if account.addresses != addresses and account.expanded_zone is not None:
        # By their addresses the owner's answers to invitations were found.
        found_anew["expanded_zone"] = UNKNOWN_ZONE
    async with poll.changing() as (ledger, _):
        account.update_from_dict(found_anew)
        await account.save(using_db=ledger.db, update_fields=list(found_anew))


async def keep_listing(poll: Poll, listed: Sequence[ListedCalendar]) -> None:
    told = {Facts(each.path, each.name, each.color, str(each.kind), each.can_write) for each in listed}
    if told == poll.facts:
        return
    async with poll.changing() as (ledger, _):
        account = await ICloudAccount.filter(id=poll.account.id).using_db(ledger.db).get()
        before = {calendar.id: calendar for calendar in await calendars_of(ledger.db, account)}
        if await store_listing(ledger.db, account, listed, now=ledger.now):
            ledger.note(ChangeKind.CALENDARS)
            ledger.note(ChangeKind.ACCOUNT, account.id)
        kept = await calendars_of(ledger.db, account)
        for calendar in kept:
            await _settle_listed(poll, ledger, before.get(calendar.id), calendar)
        keys = {path_key(calendar.path) for calendar in kept}
        for calendar in before.values():
            if path_key(calendar.path) not in keys:
                await _tell_gone(poll, ledger, calendar)
        poll.calendars, poll.facts = await known_calendars(ledger.db, account)
        if poll.refusing:
            # Of those that take writes again, what was given up is due by now.
            poll.refusing = await refusing_calendars(ledger.db, poll.user, READ_ONLY)


async def _settle_listed(poll: Poll, ledger: Ledger, before: Calendar | None, calendar: Calendar) -> None:
    if before is None or not (calendar.is_linked or calendar.is_conflict):
        return
    if calendar.is_gone and not before.is_gone:
        await _tell_gone(poll, ledger, calendar)
        await settle_calendar(ledger, calendar)
    if why_unusable(before) is None and why_unusable(calendar) is not None and not calendar.is_linked:
        await hasten_refused(ledger, calendar)
    if why_unusable(before) is not None and why_unusable(calendar) is None:
        await revive_writes(ledger, calendar)
        await queue_left_behind(ledger, calendar)
        await find_again(ledger, calendar)


async def _tell_gone(poll: Poll, ledger: Ledger, calendar: Calendar) -> None:
    """Our own events went with it, those too that were not read of it because nobody looked on."""
    unheld, _ = await unheld_copies(ledger.db, calendar, after=poll.window.start)
    hrefs = [*await own_hrefs(ledger.db, calendar), *unheld]
    await note_deleted(ledger, poll, calendar, hrefs)
