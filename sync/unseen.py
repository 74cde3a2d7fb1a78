"""What we wrote and nobody has read since: a write that was told as done was perhaps not."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from domain.changes import ChangeKind
from domain.copies import WriteState
from models.booking import Appointment
from models.calendar import Calendar
from models.changelog import Ledger
from models.copies import unseen_copies
from models.outbox import queue_again
from models.sql import Db
from sync.absence import NotToldError, by_turns, there
from sync.appointment_text import is_older
from sync.ending import PartEnding
from sync.fetching import Page
from sync.pages import store_page
from sync.places import NOT_KEPT
from sync.plan import plan_write_retry
from sync.poll import Poll
from sync.remote import Fetched, Href, UnexpectedAnswer

log = logging.getLogger(__name__)

_SHOWN_BY = 60.0
"""Seconds after which what was written is shown: of tens of them is told."""

_TOLD_BY = 600.0
"""Likewise, where nothing can be told of it."""

_FEW = 3
"""After so many tries the owner is told that it failed: what is seen once and then gone was deleted by them."""


async def find_unseen(poll: Poll) -> Mapping[str, AbstractSet[Href]]:
    async with poll.context.database.reading() as db:
        rows = await unseen_copies(db, poll.user, after=poll.window.start)
    unseen: dict[str, set[Href]] = {}
    for calendar, href in rows:
        unseen.setdefault(calendar, set()).add(Href(href))
    return unseen


async def look_for_unseen(poll: Poll, calendar: Calendar) -> None:
    """After its changes were read: those that they told of are seen."""
    for href in by_turns(poll, (await find_unseen(poll)).get(calendar.id, frozenset())):
        try:
            found = await there(poll, href)
        except NotToldError:
            await _ask_again(poll, calendar, href)
            continue
        if not await _is_written(poll, calendar, href, found):
            continue
        assert found is not None
        ending = PartEnding(poll=poll, calendar=calendar, token=None)
        await store_page(poll, calendar, Page((found,), frozenset()), ending, is_first_read=False)


async def _is_written(poll: Poll, calendar: Calendar, href: Href, found: Fetched | None) -> bool:
    """Where it is not, it is looked at again, or is written again."""
    async with poll.changing(calendar) as (ledger, _):
        own = await _own_at(ledger.db, calendar, href)
        if own is None or own.write_state not in _WRITTEN:
            return False
        if found is not None and not is_older(own, found.body):
            return True
        if _is_of_late(poll, own, _SHOWN_BY):
            poll.hurry(poll.context.settings.watched_every)
        else:
            await _write_again(poll, ledger, own)
    return False


_WRITTEN = frozenset({WriteState.WRITTEN, WriteState.CHANGED_IN_ICLOUD})


async def _ask_again(poll: Poll, calendar: Calendar, href: Href) -> None:
    """Soon where it was written of late; after that only with what else there is to look for: it may never be told."""
    async with poll.context.database.reading() as db:
        own = await _own_at(db, calendar, href)
    if own is not None and _is_of_late(poll, own, _TOLD_BY):
        poll.hurry(poll.context.settings.watched_every)


async def _own_at(db: Db, calendar: Calendar, href: Href) -> Appointment | None:
    mine = Appointment.filter(calendar_id=calendar.id, href=href, user_id=calendar.user_id)
    return await mine.using_db(db).first()


def _is_of_late(poll: Poll, own: Appointment, seconds: float) -> bool:
    """By a stamp that is far ahead it was not: the clock was set back since."""
    return poll.is_older_than(own) or 0 <= poll.started - (own.written_at or 0.0) < seconds


async def _write_again(poll: Poll, ledger: Ledger, own: Appointment) -> None:
    """Ever less often, and by no ETag: what is held is the text that was not kept, and the owner's may stand there."""
    context, attempts = poll.context, own.write_attempts
    log.warning("appointment %s was told as written, and is not there", own.id)
    own.write_state = WriteState.PENDING if attempts <= _FEW else WriteState.FAILED
    own.write_problem = NOT_KEPT
    own.etag = None
    await own.save(using_db=ledger.db, update_fields=["write_state", "write_problem", "etag"])
    error = UnexpectedAnswer("a success, and nothing was written")
    due_at = plan_write_retry(
        error, context.settings, attempts=attempts, now=context.clock(), chance=context.chance()
    )
    await queue_again(ledger.db, ledger.user, own.id, now=ledger.now, due_at=due_at, attempts=attempts)
    ledger.note(ChangeKind.APPOINTMENT_WRITTEN, own.id)
