"""kill -9 under load, and restart: nothing acknowledged is lost, each appointment stands once in iCloud."""

from __future__ import annotations

import asyncio
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx2

from benchmarks.campaigns.connected import connect
from benchmarks.campaigns.tally import Tally
from benchmarks.client import Client, GraphQLError, Json
from benchmarks.world import World
from tests.e2e import queries as q

WRITERS = 4
SETTLED_WITHIN = 120.0
"""Seconds in which at least one more appointment is written."""


@dataclass(slots=True)
class Acknowledged:
    """What the callers were told: appointment id to its start; those that were told cancelled; how many answers."""

    booked: dict[str, str] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    answers: int = 0


async def kills(running: World, *, times: int, seed: int, where: str) -> Tally:
    tally = Tally("kill -9", where)
    chance = random.Random(seed)
    await connect(running)
    known = Acknowledged()
    stop = asyncio.Event()
    slots = iter(range(1_000_000))
    writers = [asyncio.create_task(write_on(running, known, slots, stop, chance)) for _ in range(WRITERS)]
    for _ in range(times):
        await asyncio.sleep(chance.uniform(0.05, 1.2))
        victim = chance.randrange(len(running.servers))
        running.servers[victim].kill()
        tally.trials += 1
        await running.restart(victim)
    stop.set()
    await asyncio.gather(*writers)
    await check(running, known, tally)
    return tally


async def write_on(
    running: World,
    known: Acknowledged,
    slots: Iterator[int],
    stop: asyncio.Event,
    chance: random.Random,
    *,
    rest: float = 0.0,
) -> None:
    """Books, moves, cancels; what is cut off is tried again with the same key, as a good client does."""
    while not stop.is_set():
        start = _start(slots)
        value = {
            "idempotencyKey": str(uuid4()),
            "userId": running.people.user_id,
            "start": start.isoformat(),
            "end": (start + timedelta(minutes=15)).isoformat(),
            "title": "Survives",
            "guest": {"name": "Guest", "email": "guest@example.org"},
        }
        number = await _insist(running, known, "createAppointment", "CreateAppointmentInput!", value)
        if number is not None and (dice := chance.random()) < 0.3:
            gone = {"appointmentId": number, "reason": "Changed"}
            await _insist(running, known, "cancelAppointment", "CancelAppointmentInput!", gone)
            assert number in known.cancelled, number
        elif number is not None and dice < 0.5:
            moved = {
                "idempotencyKey": str(uuid4()),
                "appointmentId": number,
                "start": _start(slots).isoformat(),
            }
            await _insist(running, known, "rescheduleAppointment", "RescheduleAppointmentInput!", moved)
        await asyncio.sleep(rest)


def _start(slots: Iterator[int]) -> datetime:
    first = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=100)
    return first + timedelta(minutes=15 * next(slots))


async def _insist(running: World, known: Acknowledged, name: str, kind: str, value: Json) -> str | None:
    """The appointment's id, and what was told of it on record; None where that time is busy."""
    while True:
        for number in range(len(running.ports)):
            async with Client(running.graphql_url(number), running.people.owner_key, timeout=20) as owner:
                with suppress(httpx2.TransportError, GraphQLError, ValueError):
                    saved = await owner.mutate(name, q.SAVED, kind, value)
                    return _note(known, saved)
        await asyncio.sleep(0.05)


def _note(known: Acknowledged, saved: Json) -> str | None:
    known.answers += 1
    if saved["__typename"] == "SlotUnavailable":
        return None  # Busy in the owner's own calendar.
    assert saved["__typename"] == "AppointmentSaved", saved
    appointment = saved["appointment"]
    number: str = appointment["id"]
    known.booked[number] = appointment["start"]
    if appointment["status"] == "CANCELLED":
        known.cancelled.add(number)
    return number


async def check(running: World, known: Acknowledged, tally: Tally) -> None:
    standing = await _settled(running, tally)
    for number, start in known.booked.items():
        node = standing.get(number)
        tally.hold(node is not None, f"{number} at {start} was acknowledged and is lost")
        if node is None:
            continue
        wanted = "CANCELLED" if number in known.cancelled else "CONFIRMED"
        tally.hold(node["status"] == wanted, f"{number} is {node['status']}, acknowledged as {wanted}")
        tally.hold(node["start"] == start, f"{number} is at {node['start']}, acknowledged at {start}")
    texts = [event.text for event in await running.phone().events("Home") if "slotwire" in event.text.lower()]
    starts = Counter(re.findall(r"^DTSTART:(\d{8}T\d{6}Z)", "\n".join(texts).replace("\r", ""), re.MULTILINE))
    wanted_starts = Counter(
        datetime.fromisoformat(node["start"]).strftime("%Y%m%dT%H%M%SZ")
        for node in standing.values()
        if node["status"] == "CONFIRMED"
    )
    tally.hold(
        starts == wanted_starts,
        f"in iCloud but not booked {starts - wanted_starts}, missing {wanted_starts - starts}"[:600],
    )
    tally.facts |= {
        "acknowledged": len(known.booked),
        "cancelled": len(known.cancelled),
        "in iCloud": starts.total(),
    }


async def _settled(running: World, tally: Tally) -> dict[str, Json]:
    """All appointments by id, once none is waiting to be written, or none was for long."""
    clock = asyncio.get_running_loop().time
    deadline, least = clock() + SETTLED_WITHIN, sys.maxsize
    while True:
        nodes = await _appointments(running)
        waiting = [
            n for n in nodes.values() if n["iCloud"]["state"] not in {"WRITTEN", "REMOVED", "NOT_LINKED"}
        ]
        if not waiting:
            return nodes
        if len(waiting) < least:
            deadline, least = clock() + SETTLED_WITHIN, len(waiting)
        if clock() > deadline:
            tally.hold(claim=False, story=f"{len(waiting)} still to be written: {waiting[:3]}")
            return nodes
        await asyncio.sleep(1)


async def _appointments(running: World) -> dict[str, Json]:
    found: dict[str, Json] = {}
    after = None
    start = datetime.now(UTC).replace(microsecond=0)
    async with running.owner() as owner:
        while True:
            span = {
                "from": start.isoformat(),
                "to": (start + timedelta(days=399)).isoformat(),
                "after": after,
            }
            answer = await owner.call(q.APPOINTMENTS, user=running.people.user_id, **span)
            page = answer["user"]["appointments"]
            found |= {edge["node"]["id"]: edge["node"] for edge in page["edges"]}
            if not page["pageInfo"]["hasNextPage"]:
                return found
            after = page["pageInfo"]["endCursor"]
