"""Sixty texts made to run away, beside a healthy account: each ends as its row says, and nobody waits for them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
import uvloop

from benchmarks.calendars import OWNER, make_calendar
from domain.busy import BusyPolicy, EventProblemCode, blocked_span
from domain.interval import Span
from sync.ical import guarded as ical_guarded
from sync.ical.guarded import (
    WorkerUnavailableError,
    _read_apart,
    given_up,
    is_brief,
    is_ordinary,
    read,
    read_guarded,
)
from sync.ical.resource import Reading
from sync.ical.worker import FAILED, Limits, Request
from tests.bombs import MOST_OF_ONE_RESOURCE, Bomb, bombs, calendar, event, fault_in_reading
from tests.unit.test_ical import WINDOW

EVERY = bombs()
SLOW = event("DTSTART:00010101T090000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;BYDAY=MO;COUNT=19999")
MONSTERS = {
    "fifty thousand rules": ["RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"] * 50_000,
    "fifty thousand counted rules": ["RRULE:FREQ=DAILY;BYDAY=MO;COUNT=19999"] * 50_000,
    "a quote that is opened 100,000 times": ['ATTENDEE;CN="' + 'a";b="' * 100_000],
    "a parameter of 30,000 letters": ["ATTENDEE;" + "a" * 30_000 + ":mailto:ann@example.com"],
    "300,000 folds": ["X-A:" + "\r\n " * 300_000],
}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a text may cost is counted in CPU time; the wait by the clock is for a worker that is stuck, and none is."""
    monkeypatch.setattr(ical_guarded, "_LONGEST_WAIT", 200.0)


def request(text: str) -> Request:
    return Request(text, OWNER, frozenset({"ann@example.com"}), WINDOW)


@pytest.mark.parametrize("bomb", EVERY, ids=lambda bomb: bomb.name)
def test_a_bomb_ends_in_its_outcome(bomb: Bomb) -> None:
    assert fault_in_reading(bomb, read(request(bomb.text)), WINDOW) is None


async def test_sixty_bombs_are_each_read_or_given_up_and_end_in_their_outcomes() -> None:
    readings = await read_guarded([request(bomb.text) for bomb in EVERY])
    faults = [fault_in_reading(bomb, reading, WINDOW) for bomb, reading in zip(EVERY, readings, strict=True)]
    assert faults == [None] * 60


@pytest.mark.parametrize("start", ["DTSTART:20261110T090000Z", "DTSTART:00010101T090000Z"])
@pytest.mark.parametrize("name", MONSTERS)
async def test_a_monster_is_read_by_a_worker_that_the_kernel_would_end_after_two_seconds(
    name: str, start: str
) -> None:
    await stays_within_its_limits(calendar(event(start, "DURATION:PT1H", *MONSTERS[name])))


async def test_a_crowd_of_small_bombs_stays_within_the_limits_of_one() -> None:
    await stays_within_its_limits(calendar(*[SLOW.replace("UID:bomb", f"UID:{n}") for n in range(7_000)]))


async def stays_within_its_limits(text: str) -> None:
    (reading,) = (await _read_apart({0: request(text)}, Limits())).values()
    assert not any("takes too much" in problem.message for problem in reading.problems)
    assert len(reading.occurrences) <= MOST_OF_ONE_RESOURCE


def closes(reading: Reading) -> bool:
    return any(blocked_span(occurrence, BusyPolicy()) for occurrence in reading.occurrences)


async def test_healthy_texts_are_read_the_same_beside_bombs() -> None:
    healthy = [request(text) for text in make_calendar(200)]
    expected = await read_guarded(healthy)
    bombed = asyncio.gather(read_guarded([request(bomb.text) for bomb in EVERY]), read_guarded(healthy))
    assert (await bombed)[1] == expected


PLAIN = event("DTSTART:20261110T090000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=2")
HEAVY = calendar(*[PLAIN.replace("UID:bomb", f"UID:{n}") for n in range(60_000)])
LARGE = calendar(PLAIN, "X-A:" + "x" * 80_000_000)
ODD = calendar(PLAIN, "X-A:" + "x" * 40_000)


async def test_an_odd_text_waits_for_its_turn_and_not_for_all_the_bombs_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ical_guarded, "_LONGEST_TURN", 0.0)
    bombs_of_one = [request(HEAVY)] * 5
    bombed = [
        asyncio.create_task(read_guarded(bombs_of_one, Limits(cpu_seconds=0.1)))
        for _ in range(ical_guarded._AT_ONCE)
    ]
    await asyncio.sleep(0)
    assert await read_guarded([request(ODD)]) == [read(request(ODD))]
    assert not any(task.done() for task in bombed)
    for readings in await asyncio.gather(*bombed):
        assert [closes(reading) for reading in readings] == [True] * 5


@pytest.mark.parametrize(
    ("text", "limits"),
    [(HEAVY, Limits(cpu_seconds=0.5)), (LARGE, Limits(memory=200 * 2**20))],
    ids=["CPU", "memory"],
)
async def test_one_over_its_limit_is_killed_reported_and_closes_time_and_the_next_is_read(
    text: str, limits: Limits
) -> None:
    reading, following = await read_guarded([request(text), request(ODD)], limits)
    (problem,) = reading.problems
    assert problem.code is EventProblemCode.TOO_MANY_OCCURRENCES
    assert problem.blocked == Span(WINDOW.start + 8 * 86_400 + 10 * 3_600, WINDOW.end)
    assert closes(reading)
    assert following == read(request(ODD))


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
@pytest.mark.parametrize("seen_after", [0, 0.5])
def test_one_whose_worker_was_told_to_end_with_all_its_group_is_read_by_another(
    monkeypatch: pytest.MonkeyPatch, run: Callable[[Coroutine[Any, Any, None]], None], seen_after: float
) -> None:
    """As where the whole process ends: what it stores last is to be true all the same."""
    started: list[Process] = []
    start = asyncio.create_subprocess_exec

    async def start_and_end_the_first(*command: str, **how: Any) -> Process:
        started.append(await start(*command, **how))
        if len(started) == 1:
            started[0].terminate()
            await asyncio.sleep(seen_after)
        return started[-1]

    async def is_read() -> None:
        assert await read_guarded([request(ODD)]) == [read(request(ODD))]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start_and_end_the_first)
    run(is_read())
    assert len(started) == 2


def test_what_ended_a_worker_is_known_where_its_end_is_seen_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """By asyncio's watcher, a thread that waits for the process: it is not to be come before."""
    waitpid = os.waitpid

    def wait_late(pid: int, options: int) -> tuple[int, int]:
        time.sleep(0.5)
        return waitpid(pid, options)

    monkeypatch.setattr(os, "waitpid", wait_late)
    test_one_whose_worker_was_told_to_end_with_all_its_group_is_read_by_another(monkeypatch, asyncio.run, 0)


async def test_one_whose_workers_are_told_to_end_one_after_the_other_is_not_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is given up blocks a year, until its owner changes it.

    By SIGTERM: in the background of a shell SIGINT is ignored, also by whom the suite starts.
    """
    start = asyncio.create_subprocess_exec

    async def start_and_end(*command: str, **how: Any) -> Process:
        worker = await start(*command, **how)
        worker.send_signal(signal.SIGTERM)
        return worker

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start_and_end)
    with pytest.raises(WorkerUnavailableError, match="told to end"):
        await read_guarded([request(ODD)])


@pytest.mark.parametrize(
    ("ends", "is_read", "workers"),
    [
        ([signal.SIGKILL], True, 2),
        ([signal.SIGKILL, signal.SIGKILL], False, 2),
        ([signal.SIGPROF], False, 1),
        ([signal.SIGKILL, signal.SIGPROF], False, 2),
    ],
)
async def test_one_whose_worker_is_killed_from_outside_is_read_by_another_and_given_up_when_that_is_too(
    monkeypatch: pytest.MonkeyPatch, ends: list[signal.Signals], is_read: bool, workers: int
) -> None:
    """As by the kernel where memory is short. Its own limits end it otherwise, and a second one is not asked."""
    started = start_and_end_each(monkeypatch, ends)
    assert await read_guarded([request(ODD)]) == [read(request(ODD)) if is_read else given_up(request(ODD))]
    assert len(started) == workers


@pytest.mark.parametrize(
    "ends", [[signal.SIGKILL, signal.SIGTERM], [signal.SIGTERM, signal.SIGKILL]], ids=["killed first", "last"]
)
async def test_one_whose_workers_are_killed_and_told_to_end_is_not_given_up(
    monkeypatch: pytest.MonkeyPatch, ends: list[signal.Signals]
) -> None:
    start_and_end_each(monkeypatch, ends)
    with pytest.raises(WorkerUnavailableError):
        await read_guarded([request(ODD)])


def start_and_end_each(monkeypatch: pytest.MonkeyPatch, ends: list[signal.Signals]) -> list[Process]:
    """The first so many workers, by these signals."""
    started: list[Process] = []
    start = asyncio.create_subprocess_exec

    async def start_and_end(*command: str, **how: Any) -> Process:
        started.append(await start(*command, **how))
        if len(started) <= len(ends):
            started[-1].send_signal(ends[len(started) - 1])
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start_and_end)
    return started


@pytest.mark.parametrize(
    ("text", "limits", "status"),
    [
        (HEAVY, Limits(cpu_seconds=0.5), -signal.SIGPROF),
        (HEAVY, Limits(memory=100 * 2**20), FAILED),
        (LARGE, Limits(memory=200 * 2**20), FAILED),
    ],
    ids=["CPU", "memory of many", "memory of one"],
)
async def test_no_limit_of_its_own_ends_a_worker_as_one_from_outside_is_killed(
    text: str, limits: Limits, status: int
) -> None:
    worker = await ical_guarded._start(limits)
    assert await ical_guarded._ask(worker, request(text)) is None
    assert await ical_guarded._ended_by(worker) == status


async def test_one_whose_workers_end_before_they_begin_is_not_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where they are told to while Python starts, or it finds no modules."""
    start = asyncio.create_subprocess_exec

    async def start_in_vain(*command: str, **how: Any) -> Process:
        return await start(*command[:2], "nothing.of.this.name", **how)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start_in_vain)
    with pytest.raises(WorkerUnavailableError, match="did not begin"):
        await read_guarded([request(ODD)])


async def test_one_that_a_worker_could_not_read_in_time_is_told_as_our_fault_and_not_as_the_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a machine that has no CPU left for it; nor does the worker stay."""
    started: list[Process] = []
    start = asyncio.create_subprocess_exec

    async def start_and_hold(*command: str, **how: Any) -> Process:
        started.append(await start(*command, **how))
        started[-1].send_signal(signal.SIGSTOP)
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start_and_hold)
    monkeypatch.setattr(ical_guarded, "_LONGEST_WAIT", 0.5)
    with pytest.raises(WorkerUnavailableError, match="said nothing"):
        await read_guarded([request(ODD)])
    assert [process.returncode for process in started] == [-signal.SIGKILL]


async def test_what_ends_thousands_of_times_and_never_began_is_read_in_time() -> None:
    wrong = "BEGIN:X\r\n" * 15_000 + "END:Y\r\n" * 25_000
    (reading,) = await read_guarded([request(calendar(PLAIN, wrong))])
    assert [problem.code for problem in reading.problems] == [EventProblemCode.UNREADABLE]


@pytest.mark.parametrize("text", ["BEGIN:VEVENT", "BEGIN:VEVENT\nDTSTART:20269999", "nothing at all"])
async def test_one_given_up_without_a_date_closes_all_of_the_window(text: str) -> None:
    (found,) = given_up(request(text)).occurrences
    assert found.busy == WINDOW


@pytest.mark.parametrize(
    ("lines", "days_before"),
    [([], 0), (["X-APPLE-TRAVEL-DURATION:P7D"], 7), (["x-apple-travel-duration;VALUE=DURATION:PT30M"], 7)],
)
def test_one_given_up_closes_the_way_there_too(lines: list[str], days_before: int) -> None:
    (found,) = given_up(request(calendar(event("DTSTART:20261110T090000Z", *lines)))).occurrences
    (without,) = given_up(request(calendar(event("DTSTART:20261110T090000Z")))).occurrences
    assert found.busy.start == max(without.busy.start - days_before * 86_400, WINDOW.start)
    assert found.busy.end == WINDOW.end


def test_one_given_up_closes_from_the_first_of_its_events_however_they_are_written() -> None:
    later, earlier = event("DTSTART:20261115T090000Z"), event("DTSTART:20261110T090000Z").lower()
    (found,) = given_up(request(calendar(later, earlier))).occurrences
    (expected,) = given_up(request(calendar(earlier))).occurrences
    assert found.busy == expected.busy


@pytest.mark.parametrize(
    "lines",
    [
        ["BEGIN:VALARM", "DTSTART:20261120T090000Z", "END:VALARM", "DTSTART:20261110T090000Z"],
        ["DTSTART:20261120T090000Z", "DTSTART:20261110T090000Z"],
        ["DTSTART:20261120T090000Z", "DTST\r\n ART:20261110T090000Z"],
        ["DTSTART:20261120T090000Z", "RDATE:20261125T090000Z,20261110T090000Z"],
    ],
    ids=["an-alarm-before", "two-starts", "a-folded-start", "an-earlier-extra-date"],
)
def test_one_given_up_closes_from_the_first_date_that_it_may_have(lines: list[str]) -> None:
    (found,) = given_up(request(calendar(event(*lines)))).occurrences
    (expected,) = given_up(request(calendar(event("DTSTART:20261110T090000Z")))).occurrences
    assert found.busy.start <= expected.busy.start


_ZONE = "BEGIN:VTIMEZONE\r\nTZID:X\r\nBEGIN:DAYLIGHT\r\nRRULE:FREQ=YEARLY\r\nEND:DAYLIGHT\r\nEND:VTIMEZONE"


def test_a_change_or_two_without_a_series_are_brief() -> None:
    one = calendar(_ZONE, event("DTSTART:20261110T090000Z"))
    assert is_brief([one])
    assert is_brief([calendar(event("DTSTART:20261110T090000Z"), _ZONE)])
    assert sum(is_brief([text]) for text in make_calendar(200)) > 150
    assert is_brief([one, one])
    assert not is_brief([one] * 30)


def test_what_brings_many_rules_of_zones_along_is_not_brief() -> None:
    many = _ZONE.replace("RRULE:FREQ=YEARLY", "\r\n".join(["RRULE:FREQ=YEARLY"] * 17))
    assert not is_brief([calendar(many, event("DTSTART:20261110T090000Z"))])
    assert not is_brief([calendar(_ZONE, event("DTSTART:20261110T090000Z"))] * 17)


@pytest.mark.parametrize(
    "lines",
    [
        ["RRULE:FREQ=DAILY"],
        ["rrule:FREQ=DAILY"],
        ["RRU\r\n LE:FREQ=DAILY"],
        ["RDATE:20261111T090000Z"],
        ["RDA\r\n\tTE:20261111T090000Z"],
    ],
    ids=str,
)
def test_what_may_repeat_is_not_brief_however_it_is_written(lines: list[str]) -> None:
    series = event("DTSTART:20261110T090000Z", *lines)
    assert not is_brief([calendar(series)])
    assert not is_brief([calendar(series.lower())])
    assert not is_brief([calendar(series.replace("VEVENT", "Vevent"), event("DTSTART:20261110T090000Z"))])
    assert not is_brief([calendar(event("DTSTART:20261110T090000Z"), series)])
    assert not is_brief([calendar(f"BEGIN:VTIMEZONE\r\n{series}\r\nEND:VTIMEZONE")])


async def test_a_worker_answers_as_the_reader_does() -> None:
    texts = [
        calendar(event(*lines, "X-A:" + "x" * 40_000)) for lines in (["DTSTART:x"], ["DTSTART:20261110"])
    ]
    assert not any(map(is_ordinary, [ODD, *texts]))
    requests = [request(text) for text in [ODD, *texts]]
    assert await read_guarded(requests) == [read(each) for each in requests]


def test_what_a_calendar_is_made_of_is_ordinary() -> None:
    assert all(map(is_ordinary, make_calendar(200)))


async def test_many_texts_of_several_accounts_are_read_by_one_thread_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each that reads takes the interpreter from the event loop in its turn. Who has few texts does not wait."""
    at_once, most = 0, 0
    read_these = ical_guarded._read_these

    def watched(requests: Sequence[Request], numbers: Sequence[int]) -> dict[int, Reading]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.02)
        at_once -= 1
        return read_these(requests, numbers)

    monkeypatch.setattr(ical_guarded, "_read_these", watched)
    dates = "DTSTART:20261110T090000Z", "DURATION:PT1H"
    many = [request(calendar(event(*dates, f"RRULE:FREQ=DAILY;COUNT={number}"))) for number in range(1, 60)]
    found = await asyncio.gather(*(read_guarded(many) for _ in range(4)))
    assert most == 1
    assert [len(reading.occurrences) for reading in found[3]] == list(range(1, 60))
