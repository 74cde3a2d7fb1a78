"""One write over the network: asked until it is known what stands there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from domain.copies import next_uid
from models.booking import Appointment
from models.calendar import Calendar
from models.icloud import ICloudAccount
from sync.appointment_text import href_of, is_as_written, text_of
from sync.context import SyncContext
from sync.ical import read_written, write_appointment
from sync.places import CALENDAR_GONE, READ_ONLY, Stray
from sync.poll import sign_in
from sync.remote import (
    ETag,
    Forbidden,
    Href,
    NotThere,
    RemoteCalendars,
    RemoteError,
    StaleWrite,
    UnexpectedAnswer,
    Unreachable,
)
from sync.room import Patient, Place

_MOST_ROUNDS = 4
"""How often one write looks and tries again before it waits: the owner may be editing just now."""

_SURE_OF_CONFLICT = 2
"""After so many tries the name counts as taken elsewhere. Before, it can be our own, stored a moment ago and not
shown yet: another name would make two of it."""

_SURE_OF_LOSS = 6
"""Likewise of a name that is known to have been ours: minutes, in which what was written may not be shown."""

_JUST_WRITTEN = 600.0
"""Seconds in which a name whose ETag was never told counts as that too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What was to be written when we last looked under the lock."""

    own: Appointment
    calendar: Calendar
    account: ICloudAccount
    zone: str
    attempts: int
    strays: Sequence[Stray] = ()
    "To be removed first: another event of its UID could stand in the way of the one that is kept up."
    is_written: bool = False
    "Nothing else is to be done."


@dataclass(frozen=True, slots=True)
class Written:
    """It is there, under this name. No ETag: the server said that it made it, told none, and does not show it yet."""

    uid: str
    href: Href
    etag: ETag | None
    body: str


@dataclass(frozen=True, slots=True)
class Removed:
    """It is not there any more."""

    is_by_us: bool = True


@dataclass(frozen=True, slots=True)
class Tidied:
    """The one that is kept up was left as it is."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The owner must act."""

    problem: str


@dataclass(frozen=True, slots=True)
class Later:
    error: RemoteError


Result = Written | Removed | Tidied | GivenUp | Later


async def carry_out(context: SyncContext, intent: Intent, place: Place, *, until: float) -> Result:
    """`until`: the end of its lease. Well before that it is over: nobody else writes this object meanwhile."""
    lease = context.settings.lease
    left = min(until - context.clock(), lease) - 0.2 * lease
    if left <= 0:
        return Later(Unreachable("the database took as long as the lease lasts"))
    try:
        async with asyncio.timeout(left):
            return await _carry_out(context, Patient(sign_in(context, intent.account), place), intent)
    except TimeoutError:
        return Later(Unreachable("no answer in time"))
    except RemoteError as error:
        return Later(error)


async def _carry_out(context: SyncContext, remote: RemoteCalendars, intent: Intent) -> Result:
    if intent.is_written and not await _stands(remote, intent.own):
        return Tidied()  # The owner moved or deleted it, and a poll is to tell.
    if (unsure := await _remove_strays(remote, intent)) is not None:
        return unsure
    if intent.is_written:
        return Tidied()
    try:
        if intent.own.status == "CONFIRMED":
            result = await _write(context, remote, intent)
        else:
            assert intent.own.href is not None
            etag = ETag(intent.own.etag) if intent.own.etag else None
            result = await _remove(remote, Href(intent.own.href), etag)
    except Forbidden:
        result = GivenUp(READ_ONLY)
    if isinstance(result, GivenUp) or result == Removed(is_by_us=False):
        await _require_home(remote, intent)
    return result


async def _remove_strays(remote: RemoteCalendars, intent: Intent) -> Later | None:
    """What turned out to be forbidden stays, and keeps nothing from being written."""
    for stray in intent.strays:
        try:
            result = await _remove(remote, stray.href, stray.etag)
        except Forbidden:
            result = Removed(is_by_us=False)
        if isinstance(result, Later):
            return result
        if not result.is_by_us:
            await _require_home(remote, intent)
    return None


async def _require_home(remote: RemoteCalendars, intent: Intent) -> None:
    """A host that the account has left knows of nothing: what it misses or forbids is not gone and not read-only."""
    try:
        await remote.glance(intent.account.home_url)
    except (NotThere, Forbidden):
        # The next poll asks the entry where it is now.
        raise UnexpectedAnswer("the account's home is not where it was") from None


async def _write(context: SyncContext, remote: RemoteCalendars, intent: Intent) -> Result:
    own = intent.own
    assert own.uid is not None
    assert own.href is not None
    uid, href, etag = own.uid, Href(own.href), ETag(own.etag) if own.etag else None
    for _ in range(_MOST_ROUNDS):
        own.uid = uid
        body = write_appointment(text_of(own))
        try:
            context.at("write sent")
            told = await _put(remote, href, body, etag)
            if told is not None:
                return Written(uid, href, told, body)
            found = await _find(remote, href)
            if etag is not None and not _was_replaced(own, found, before=etag):
                return Later(UnexpectedAnswer("a success, and nothing was replaced"))
            return Written(uid, href, None if found is None else found[0], body)
        except NotThere:
            if etag is None:
                return await _why_not_there(remote, intent)
            etag = None  # The owner deleted it; the booking stands, and so does its event.
        except StaleWrite:
            found = await _find(remote, href)
            if found is not None and is_as_written(own, found[1]):
                return Written(uid, href, found[0], body)  # Ours, whose answer was lost.
            if found is not None and _is_ours(found[1], uid):
                etag = found[0]
            elif etag is None and found is None and not _is_sure_of_conflict(context, intent):
                return Later(StaleWrite("it is taken, and nothing is there"))
            elif etag is None:
                # Nothing of ours here, and yet the name is taken: elsewhere in the account.
                uid = next_uid(uid, own.id)
                href = Href(href_of(intent.calendar.path, uid))
            else:
                etag = None
    return Later(StaleWrite("it changed under every try"))


async def _put(remote: RemoteCalendars, href: Href, body: str, etag: ETag | None) -> ETag | None:
    return await remote.create(href, body) if etag is None else await remote.replace(href, body, etag)


async def _find(remote: RemoteCalendars, href: Href) -> tuple[ETag, str] | None:
    try:
        found = await remote.get(href)
    except NotThere:
        return None
    if not found.etag:
        raise UnexpectedAnswer("an object without an ETag")
    return found.etag, found.body


def _was_replaced(own: Appointment, found: tuple[ETag, str] | None, *, before: ETag) -> bool:
    """The same text again may keep its ETag; an older one may have got another by itself."""
    if found is None:
        return False
    etag, body = found
    if is_as_written(own, body):
        return True
    written = read_written(body)
    return etag != before and (written is None or written.sequence >= own.revision)


def _is_sure_of_conflict(context: SyncContext, intent: Intent) -> bool:
    own = intent.own
    is_just_written = own.written_at is not None and context.clock() - own.written_at < _JUST_WRITTEN
    return intent.attempts >= (_SURE_OF_LOSS if own.etag or is_just_written else _SURE_OF_CONFLICT)


async def _stands(remote: RemoteCalendars, own: Appointment) -> bool:
    found = await _find(remote, Href(own.href or ""))
    return found is not None and _is_ours(found[1], own.uid or "")


def _is_ours(body: str, uid: str) -> bool:
    written = read_written(body)
    return written is not None and written.uid == uid


async def _why_not_there(remote: RemoteCalendars, intent: Intent) -> Result:
    """A create that finds nothing to create in: is it the calendar that is gone?"""
    try:
        await remote.check_calendar(intent.calendar.path)
    except NotThere:
        return GivenUp(CALENDAR_GONE)
    return Later(UnexpectedAnswer("the calendar is there and does not take the event"))


async def _remove(remote: RemoteCalendars, href: Href, etag: ETag | None) -> Removed | Later:
    """Removed where iCloud did so, or says twice in a row that it is not there: one 404 can be by mistake."""
    was_missing = False
    for _ in range(_MOST_ROUNDS):
        is_missing = False
        if etag is None:
            found = await _find(remote, href)
            is_missing = found is None
            etag = None if found is None else found[0]
        if etag is not None:
            try:
                await remote.remove(href, etag)
            except NotThere:
                is_missing, etag = True, None
            except StaleWrite:
                etag = None
            else:
                return Removed()
        if is_missing and was_missing:
            return Removed(is_by_us=False)
        was_missing = is_missing
    return Later(StaleWrite("it changed under every try"))
