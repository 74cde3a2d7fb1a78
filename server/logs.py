"""Logs: one line a record, plain or JSON, with nothing in it that opens a door."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import select
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from typing import Any, Protocol, TextIO

# Our keys, app-specific passwords, credentials in a header or in a URL.
_SECRETS = re.compile(
    r"sw_(?:admin|owner|booking)_[A-Za-z0-9_-]+"
    r"|\b[a-z]{4}-[a-z]{4}-[a-z]{4}-[a-z]{4}\b"
    r"|\b(?:Basic|Bearer)\s+[A-Za-z0-9+/=._~-]{8,}"
    r"|(?<=://)[^/@\s:]+:[^/@\s]+(?=@)",
    re.IGNORECASE,
)
_DASHES = 3

TOGETHER = 0.05
"""Seconds that a line of INFO may wait for those that follow it."""
MOST_LINES = 1000
AT_ONCE = 4096
"""Bytes that a pipe takes as one (Linux' PIPE_BUF): more could be cut by what another process writes to the same."""
MOST_WAITING = 1024 * 1024
"""Characters that wait for a reader who takes nothing. What comes then is lost, and counted."""
_LONGEST_CHARACTER = 4
_PATIENCE = 1.0
"""Seconds that the end of a process waits for its log's reader."""

# Their records hold requests and answers: people's calendars, and documents with what was typed into them.
_QUIET = (
    "caldav",
    "niquests",
    "urllib3",
    "urllib3_future",
    "strawberry.execution",
    "tortoise",
    "uvicorn.access",
    # Says of each socket what our own lines say better.
    "uvicorn.error",
)


def scrubbed(text: str) -> str:
    # Each of those has one of these in it, or three dashes; most lines have not. To see that is far less than a search.
    folded = text.casefold()
    if (
        folded.count("-") >= _DASHES
        or "sw_" in folded
        or "://" in folded
        or "basic" in folded
        or "bearer" in folded
    ):
        return _SECRETS.sub("***", text)
    return text


class _Line(logging.Formatter):
    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json
        self._second = (-1, "")

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, object] = getattr(record, "said", {})
        at = self._moment(record.created)
        text = record.getMessage()
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        if self._as_json:
            whole = {"at": at, "level": record.levelname, "logger": record.name, "message": text, **said}
            return scrubbed(json.dumps(whole | ({"trace": trace} if trace else {}), default=str))
        if not text.isprintable():
            text = " ".join(text.splitlines())  # A calendar server's own words, or the database's.
        pairs = "".join([f" {name}={value}" for name, value in said.items()])
        return scrubbed(
            f"{at} {record.levelname:<7} {record.name}: {text}{pairs}" + (f"\n{trace}" if trace else "")
        )

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the base class's name.
        _forget_rows(ei[1])
        return super().formatException(ei)

    def _moment(self, at: float) -> str:
        """RFC 3339 in milliseconds. A second's lines share all of it but those."""
        whole = int(at)
        second, text = self._second
        if second != whole:
            text = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = (whole, text)
        return f"{text}.{int((at - whole) * 1000):03d}Z"


def _forget_rows(error: BaseException | None) -> None:
    """PostgreSQL tells as a detail the row that it refuses: names, e-mails, titles."""
    left, seen = [error], set[int]()
    while left:
        error = left.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        if hasattr(error, "sqlstate") and hasattr(error, "detail"):
            error.detail = None
        left += [error.__cause__, error.__context__, *getattr(error, "exceptions", ())]


class Stream(Protocol):
    def write(self, text: str, /) -> object: ...

    def flush(self) -> None:
        """Raises BlockingIOError where a part was taken: the rest goes with the next."""

    def fileno(self) -> int: ...


class Terminal:
    """One opened anew, so that nobody else who writes to it shares its flags: a write to it never waits.

    A terminal says that it takes something as soon as there is room for a byte, and a write would wait for the rest.
    """

    def __init__(self, number: int) -> None:
        self._number = os.open(os.ttyname(number), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._rest = b""

    def fileno(self) -> int:
        return self._number

    def write(self, text: str) -> None:
        self._rest += text.encode(errors="backslashreplace")

    def flush(self) -> None:
        rest, self._rest = self._rest, b""
        try:
            while rest:
                rest = rest[os.write(self._number, rest) :]
        except BlockingIOError:
            self._rest = rest  # Of one that was closed nothing is kept: it never takes it.
            raise


class Out(logging.StreamHandler[Stream]):
    """Hands its stream the lines of a moment together: a write for each is a good part of what a hot request costs.

    What is above INFO goes out at once, after all that came before it, and so does what is said with no event loop
    there to bring it out soon. A pipe, a socket or a terminal whose reader takes nothing is not written to: that would
    hold up the whole process for as long.
    """

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream)
        self._lines: list[str] = []
        self._size = self._lost = 0
        self._is_cut = False
        "Whether the stream holds the rest of a piece."
        # Where a flush is due already.
        self._loop: asyncio.AbstractEventLoop | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._add(record)
            loop = asyncio._get_running_loop()  # noqa: SLF001 - None where there is none: no error to catch.
            if loop is None or record.levelno > logging.INFO or len(self._lines) >= MOST_LINES:
                self.flush()
            self._flush_soon(loop)
        except Exception:  # noqa: BLE001 - logging's own way: what can't be logged stops no one.
            self.handleError(record)

    def _add(self, record: logging.LogRecord) -> None:
        if self._size > MOST_WAITING:
            self._lost += 1
            return
        line = self.format(record) + "\n"
        self._lines.append(line)
        self._size += len(line)

    def _flush_soon(self, loop: asyncio.AbstractEventLoop | None) -> None:
        if loop is not None and (self._lines or self._is_cut) and self._loop is not loop:
            self._loop = loop
            loop.call_later(TOGETHER, self._bring_out, loop)

    def _bring_out(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = None
        # Nobody reads it any more: the next line's own way of failing says so.
        with suppress(OSError, ValueError):
            self.flush()
            self._flush_soon(loop)

    def flush(self) -> None:
        with self.lock or nullcontext():
            self._write(patience=0.0)
            if self._lost and not self._lines:
                self._tell_what_was_lost()

    def close(self) -> None:
        with self.lock or nullcontext():
            self._write(_PATIENCE)
        super().close()

    def _write(self, patience: float) -> None:
        """What is not taken waits on. Where the stream breaks, what waits is gone."""
        if not _is_taken(self.stream, patience):
            return
        until = time.monotonic() + patience
        pieces = deque(_pieces(self._lines))
        self._lines, self._size = [], 0
        while (pieces or self._is_cut) and _is_taken(self.stream, max(until - time.monotonic(), 0)):
            if not self._is_cut:
                self.stream.write(pieces.popleft())
            try:
                self.stream.flush()
            except BlockingIOError:
                self._is_cut = True
            else:
                self._is_cut = False
        self._lines, self._size = list(pieces), sum(map(len, pieces))

    def _tell_what_was_lost(self) -> None:
        lost, self._lost = self._lost, 0
        text = "%d lines were lost here: nobody took them."
        told = {
            "name": __name__,
            "levelno": logging.WARNING,
            "levelname": "WARNING",
            "msg": text,
            "args": (lost,),
        }
        self._add(logging.makeLogRecord(told))
        self._write(patience=0.0)


def unwaiting(stream: TextIO) -> Stream:
    try:
        return Terminal(stream.fileno())
    except OSError:  # It is none, or one that is not to be seen from here.
        return stream


def _is_taken(stream: Stream, within: float) -> bool:
    """Whether a piece can be written without waiting for a reader: a file's can, always."""
    try:
        number = stream.fileno()
    except OSError:
        return True  # A stream in memory.
    asked = select.poll()
    asked.register(number, select.POLLOUT)
    return bool(asked.poll(within * 1000))


def _pieces(lines: Sequence[str]) -> Iterator[str]:
    """As many lines in each as a pipe takes as one; a line that is longer is several."""
    first = size = 0
    for place, line in enumerate(lines):
        own = len(line) if line.isascii() else len(line.encode(errors="replace"))
        if size + own > AT_ONCE and place > first:
            yield "".join(lines[first:place])
            first, size = place, 0
        if own > AT_ONCE:
            yield from _cut(line)
            first = place + 1
        else:
            size += own
    if lines[first:]:
        yield "".join(lines[first:])


def _cut(line: str) -> Iterator[str]:
    most = AT_ONCE if line.isascii() else AT_ONCE // _LONGEST_CHARACTER
    for start in range(0, len(line), most):
        yield line[start : start + most]


_BARE = logging.makeLogRecord({"levelno": logging.INFO, "levelname": "INFO"}).__dict__


def tell(log: logging.Logger, message: str, said: Mapping[str, object]) -> None:
    """As `log.info` with them as `extra`, without what no line shows: each request is told so."""
    if not log.isEnabledFor(logging.INFO):
        return
    at = time.time()
    record = logging.LogRecord.__new__(logging.LogRecord)
    record.__dict__ = {**_BARE, "name": log.name, "msg": message, "created": at, "said": said}
    record.msecs = at % 1 * 1000
    log.handle(record)


def set_up(*, level: str, as_json: bool) -> None:
    handler = Out(unwaiting(sys.stderr))
    handler.setFormatter(_Line(as_json=as_json))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # No line shows them, and each costs every line some microseconds.
    logging.logThreads = logging.logMultiprocessing = logging.logProcesses = False
    logging._srcfile = None  # noqa: SLF001  # logging's own way to look for no caller.
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Says with its trace, each second that PostgreSQL is away, what our own lines say.
    logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)
    # Strawberry logs every client's mistake with the text of its document.
    logging.getLogger("strawberry.execution").disabled = True
