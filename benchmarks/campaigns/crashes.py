"""kill -9 at each named step of the sync engine, and restart: as after a fresh sync, and each write stands once."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx2

from benchmarks.campaigns.connected import connect
from benchmarks.campaigns.kills import Acknowledged, check
from benchmarks.campaigns.tally import Tally
from benchmarks.client import Client, GraphQLError, Json
from benchmarks.fresh import fresh_slots, stored_slots
from benchmarks.world import Process, World
from models.database import Database, execute, fetch
from server.database import open_database
from tests.e2e import queries as q

CALENDARS = ("Home", "Work")
READ_STEPS = ("page read", "page stored", "token saved")
WRITE_STEPS = ("outbox taken", "write sent", "write answered", "write marked")
DIES_WITHIN = 30.0
READ_WITHIN = 60.0
_REFRESHED = "... on ICloudRefreshed { isComplete }"


async def crashes(running: World, *, times: int, seed: int, where: str) -> Tally:
    tally = Tally("crashes", where)
    chance = random.Random(seed)
    await connect(running, calendars=CALENDARS)
    known = Acknowledged()
    slots = iter(range(1_000_000))
    async with open_database(running.database_url) as database:
        for step in (*READ_STEPS, *WRITE_STEPS):
            reached = sum([await _trial(running, database, known, slots, step, chance) for _ in range(times)])
            tally.trials += reached
            tally.facts[step] = reached
            tally.hold(reached == times, f"{step!r} was reached {reached} of {times} times")
            await _read_again(database)
            await check(running, known, tally)
            stored, fresh = await stored_slots(database), await fresh_slots(running, CALENDARS)
            tally.hold(stored == fresh, f"after {step!r}: {_difference(stored, fresh)}")
            tally.facts["slots"] = len(fresh)
    return tally


async def _trial(
    running: World,
    database: Database,
    known: Acknowledged,
    slots: Iterator[int],
    step: str,
    chance: random.Random,
) -> bool:
    """Whether it died at the step. Then the server runs as ever, on what was left."""
    usual = running.servers[0]
    usual.stop()
    times = 1 if step in READ_STEPS else chance.randint(1, 3)
    arguments = ["-m", "benchmarks.campaigns.crashing_server", step, str(times)]
    crashing = Process(arguments, usual.environment, usual.log)
    crashing.start()
    assert crashing.running is not None
    try:
        with suppress(AssertionError):
            await crashing.answers(f"http://127.0.0.1:{running.ports[0]}/readyz")
        deadline = time.monotonic() + DIES_WITHIN
        while crashing.running.poll() is None and time.monotonic() < deadline:
            await _work(running, known, slots, chance)
            await asyncio.sleep(0.2)
        has_died = crashing.running.poll() is not None
    finally:
        if crashing.running.poll() is None:
            crashing.kill()
    await _end_leases(database)
    await running.restart(0)
    return has_died


async def _end_leases(database: Database) -> None:
    """A dead process's leases end by themselves, after half a minute: that wait is not what is tried here."""
    async with database.writing() as db:
        await execute(db, "UPDATE icloud_account SET lease_owner = NULL, lease_until = NULL")
        await execute(db, "UPDATE pending_write SET lease_until = NULL")


async def _work(running: World, known: Acknowledged, slots: Iterator[int], chance: random.Random) -> None:
    """The owner's phone and a booking app at once; what is cut off has no answer, and may be there or not."""
    first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=60)
    start = first + timedelta(minutes=30 * next(slots))
    phone = running.phone()
    path = await phone.add(
        "Work", "From the phone", start - timedelta(days=40), start - timedelta(days=40, minutes=-20)
    )
    if chance.random() < 0.3:
        await phone.delete(path)
    async with Client(running.graphql_url(), running.people.owner_key, timeout=20) as owner:
        with suppress(httpx2.TransportError, GraphQLError, ValueError):
            await _book(running, owner, known, start, chance)
            value = {"userId": running.people.user_id}
            await owner.mutate("refreshICloud", _REFRESHED, "RefreshICloudInput!", value)


async def _book(
    running: World, owner: Client, known: Acknowledged, start: datetime, chance: random.Random
) -> None:
    value: Json = {
        "idempotencyKey": str(uuid4()),
        "userId": running.people.user_id,
        "start": start.isoformat(),
        "end": (start + timedelta(minutes=15)).isoformat(),
        "title": "Survives",
        "guest": {"name": "Guest", "email": "guest@example.org"},
    }
    saved = await owner.mutate("createAppointment", q.SAVED, "CreateAppointmentInput!", value)
    if saved["__typename"] != "AppointmentSaved":
        return  # Busy in the owner's own calendar.
    number = saved["appointment"]["id"]
    known.booked[number] = saved["appointment"]["start"]
    known.unsure.add(number)
    if (dice := chance.random()) < 0.3:
        gone = {"appointmentId": number, "reason": "Changed"}
        await owner.mutate("cancelAppointment", q.SAVED, "CancelAppointmentInput!", gone)
        known.cancelled.add(number)
    elif dice < 0.6:
        moved = {
            "idempotencyKey": str(uuid4()),
            "appointmentId": number,
            "start": (start + timedelta(minutes=15)).isoformat(),
        }
        await owner.mutate("rescheduleAppointment", q.SAVED, "RescheduleAppointmentInput!", moved)
    known.unsure.discard(number)


async def _read_again(database: Database) -> None:
    """Until a poll that began from now on has left all as it is in iCloud."""
    began = time.time()
    async with asyncio.timeout(READ_WITHIN):
        while True:
            async with database.writing() as db:
                await execute(
                    db, "UPDATE icloud_account SET next_poll_at = $1 WHERE next_poll_at > $1", began
                )
            async with database.reading() as db:
                rows = await fetch(db, "SELECT last_synced_at FROM icloud_account")
            if (rows[0]["last_synced_at"] or 0.0) >= began:
                return
            await asyncio.sleep(0.2)


def _difference(stored: list[tuple[int, int]], fresh: list[tuple[int, int]]) -> str:
    here, there = sorted(set(stored) - set(fresh)), sorted(set(fresh) - set(stored))
    return f"only here {here[:3]}, only in a fresh sync {there[:3]}"
