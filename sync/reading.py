"""Fetched texts into what is stored of them, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace

from models.resources import ReadResource, StoredProblem
from sync.ical import Problem, read_resource
from sync.poll import Poll
from sync.remote import Fetched


async def read_all(poll: Poll, fetched: Iterable[Fetched], stored: Mapping[str, str]) -> list[ReadResource]:
    """`stored`: the texts that we hold, by href; an unreadable one does not take the place of one that was readable."""
    texts = list(fetched)
    return await asyncio.to_thread(lambda: [_read(poll, each, stored.get(each.href)) for each in texts])


def _read(poll: Poll, fetched: Fetched, held: str | None) -> ReadResource:
    found = read_text(poll, href=fetched.href, etag=fetched.etag, body=fetched.body)
    if found.is_readable or held is None:
        return found
    before = read_text(poll, href=fetched.href, etag=fetched.etag, body=held)
    return replace(found, keeps_events=before.is_readable)


def read_text(poll: Poll, *, href: str, etag: str, body: str) -> ReadResource:
    reading = read_resource(
        body, zone=poll.zone, addresses=frozenset(poll.account.addresses), window=poll.window
    )
    return ReadResource(
        href=href,
        etag=etag,
        body=body,
        uid=reading.uid,
        occurrences=reading.occurrences,
        problems=tuple(map(_problem, reading.problems)),
        is_readable=reading.is_readable,
        is_open_ended=reading.is_open_ended,
    )


def _problem(problem: Problem) -> StoredProblem:
    return StoredProblem(problem.uid, str(problem.code), problem.message, problem.blocked)
