"""5,000 idle sockets, each with a subscription: what each takes of the server's memory."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from benchmarks.api import data
from benchmarks.api.asking import Connection
from benchmarks.api.availability import environment_of
from benchmarks.api.fanout import FOLLOW, Blocking, until_all_follow
from benchmarks.api.frames import Crowd
from benchmarks.api.workers import worker

MOST_KIB = 64
"""Half of what fits: 5,000 of them in 320 MB."""


async def run(*, sockets: int) -> bool:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        environment = environment_of(folder)
        people = await data.fill(environment, 95, now=time.time())
        async with worker("ours", folder, environment) as ours, worker("raw") as raw:
            subscribe = {"query": FOLLOW, "variables": {"user": people.user_id}}
            crowd = Crowd(sockets)
            before = await ours.taken()
            await crowd.open(ours.port, key=people.owner_key, subscribe=subscribe)
            await asyncio.sleep(2)
            taken = (await ours.taken()).since(before)
            idle_from = await ours.taken()
            await asyncio.sleep(10)
            idle = (await ours.taken()).since(idle_from)
            change = Blocking(people, await Connection.to(ours.port))
            await until_all_follow(crowd, change)
            had = crowd.expect()
            since = time.perf_counter()
            await change()
            at = await asyncio.wait_for(had, 60)
            crowd.close()
            bare, before = Crowd(sockets), await raw.taken()
            await bare.open(raw.port)
            await asyncio.sleep(2)
            floor = (await raw.taken()).since(before)
            bare.close()
    each, least = taken.rss / sockets / 1024, floor.rss / sockets / 1024
    print(f"{sockets:,} idle sockets, each with a subscription")
    print(f"  memory each: {each:.1f} KiB; of a bare Starlette socket: {least:.1f} KiB")
    print(f"  to connect and subscribe: {taken.cpu / sockets * 1e6:.0f} us CPU each")
    print(f"  while nothing happens: {idle.cpu / 10 * 100:.1f} % of a core")
    print(f"  a change then reaches all of them after {(at - since) * 1e3:.0f} ms")
    is_met = each <= MOST_KIB
    print(f"  at most {MOST_KIB} KiB each: {'met' if is_met else 'MISSED'}")
    return is_met
