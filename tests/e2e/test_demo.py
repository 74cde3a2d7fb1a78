"""`make demo`'s own part: from nothing, on from where it was, and plain words where it can't."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from benchmarks.client import Client
from benchmarks.ports import free_ports
from benchmarks.world import ROOT
from domain.busy import BusyPolicy, blocked_span
from domain.interval import Span
from server.demo import OPEN_FROM, OPEN_UNTIL, ZONE, next_working_day
from standin.event_text import Guest
from standin.lived import Story, told
from standin.seed import Owner
from sync.ical.resource import read_resource

FACTS = {
    *("graphqlUrl", "websocketUrl", "graphiqlUrl", "webUrl", "adminKey", "ownerKey", "bookingKey"),
    *("userId", "bookingPage", "caldavUrl", "appleId", "appSpecificPassword"),
}


@contextmanager
def demo(folder: Path, port: int, **environment: str) -> Iterator[subprocess.Popen[str]]:
    running = subprocess.Popen(
        [sys.executable, "-m", "server", "demo"],
        cwd=ROOT,
        env={**os.environ, "SLOTWIRE_DEMO_FOLDER": str(folder), "PORT": str(port), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield running
    finally:
        if running.poll() is None:
            running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)


def until_ready(running: subprocess.Popen[str], folder: Path) -> dict[str, str]:
    """The facts, once the greeting's last line is out."""
    greeting(running)
    facts: dict[str, str] = json.loads((folder / "demo.json").read_text())
    return facts


def greeting(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    deadline = time.monotonic() + 60
    said = ""
    for line in running.stdout:
        said += line
        if "demo.json" in line:
            break
        assert time.monotonic() < deadline
    return said


def viewer(facts: dict[str, str], key: str) -> str:
    async def ask() -> str:
        async with Client(facts["graphqlUrl"], facts[key]) as client:
            role: str = (await client.call("{ viewer { role } }"))["viewer"]["role"]
            return role

    return asyncio.run(ask())


def test_a_second_run_goes_on_with_what_the_first_left_and_reset_starts_anew(tmp_path: Path) -> None:
    [port] = free_ports(1)
    with demo(tmp_path, port) as running:
        first = until_ready(running, tmp_path)
        assert first.keys() == FACTS
        assert [viewer(first, key) for key in ("adminKey", "ownerKey", "bookingKey")] == [
            "ADMIN",
            "OWNER",
            "BOOKING",
        ]
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 0
    with demo(tmp_path, port) as running:
        assert until_ready(running, tmp_path) == first
        assert viewer(first, "ownerKey") == "OWNER"
    with demo(tmp_path, port, RESET="1") as running:
        anew = until_ready(running, tmp_path)
        assert anew["userId"] != first["userId"]


def test_its_keys_are_for_its_owner_alone(tmp_path: Path) -> None:
    [port] = free_ports(1)
    with demo(tmp_path, port) as running:
        until_ready(running, tmp_path)
        assert (tmp_path / "demo.json").stat().st_mode & 0o077 == 0


def test_the_command_that_it_prints_adds_an_event_to_the_calendar_that_it_syncs(tmp_path: Path) -> None:
    [port] = free_ports(1)
    with demo(tmp_path, port) as running:
        command = greeting(running).partition("  STANDIN_PASSWORD=")
        shell = "".join(command[1:]).partition("\n\n")[0]
        done = subprocess.run(shell, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "/calendars/home/" in done.stdout


def test_the_event_that_it_offers_to_add_is_on_a_day_that_is_open() -> None:
    week = [date(2026, 11, 26) + timedelta(days=number) for number in range(7)]  # From a Thursday on.
    assert [next_working_day(day).strftime("%a") for day in week] == [
        *("Fri", "Mon", "Mon", "Mon"), *("Tue", "Wed", "Thu"),
    ]  # fmt: skip


@pytest.mark.parametrize("first", [date(2026, 11, 26), date(2027, 3, 24), date(2028, 10, 25)])
def test_the_event_that_it_offers_to_add_closes_time_that_was_open(first: date) -> None:
    for today in [first + timedelta(days=5 * number) for number in range(14)]:
        day, zone = next_working_day(today), ZoneInfo(ZONE)
        edges = [
            datetime.combine(day, time_of_day.fromisoformat(text), zone) for text in (OPEN_FROM, OPEN_UNTIL)
        ]
        start, end = (int(edge.timestamp()) for edge in edges)
        busy = read_all(told(story(today, zone)), Span(start, end))
        assert [span for span in busy if span.overlaps(Span(start, end))] == [], today


def story(today: date, zone: ZoneInfo) -> Story:
    """As the stand-in's seed tells it."""
    owner = Guest(Owner().full_name, Owner().apple_id, is_owner=True)
    return Story(random.Random(1), today, zone, owner, f"/{Owner().dsid}/principal/")


def read_all(calendars: Mapping[str, Mapping[str, str]], window: Span) -> list[Span]:
    """What blocks in any of them."""
    return [
        span
        for texts in calendars.values()
        for text in texts.values()
        for occurrence in read_resource(
            text, zone=ZONE, addresses=frozenset({Owner().apple_id}), window=window
        ).occurrences
        if (span := blocked_span(occurrence, BusyPolicy()))
    ]


def test_a_taken_port_is_named_in_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with demo(tmp_path, port) as running:
            _, words = running.communicate(timeout=60)
    assert running.returncode == 1
    assert f"port {port} is taken" in words
    assert len(words.strip().splitlines()) == 1


def test_two_demos_in_one_folder_are_kept_apart(tmp_path: Path) -> None:
    first_port, second_port = free_ports(2)
    with demo(tmp_path, first_port) as running:
        until_ready(running, tmp_path)
        with demo(tmp_path, second_port) as other:
            _, words = other.communicate(timeout=60)
    assert other.returncode == 1
    assert "running from this folder already" in words


def test_a_port_that_is_none_is_refused(tmp_path: Path) -> None:
    with demo(tmp_path, 0, PORT="eighty") as running:
        _, words = running.communicate(timeout=60)
    assert running.returncode == 1
    assert "PORT=eighty" in words
