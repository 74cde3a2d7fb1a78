"""Lines reach their stream: soon, in order, and at once where it matters."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import pty
import time
import tty
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from server import logs
from server.logs import Out, tell


class Stream(io.StringIO):
    """What each write brought."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return len(text)


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def log(stream: Stream) -> Iterator[logging.Logger]:
    found, handler = logging.getLogger("tests.logs"), Out(stream)
    found.addHandler(handler)
    found.setLevel(logging.INFO)
    found.propagate = False
    yield found
    found.removeHandler(handler)


async def written(stream: Stream, count: int) -> None:
    async with asyncio.timeout(60):
        while len(stream.writes) < count:
            await asyncio.sleep(0.01)


async def test_the_lines_of_a_moment_are_written_together(stream: Stream, log: logging.Logger) -> None:
    log.info("one")
    log.info("two")
    assert stream.writes == []
    await written(stream, 1)
    log.info("three")
    await written(stream, 2)
    assert stream.writes == ["one\ntwo\n", "three\n"]


async def test_a_warning_is_written_at_once_after_all_that_came_before(
    stream: Stream, log: logging.Logger
) -> None:
    log.info("one")
    log.warning("two")
    assert stream.writes == ["one\ntwo\n"]


async def test_what_waits_is_written_at_the_end_of_the_process(stream: Stream, log: logging.Logger) -> None:
    log.info("one")
    logging.shutdown([lambda: log.handlers[0]])  # As it is called when Python ends.
    assert stream.writes == ["one\n"]


async def test_no_more_than_so_many_lines_wait(
    stream: Stream, log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MOST_LINES", 3)
    for _ in range(3):
        log.info("line")
    assert len(stream.writes) == 1


@pytest.mark.parametrize("letter", ["a", "é"])
async def test_lines_written_together_are_no_more_than_a_pipe_takes_as_one(
    stream: Stream, log: logging.Logger, letter: str
) -> None:
    lines = [letter * size for size in (10, 2000, 2040, 1, 1, 9000, 3, 900, 1500, 1700)]
    for line in lines:
        log.info(line)
    log.handlers[0].flush()
    assert "".join(stream.writes) == "\n".join([*lines, ""])
    assert all(len(text.encode()) <= 4096 for text in stream.writes)
    cut = [text for text in stream.writes if not text.endswith("\n")]
    assert len(stream.writes) - len(cut) < len(lines)


class Pipe:
    """One that tells by an error what another would wait for."""

    def __init__(self) -> None:
        self.reader, writer = os.pipe()
        os.set_blocking(writer, False)
        os.set_blocking(self.reader, False)
        self.stream = os.fdopen(writer, "w", encoding="utf-8")

    def read(self) -> str:
        try:
            return os.read(self.reader, 1024 * 1024).decode()
        except BlockingIOError:
            return ""

    def read_to(self, end: str) -> str:
        found, until = "", time.monotonic() + 60
        while not found.endswith(end) and time.monotonic() < until:
            found += self.read()
            time.sleep(0.01)
        return found


@pytest.fixture
def pipe(log: logging.Logger) -> Iterator[Pipe]:
    made = Pipe()
    [handler] = [found for found in log.handlers if isinstance(found, Out)]
    first = handler.setStream(made.stream)
    assert first is not None
    yield made
    made.stream.close()
    os.close(made.reader)
    handler.stream = first


def filled(pipe: Pipe, log: logging.Logger) -> list[str]:
    """More lines than it takes."""
    lines = [f"{number} {'é' * (number % 3000)}" for number in range(0, 90_000, 500)]
    for line in lines:
        log.info(line)
    return lines


def test_a_reader_that_takes_nothing_is_not_waited_for(pipe: Pipe, log: logging.Logger) -> None:
    lines = filled(pipe, log)
    found = ""
    for _ in range(8):
        found += pipe.read()
        log.info("and on")
    assert found.replace("and on\n", "") == "\n".join([*lines, ""])


async def test_what_waited_is_written_once_its_reader_is_back(pipe: Pipe, log: logging.Logger) -> None:
    lines = filled(pipe, log)
    log.handlers[0].flush()
    found = ""
    async with asyncio.timeout(60):
        while not found.endswith(f"{lines[-1]}\n"):
            found += pipe.read()
            await asyncio.sleep(0.01)
    assert found == "\n".join([*lines, ""])


async def test_what_waits_for_its_reader_is_tried_by_one_clock_however_much_it_is(
    pipe: Pipe, log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Out] = []
    whole = Out._bring_out

    def counted(out: Out, loop: asyncio.AbstractEventLoop) -> None:
        tried.append(out)
        whole(out, loop)

    filled(pipe, log)
    log.handlers[0].flush()
    monkeypatch.setattr(Out, "_bring_out", counted)
    clock = asyncio.get_running_loop().time
    began = clock()
    for _ in range(100):
        log.warning("and on")
    async with asyncio.timeout(60):
        while len(tried) < 3:
            await asyncio.sleep(logs.TOGETHER)
    assert len(tried) <= (clock() - began) / logs.TOGETHER + 1


def test_what_is_lost_to_a_reader_that_takes_nothing_is_counted(
    pipe: Pipe, log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MOST_WAITING", 10_000)
    lines = filled(pipe, log)
    found = pipe.read()
    for _ in range(3):
        log.info("and on")
        found += pipe.read()
    found += pipe.read()
    told = found.splitlines()
    [lost] = [line for line in told if "lost" in line]
    kept = len(told) - 1
    assert lost == f"{len(lines) + 3 - kept} lines were lost here: nobody took them."


def test_the_end_of_a_process_waits_a_while_for_its_logs_reader(pipe: Pipe, log: logging.Logger) -> None:
    lines = filled(pipe, log)
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(pipe.read_to, f"{lines[-1]}\n")
        logging.shutdown([lambda: log.handlers[0]])
        assert reading.result() == "\n".join([*lines, ""])


async def test_a_terminal_that_is_not_read_is_not_waited_for(log: logging.Logger) -> None:
    """As one behind a connection that stands still: it says that it takes something while there is room for a byte."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    for number in (ours, theirs):
        os.set_blocking(number, False)  # An error tells what another would wait for.
    [handler] = [found for found in log.handlers if isinstance(found, Out)]
    with os.fdopen(ours, "rb", buffering=0) as reader, os.fdopen(theirs, "w", encoding="utf-8") as stream:
        first = handler.setStream(logs.unwaiting(stream))
        assert first is not None
        lines = [f"{number} {'é' * (number % 3000)}" for number in range(0, 90_000, 500)]
        for line in lines:
            log.warning(line)
        found = b""
        async with asyncio.timeout(60):
            while not found.endswith(f"{lines[-1]}\n".encode()):
                found += reader.read(100_000) or b""
                await asyncio.sleep(0.01)
        handler.stream = first
    assert found.decode() == "\n".join([*lines, ""])


def test_for_a_terminal_that_was_closed_nothing_is_kept() -> None:
    """As of a server that goes on after who started it has left: all that it says would stay in memory."""
    ours, theirs = pty.openpty()
    terminal = logs.Terminal(theirs)
    os.close(ours)
    terminal.write("one")
    with pytest.raises(OSError, match="Input/output error"):
        terminal.flush()
    terminal.flush()
    for number in (theirs, terminal.fileno()):
        os.close(number)


def test_without_an_event_loop_each_line_is_written_at_once(stream: Stream, log: logging.Logger) -> None:
    log.info("one")
    log.info("two")
    assert stream.writes == ["one\n", "two\n"]


def test_each_loop_brings_out_its_own(stream: Stream, log: logging.Logger) -> None:
    async def left() -> None:
        log.info("left behind")

    async def next_one() -> None:
        log.info("next")
        await written(stream, 1)

    asyncio.run(left())
    asyncio.run(next_one())
    assert stream.writes == ["left behind\nnext\n"]


def test_what_is_told_is_what_logging_would_have_made_of_it(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("tests.told")
    caplog.set_level("INFO", log.name)
    tell(log, "request", {"status": 200})
    log.info("request", extra={"said": {"status": 200}})
    ours, theirs = caplog.records
    own = {"created", "msecs", "relativeCreated", "filename", "module", "pathname", "lineno", "funcName"}
    own |= {"thread", "threadName", "process", "processName", "stack_info", "exc_text"}
    assert {name: value for name, value in vars(ours).items() if name not in own} == {
        name: value for name, value in vars(theirs).items() if name not in own
    }
    assert vars(ours).keys() == vars(theirs).keys()


def test_what_is_not_to_be_logged_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("tests.told")
    caplog.set_level("WARNING", log.name)
    tell(log, "request", {})
    assert not caplog.records


def test_a_moment_is_shown_in_milliseconds() -> None:
    line = logs._Line(as_json=False)
    shown = [
        line.format(logging.makeLogRecord({"created": at, "levelname": "INFO", "name": "x", "msg": "y"}))
        for at in (1_793_000_000.0, 1_793_000_000.5, 1_793_000_001.25)
    ]
    assert [text.split(" ")[0] for text in shown] == [
        "2026-10-26T07:33:20.000Z", "2026-10-26T07:33:20.500Z", "2026-10-26T07:33:21.250Z",
    ]  # fmt: skip


def test_a_line_is_one_line_whoever_words_it() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 1, "told: %s", ("a\r\nb\nc",), None)
    assert logs._Line(as_json=False).format(record).endswith("x: told: a b c")
