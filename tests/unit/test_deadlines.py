"""Deadlines of one length: each wait ends at its own, and is told apart from a cancellation by others."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from sync.icloud.deadlines import Deadlines

LONG = 3600.0


@dataclass
class Clock:
    """The event loop's, moved by hand."""

    now: float

    async def pass_by(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            await self.jump(min(end - self.now, 0.5))
        await self.jump(0)

    async def jump(self, seconds: float) -> None:
        """As for a process that stood still meanwhile."""
        self.now += seconds
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    loop = asyncio.get_running_loop()
    clock = Clock(loop.time())
    monkeypatch.setattr(loop, "time", lambda: clock.now)
    return clock


async def within(deadlines: Deadlines, wait: asyncio.Event) -> str:
    try:
        with deadlines.begin():
            await wait.wait()
    except TimeoutError:
        return "late"
    return "done"


async def test_what_waits_for_too_long_is_ended() -> None:
    assert await within(Deadlines(0.01), asyncio.Event()) == "late"
    await asyncio.sleep(0)  # Nothing of the cancellation is left.


async def test_what_ends_in_time_is_not_ended_later(clock: Clock) -> None:
    deadlines = Deadlines(10)
    with deadlines.begin():
        await clock.pass_by(9)
    await clock.pass_by(9)


async def test_each_ends_at_its_own_deadline(clock: Clock) -> None:
    deadlines, ended = Deadlines(10), list[str]()
    for name in ("first", "later"):
        task = asyncio.create_task(within(deadlines, asyncio.Event()), name=name)
        task.add_done_callback(lambda done: ended.append(done.get_name()))
        await clock.pass_by(0)
        await clock.pass_by(4)
    for after in ([], ["first"], ["first", "later"]):
        assert ended == after
        await clock.pass_by(4)


async def test_one_that_begins_after_a_time_without_any_has_all_of_its_own(clock: Clock) -> None:
    deadlines = Deadlines(10)
    for _ in range(2):
        task = asyncio.create_task(within(deadlines, asyncio.Event()))
        await clock.pass_by(0)
        await clock.pass_by(9)
        assert not task.done()
        await clock.pass_by(2)
        assert task.result() == "late"
        await clock.pass_by(60)


async def test_who_stood_still_waits_anew_for_what_came_meanwhile(clock: Clock) -> None:
    deadlines, answers = Deadlines(10), [asyncio.Event(), asyncio.Event()]
    asked = [asyncio.create_task(within(deadlines, answer)) for answer in answers]
    await clock.pass_by(4)
    await clock.jump(60)
    answers[0].set()
    await clock.pass_by(9)
    assert asked[0].result() == "done"
    assert not asked[1].done()
    await clock.pass_by(2)
    assert asked[1].result() == "late"


async def test_who_stands_still_again_and_again_waits_anew_once(clock: Clock) -> None:
    asked = asyncio.create_task(within(Deadlines(10), asyncio.Event()))
    await clock.pass_by(0)
    for _ in range(2):
        assert not asked.done()
        await clock.jump(12)
    assert asked.result() == "late"


async def test_a_cancellation_by_others_stays_one() -> None:
    deadlines = Deadlines(LONG)
    task = asyncio.create_task(within(deadlines, asyncio.Event()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    deadlines.close()


async def test_a_deadline_does_not_hide_a_cancellation_at_the_same_time(clock: Clock) -> None:
    task = asyncio.create_task(within(Deadlines(10), asyncio.Event()))
    await clock.pass_by(0)
    clock.now += 10.5
    asyncio.get_running_loop().call_soon(task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_at_its_end_is_the_error() -> None:
    deadlines = Deadlines(LONG)
    with pytest.raises(ValueError, match="no"), deadlines.begin():
        raise ValueError("no")
    deadlines.close()


async def test_one_inside_another_is_its_own() -> None:
    outer = Deadlines(LONG)
    with outer.begin():
        assert await within(Deadlines(0.01), asyncio.Event()) == "late"
        await asyncio.sleep(0)
    outer.close()
