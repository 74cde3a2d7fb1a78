"""Sockets dropped at random and resumed from their cursor while writers run: nothing missed, nothing twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from websockets.exceptions import ConnectionClosed

from benchmarks.campaigns.tally import Tally
from benchmarks.client import Client, Json
from benchmarks.world import World
from tests.e2e import queries as q

READERS = 25
WRITERS = 3
CAUGHT_UP_WITHIN = 60.0


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
        await asyncio.gather(
            *(_read(running, reader, each, random.Random(chance.random())) for reader in readers)
        )
        stop.set()
        await asyncio.gather(*writers)
        last = (await owner.call(q.CURSOR, user=user))["user"]["cursor"]
    truth = Reader(cursor)
    await _drain(running, truth, last)
    await asyncio.gather(*(_drain(running, reader, last) for reader in readers))
    for number, reader in enumerate(readers):
        tally.trials += reader.drops
        tally.hold(len(set(reader.seen)) == len(reader.seen), f"reader {number} saw something twice")
        tally.hold(
            reader.seen == truth.seen,
            f"reader {number}: {len(reader.seen)} of {len(truth.seen)} changes, or another order",
        )
    tally.facts |= {"readers": READERS, "changes": len(truth.seen)}
    return tally


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
    for _ in range(drops):
        wanted = chance.randrange(0, 12)
        with suppress(ConnectionClosed):
            await _follow(running, reader, chance, partial(_is_past, wanted))
        reader.drops += 1


def _is_past(wanted: int, count: int) -> bool:
    return count > wanted


async def _drain(running: World, reader: Reader, last: str) -> None:
    """Reads on to the log's end."""
    if reader.cursor == last:
        return
    async with asyncio.timeout(CAUGHT_UP_WITHIN):
        await _follow(running, reader, random.Random(0), lambda _: reader.cursor == last)


async def _follow(
    running: World, reader: Reader, chance: random.Random, is_enough: Callable[[int], bool]
) -> None:
    """One socket's life; it ends without a word, as a phone in a tunnel does."""
    client: Client = running.owner(chance.randrange(len(running.ports)))
    async with client, client.socket() as socket:
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
