"""One write over the network: asked until it is known what stands there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from domain.copies import next_uid
from models.booking import Appointment
from models.calendar import Calendar
from models.icloud import ICloudAccount
from sync.appointment_text import Whose, href_of, is_in_its_time, patched, text_of, whose
from sync.context import SyncContext
from sync.ical.resource import read_written, write_appointment
from sync.places import CALENDAR_GONE, NOT_ALONE, NOT_KEPT, NOT_TO_BE_READ, READ_ONLY, TOO_LONG, Held, Stray
from sync.poll import sign_in
from sync.remote import (
    ETag,
    Forbidden,
    Href,
    NotThere,
    RemoteCalendars,
    RemoteError,
    StaleWrite,
    TooLong,
    UnexpectedAnswer,
    Unreachable,
)
from sync.room import Patient, Place

log = logging.getLogger(__name__)

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
    held: Held | None = None
    "What stands in its place by the last look, if that is known."
    strays: Sequence[Stray] = ()
    "To be removed first: another event of its UID could stand in the way of the one that is kept up."
    is_written: bool = False
    "Nothing else is to be done."


@dataclass(frozen=True, slots=True)
class Written:
    """It is there, under this name. No ETag: the server said that it made it, told none, and shows nothing of ours."""

    uid: str
    href: Href
    etag: ETag | None
    body: str


@dataclass(frozen=True, slots=True)
class Removed:
    """It is not there any more."""

    is_by_us: bool = True
    is_anothers: bool = False
    "Another's event stands in its place."


@dataclass(frozen=True, slots=True)
class Tidied:
    """The one that is kept up was left as it is."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Its owner moved it there, and nothing was written yet."""

    href: Href


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The owner must act."""

    problem: str


@dataclass(frozen=True, slots=True)
class Later:
    error: RemoteError


Result = Written | Removed | Tidied | Elsewhere | GivenUp | Later


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
        await _require_home(remote, intent)
        return Tidied()  # The owner moved or deleted it, and a poll is to tell.
    if not intent.is_written and (moved := await _moved_to(remote, intent)) is not None:
        return moved
    if (unsure := await _remove_strays(remote, intent)) is not None:
        return unsure
    if intent.is_written:
        return Tidied()
    try:
        if intent.own.status == "CONFIRMED":
            result = await _write(context, remote, intent)
        else:
            result = await _remove_own(remote, intent)
    except Forbidden as error:
        log.warning("appointment %s is not written: %s", intent.own.id, error)
        result = GivenUp(READ_ONLY)
    except TooLong as error:
        log.warning("appointment %s is not written: %s", intent.own.id, error)
        result = GivenUp(TOO_LONG)
    if isinstance(result, GivenUp) or (isinstance(result, Removed) and not result.is_by_us):
        await _require_home(remote, intent)
    return result


async def _moved_to(remote: RemoteCalendars, intent: Intent) -> Elsewhere | None:
    """Of what its owner moved, half was read: what they put there with it stays, and no second one is made."""
    own = intent.own
    if own.status != "CONFIRMED" or not intent.strays:
        return None
    if await _find(remote, Href(own.href or "")) is not None:
        return None
    for stray in intent.strays:
        found = await _find(remote, stray.href)
        if found is not None and whose(found.body, stray.uid) is not Whose.ANOTHERS:
            return Elsewhere(stray.href)
    return None


async def _remove_strays(remote: RemoteCalendars, intent: Intent) -> Later | None:
    """What turned out to be forbidden, or not to be ours alone, stays, and keeps nothing from being written."""
    for stray in intent.strays:
        try:
            result = await _remove(remote, stray.href, stray.uid, stray.held, intent)
        except Forbidden:
            result = Removed(is_by_us=False)
        if isinstance(result, Later):
            return result
        if isinstance(result, Removed) and not result.is_by_us:
            await _require_home(remote, intent)
    return None


async def _require_home(remote: RemoteCalendars, intent: Intent) -> None:
    """A host that the account has left knows of nothing: what it misses or forbids is not gone and not read-only."""
    try:
        await remote.glance(intent.account.home_url)
    except (NotThere, Forbidden):
        # The next poll asks the entry where it is now.
        raise UnexpectedAnswer("the account's home is not where it was") from None


class _Aim(NamedTuple):
    """Under which name it is to be written, and what of ours stands there by the last look."""

    uid: str
    href: Href
    stands: Held | None


async def _write(context: SyncContext, remote: RemoteCalendars, intent: Intent) -> Result:
    own = intent.own
    assert own.uid is not None
    assert own.href is not None
    uid, href = own.uid, Href(own.href)
    aim = _Aim(uid, href, await _look(remote, href, uid, intent.held) if own.etag or intent.held else None)
    for _ in range(_MOST_ROUNDS):
        next_step = await _write_once(context, remote, intent, aim)
        if not isinstance(next_step, _Aim):
            return next_step
        aim = next_step
    return Later(StaleWrite("it changed under every try"))


async def _write_once(
    context: SyncContext, remote: RemoteCalendars, intent: Intent, aim: _Aim
) -> Result | _Aim:
    """What came of it, or at what the next try is to aim."""
    own = intent.own
    own.uid = aim.uid
    if aim.stands is not None and whose(aim.stands.body, aim.uid) is Whose.ANOTHERS:
        aim = aim._replace(stands=None)
    if aim.stands is not None and (refused := _why_left_alone(aim.stands.body, aim.uid, intent)) is not None:
        return refused
    body = write_appointment(text_of(own)) if aim.stands is None else patched(own, aim.stands.body)
    if body is None:
        return GivenUp(NOT_ALONE)
    context.at("write sent")
    try:
        told = await _put(remote, aim.href, body, aim.stands)
    except NotThere:
        if aim.stands is None:
            return await _why_not_there(remote, intent)
        return aim._replace(stands=None)  # The owner deleted it; the booking stands, and so does its event.
    except StaleWrite:
        return await _after_refusal(context, remote, intent, aim)
    return await _after_success(remote, intent, aim, put=body, told=told)


async def _after_success(
    remote: RemoteCalendars, intent: Intent, aim: _Aim, *, put: str, told: ETag | None
) -> Written | Later:
    """Believed where its ETag is told; else what is seen there decides."""
    is_doubted = _is_doubted(intent)
    if told is not None and not is_doubted:
        return Written(aim.uid, aim.href, told, put)
    found = await _find(remote, aim.href)
    if aim.stands is not None and not _was_replaced(intent.own, found, before=aim.stands.etag, put=put):
        return Later(UnexpectedAnswer("a success, and nothing was replaced"))
    if is_doubted and found is None:
        return Later(UnexpectedAnswer("a success, and nothing was written"))
    return _as_found(aim.uid, aim.href, found, put=put)


async def _after_refusal(
    context: SyncContext, remote: RemoteCalendars, intent: Intent, aim: _Aim
) -> Written | Later | _Aim:
    """Something else stands there than was thought."""
    found = await _find(remote, aim.href)
    if found is not None and whose(found.body, aim.uid) is not Whose.ANOTHERS:
        if is_in_its_time(intent.own, found.body):
            return Written(aim.uid, aim.href, found.etag, found.body)  # Ours, whose answer was lost.
        return aim._replace(stands=found)
    if aim.stands is not None:
        return aim._replace(stands=None)
    if found is None and not _is_sure_of_conflict(context, intent):
        return Later(StaleWrite("it is taken, and nothing is there"))
    # Nothing of ours here, and yet the name is taken: elsewhere in the account.
    uid = next_uid(aim.uid, intent.own.id)
    return _Aim(uid, Href(href_of(intent.calendar.path, uid)), None)


async def _look(remote: RemoteCalendars, href: Href, uid: str, held: Held | None) -> Held | None:
    """What is held will do, where it is ours alone: otherwise what stands there decides, as it is now."""
    return held if held is not None and whose(held.body, uid) is Whose.OURS else await _find(remote, href)


def _why_left_alone(body: str, uid: str, intent: Intent) -> GivenUp | Later | None:
    """What its owner made more of than the appointment is not ours to write over or to remove."""
    match whose(body, uid):
        case Whose.NOT_OURS_ALONE:
            return GivenUp(NOT_ALONE)
        case Whose.NOT_TO_BE_READ if intent.attempts < _SURE_OF_LOSS:
            return Later(UnexpectedAnswer("what stands there can't be read"))
        case Whose.NOT_TO_BE_READ:
            return GivenUp(NOT_TO_BE_READ)
    return None


async def _put(remote: RemoteCalendars, href: Href, body: str, stands: Held | None) -> ETag | None:
    if stands is None:
        return await remote.create(href, body)
    return await remote.replace(href, body, stands.etag)


async def _find(remote: RemoteCalendars, href: Href) -> Held | None:
    try:
        found = await remote.get(href)
    except NotThere:
        return None
    if not found.etag:
        raise UnexpectedAnswer("an object without an ETag")
    return Held(found.etag, found.body)


def _as_found(uid: str, href: Href, found: Held | None, *, put: str) -> Written:
    """The owner may have come between: an ETag counts for the text alone that it was given with."""
    if found is None or whose(found.body, uid) is not Whose.OURS:
        return Written(uid, href, None, put)
    return Written(uid, href, found.etag, found.body)


def _was_replaced(own: Appointment, found: Held | None, *, before: ETag, put: str) -> bool:
    """The same text again may keep its ETag; an older one may have got another by itself."""
    if found is None:
        return False
    if is_in_its_time(own, found.body):
        return True
    written, wanted = read_written(found.body), read_written(put)
    return found.etag != before and (written is None or wanted is None or written.sequence >= wanted.sequence)


def _is_doubted(intent: Intent) -> bool:
    """Told as written again and again, and not kept: only what is seen there is told to the owner any more."""
    return intent.own.write_problem == NOT_KEPT and intent.attempts >= _SURE_OF_LOSS


def _is_sure_of_conflict(context: SyncContext, intent: Intent) -> bool:
    own = intent.own
    is_just_written = own.written_at is not None and context.clock() - own.written_at < _JUST_WRITTEN
    return intent.attempts >= (_SURE_OF_LOSS if own.etag or is_just_written else _SURE_OF_CONFLICT)


async def _stands(remote: RemoteCalendars, own: Appointment) -> bool:
    """One 404 can be by mistake."""
    href = Href(own.href or "")
    found = await _find(remote, href) or await _find(remote, href)
    written = None if found is None else read_written(found.body)
    return written is not None and written.uid == own.uid


async def _why_not_there(remote: RemoteCalendars, intent: Intent) -> Result:
    """A create that finds nothing to create in: is it the calendar that is gone?"""
    try:
        await remote.check_calendar(intent.calendar.path)
    except NotThere:
        return GivenUp(CALENDAR_GONE)
    return Later(UnexpectedAnswer("the calendar is there and does not take the event"))


async def _remove_own(remote: RemoteCalendars, intent: Intent) -> Removed | GivenUp | Later:
    own = intent.own
    assert own.href is not None
    assert own.uid is not None
    return await _remove(remote, Href(own.href), own.uid, intent.held, intent)


async def _remove(
    remote: RemoteCalendars, href: Href, uid: str, held: Held | None, intent: Intent
) -> Removed | GivenUp | Later:
    """Removed where iCloud did so, or says twice in a row that it is not there: one 404 can be by mistake."""
    was_missing = False
    stands = held if held is not None and whose(held.body, uid) is Whose.OURS else None
    for _ in range(_MOST_ROUNDS):
        is_missing = False
        if stands is None:
            stands = await _find(remote, href)
            is_missing = stands is None
        if stands is not None:
            if whose(stands.body, uid) is Whose.ANOTHERS:
                return Removed(is_by_us=False, is_anothers=True)
            if (refused := _why_left_alone(stands.body, uid, intent)) is not None:
                return refused
            try:
                await remote.remove(href, stands.etag)
            except NotThere:
                is_missing, stands = True, None
            except StaleWrite:
                stands = None
            else:
                return Removed()
        if is_missing and was_missing:
            return Removed(is_by_us=False)
        was_missing = is_missing
    return Later(StaleWrite("it changed under every try"))
