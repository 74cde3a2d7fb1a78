"""Keeping the expanded horizon up: a new day adds to it; another zone, or other rules of zones, make it anew.

No request to iCloud is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from domain.interval import Span
from models.calendar import Calendar, Resource
from models.changelog import Ledger
from models.clocks import forget_ages
from models.copies import own_appointments
from models.deployment import zone_rules_in_force
from models.icloud import UNKNOWN_ZONE, ICloudAccount
from models.resources import drop_past, store_resources
from models.rows import ReadResource, StoredProblem
from models.settle import Roll, settle_conflicts
from models.sql import execute
from sync.context import SyncContext
from sync.plan import latest_window, loses_today, window_start
from sync.poll import Poll
from sync.reading import read_kept
from sync.remote import ETag, Fetched, Href


async def keep_expanded(poll: Poll) -> None:
    """Before anything is read in this poll, so that all of it is expanded for one window and zone."""
    account = poll.account
    if not account.has_chosen:
        return
    if account.expanded_zone not in {None, poll.zone} or account.expanded_until != poll.window.end:
        await _keep_window(poll)
    if account.expanded_rules != poll.context.rules:
        await _keep_rules(poll)


async def _keep_window(poll: Poll) -> None:
    account = poll.account
    known_until, is_anew = account.expanded_until, account.expanded_until is None
    if known_until is not None:
        if loses_today(known_until, poll.window, poll.context.settings):
            # Before any of it goes: by another clock these days may be now, and to be answered for.
            await _forget_ages(poll, known_until)
        is_anew = account.expanded_zone != poll.zone or known_until > latest_window(
            poll.started, poll.context.settings
        )
        if is_anew:
            # Cut off halfway it is half for one zone and half for the other: as neither may it be taken.
            async with poll.changing() as (ledger, _):
                await _note_expanded(ledger, account, zone=UNKNOWN_ZONE, until=known_until, rules=None)
        roll = None if is_anew else Roll(known_until, poll.window)
        # Where a clock was set back there is more than is to be: what is read from now on ends with this window.
        for calendar in poll.chosen if is_anew or known_until < poll.window.end else ():
            async for page in _pages(poll, calendar, all_of_them=is_anew):
                await _store(poll, calendar, page, roll)
    async with poll.changing() as (ledger, _):
        await drop_past(ledger.db, poll.user, before=poll.window.start)
        # A new day is no change, and appointments can stand in it: they were booked while no calendar took part.
        await settle_conflicts(ledger)
        rules = poll.context.rules if is_anew else account.expanded_rules
        await _note_expanded(ledger, account, zone=poll.zone, until=poll.window.end, rules=rules)


async def _keep_rules(poll: Poll) -> None:
    """What was read by other rules of time zones is read again, where ours are in force: one account at a time.

    Until then it serves as it is: what changed is seldom near, and all accounts at once would be closed for hours.
    """
    context, account = poll.context, poll.account
    memory, every = context.memory, context.settings.rereads_every
    if poll.started < memory.turn_of(account.id, now=poll.started, every=every):
        return
    del memory.rereads[account.id]  # Where it is not read now, it is the last in turn.
    if memory.is_rereading or not await _is_in_force(context):
        return
    memory.is_rereading = True
    try:
        await _read_again(poll)
    finally:
        memory.is_rereading = False


async def _is_in_force(context: SyncContext) -> bool:
    """Where processes have others, the newest. Ours are on record since the loop began; without one, never."""
    async with context.database.reading() as db:
        lasts = context.settings.rules_last
        return await zone_rules_in_force(db, now=context.clock(), lasts=lasts) == context.rules


async def _read_again(poll: Poll) -> None:
    clock = asyncio.get_running_loop().time
    for calendar in poll.chosen:
        began = clock()
        async for page in _pages(poll, calendar, all_of_them=True):
            await _store(poll, calendar, page, roll=None)
            # The others' turn, for as long as this account's lasted.
            await asyncio.sleep(clock() - began)
            began = clock()
    async with poll.changing() as (ledger, _):
        await _note_expanded(
            ledger, poll.account, zone=poll.zone, until=poll.window.end, rules=poll.context.rules
        )


async def _note_expanded(
    ledger: Ledger, account: ICloudAccount, *, zone: str, until: int, rules: str | None
) -> None:
    await execute(
        ledger.db,
        "UPDATE icloud_account SET expanded_zone = $1, expanded_until = $2, expanded_rules = $3 WHERE id = $4",
        zone,
        until,
        rules,
        account.id,
    )
    account.expanded_zone, account.expanded_until, account.expanded_rules = zone, until, rules


async def _forget_ages(poll: Poll, known_until: int) -> None:
    before = window_start(known_until, poll.context.settings)
    async with poll.changing() as (ledger, _):
        await forget_ages(ledger.db, poll.account.id, before=before)


async def _pages(poll: Poll, calendar: Calendar, *, all_of_them: bool) -> AsyncIterator[list[Resource]]:
    """By href, as an index of each calendar has them: by id, each page would sort all that is left of them.

    What comes meanwhile is read by who stores it, for the window of that time.
    """
    after = ""
    while True:
        async with poll.context.database.reading() as db:
            found = Resource.filter(calendar_id=calendar.id, href__gt=after).using_db(db)
            found = found if all_of_them else found.filter(is_open_ended=True)
            page = await found.order_by("href").limit(poll.context.settings.batch)
        if not page:
            return
        yield page
        after = page[-1].href


async def _store(poll: Poll, calendar: Calendar, page: list[Resource], roll: Roll | None) -> None:
    kept = [Fetched(Href(each.href), ETag(each.etag), each.body) for each in page]
    found = await read_kept(poll, kept)
    read = [_as_kept(each, resource) for each, resource in zip(found, page, strict=True)]
    async with poll.context.turn_to_store(len(read)), poll.changing(calendar) as (ledger, fresh):
        assert fresh is not None
        ids = [resource.id for resource in page]
        now = await Resource.filter(id__in=ids).using_db(ledger.db).only("id", "href", "etag")
        etags: Mapping[str, str] = {resource.href: resource.etag for resource in now}
        # What was written meanwhile is expanded for a window of its own.
        still = [each for each in read if etags.get(each.href) == each.etag]
        owns = await own_appointments(ledger.db, fresh, still)
        await poll.note_read(ledger.db)
        await store_resources(ledger, fresh, still, owns=owns, roll=roll)
        if ledger.slot_changes:
            await settle_conflicts(ledger)


def _as_kept(found: ReadResource, resource: Resource) -> ReadResource:
    if resource.is_readable:
        return found
    # What is kept is the last readable text; what iCloud has now is not, and stays on record.
    return ReadResource(
        href=found.href,
        etag=found.etag,
        body=found.body,
        uid=found.uid,
        occurrences=found.occurrences,
        problems=tuple(map(_stored_problem, resource.problems)),
        is_readable=False,
        is_open_ended=found.is_open_ended,
    )


def _stored_problem(stored: Mapping[str, object]) -> StoredProblem:
    blocked = stored["blocked"]
    return StoredProblem(
        uid=None if stored["uid"] is None else str(stored["uid"]),
        code=str(stored["code"]),
        message=str(stored["message"]),
        blocked=Span(*blocked) if isinstance(blocked, list) else None,
    )
