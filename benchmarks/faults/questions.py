"""Which of our requests a fault is to meet, and what happens before a trial so that it makes that request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from benchmarks.faults.account import MOST_EVENTS, Account
from domain.copies import WriteState
from standin.log import Seen

NIGHT = 30 * 3600.0
"""Seconds. Compared in full at 0:01, a calendar is so again before 5 on the next day."""


class Question(StrEnum):
    """A row's faults wait for each of those that they can alter, in turn."""

    ANY = "any"  # Whatever comes next, or soon.
    WHERE = "where"  # Which home the account has: asked of the entry at night.
    HOME = "home"
    LISTING = "listing"  # A calendar in full, without its texts: what a night compares with.
    DELTA = "sync-collection"
    TEXTS = "calendar-multiget"
    PUT = "PUT"
    GET = "GET"  # What stands where a write was refused.
    DELETE = "DELETE"


READS = (Question.WHERE, Question.HOME, Question.LISTING, Question.DELTA, Question.TEXTS)
"""Those that are answered by a multistatus."""


@dataclass(frozen=True, slots=True)
class Aim:
    """For which request a fault waits, as `AccountFaults.inject` takes it."""

    on: str = ""
    skip: int = 0
    writes_first: bool = False
    "Whether what is due is written before it is polled: else a poll finds out what the write was to find."


async def aim(known: Account, question: Question) -> Aim:
    """Everything happens now that makes the next poll and writes ask it: once, or twice and the second is meant."""
    skip = known.chance.randrange(2)
    return await _PREPARED[question](known, skip)


async def _any(known: Account, skip: int) -> Aim:
    return Aim("", skip + 2 * known.chance.randrange(2))


async def _where(known: Account, skip: int) -> Aim:
    known.engine.now += NIGHT
    return Aim("PROPFIND", skip)  # The entry's, then the principal's.


async def _home(_known: Account, _skip: int) -> Aim:
    return Aim("PROPFIND")


async def _listing(known: Account, skip: int) -> Aim:
    known.engine.now += NIGHT
    return Aim("PROPFIND", 3 + skip)  # After the entry's, the principal's and the home's.


async def _delta(known: Account, skip: int) -> Aim:
    for calendar in known.chance.sample(known.calendars, 1 + skip):
        await edit(known, calendar)
    return Aim("sync-collection", skip)


async def _texts(known: Account, skip: int) -> Aim:
    for calendar in known.chance.sample(known.calendars, 1 + skip):
        await edit(known, calendar, may_delete=False)
    return Aim("calendar-multiget", skip)


async def _put(known: Account, skip: int) -> Aim:
    for _ in range(1 + skip):
        await (book if known.chance.random() < 0.5 else move)(known)
    return Aim("PUT", skip, writes_first=known.chance.random() < 0.5)


async def _delete(known: Account, skip: int) -> Aim:
    for _ in range(1 + skip):
        await cancel(known)
    return Aim("DELETE", skip, writes_first=known.chance.random() < 0.5)


async def _get(known: Account, _skip: int) -> Aim:
    """A copy's ETag is another than the one that we know: the write is refused, and we look why."""
    name = await (move if known.chance.random() < 0.7 else cancel)(known)
    path = PurePosixPath((await known.engine.appointment(name)).href or "")
    known.faults.touch(path.parent.name, [path.name])
    return Aim("GET", writes_first=True)


_PREPARED: dict[Question, Callable[[Account, int], Awaitable[Aim]]] = {
    Question.ANY: _any,
    Question.WHERE: _where,
    Question.HOME: _home,
    Question.LISTING: _listing,
    Question.DELTA: _delta,
    Question.TEXTS: _texts,
    Question.PUT: _put,
    Question.GET: _get,
    Question.DELETE: _delete,
}

# --- What happens


async def edit(known: Account, calendar: str, *, may_delete: bool = True) -> str:
    """By the owner, in this calendar; the event's path."""
    folder, dice = (await known.phone.calendars())[calendar], known.chance.random()
    here = [event for event in known.events if event.startswith(folder)]
    is_full = len(known.events) > MOST_EVENTS + 4
    if here and may_delete and (dice < 0.2 or is_full):
        event = known.chance.choice(here)
        known.events.remove(event)
        await known.phone.delete(event)
    elif here and (dice < 0.6 or is_full):
        event = known.chance.choice(here)
        await known.phone.move(event, *known.span())
    else:
        event = await known.phone.add(calendar, "Busy", *known.span())
        known.events.append(event)
    return event


async def book(known: Account) -> str:
    before = len(known.booked)
    while len(known.booked) == before:  # The drawn span may be taken.
        await known.book()
    return known.booked[-1]


async def move(known: Account) -> str:
    """One whose copy stands in iCloud."""
    name, span = await _written(known), None
    while span is None:
        span = await known.open_span()
    await known.engine.change(name, starts=span[0], ends=span[1])
    return name


async def cancel(known: Account) -> str:
    name = await _written(known)
    known.booked.remove(name)
    await known.engine.change(name, status="CANCELLED")
    return name


async def _written(known: Account) -> str:
    for name in known.chance.sample(known.booked, len(known.booked)):
        if (await known.engine.appointment(name)).write_state == WriteState.WRITTEN:
            return name
    name = await book(known)
    await known.heal()
    return name


# --- What was asked


def request_of(seen: Seen) -> str:
    """By what it asked, as the facts of a row name it."""
    if seen.method != "PROPFIND":
        return seen.report or seen.method
    match seen.path.strip("/").split("/"):
        case [""]:
            return "entry"
        case [_, "principal"]:
            return "principal"
        case [_, "calendars"]:
            return "home"
        case _:
            return "calendar itself" if seen.depth == "0" else "listing"
