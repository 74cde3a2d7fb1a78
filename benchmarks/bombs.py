"""How late the event loop gets, and how long a healthy account waits, while another account's bombs are read.

`python -m benchmarks.bombs`: 60 bombs in a row beside 200 ordinary events read over and over.
"""

from __future__ import annotations

import asyncio
import statistics
import time

from benchmarks.calendars import make_calendar
from sync.ical_guarded import read_guarded
from sync.ical_worker import Request
from tests.unit.test_ical_guarded import bombs, request

TICK = 0.005


async def measure() -> None:
    healthy = [request(text) for text in make_calendar(200)]
    alone = [await _seconds(healthy) for _ in range(5)]
    ticks = asyncio.create_task(_ticks())
    quiet = await _until(ticks, 2.0)
    ticks = asyncio.create_task(_ticks())
    under_fire = asyncio.create_task(read_guarded([request(text) for text in bombs()]))
    beside = []
    while not under_fire.done():
        beside.append(await _seconds(healthy))
    lags = await _until(ticks, 0)
    print(f"loop late, p99: {_p99(lags) * 1000:.1f} ms beside bombs, {_p99(quiet) * 1000:.1f} ms idle")
    print(
        f"healthy account read: {statistics.median(beside):.2f} s beside, {statistics.median(alone):.2f} s alone"
    )


async def _seconds(requests: list[Request]) -> float:
    began = time.monotonic()
    await read_guarded(requests)
    return time.monotonic() - began


async def _ticks() -> list[float]:
    found = []
    try:
        while True:
            since = time.perf_counter()
            await asyncio.sleep(TICK)
            found.append(time.perf_counter() - since - TICK)
    except asyncio.CancelledError:
        return found


async def _until(ticks: asyncio.Task[list[float]], seconds: float) -> list[float]:
    await asyncio.sleep(seconds)
    ticks.cancel()
    return await ticks


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.99)]


if __name__ == "__main__":
    asyncio.run(measure())
