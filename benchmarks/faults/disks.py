"""Disks that are full, fail or are held by another; SQLite alone: PostgreSQL's disk is its own."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx2

from benchmarks.campaigns.tally import Tally
from benchmarks.client import Client, GraphQLError
from benchmarks.faults.row import LeftOutError, Scene
from benchmarks.world import World, world
from models.bell import Bell
from models.sql import fetch
from resolvers import booking
from server.database import migrate, open_database
from tests.e2e import queries as q
from tests.integration.pages import DAY, GUEST, MIDNIGHT
from tests.integration.world import World as UseCases
from tests.integration.world import world_on

LONGEST_LOCK = 30.0
"""Seconds. A statement waits ten: after that the caller is told, and asks again."""
LOCKED_AT_ONCE = 10
"""Databases, each with its own lock: the trials wait, and nothing else."""


# --- Held by another: BEGIN EXCLUSIVE


async def locked(scene: Scene) -> Tally:
    """From 1 to 30 s: what is booked meanwhile is saved late, or refused and saved when it is asked again."""
    tally = Tally(scene.name, scene.where)
    chance = random.Random(scene.seed)
    longest = LONGEST_LOCK * min(1.0, scene.count / 50)
    seconds = [min(1.0, longest) + (longest - 1) * chance.random() for _ in range(scene.count)]
    parts = [seconds[start::LOCKED_AT_ONCE] for start in range(min(LOCKED_AT_ONCE, scene.count))]
    refused = await asyncio.gather(
        *(_lock(scene.folder / f"{number}.sqlite3", part, tally) for number, part in enumerate(parts))
    )
    tally.facts["refused while locked"] = sum(refused)
    return tally


async def _lock(path: Path, locks: Sequence[float], tally: Tally) -> int:
    """How many were refused."""
    await migrate(f"sqlite:///{path}")
    refused = 0
    async with open_database(f"sqlite:///{path}") as database:
        known = await world_on(database, Bell())
        for number, seconds in enumerate(locks):
            tally.trials += 1
            held = asyncio.Event()
            holding = asyncio.create_task(_hold(path, seconds, held))
            await held.wait()
            try:
                saved: object = await _book(known, number)
            except sqlite3.OperationalError as error:
                saved, refused = error, refused + 1
            await holding
            again = await _book(known, number)
            tally.hold(isinstance(again, booking.Saved), f"{seconds:.1f} s: {saved}, then {again}")
        await _check(known, len(locks), tally)
    return refused


async def _hold(path: Path, seconds: float, held: asyncio.Event) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        held.set()
        await asyncio.sleep(seconds)
        connection.execute("COMMIT")
    finally:
        connection.close()


# --- Full: a file system of our own


async def full(scene: Scene) -> Tally:
    """A small file system in memory, filled up under a booking; what is asked again when there is room is done once."""
    tally = Tally(scene.name, scene.where)
    mount = scene.folder / "small"
    mount.mkdir()
    asked = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(mount)], capture_output=True, check=False
    )
    if asked.returncode:
        raise LeftOutError("no file system may be mounted here")
    try:
        await _fill(scene, mount, tally)
    finally:
        subprocess.run(["umount", str(mount)], check=True)
    return tally


async def _fill(scene: Scene, mount: Path, tally: Tally) -> None:
    path, ballast = mount / "slotwire.sqlite3", mount / "ballast"
    await migrate(f"sqlite:///{path}")
    refused = 0
    async with open_database(f"sqlite:///{path}") as database:
        known = await world_on(database, Bell())
        for number in range(scene.count):
            tally.trials += 1
            _use_up(ballast, mount)
            try:
                saved: object = await _book(known, number)
            except Exception as error:  # noqa: BLE001 - any refusal will do, while it is one.
                saved, refused = error, refused + 1
            ballast.unlink()
            again = await _book(known, number)
            tally.hold(isinstance(again, booking.Saved), f"trial {number}: {saved}, then {again}")
        await _check(known, scene.count, tally)
    tally.facts["refused while full"] = refused


def _use_up(ballast: Path, mount: Path) -> None:
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert shutil.disk_usage(mount).free == 0


async def _book(known: UseCases, number: int) -> object:
    start = MIDNIGHT + 2 * DAY + 1800 * number
    return await known.owner(
        booking.create_appointment,
        idempotency_key=f"a-key-while-the-disk-{number:06}",
        user_id=known.anna.user,
        type_id=None,
        start=start,
        end=start + 1800,
        title=None,
        guest=GUEST,
        notes=None,
    )


async def _check(known: UseCases, wanted: int, tally: Tally) -> None:
    rows = await known.rows("SELECT starts FROM appointment")
    tally.hold(len(rows) == len({row["starts"] for row in rows}) == wanted, f"{len(rows)} of {wanted} stand")
    [sound] = await known.rows("PRAGMA integrity_check")
    tally.hold(sound["integrity_check"] == "ok", str(sound))


# --- Failing: EIO on a few of a hundred writes


async def failing(scene: Scene) -> Tally:
    """A server whose writes to its disk fail by chance; the answers that it gave are true after a restart."""
    libraries = sorted(str(found) for found in Path("/usr/lib").glob("**/fiu/fiu_*_preload.so"))
    if not libraries:
        raise LeftOutError("Debian's fiu-utils is not installed")
    tally = Tally(scene.name, scene.where)
    url = f"sqlite:///{scene.folder / 'slotwire.sqlite3'}"
    async with world(scene.folder, url) as running:
        server = running.servers[0]
        server.stop()
        usual = server.environment
        server.environment = {**usual, "LD_PRELOAD": ":".join(libraries), "FIU_ENABLE": _FAILS}
        acknowledged: dict[str, str] = {}
        async with _started_somehow(running):
            acknowledged = await _book_through(running, scene, tally)
        server.environment = usual
        await running.restart(0)
        await _stands(running, acknowledged, tally)
    return tally


_FAILS = "enable_random name=posix/io/rw/pwrite,probability=0.02,failinfo=5"  # EIO.
_STARTS = 20


@asynccontextmanager
async def _started_somehow(running: World) -> AsyncIterator[None]:
    """A start can fail too: then it is started again, as a supervisor would."""
    for _ in range(_STARTS):
        running.servers[0].start()
        try:
            await running.ready(0)
        except AssertionError:
            continue
        break
    else:
        raise AssertionError(f"it never was up in {_STARTS} starts: nothing was tried")
    yield
    running.servers[0].kill()


async def _book_through(running: World, scene: Scene, tally: Tally) -> dict[str, str]:
    """Each place twice with one key, where the first try failed."""
    acknowledged: dict[str, str] = {}
    failed = 0
    first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=30)
    async with Client(running.graphql_url(), running.people.owner_key, timeout=20) as owner:
        for number in range(scene.count):
            tally.trials += 1
            start = first + timedelta(minutes=15 * number)
            value = {
                "idempotencyKey": str(uuid4()),
                "userId": running.people.user_id,
                "start": start.isoformat(),
                "end": (start + timedelta(minutes=15)).isoformat(),
                "guest": {"name": "Guest", "email": "guest@example.org"},
            }
            for _ in range(2):
                try:
                    saved = await owner.mutate("createAppointment", q.SAVED, "CreateAppointmentInput!", value)
                except (httpx2.TransportError, GraphQLError, ValueError):
                    failed += 1
                    continue
                acknowledged[saved["appointment"]["id"]] = saved["appointment"]["start"]
                break
    tally.facts |= {"acknowledged": len(acknowledged), "refused": failed}
    tally.hold(acknowledged, "nothing was acknowledged that could be lost")
    tally.hold(failed, "no write failed")
    return acknowledged


async def _stands(running: World, acknowledged: Mapping[str, str], tally: Tally) -> None:
    async with open_database(running.database_url) as database, database.reading() as db:
        rows = await fetch(db, "SELECT id, starts FROM appointment WHERE status = 'CONFIRMED'")
        [sound] = await fetch(db, "PRAGMA integrity_check")
    stored = {row["id"] for row in rows}
    tally.hold(acknowledged.keys() <= stored, f"lost: {sorted(acknowledged.keys() - stored)[:5]}")
    tally.hold(len({row["starts"] for row in rows}) == len(rows), "one start was booked twice")
    tally.hold(sound["integrity_check"] == "ok", str(sound))
