"""Reading without waiting: what is ordinary in a thread, what could run away in a process that can be killed."""

from __future__ import annotations

import asyncio
import os
import pickle
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from datetime import date
from pathlib import Path
from weakref import WeakKeyDictionary

from domain.busy import EventProblemCode, EventStatus, Occurrence, ShowAs
from domain.interval import Span
from domain.zone_table import DAY, EPOCH_ORDINAL
from sync.ical.event import LONGEST_TEXT, LONGEST_TRAVEL
from sync.ical.resource import Problem, Reading, read_resource
from sync.ical.text import plain_text, unfold
from sync.ical.times import MOST_AHEAD
from sync.ical.worker import LENGTH, Limits, Request, framed

ORDINARY_CHARACTERS = 32_000
_ORDINARY_RULES = 8
_ORDINARY_EVENTS = 60
_BRIEF = 4_000
"""Characters."""
_BRIEF_RULES = 16
"""Of zones that the texts bring along."""
_LONGEST_WAIT = 20.0
"""Seconds on the clock, not of CPU: a machine may be busy, but a worker that is stuck is ended."""
_LONGEST_END = 5.0
"""Seconds from a worker's last word to its end; more, and it is killed."""
_AT_ONCE = 2
_LONGEST_TURN = 3.0
"""Seconds after which no further text is read, and the next account has its turn: bombs by the hundred take an hour."""
_LIMITS = Limits()
_NOT_BY_THE_TEXT = (-signal.SIGTERM, -signal.SIGINT, 1)
"""How a worker ends that is told to, or that never began: told to while Python starts, it ends with 1."""
_KILLED = -signal.SIGKILL
"""None of its own limits ends it so, but whoever runs the machine does, or the kernel where memory is short."""
_SLICE = 100
"""Texts read in a thread before it lets go, so that many big accounts take turns."""
_FEW = 20
"""Texts that take no turn."""
_ROOT = Path(__file__).resolve().parents[2]
_SOME_EVENT = re.compile(r"BEGIN:VEVENT", re.IGNORECASE)
_SOME_TRAVEL = re.compile(r"^X-APPLE-TRAVEL", re.MULTILINE | re.IGNORECASE)
_SOME_START = re.compile(r"^DTSTART[^:\r\n]*:\s*(\d{4})(\d\d)(\d\d)", re.MULTILINE | re.IGNORECASE)
_SOME_EXTRA = re.compile(r"^RDATE", re.MULTILINE | re.IGNORECASE)
_SOME_UID = re.compile(r"^UID:([^\r\n]*)", re.MULTILINE | re.IGNORECASE)
_slices: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

Wait = Callable[[Awaitable[dict[int, Reading]]], Awaitable[dict[int, Reading]]]


class WorkerUnavailableError(Exception):
    """The machine starts no process now, or lets it get nowhere. No OSError: the database is not to blame."""


async def read_guarded(
    requests: Sequence[Request], limits: Limits = _LIMITS, *, wait: Wait | None = None
) -> list[Reading]:
    """In order. One that costs over 2 s of CPU or 512 MB is ended, reported, and blocks all that it could mean.

    `wait`: how what a worker reads is waited for, which may be long. Raises WorkerUnavailableError.
    """
    if is_brief([request.text for request in requests]):
        return [read(request) for request in requests]
    found: dict[int, Reading] = {}
    plain = [number for number, request in enumerate(requests) if is_ordinary(request.text)]
    for at in range(0, len(plain), _SLICE):
        async with _turn_at_reading(len(plain)):
            found |= await asyncio.to_thread(_read_these, requests, plain[at : at + _SLICE])
    if odd := {number: each for number, each in enumerate(requests) if number not in found}:
        reading = _read_odd(odd, limits)
        found |= await (reading if wait is None else wait(reading))
    return [found[number] for number in range(len(requests))]


async def _read_odd(requests: dict[int, Request], limits: Limits) -> dict[int, Reading]:
    found: dict[int, Reading] = {}
    while left := {number: each for number, each in requests.items() if number not in found}:
        async with _turn():
            found |= await _read_apart(left, limits)
    return found


def is_brief(texts: Sequence[str]) -> bool:
    """A change or two, and no series: read in about the time that it takes to ask a thread."""
    if sum(map(len, texts)) > _BRIEF:
        return False
    flat = list(map(_flat, texts))
    return sum(text.count("RRULE") for text in flat) <= _BRIEF_RULES and not any(map(_may_repeat, flat))


def _may_repeat(flat: str) -> bool:
    """But for its zones. However the words are written, and wherever they are folded."""
    before, *zones = flat.split("BEGIN:VTIMEZONE")
    rest = [before]
    for zone, _, after in (part.partition("END:VTIMEZONE") for part in zones):
        rest.append(zone if "VEVENT" in zone else "")
        rest.append(after)
    return any("RRULE" in part or "RDATE" in part for part in rest)


def _flat(text: str) -> str:
    return text.upper().replace("\r", "").replace("\n ", "").replace("\n\t", "")


def is_ordinary(text: str) -> bool:
    """Small, and with few enough rules that going through them is a matter of milliseconds."""
    return (
        len(text) <= ORDINARY_CHARACTERS
        and text.count("RRULE") <= _ORDINARY_RULES
        and text.count("BEGIN:VEVENT") <= _ORDINARY_EVENTS
    )


def read(request: Request) -> Reading:
    return read_resource(request.text, zone=request.zone, addresses=request.addresses, window=request.window)


def _read_these(requests: Sequence[Request], numbers: Sequence[int]) -> dict[int, Reading]:
    return {number: read(requests[number]) for number in numbers}


def _turn() -> asyncio.Semaphore:
    """Of one process, so many workers at once as its memory is reckoned for."""
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(_AT_ONCE))


def _turn_at_reading(texts: int) -> AbstractAsyncContextManager[object]:
    """One slice at a time: threads take the interpreter from the event loop by turns, each for some milliseconds.

    What is little waits for nobody.
    """
    if texts <= _FEW:
        return nullcontext()
    return _slices.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(1))


async def _read_apart(requests: dict[int, Request], limits: Limits) -> dict[int, Reading]:
    """The first of them, as many as a turn lasts. One worker after the other: the next where one was ended."""
    clock = asyncio.get_running_loop().time
    found: dict[int, Reading] = {}
    worker: Process | None = None
    ends = clock() + _LONGEST_TURN
    try:
        for number, request in requests.items():
            if found and clock() > ends:
                break
            worker = worker or await _start(limits)
            reading = await _ask(worker, request)
            if reading is None and (first := await _ended_by(worker)) in {*_NOT_BY_THE_TEXT, _KILLED}:
                # With all of its group, as where this process is to end too: the text is not to blame.
                worker = await _start(limits)
                reading = await _ask(worker, request)
                if reading is None and _is_not_by_the_text(first, await _ended_by(worker)):
                    raise WorkerUnavailableError(
                        "one worker after the other was told to end, or did not begin"
                    )
            if reading is None:
                await _end(worker)
                worker = None
                reading = await asyncio.to_thread(given_up, request)
            found[number] = reading
    finally:
        if worker is not None:
            await _end(worker)
    return found


def _is_not_by_the_text(first: int, second: int) -> bool:
    """Of two workers' ends. Killed twice, it may be what the text takes, on a machine that has less than the limit."""
    return second in _NOT_BY_THE_TEXT or (second == _KILLED and first != _KILLED)


async def _start(limits: Limits) -> Process:
    # Nothing of our environment but what Python needs: secrets are none of its business.
    environment = {
        name: os.environ[name] for name in ("PATH", "LANG", "TZDIR", "PYTHONTZPATH") if name in os.environ
    }
    command = [sys.executable, "-m", "sync.ical.worker", *map(str, limits)]
    try:
        return await asyncio.create_subprocess_exec(
            *command, cwd=_ROOT, env=environment, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
        )
    except OSError as error:
        raise WorkerUnavailableError from error


async def _ask(worker: Process, request: Request) -> Reading | None:
    """None where the worker ended. Raises WorkerUnavailableError."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    try:
        async with asyncio.timeout(_LONGEST_WAIT):
            given = await asyncio.to_thread(framed, request)
            if worker.stdin.is_closing():  # It is gone; uvloop would raise RuntimeError.
                return None
            worker.stdin.write(given)
            await worker.stdin.drain()
            (length,) = LENGTH.unpack(await worker.stdout.readexactly(LENGTH.size))
            body = await worker.stdout.readexactly(length)
    except TimeoutError:
        # Within its CPU time all along, so that the machine is to blame, and the text is read at another time: what
        # is given up blocks a year, under the text's own ETag, until the owner changes it.
        raise WorkerUnavailableError(f"a worker said nothing for {_LONGEST_WAIT:g} s") from None
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    reading: Reading = await asyncio.to_thread(pickle.loads, body)
    return reading


async def _ended_by(worker: Process) -> int:
    """Of one that said its last: where it was ended by a signal, that one's number below zero."""
    # Waited for, not killed: to kill one that has just ended takes its exit status from asyncio's own watcher, which
    # then makes one up (255).
    with suppress(TimeoutError):
        async with asyncio.timeout(_LONGEST_END):
            return await worker.wait()
    return await _end(worker)


async def _end(worker: Process) -> int:
    if worker.returncode is None:
        with suppress(ProcessLookupError):
            worker.kill()
    return await worker.wait()


# --- What was given up


def given_up(request: Request) -> Reading:
    """All time from the first start that can be made out; where there is none, all of the window."""
    window = request.window
    start = max(_first_start(request.text, window), window.start)
    named = _SOME_UID.search(request.text)
    uid = plain_text(named[1].strip(), LONGEST_TEXT) if named else ""
    busy = Span(start, window.end)
    problem = Problem(
        uid or None,
        EventProblemCode.TOO_MANY_OCCURRENCES,
        "An event takes too much to read, so all time from its first date on is blocked.",
        None if busy.is_empty else busy,
    )
    found = () if busy.is_empty else (_closing(uid, busy),)
    return Reading(uid or None, found, (problem,), is_readable=True, is_open_ended=True)


def _first_start(text: str, window: Span) -> int:
    found = []
    text = unfold(text)
    for part in _SOME_EVENT.split(text)[1:]:
        starts = _SOME_START.findall(part)
        if not starts:
            return window.start
        try:
            found += [date(int(year), int(month), int(day)).toordinal() for year, month, day in starts]
        except ValueError:
            return window.start
    if not found or _SOME_EXTRA.search(text):  # An extra date may be before the first.
        return window.start
    travel = LONGEST_TRAVEL if _SOME_TRAVEL.search(text) else 0
    return (min(found) - EPOCH_ORDINAL) * DAY - MOST_AHEAD - travel


def _closing(uid: str, busy: Span) -> Occurrence:
    return Occurrence(
        uid=uid, key="all", start=busy.start, end=busy.end, busy=busy, is_all_day=False, start_date=None,
        end_date=None, title="", is_recurring=True, show_as=ShowAs.BUSY, status=EventStatus.CONFIRMED,
        participation=None, travel_before=0, travel_after=0,
    )  # fmt: skip
