"""One clock for all processes that share a database, whatever their machines' clocks say."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from models.glances import GlanceError
from server import clock
from server.clock import SharedClock

HOUR = 3600


@dataclass
class Machine:
    """`steady` goes on while it runs; what the shared clock shows is `true`."""

    true: float = 1_000_000.0
    wall: float = 1_000_000.0 + HOUR
    steady: float = 50.0
    takes: float = 0.0
    is_reachable: bool = True
    asked: int = 0

    async def ask(self) -> float:
        self.asked += 1
        if not self.is_reachable:
            raise GlanceError
        self.passes(self.takes)
        told = self.true
        self.passes(self.takes)
        return told

    def passes(self, seconds: float, *, stands_still: bool = False) -> None:
        self.true += seconds
        self.wall += seconds
        self.steady += 0 if stands_still else seconds

    def clock(self) -> SharedClock:
        return SharedClock(self.ask, wall=lambda: self.wall, steady=lambda: self.steady)


@asynccontextmanager
async def kept(shared: SharedClock) -> AsyncIterator[None]:
    keeping = asyncio.create_task(shared.keep())
    yield
    keeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await keeping


async def test_it_shows_what_the_shared_clock_shows_however_long_that_took_to_say() -> None:
    machine = Machine(takes=0.2)
    shared = machine.clock()
    assert shared() == machine.wall
    await shared.ask()
    machine.passes(30)
    assert shared() == pytest.approx(machine.true, abs=0.01)


async def test_who_sets_the_machines_clock_changes_nothing() -> None:
    machine = Machine()
    shared = machine.clock()
    await shared.ask()
    machine.wall -= 400 * 24 * HOUR
    assert shared() == pytest.approx(machine.true, abs=0.01)


async def test_an_answer_is_no_better_than_it_was_quick() -> None:
    """What differs by less than is known for sure moves nothing: the clock stays steady."""
    machine = Machine()
    shared = machine.clock()
    await shared.ask()
    before, machine.takes = shared() - machine.steady, 0.5
    machine.true += 0.4
    await shared.ask()
    assert shared() - machine.steady == pytest.approx(before, abs=0.01)


async def test_a_machine_that_stood_still_asks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_LOOKED_EVERY", 0.001)
    machine = Machine()
    shared = machine.clock()
    await shared.ask()
    async with kept(shared), asyncio.timeout(60):
        machine.passes(HOUR, stands_still=True)
        while abs(shared() - machine.true) > 1:
            await asyncio.sleep(0.001)


async def test_it_goes_on_while_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_LOOKED_EVERY", 0.001)
    machine = Machine()
    shared = machine.clock()
    await shared.ask()
    machine.is_reachable = False
    async with kept(shared), asyncio.timeout(60):
        while machine.asked < 6:
            machine.passes(61)
            assert shared() == pytest.approx(machine.true, abs=0.01)
            await asyncio.sleep(0.001)


async def test_a_machine_that_is_far_off_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    shared = Machine().clock()
    for _ in range(2):
        await shared.ask()
    assert caplog.text.count("+3600 s off") == 1
