"""Where an appointment's copy in iCloud stands, and which copies of it were left behind in other calendars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from domain.copies import appointment_of
from models.booking import Appointment
from models.calendar import Calendar, Resource, why_unlinkable
from models.changelog import Ledger
from models.copies import copies_of
from models.held import resource_id
from sync.appointment_text import is_left_behind
from sync.remote import ETag, Href

CALENDAR_GONE = "The linked calendar is gone from iCloud: choose another one."
READ_ONLY = "The linked calendar takes no appointments, it is read-only or full: choose another one."
TOO_LONG = "Its event is too long for iCloud: shorten it there, or book it anew with shorter notes."
NOT_KEPT = "iCloud said that it took the event, and does not have it; it is written again by itself."
NOT_ALONE = (
    "Its event in iCloud repeats, or holds more than the appointment, as its owner made it: it is left as it is. "
    "Change or delete it there."
)
NOT_TO_BE_READ = (
    "What stands in its event's place in iCloud can't be read, and is left as it is: delete it there."
)


@dataclass(frozen=True, slots=True)
class Held:
    """A text, and the ETag under which it stands."""

    etag: ETag
    body: str


@dataclass(frozen=True, slots=True)
class Stray:
    """A copy beside the one that is kept up: left in a calendar that took no writes, or was not seen, for a while."""

    href: Href
    uid: str
    held: Held | None


async def find_place(ledger: Ledger, own: Appointment) -> tuple[Calendar | None, list[Stray]]:
    """The calendar that it stands in or is to, and its strays that can be removed. Puts a new place on `own`."""
    calendars, copies = await _copies(ledger, own)
    place = _place(own, calendars, copies)
    if isinstance(place, Resource):
        await stand_at(ledger, own, place)
        place = calendars[place.calendar_id]
    return place, [_stray(copy) for copy in copies if copy.href != own.href and _is_usable(copy, calendars)]


async def find_left_behind(ledger: Ledger, own: Appointment) -> tuple[Calendar | None, list[Stray]]:
    """The calendar that it stands in, and the strays of our own writing: an owner's copy waits for the next change."""
    calendars, copies = await _copies(ledger, own)
    return calendars.get(own.calendar_id or ""), [
        _stray(copy)
        for copy in copies
        if copy.href != own.href
        and _is_usable(copy, calendars)
        and is_left_behind(own, calendars[copy.calendar_id].path, copy.href, copy.body)
    ]


async def _copies(ledger: Ledger, own: Appointment) -> tuple[dict[str, Calendar], list[Resource]]:
    """Under our own names, with the user's calendars by id."""
    mine = Calendar.filter(subaccount_id=own.subaccount_id, user_id=own.user_id).using_db(ledger.db)
    calendars = {calendar.id: calendar for calendar in await mine}
    return calendars, [
        copy
        for copy in await copies_of(ledger.db, own)
        if copy.calendar_id in calendars and appointment_of(copy.uid or "") == own.id
    ]


def _is_usable(copy: Resource, calendars: Mapping[str, Calendar]) -> bool:
    return why_unusable(calendars[copy.calendar_id]) is None


def _stray(copy: Resource) -> Stray:
    return Stray(Href(copy.href), copy.uid or "", _held(copy, None))


async def find_held(ledger: Ledger, calendar: Calendar, own: Appointment) -> Held | None:
    """What stands in its place by the last look."""
    name = resource_id(calendar, own.href or "")
    copy = await Resource.filter(id=name).using_db(ledger.db).first()
    return None if copy is None else _held(copy, own.etag)


def _held(copy: Resource, written: str | None) -> Held | None:
    """Where nobody has read it since it was written, by the ETag that the write was answered with.

    Of a text that could not be read the one before is kept.
    """
    etag = copy.etag or written
    return Held(ETag(etag), copy.body) if etag and copy.is_readable else None


def _place(
    own: Appointment, calendars: Mapping[str, Calendar], copies: Sequence[Resource]
) -> Calendar | Resource | None:
    """A copy, where it stands at another place than on record: it is kept up there, and no second one is made."""
    calendar = None if own.href is None else calendars.get(own.calendar_id or "")
    usable = (copy for copy in copies if _is_usable(copy, calendars))
    if own.status != "CONFIRMED":
        if calendar is not None and not calendar.is_gone:
            return calendar
        there = (copy for copy in copies if not calendars[copy.calendar_id].is_gone)
        return next(usable, None) or next(there, calendar)
    linked = next((each for each in calendars.values() if each.is_linked), None)
    if own.href is not None:
        is_usable = calendar is not None and why_unusable(calendar) is None
        if is_usable or linked is None or why_unusable(linked) is not None:
            return calendar
        # It can stand there no more: it goes to the calendar that is linked now.
        own.href = own.etag = None
    return next(usable, linked)


async def stand_at(ledger: Ledger, own: Appointment, copy: Resource) -> None:
    """From now on that is its place."""
    own.calendar_id, own.href, own.uid, own.etag = copy.calendar_id, copy.href, copy.uid, copy.etag or None
    await own.save(using_db=ledger.db, update_fields=["calendar_id", "href", "uid", "etag"])


def why_unusable(calendar: Calendar) -> str | None:
    """A subscription can say that it takes writes, and so can what holds no events any more."""
    if calendar.is_gone:
        return CALENDAR_GONE
    return None if why_unlinkable(calendar) is None else READ_ONLY
