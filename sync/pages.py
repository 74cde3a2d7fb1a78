"""The texts of a calendar, a page at a time: read off the loop, stored in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing

from domain.accounts import CHOICE_PROBLEMS, AccountStatus
from domain.changes import ChangeKind
from models.booking import Appointment
from models.calendar import Calendar
from models.changelog import Ledger
from models.copies import own_appointments
from models.icloud import ICloudAccount
from models.resources import store_resources
from models.rows import ReadResource
from models.settle import settle_conflicts
from models.sql import execute
from sync.ending import Ending
from sync.fetching import Page, fetch_pages
from sync.own import note_seen
from sync.poll import Poll
from sync.reading import read_all
from sync.remote import ETag, Href

_MOST_OF_ONE_TRANSACTION = 3_000
"""Occurrences. SQLite has one writer, and every account waits for it."""


async def read_pages(
    poll: Poll,
    calendar: Calendar,
    wanted: Mapping[Href, ETag | None],
    ending: Ending,
    *,
    held: Mapping[Href, ETag],
    is_first_read: bool,
) -> None:
    """Fetched and stored, to the reading's end. `held`: of what is told as changed, what we have of it."""
    async with aclosing(fetch_pages(poll, calendar, wanted, held)) as pages:
        async for page in pages:
            await store_page(poll, calendar, page, ending, is_first_read=is_first_read)
            poll.context.at("page stored")
    await ending.finish()


async def store_page(
    poll: Poll, calendar: Calendar, page: Page, ending: Ending, *, is_first_read: bool
) -> None:
    """With the last of the last page the calendar is closed."""
    read = await read_all(poll, calendar, page.fetched)
    poll.context.at("page read")
    ending.lagging |= page.lagging
    clock = asyncio.get_running_loop().time
    began = clock()
    parts = list(_parts(read))
    for number, part in enumerate(parts):
        if number:
            # The others' turn, for as long as this account's lasted.
            await asyncio.sleep(clock() - began)
        began = clock()
        is_last = page.is_last and part is parts[-1]
        async with poll.context.turn_to_store(len(part)):
            await _store_part(poll, calendar, part, ending, is_first_read=is_first_read, is_last=is_last)


def _parts(read: Sequence[ReadResource]) -> Iterator[list[ReadResource]]:
    """As many resources as one transaction may hold up the other accounts for: most pages are one part."""
    part: list[ReadResource] = []
    occurrences = 0
    for each in read:
        if part and occurrences + len(each.occurrences) > _MOST_OF_ONE_TRANSACTION:
            yield part
            part, occurrences = [], 0
        part.append(each)
        occurrences += len(each.occurrences)
    if part:
        yield part


async def _store_part(
    poll: Poll,
    calendar: Calendar,
    read: Sequence[ReadResource],
    ending: Ending,
    *,
    is_first_read: bool,
    is_last: bool,
) -> None:
    async with poll.changing(calendar) as (ledger, fresh):
        assert fresh is not None
        owns = await own_appointments(ledger.db, fresh, read)
        # iCloud can give the old text for a while after a write: what we wrote since is the truth, and no edit of the
        # owner's is seen in what is not yet given as it is listed.
        unsettled = ending.lagging - ending.ungiven
        later = {href for href, own in owns.items() if href in unsettled or poll.is_older_than(own)}
        current = [each for each in read if each.href not in later]
        await note_seen(ledger, fresh, current, owns)
        await poll.note_read(ledger.db)
        await store_resources(ledger, fresh, current, owns=owns)
        if ledger.slot_changes:
            await settle_conflicts(ledger)
        if is_first_read:
            await _add_progress(ledger, poll, len(read))
        poll.has_changed = True
        ending.lagging |= {
            Href(each.href) for each in read if each.href in later and _is_not_ours(each, owns)
        }
        ending.has_unreadable = ending.has_unreadable or any(not each.is_readable for each in current)
        await ending.mark(ledger, fresh, current)
        if is_last:
            await ending.close(ledger, fresh)


def _is_not_ours(each: ReadResource, owns: Mapping[str, Appointment]) -> bool:
    """Another state than we wrote: an older one, or the owner's edit since."""
    own = owns[each.href]
    return not own.etag or each.etag != own.etag


# --- Progress of a first read


async def note_progress(poll: Poll, calendar: Calendar, *, stored: int | None, left: int) -> None:
    """`stored` before, None where that is counted; `left`: to be fetched now, with what was asked for and not given."""
    async with poll.changing(calendar) as (ledger, _):
        account = await ICloudAccount.filter(id=poll.account.id).using_db(ledger.db).get()
        # A poll counts from what is stored already: the one before may have been interrupted.
        counts_on = poll.is_counting
        done, total = (account.progress_done or 0, account.progress_total or 0) if counts_on else (0, 0)
        if stored is not None:
            poll.left_over = total - done
        account.progress_done = done + (stored or 0)
        account.progress_total = account.progress_done + left + poll.left_over
        if account.status in {AccountStatus.CONNECTED, AccountStatus.UNREACHABLE}:
            account.status = AccountStatus.SYNCING
            if account.problem_code not in CHOICE_PROBLEMS:
                account.clear_problem()
        await account.save(using_db=ledger.db, update_fields=_PROGRESS)
        ledger.note(ChangeKind.ACCOUNT, account.id)
    poll.is_counting = True
    poll.account.status, poll.account.progress_done = account.status, account.progress_done


_PROGRESS = (
    "status",
    "problem_code",
    "problem_message",
    "problem_since",
    "retry_at",
    "progress_done",
    "progress_total",
)


async def _add_progress(ledger: Ledger, poll: Poll, done: int) -> None:
    await execute(
        ledger.db,
        "UPDATE icloud_account SET progress_done = COALESCE(progress_done, 0) + $1 WHERE id = $2",
        done,
        poll.account.id,
    )
    ledger.note(ChangeKind.ACCOUNT, poll.account.id)
