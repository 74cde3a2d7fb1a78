"""A campaign's wait: as long as something is done, and no longer."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest

from benchmarks.campaigns.progress import while_some

WITHIN = 0.01


async def test_what_goes_on_is_waited_for_however_slow_it_is() -> None:
    ended, looks = asyncio.Event(), count()

    def look() -> int:
        seen = next(looks)
        if seen == 5:
            ended.set()
        return seen

    await while_some(ended.wait(), look, within=WITHIN)
    assert next(looks) > 5


async def test_what_stands_still_is_ended() -> None:
    never = asyncio.get_running_loop().create_future()

    async def stuck() -> None:
        await never

    with pytest.raises(TimeoutError):
        await while_some(stuck(), lambda: 7, within=WITHIN)
    await asyncio.sleep(0)
    assert never.cancelled()


async def test_what_fails_says_so() -> None:
    async def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await while_some(fail(), lambda: 0, within=WITHIN)
