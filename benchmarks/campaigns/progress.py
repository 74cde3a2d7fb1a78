"""Telling what is slow from what has failed: a busy machine does little in a minute, and not nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


async def while_some(
    doing: Coroutine[Any, Any, object], count: Callable[[], int], *, within: float = 120.0
) -> None:
    """Raises TimeoutError, and ends what was being done, where `count` stood still for so many seconds."""
    task = asyncio.ensure_future(doing)
    try:
        before = count()
        while not (await asyncio.wait({task}, timeout=within))[0]:
            if before == (before := count()):
                raise TimeoutError(f"nothing was done in {within:.0f} s")
        await task
    finally:
        task.cancel()
