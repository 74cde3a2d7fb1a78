"""An end to what waits."""

from __future__ import annotations

import asyncio

import pytest

from server.engine import MUTATION_WITHIN
from server.within import within
from sync.settings import SyncSettings

LONG = 3600.0


async def test_what_never_waits_is_answered_as_it_is() -> None:
    async def work() -> str:
        return "done"

    assert await within(0.0, work()) == "done"


async def test_what_waits_is_gone_on_with_to_its_end() -> None:
    async def work() -> list[int]:
        found = []
        for number in range(3):
            await asyncio.sleep(0)
            found.append(await asyncio.ensure_future(_given(number)))
        return found

    assert await within(LONG, work()) == [0, 1, 2]


@pytest.mark.parametrize("waits", [0, 1, 2])
async def test_what_fails_fails_as_it_would_alone(waits: int) -> None:
    async def work() -> None:
        for _ in range(waits):
            await asyncio.sleep(0)
        raise LookupError(waits)

    with pytest.raises(LookupError, match=str(waits)):
        await within(LONG, work())


async def test_an_error_of_what_it_waits_for_can_be_caught_by_it() -> None:
    async def work() -> str:
        try:
            await asyncio.ensure_future(_broken())
        except LookupError:
            await asyncio.sleep(0)
        return "caught"

    assert await within(LONG, work()) == "caught"


async def test_what_waits_too_long_is_ended_and_may_clean_up() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()

    with pytest.raises(TimeoutError):
        await within(0.001, work())
    assert ended.is_set()


async def test_an_inner_end_is_its_own() -> None:
    async def work() -> str:
        try:
            await within(0.001, _forever())
        except TimeoutError:
            return "inner"
        return "none"

    assert await within(LONG, work()) == "inner"


async def test_an_outer_end_reaches_what_an_inner_one_guards() -> None:
    with pytest.raises(TimeoutError):
        await within(0.001, within(LONG, _forever()))


async def test_a_cancellation_stays_one() -> None:
    task = asyncio.create_task(within(LONG, _forever()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _given(number: int) -> int:
    return number


async def _broken() -> None:
    raise LookupError


async def _forever() -> None:
    await asyncio.Event().wait()


def test_who_connects_hears_that_icloud_did_not_answer_before_the_call_is_cut_off() -> None:
    """Cut off, nothing says what Apple thought of the password, and it counts as refused."""
    assert SyncSettings().connect_seconds <= MUTATION_WITHIN - 5
