"""Reads texts that could run away, in a process of its own that the kernel ends: `python -m sync.ical.worker`.

Frames on standard input and output: a length of eight bytes, then a pickle; only its parent speaks to it. CPU time is
counted by the kernel, for each text anew, and so is memory; a text that is over either ends the process.
"""

from __future__ import annotations

import contextlib
import pickle
import resource
import signal
import struct
import sys
from typing import BinaryIO, NamedTuple

from domain.interval import Span
from sync.ical.resource import Reading, read_resource

LENGTH = struct.Struct(">Q")
FAILED = 70
"""Its exit status where a text was too much, as for memory. Not 1: with that Python ends where it can't begin."""


class Limits(NamedTuple):
    """What one text may take."""

    cpu_seconds: float = 2.0
    memory: int = 512 * 2**20


class Request(NamedTuple):
    text: str
    zone: str
    addresses: frozenset[str]
    window: Span


def main() -> None:
    limits = Limits(float(sys.argv[1]), int(sys.argv[2]))
    _limit_memory(limits.memory)
    try:
        while (request := _next(sys.stdin.buffer)) is not None:
            answer = _timed(request, limits.cpu_seconds)
            sys.stdout.buffer.write(framed(answer))
            sys.stdout.buffer.flush()
    except Exception:  # noqa: BLE001 - nobody reads what it says.
        sys.exit(FAILED)


def framed(value: object) -> bytes:
    body = pickle.dumps(value)
    return LENGTH.pack(len(body)) + body


def _timed(request: Request, cpu_seconds: float) -> Reading:
    # Its default action ends the process at once, also inside of C code, which no Python handler would.
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    try:
        return read_resource(
            request.text, zone=request.zone, addresses=request.addresses, window=request.window
        )
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _next(stream: BinaryIO) -> Request | None:
    """None where the parent has ended."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    request: Request = pickle.loads(stream.read(*LENGTH.unpack(head)))  # noqa: S301 - from our parent alone.
    return request


def _limit_memory(most: int) -> None:
    with contextlib.suppress(ValueError, OSError):  # Where the system knows no such limit.
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
