"""Fetched texts into what is stored of them, off the event loop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from models.calendar import Calendar
from models.held import held_bodies
from models.rows import ReadResource, StoredProblem
from sync.ical.guarded import read_guarded
from sync.ical.resource import Problem, Reading
from sync.ical.worker import Request
from sync.poll import Poll
from sync.remote import Fetched


async def read_all(poll: Poll, calendar: Calendar, fetched: Iterable[Fetched]) -> list[ReadResource]:
    """An unreadable one does not take the place of one that we hold and that was readable."""
    found = await read_kept(poll, fetched)
    unreadable = [at for at, each in enumerate(found) if not each.is_readable]
    if not unreadable:
        return found
    async with poll.context.database.reading() as db:
        held = await held_bodies(db, calendar, [found[at].href for at in unreadable])
    doubtful = [at for at in unreadable if found[at].href in held]
    before = await _read(poll, [held[found[at].href] for at in doubtful])
    for at, reading in zip(doubtful, before, strict=True):
        found[at] = replace(found[at], keeps_events=reading.is_readable)
    return found


async def read_kept(poll: Poll, kept: Iterable[Fetched]) -> list[ReadResource]:
    """Texts that have been read before, for another window or zone: under the same guard."""
    texts = list(kept)
    readings = await _read(poll, [each.body for each in texts])
    return [_as_read(each, reading) for each, reading in zip(texts, readings, strict=True)]


async def _read(poll: Poll, bodies: Iterable[str]) -> list[Reading]:
    """Who waits for a worker leaves the others its place: many accounts may have texts that take seconds each."""
    addresses = frozenset(poll.account.addresses)
    requests = [Request(body, poll.zone, addresses, poll.window) for body in bodies]
    return await read_guarded(requests, wait=poll.place.answer)


def _as_read(fetched: Fetched, reading: Reading) -> ReadResource:
    return ReadResource(
        href=fetched.href,
        etag=fetched.etag,
        body=fetched.body,
        uid=reading.uid,
        occurrences=reading.occurrences,
        problems=tuple(map(_problem, reading.problems)),
        is_readable=reading.is_readable,
        is_open_ended=reading.is_open_ended,
    )


def _problem(problem: Problem) -> StoredProblem:
    return StoredProblem(problem.uid, str(problem.code), problem.message, problem.blocked)
