"""Where a first sync's CPU goes, layer by layer, each by itself and without a socket.

What the layers' sum lacks of the whole is the wire, the tasks and threads, and the questions to the database.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from benchmarks.calendars import make_calendar
from benchmarks.sync import accounts, raw
from benchmarks.sync.replay import Replay
from domain.busy import BusyPolicy
from models.calendar import Calendar
from models.held import resource_id
from models.rows import EventRow, ReadResource, ResourceRow, Rows, SlotRow
from models.sql import insert_many
from sync.ical.guarded import read
from sync.ical.worker import Request
from sync.icloud import queries
from sync.icloud.members import read_changes, read_members, read_texts
from sync.plan import plan_window
from sync.remote import Fetched
from sync.settings import SyncSettings

T = TypeVar("T")

_URL = "http://127.0.0.1/a00000/calendars/cal0/"
_CALENDAR = Calendar(id=f"cal_{0:026}", subaccount_id=f"sub_{0:026}", user_id=f"usr_{0:026}")
_SETTINGS = SyncSettings()
_PAGE = _SETTINGS.batch * _SETTINGS.answers_stored_at_once
_WINDOW = plan_window(1_780_275_600.0, accounts.ZONE, _SETTINGS)
Layers = dict[str, float]


def measure(events: int, databases: Sequence[str], postgres: str) -> Layers:
    """CPU ms by layer, of this process alone."""
    found: Layers = {}
    replay = Replay(make_calendar(events, seed=1), calendars=1)
    listing = _asked(replay, queries.changes_query(None))
    hrefs = [item.href for item in read_changes(read_members(listing), _URL).items]
    batches = list(_parts(hrefs, raw.BATCH))
    answers = [_asked(replay, queries.texts_query(batch)) for batch in batches]
    with _counted(found, "expat alone, nothing kept"):
        for answer in (listing, *answers):
            raw._Texts().feed([answer])
    with _counted(found, "the listing, into hrefs and ETags"):
        read_changes(read_members(listing), _URL)
    fetched: list[Fetched] = []
    with _counted(found, "the answers, into texts"):
        for answer, batch in zip(answers, batches, strict=True):
            fetched += read_texts(read_members(answer), _URL, batch).values()
    with _counted(found, "the texts, read and expanded"):
        read = [_read(each) for each in fetched]
    with _counted(found, "their rows, made"):
        pages = [_rows(page) for page in _parts(read, _PAGE)]
    for kind in databases:
        asyncio.run(_insert(found, kind, postgres, pages))
    return found


def _asked(replay: Replay, body: str) -> bytes:
    return replay.answer("REPORT", b"/a00000/calendars/cal0/", b"1", body.encode())[1]


def _read(each: Fetched) -> ReadResource:
    reading = read(Request(each.body, accounts.ZONE, frozenset(), _WINDOW))
    return ReadResource(
        href=each.href, etag=each.etag, body=each.body, uid=reading.uid, occurrences=reading.occurrences,
        is_readable=reading.is_readable, is_open_ended=reading.is_open_ended,
    )  # fmt: skip


def _rows(page: Sequence[ReadResource]) -> tuple[list[ResourceRow], Rows]:
    rows, resources = Rows(), []
    for each in page:
        name = resource_id(_CALENDAR, each.href)
        rows.add(_CALENDAR, name, each, "", BusyPolicy(), appointment=None, copy=None)
        resources.append(
            ResourceRow(
                name, _CALENDAR.subaccount_id, _CALENDAR.user_id, _CALENDAR.id, each.href, each.etag, each.stored_uid,
                "", each.body, each.is_readable, each.is_open_ended, "[]", False, None,
            )
        )  # fmt: skip
    return resources, rows


async def _insert(
    found: Layers, kind: str, postgres: str, pages: Sequence[tuple[list[ResourceRow], Rows]]
) -> None:
    async with accounts.a_database(kind, postgres) as database:
        with _counted(found, f"rows into {kind}, a transaction a page"):
            for resources, rows in pages:
                async with database.writing() as db:
                    await insert_many(db, "resource", ResourceRow._fields, resources)
                    await insert_many(db, "event", EventRow._fields, list(rows.events.values()))
                    await insert_many(db, "blocked_slot", SlotRow._fields, list(rows.slots.values()))


@contextmanager
def _counted(found: Layers, layer: str) -> Iterator[None]:
    since = time.process_time()
    yield
    found[layer] = (time.process_time() - since) * 1000


def _parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sync.layers", description=__doc__)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--postgres", default="postgres://postgres@127.0.0.1:5432/postgres")
    parser.add_argument("--databases", nargs="*", default=["sqlite", "postgres"])
    given = parser.parse_args()
    gc.disable()  # What is kept here for the next layer, a sync lets go a page at a time.
    print(json.dumps(measure(given.events, given.databases, given.postgres)))


if __name__ == "__main__":
    main()
