"""Our own events, seen again in iCloud: as we wrote them, changed or deleted by the owner, or found anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from domain.changes import ChangeKind
from domain.copies import WriteState
from models.booking import Appointment
from models.calendar import Calendar, Resource
from models.changelog import Ledger
from models.copies import copies_of, deleted_copies, placed_at
from models.outbox import UNSENT, queue_tidying, queue_write
from models.rows import ReadResource
from sync.appointment_text import is_as_written, is_left_behind, is_older
from sync.places import stand_at, why_unusable
from sync.poll import Poll
from sync.remote import ETag

_A_MOVE_LASTS = 60.0
"""Seconds in which an event that its owner moves to another calendar may be shown in both."""


async def note_seen(
    ledger: Ledger, calendar: Calendar, found: Sequence[ReadResource], owns: Mapping[str, Appointment]
) -> None:
    """Puts on record how each copy stands in iCloud. The booking itself is never touched by it."""
    for each in found:
        own = owns.get(each.href)
        if own is not None:
            await _note_copy(ledger, calendar, each, own)


async def _note_copy(ledger: Ledger, calendar: Calendar, each: ReadResource, own: Appointment) -> None:
    takes_events = why_unusable(calendar) is None
    is_gone = own.write_state in {WriteState.DELETED_IN_ICLOUD, WriteState.REMOVED}
    is_elsewhere = own.href is not None and (own.calendar_id, own.href) != (calendar.id, each.href)
    if is_elsewhere and not (is_gone and takes_events):
        # Another copy of it: the owner's, or one that was out of our sight while the appointment was written elsewhere.
        if not takes_events or not is_left_behind(own, calendar.path, each.href, each.body):
            return
        is_right = own.write_state not in UNSENT and is_as_written(own, each.body)
        # After a new connection a copy in a calendar that takes nothing can be found first.
        if not is_right or await _takes_events(ledger, own.calendar_id):
            await queue_tidying(ledger.db, ledger.user, own.id, now=ledger.now, wait=_A_MOVE_LASTS)
            return
    if own.href is None and own.write_state == WriteState.WRITTEN and is_older(own, each.body):
        # It was written to another Apple account since: nobody changed this one, and it is brought up to date.
        own.write_state = WriteState.NOT_LINKED
    if is_elsewhere or own.href is None:
        # After a new connection, or moved by the owner to another calendar: from now on this is its place.
        own.calendar_id, own.href, own.uid = calendar.id, each.href, each.uid
        await own.save(using_db=ledger.db, update_fields=["calendar_id", "href", "uid"])
    await _note_state(ledger, own, each.body, ETag(each.etag))


async def _takes_events(ledger: Ledger, calendar_id: str | None) -> bool:
    calendar = await Calendar.filter(id=calendar_id).using_db(ledger.db).first()
    return calendar is not None and why_unusable(calendar) is None


async def _note_state(ledger: Ledger, own: Appointment, body: str, etag: ETag) -> None:
    if own.write_state in UNSENT:
        return  # What should stand there is still to be written; the writer looks for itself.
    is_ours = is_as_written(own, body)
    if own.status != "CONFIRMED" or (own.write_state == WriteState.NOT_LINKED and not is_ours):
        # Cancelled, or changed when a disconnect cut its write short: it is brought up to date.
        own.write_state = WriteState.PENDING
        await queue_write(ledger.db, ledger.user, own.id, now=ledger.now)
    else:
        own.write_state = WriteState.WRITTEN if is_ours else WriteState.CHANGED_IN_ICLOUD
    own.write_problem = None
    await _save(ledger, own, etag=etag)


async def note_deleted(ledger: Ledger, poll: Poll, calendar: Calendar, hrefs: Sequence[str]) -> set[str]:
    """The owner deleted our events; the appointments stand as booked. The answer: what was written anew since."""
    gone = frozenset(hrefs)
    anew: set[str] = set()
    for own in await placed_at(ledger.db, calendar, hrefs):
        if own.href is not None and poll.is_older_than(own):
            anew.add(own.href)
            continue
        elsewhere = await _copy_elsewhere(ledger, own, gone)
        if elsewhere is not None:
            # The owner moved it to a calendar that was read before this one: from now on that is its place.
            await _move_to(ledger, own, elsewhere)
            continue
        if own.write_state in UNSENT:
            continue
        is_confirmed = own.status == "CONFIRMED"
        own.write_state = WriteState.DELETED_IN_ICLOUD if is_confirmed else WriteState.REMOVED
        await _save(ledger, own, etag=None)
    return anew


async def find_again(ledger: Ledger, calendar: Calendar) -> None:
    """It takes events again: what was told as deleted, and stands in it, is kept up there from now on."""
    for copy in await deleted_copies(ledger.db, calendar):
        own = await Appointment.filter(id=copy.appointment_id).using_db(ledger.db).get()
        await _move_to(ledger, own, copy)


async def _copy_elsewhere(ledger: Ledger, own: Appointment, gone: AbstractSet[str]) -> Resource | None:
    """In a calendar that takes events: one that takes none can have an older copy, and nobody moved it there."""
    for copy in await copies_of(ledger.db, own):
        if copy.href not in gone and await _takes_events(ledger, copy.calendar_id):
            return copy
    return None


async def _move_to(ledger: Ledger, own: Appointment, copy: Resource) -> None:
    await stand_at(ledger, own, copy)
    await _note_state(ledger, own, copy.body, ETag(copy.etag))


async def _save(ledger: Ledger, own: Appointment, *, etag: str | None) -> None:
    before = await Appointment.filter(id=own.id).using_db(ledger.db).get()
    own.etag = etag or None
    await own.save(using_db=ledger.db, update_fields=["write_state", "write_problem", "etag"])
    if before.write_state != own.write_state:
        ledger.note(ChangeKind.APPOINTMENT_WRITTEN, own.id)
