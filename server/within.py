"""An end to what waits, and no clock for what does not."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Raises TimeoutError where it takes longer. What never waits is done before a timer is set, which costs more."""
    try:
        waits_for = work.send(None)
    except StopIteration as end:
        done: T = end.value
        return done
    async with asyncio.timeout(seconds):
        return await _rest(work, waits_for)


@types.coroutine
def _rest(work: Coroutine[Any, Any, T], waits_for: object) -> Generator[object, Any, T]:
    """What is left of it after its first step: the task that goes on with it is the one that began it."""
    while True:
        try:
            given = yield waits_for
        except BaseException as error:  # noqa: BLE001 - a cancellation too is its own to answer.
            step = partial(work.throw, error)
        else:
            step = partial(work.send, given)
        try:
            waits_for = step()
        except StopIteration as end:
            done: T = end.value
            return done
