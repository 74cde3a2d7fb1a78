"""Sixty texts made to run away, beside a healthy account: each ends as its row says, and nobody waits for them."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.calendars import OWNER, make_calendar
from domain.busy import BusyPolicy, blocked_span
from domain.interval import Span
from sync.ical import ProblemCode, Reading
from sync.ical_guarded import given_up, is_ordinary, read, read_guarded
from sync.ical_worker import Limits, Request
from tests.unit.test_ical import BOMBS, WINDOW, calendar, event

STARTS = ["DTSTART:20261110T090000Z", "DTSTART:00010101T090000Z", "DTSTART;VALUE=DATE:20261110"]


def request(text: str) -> Request:
    return Request(text, OWNER, frozenset({"ann@example.com"}), WINDOW)


def bombs() -> list[str]:
    """Of each kind with each start; the rest are the small ones in crowds."""
    every = [calendar(event(start, "DURATION:PT1H", *lines)) for lines in BOMBS.values() for start in STARTS]
    crowd = event("DTSTART:00010101T090000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;BYDAY=MO;COUNT=19999")
    crowds = [
        calendar(*[crowd.replace("UID:u", f"UID:{n}") for n in range(100 * size)]) for size in range(1, 61)
    ]
    return [*every, *crowds][:60]


async def test_sixty_bombs_are_each_read_or_given_up_and_always_close_time() -> None:
    texts = bombs()
    assert len(texts) == 60
    readings = await read_guarded([request(text) for text in texts])
    for text, reading in zip(texts, readings, strict=True):
        assert closes(reading) or not reading.is_readable or "0001" in text


def closes(reading: Reading) -> bool:
    return any(blocked_span(occurrence, BusyPolicy()) for occurrence in reading.occurrences)


async def test_healthy_texts_are_read_the_same_beside_bombs() -> None:
    healthy = [request(text) for text in make_calendar(200)]
    expected = await read_guarded(healthy)
    bombed = asyncio.gather(read_guarded([request(text) for text in bombs()]), read_guarded(healthy))
    assert (await bombed)[1] == expected


PLAIN = event("DTSTART:20261110T090000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=2")
HEAVY = calendar(*[PLAIN.replace("UID:u", f"UID:{n}") for n in range(6_000)])
LARGE = calendar(PLAIN, "X-A:" + "x" * 80_000_000)
ODD = calendar(PLAIN, "X-A:" + "x" * 40_000)


@pytest.mark.parametrize(
    ("text", "limits"),
    [(HEAVY, Limits(cpu_seconds=0.05)), (LARGE, Limits(memory=200 * 2**20))],
    ids=["CPU", "memory"],
)
async def test_one_over_its_limit_is_killed_reported_and_closes_time_and_the_next_is_read(
    text: str, limits: Limits
) -> None:
    reading, following = await read_guarded([request(text), request(ODD)], limits)
    (problem,) = reading.problems
    assert problem.code is ProblemCode.TOO_MANY_OCCURRENCES
    assert problem.blocked == Span(WINDOW.start + 8 * 86_400 + 10 * 3_600, WINDOW.end)
    assert closes(reading)
    assert following == read(request(ODD))


@pytest.mark.parametrize("text", ["BEGIN:VEVENT", "BEGIN:VEVENT\nDTSTART:20269999", "nothing at all"])
async def test_one_given_up_without_a_date_closes_all_of_the_window(text: str) -> None:
    (found,) = given_up(request(text)).occurrences
    assert found.busy == WINDOW


async def test_a_worker_answers_as_the_reader_does() -> None:
    texts = [
        calendar(event(*lines, "X-A:" + "x" * 40_000)) for lines in (["DTSTART:x"], ["DTSTART:20261110"])
    ]
    assert not any(map(is_ordinary, [ODD, *texts]))
    requests = [request(text) for text in [ODD, *texts]]
    assert await read_guarded(requests) == [read(each) for each in requests]


def test_what_a_calendar_is_made_of_is_ordinary() -> None:
    assert all(map(is_ordinary, make_calendar(200)))
