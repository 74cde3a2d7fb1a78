"""From the phone's PUT to the subscriber's frame: how long a booking page shows what is no longer so.

`python -m benchmarks.push_latency --trials 50`. The account is watched (a live subscription), so it is polled every
15 s ± 20 %: the poll is what a change waits for. Printed beside it: from detection to the frame, which is ours.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.arguments import at_least_one
from benchmarks.campaigns.connected import connect
from benchmarks.client import Json
from benchmarks.percentile import p99
from benchmarks.world import World, world
from tests.e2e import queries as q


async def measure(trials: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'slotwire.sqlite3'}"
        async with world(Path(folder), url) as running:
            await connect(running)
            put, frames = await _run(running, trials, seed)
    waits = [frames[title][0] - put[title] for title in put]
    delivered = [frames[title][0] - frames[title][1] for title in put]
    print(f"{trials} events put by the phone at random moments; every one was pushed")
    print(f"PUT answered to frame received   {_figures(waits)}")
    print(f"detected to frame received       {_figures(delivered)}")


async def _run(
    running: World, trials: int, seed: int
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Per title: when it was put; when its frame came, and when the server says that it learned of it."""
    chance = random.Random(seed)
    put: dict[str, float] = {}
    frames: dict[str, tuple[float, float]] = {}
    async with running.owner() as owner, owner.socket() as socket:
        user = running.people.user_id
        cursor = (await owner.call(q.CURSOR, user=user))["user"]["cursor"]
        async with aclosing(socket.subscribe(q.SLOT_CHANGES, user=user, after=cursor)) as changes:
            reader = asyncio.create_task(_collect(changes, frames, trials))
            phone = running.phone()
            first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=40)
            for number in range(trials):
                await asyncio.sleep(chance.uniform(0.5, 5.5))
                title, start = f"Trial {number}", first + timedelta(hours=number)
                await phone.add("Home", title, start, start + timedelta(minutes=30))
                put[title] = time.time()
            await asyncio.wait_for(reader, 60)
    return put, frames


async def _collect(changes: AsyncIterator[Json], frames: dict[str, tuple[float, float]], trials: int) -> None:
    async for frame in changes:
        change = frame["blockedSlotChanges"]
        title = change["slot"]["title"] if change["slot"] else ""
        if title.startswith("Trial"):
            frames[title] = (time.time(), datetime.fromisoformat(change["detectedAt"]).timestamp())
        if len(frames) == trials:
            return


def _figures(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return (
        f"median {statistics.median(ordered):7.3f} s   p99 {p99(ordered):7.3f} s   max {ordered[-1]:7.3f} s"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.push_latency")
    parser.add_argument("--trials", type=at_least_one, default=50)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    asyncio.run(measure(given.trials, given.seed))
