"""Sockets dropped at random and resumed from their cursor while writers run: nothing missed, nothing twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx2
from websockets.exceptions import ConnectionClosed, InvalidMessage

from benchmarks.campaigns.progress import while_some
from benchmarks.campaigns.tally import Tally
from benchmarks.client import Client, Json
from benchmarks.world import World
from tests.e2e import queries as q

READERS = 25
WRITERS = 3
_LOST = (ConnectionClosed, InvalidMessage)
"""What a busy machine ends by itself, open or not yet. No drop of ours: another socket is opened."""


@dataclass(slots=True)
class Reader:
    """One client: what it saw, over all its sockets."""

    cursor: str
    seen: list[tuple[str, str]] = field(default_factory=list)
    drops: int = 0


async def sockets(running: World, *, drops: int, seed: int, where: str) -> Tally:
    tally = Tally("sockets", where)
    chance = random.Random(seed)
    user = running.people.user_id
    async with running.owner() as owner:
        cursor = (await owner.call(q.CURSOR, user=user))["user"]["cursor"]
        stop = asyncio.Event()
        writers = [
            asyncio.create_task(_write(running, stop, random.Random(chance.random()))) for _ in range(WRITERS)
        ]
        readers = [Reader(cursor) for _ in range(READERS)]
        each = -(-drops // READERS)
        await while_some(
            _all(_read(running, reader, each, random.Random(chance.random())) for reader in readers),
            lambda: _done(readers),
        )
        stop.set()
        await asyncio.gather(*writers)
        last = (await owner.call(q.CURSOR, user=user))["user"]["cursor"]
    truth = Reader(cursor)
    await while_some(
        _all(_drain(running, reader, last) for reader in (truth, *readers)), lambda: _done([truth, *readers])
    )
    for number, reader in enumerate(readers):
        tally.trials += reader.drops
        tally.hold(len(set(reader.seen)) == len(reader.seen), f"reader {number} saw something twice")
        tally.hold(
            reader.seen == truth.seen,
            f"reader {number}: {len(reader.seen)} of {len(truth.seen)} changes, or another order",
        )
    tally.facts |= {"readers": READERS, "changes": len(truth.seen)}
    return tally


async def _all(doing: Iterable[Coroutine[Any, Any, None]]) -> None:
    await asyncio.gather(*doing)


def _done(readers: Iterable[Reader]) -> int:
    return sum(len(reader.seen) + reader.drops for reader in readers)


async def _write(running: World, stop: asyncio.Event, chance: random.Random) -> None:
    """Blocks time by hand and frees it again."""
    first = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    async with running.owner(chance.randrange(len(running.ports))) as owner:
        while not stop.is_set():
            start = first + timedelta(minutes=chance.randrange(100_000))
            value = {
                "userId": running.people.user_id,
                "start": start.isoformat(),
                "end": (start + timedelta(minutes=20)).isoformat(),
            }
            # Written or not, where the machine is too busy to say in time: readers see the same.
            with suppress(httpx2.TransportError):
                made = await owner.mutate(
                    "createBlockedSlot",
                    "... on BlockedSlotCreated { blockedSlot { id } }",
                    "CreateBlockedSlotInput!",
                    value,
                )
                if chance.random() < 0.6:
                    gone = {"blockedSlotId": made["blockedSlot"]["id"]}
                    await owner.mutate("deleteBlockedSlot", "", "DeleteBlockedSlotInput!", gone)
            await asyncio.sleep(chance.uniform(0, 0.02))


async def _read(running: World, reader: Reader, drops: int, chance: random.Random) -> None:
    while reader.drops < drops:
        wanted = chance.randrange(0, 12)
        with suppress(*_LOST):
            await _follow(running, reader, chance, partial(_is_past, wanted))
            reader.drops += 1


def _is_past(wanted: int, count: int) -> bool:
    return count > wanted


async def _drain(running: World, reader: Reader, last: str) -> None:
    """Reads on to the log's end."""
    while reader.cursor != last:
        with suppress(*_LOST):
            await _follow(running, reader, random.Random(0), lambda _: reader.cursor == last)


async def _follow(
    running: World, reader: Reader, chance: random.Random, is_enough: Callable[[int], bool]
) -> None:
    """One socket's life; it ends without a word, as a phone in a tunnel does."""
    client: Client = running.owner(chance.randrange(len(running.ports)))
    async with client, client.socket(within=None) as socket:
        frames = socket.subscribe(q.SLOT_CHANGES, user=running.people.user_id, after=reader.cursor)
        async with aclosing(frames):
            count = 0
            async for frame in frames:
                change: Json = frame["blockedSlotChanges"]
                slot = change["slot"] or change["previous"]
                reader.seen.append((change["kind"], slot["id"] if slot else change["cursor"]))
                reader.cursor = change["cursor"]
                count += 1
                if is_enough(count):
                    # No close frame: the transport goes.
                    socket.connection.transport.abort()
                    return
