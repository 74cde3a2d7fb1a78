"""Brings an appointment's copy in iCloud to what it should be: written, moved, removed; each exactly once."""

from __future__ import annotations

import logging
from functools import partial

from domain.changes import ChangeKind
from domain.copies import WriteState, uid_of
from models.booking import Appointment
from models.calendar import Calendar, rewind
from models.changelog import Ledger, NoSuchUserError, changing
from models.copies import copies_of
from models.icloud import ICloudAccount
from models.outbox import UNSENT, TakenWrite, finish_write, hold_back, note_refusal, put_back, still_ours
from models.people import User
from models.polling import have_polled_whole
from models.resources import release_copy, settle_copies, store_resources
from models.rows import ReadResource
from models.settle import closes_time, settle_conflicts
from sync.appointment_text import href_of, is_as_written
from sync.context import SyncContext
from sync.ical.resource import read_resource
from sync.places import NOT_KEPT, find_held, find_left_behind, find_place, stand_at, why_unusable
from sync.plan import plan_hold_back, plan_window, plan_write_retry
from sync.remote import Broken, Href, PasswordRefused, RemoteError, Throttled
from sync.room import Place
from sync.write import Elsewhere, GivenUp, Intent, Later, Removed, Result, Tidied, Written, carry_out

log = logging.getLogger(__name__)

LATER = "iCloud did not take it yet; it is tried again by itself."
OUR_FAULT = "Something went wrong on our side while it was written to iCloud; it is tried again by itself."


async def push(context: SyncContext, taken: TakenWrite, place: Place | None = None) -> Result | None:
    """Writes one leased row of the outbox; never raises what the calendar server did. None: there was nothing to do."""
    try:
        intent = await _intend(context, taken)
        if intent is None:
            return None
        context.at("outbox taken")
        result = await carry_out(context, intent, place or Place(), until=taken.lease_until)
        context.at("write answered")
        await _conclude(context, taken, intent, result)
        context.at("write marked")
    except NoSuchUserError:
        log.info("the user of a write is gone")
        return None
    return result


async def put_off(context: SyncContext, taken: TakenWrite) -> None:
    """After a fault of our own: tried again ever less often, and the account's other writes have their turn."""
    try:
        async with changing(context.database, context.bell, taken.user, now=context.clock()) as ledger:
            if (found := await _under_lock(ledger, taken)) is not None:
                await _wait(context, ledger, *found, Broken("the write broke"), problem=OUR_FAULT)
    except NoSuchUserError:
        log.info("the user of a write is gone")


async def _under_lock(ledger: Ledger, taken: TakenWrite) -> tuple[TakenWrite, Appointment] | None:
    """With this try counted. None: disconnected or removed meanwhile, or another process took it over, which looks."""
    fresh = await still_ours(ledger.db, taken)
    own = await Appointment.filter(id=taken.appointment_id).using_db(ledger.db).first()
    if fresh is None or own is None:
        return None
    own.write_attempts = fresh.attempts + 1
    return fresh, own


# --- Under the lock: what is to be done


async def _intend(context: SyncContext, taken: TakenWrite) -> Intent | None:
    """Names the event before it is sent, so that after a crash the same one is looked for."""
    async with changing(context.database, context.bell, taken.user, now=context.clock()) as ledger:
        found = await _under_lock(ledger, taken)
        if found is None:
            return None
        taken, own = found
        account = await ICloudAccount.filter(user_id=taken.user.user).using_db(ledger.db).first()
        user = await User.filter(id=taken.user.user).using_db(ledger.db).first()
        if account is None or user is None:
            await finish_write(ledger.db, taken)
            return None
        intent = partial(Intent, own=own, account=account, zone=user.time_zone, attempts=taken.attempts)
        if own.write_state in UNSENT:
            return await _intend_to_write(context, ledger, taken, own, intent)
        return await _intend_to_tidy(ledger, taken, own, intent)


async def _intend_to_tidy(
    ledger: Ledger, taken: TakenWrite, own: Appointment, intent: partial[Intent]
) -> Intent | None:
    """What its owner wants stands there; what was left of it elsewhere goes."""
    calendar, strays = await find_left_behind(ledger, own)
    if calendar is None or own.href is None or not strays:
        await finish_write(ledger.db, taken)
        return None
    return intent(calendar=calendar, strays=strays, is_written=True)


async def _intend_to_write(
    context: SyncContext,
    ledger: Ledger,
    taken: TakenWrite,
    own: Appointment,
    intent: partial[Intent],
) -> Intent | None:
    """Or to remove it. None where there is no place for it, or none that takes it: that is on record then."""
    stood_at = own.href
    calendar, strays = await find_place(ledger, own)
    if own.status != "CONFIRMED" and (own.href is None or calendar is None or calendar.is_gone):
        await _settle_without(ledger, taken, own, WriteState.REMOVED)
        return None
    if calendar is None:
        await _settle_without(ledger, taken, own, WriteState.NOT_LINKED)
        return None
    # What holds no events any more may let go of one that it has.
    may_remove = own.status != "CONFIRMED" and (bool(strays) or calendar.can_write)
    if (problem := why_unusable(calendar)) is not None and not may_remove:
        await _give_up(context, ledger, taken, own, problem)
        return None
    if own.href is None:
        own.uid = own.uid or uid_of(own.id)
        own.calendar_id, own.href = calendar.id, href_of(calendar.path, own.uid)
        await own.save(using_db=ledger.db, update_fields=["uid", "calendar_id", "href", "etag"])
    if stood_at not in {None, own.href}:
        # What stays there, in a calendar that takes no writes, waits for none of ours any more.
        await settle_copies(ledger, own.id)
        await settle_conflicts(ledger)
    return intent(calendar=calendar, strays=strays, held=await find_held(ledger, calendar, own))


async def _settle_without(ledger: Ledger, taken: TakenWrite, own: Appointment, state: WriteState) -> None:
    own.write_state = state
    await own.save(using_db=ledger.db, update_fields=["write_state"])
    await finish_write(ledger.db, taken)
    ledger.note(ChangeKind.APPOINTMENT_WRITTEN, own.id)


async def _give_up(
    context: SyncContext, ledger: Ledger, taken: TakenWrite, own: Appointment, problem: str
) -> None:
    """The owner must act; looked at now and then all the same, in case the server was mistaken."""
    has_news = (own.write_state, own.write_problem) != (WriteState.FAILED, problem)
    own.write_state, own.write_problem = WriteState.FAILED, problem
    await own.save(using_db=ledger.db, update_fields=["write_state", "write_problem", "write_attempts"])
    due_at = context.clock() + context.settings.longest_write_retry
    await put_back(ledger.db, taken, due_at=due_at, attempts=own.write_attempts)
    if has_news:
        ledger.note(ChangeKind.APPOINTMENT_WRITTEN, own.id)
        await have_polled_whole(ledger.db, ledger.user)  # Which tells of a calendar that takes no writes.


# --- Under the lock again: putting it on record


async def _conclude(context: SyncContext, taken: TakenWrite, intent: Intent, result: Result) -> None:
    async with changing(context.database, context.bell, taken.user, now=context.clock()) as ledger:
        found = await _under_lock(ledger, taken)
        if found is None:
            return
        is_anew = found[0] != taken
        taken, own = found
        match result:
            case Written() | Removed():
                await _record(context, ledger, taken, own, result, intent=intent)
            case Tidied():
                await _finish_tidying(context, ledger, taken, own)
            case Elsewhere(href):
                await _follow(context, ledger, taken, own, href)
            case GivenUp() if is_anew:
                await put_back(ledger.db, taken, due_at=context.clock(), attempts=0)
            case GivenUp(problem):
                await _give_up(context, ledger, taken, own, problem)
            case Later(error):
                if isinstance(error, PasswordRefused):
                    await _tell_the_polls(context, ledger, taken, intent)
                await _wait(context, ledger, taken, own, error)


async def _record(
    context: SyncContext,
    ledger: Ledger,
    taken: TakenWrite,
    own: Appointment,
    result: Written | Removed,
    *,
    intent: Intent,
) -> None:
    """It is over, unless something else is wanted by now."""
    is_last_word = _wanted(own) == _wanted(intent.own)
    if isinstance(result, Written):
        await _record_written(context, ledger, intent, own, result)
    else:
        await _record_removed(ledger, intent, own, result)
        if await _is_elsewhere(ledger, intent, own):
            is_last_word = False
    if is_last_word:
        own.write_state = _state_after(own, result)
        await finish_write(ledger.db, taken)
    else:
        await put_back(ledger.db, taken, due_at=context.clock(), attempts=0)
    own.write_problem = None
    await own.save(using_db=ledger.db, update_fields=_RECORDED)
    ledger.note(ChangeKind.APPOINTMENT_WRITTEN, own.id)
    if isinstance(result, Written):
        await _store_copy(context, ledger, intent, own, result)


def _state_after(own: Appointment, result: Written | Removed) -> WriteState:
    """What its owner wrote there in place of our words stays, and is told."""
    if isinstance(result, Removed):
        return WriteState.REMOVED
    return WriteState.WRITTEN if is_as_written(own, result.body) else WriteState.CHANGED_IN_ICLOUD


def _wanted(own: Appointment) -> tuple[object, ...]:
    return own.revision, own.status, own.calendar_id


_RECORDED = (
    "calendar_id", "uid", "href", "etag", "written_at", "write_state", "write_attempts", "write_problem"
)  # fmt: skip


async def _finish_tidying(context: SyncContext, ledger: Ledger, taken: TakenWrite, own: Appointment) -> None:
    if own.write_state in UNSENT:  # Changed meanwhile.
        await put_back(ledger.db, taken, due_at=context.clock(), attempts=0)
    else:
        await finish_write(ledger.db, taken)


async def _follow(
    context: SyncContext, ledger: Ledger, taken: TakenWrite, own: Appointment, href: Href
) -> None:
    """It is kept up where its owner moved it."""
    for copy in await copies_of(ledger.db, own):
        if copy.href == href:
            await stand_at(ledger, own, copy)
    await put_back(ledger.db, taken, due_at=context.clock(), attempts=0)


async def _record_written(
    context: SyncContext, ledger: Ledger, intent: Intent, own: Appointment, result: Written
) -> None:
    if result.href != intent.own.href:
        await release_copy(ledger, intent.calendar, str(intent.own.href), own)
    own.calendar_id, own.uid, own.href, own.etag = intent.calendar.id, result.uid, result.href, result.etag
    own.written_at = context.clock()
    # A poll that ended since we looked may have been told of an edit of what we wrote: no later one would be.
    await rewind(ledger.db, intent.calendar)
    # Nor does a calendar that kept nothing of it tell of a change: what we wrote is looked for.
    await have_polled_whole(ledger.db, ledger.user)


async def _record_removed(ledger: Ledger, intent: Intent, own: Appointment, result: Removed) -> None:
    own.etag = None
    await release_copy(ledger, intent.calendar, str(intent.own.href), own)
    if not result.is_by_us:
        # It may have been the last that the calendar refused, and iCloud tells of no change.
        await have_polled_whole(ledger.db, ledger.user)
    if result.is_anothers:
        # It is another's place now; where a poll has seen it elsewhere, that is looked for next.
        own.href = None
    if ledger.slot_changes:
        await settle_conflicts(ledger)


async def _is_elsewhere(ledger: Ledger, intent: Intent, own: Appointment) -> bool:
    """The owner moved it before we came to remove it, and a poll has seen meanwhile where to."""
    _, strays = await find_place(ledger, own)
    if own.href not in {None, intent.own.href}:
        return True
    return bool({stray.href for stray in strays} - {stray.href for stray in intent.strays})


async def _store_copy(
    context: SyncContext, ledger: Ledger, intent: Intent, own: Appointment, result: Written
) -> None:
    """What we wrote stands here at once, and not only after the next poll, which fetches it: its ETag is not kept."""
    calendar = await Calendar.filter(id=intent.calendar.id).using_db(ledger.db).first()
    if calendar is None or not closes_time(calendar):
        return
    reading = read_resource(
        result.body,
        zone=intent.zone,
        addresses=frozenset(intent.account.addresses),
        window=plan_window(context.clock(), intent.zone, context.settings),
    )
    copy = ReadResource(
        href=result.href, etag="", body=result.body, uid=result.uid, occurrences=reading.occurrences
    )
    await store_resources(ledger, calendar, [copy], owns={result.href: own})
    if ledger.slot_changes:
        await settle_conflicts(ledger)


async def _tell_the_polls(context: SyncContext, ledger: Ledger, taken: TakenWrite, intent: Intent) -> None:
    by = context.clock() + context.settings.first_refusal_retry
    await note_refusal(ledger.db, taken.user, password=bytes(intent.account.sealed_password), look_by=by)


async def _wait(
    context: SyncContext,
    ledger: Ledger,
    taken: TakenWrite,
    own: Appointment,
    error: RemoteError,
    *,
    problem: str = LATER,
) -> None:
    attempts = own.write_attempts
    due_at = plan_write_retry(
        error, context.settings, attempts=attempts, now=context.clock(), chance=context.chance()
    )
    await put_back(ledger.db, taken, due_at=due_at, attempts=attempts)
    if isinstance(error, Throttled):
        until = plan_hold_back(error, context.settings, now=context.clock(), due_at=due_at)
        await hold_back(ledger.db, taken.user, until=until)
    log.info("appointment %s is written later: %s", own.id, error)
    if own.write_state not in UNSENT:
        return
    if own.write_problem == NOT_KEPT:
        problem = NOT_KEPT  # Until it is seen there.
    has_news = own.write_problem != problem
    own.write_problem = problem
    await own.save(using_db=ledger.db, update_fields=["write_attempts", "write_problem"])
    if has_news:
        ledger.note(ChangeKind.APPOINTMENT_WRITTEN, own.id)
