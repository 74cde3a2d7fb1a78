"""Types made from the schema hold, and the examples that docs/api.md points to run: urql, Apollo Client, graphql-ws."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from models.bell import Bell
from models.database import Database
from resolvers import events
from resolvers.views import SlotView
from tests.alone import alone
from tests.clients.conftest import need
from tests.clients.proxy import wire_to
from tests.e2e.serving import Served, serving
from tests.integration.pages import NINE, page
from tests.integration.world import world_on

CLIENT = Path(__file__).parents[2] / "web/client"
WEEK = ("2026-10-26T00:00:00Z", "2026-11-02T00:00:00Z")

pytestmark = pytest.mark.slow  # The first run fetches the packages.


@pytest.fixture(scope="session")
def built() -> Path:
    """The examples in plain JavaScript: types generated, checked, and taken off."""
    need("node and npm are not installed", is_there=bool(shutil.which("node") and shutil.which("npm")))
    with alone(CLIENT):
        done = subprocess.run([CLIENT / "build.sh"], capture_output=True, text=True, check=False)
    need(f"npm could not fetch the packages: {done.stderr[-300:]}", is_there=done.returncode != 3)
    assert done.returncode == 0, done.stdout + done.stderr
    return CLIENT / "build"


@pytest.fixture
async def served(database: Database, bell: Bell) -> AsyncIterator[Served]:
    made = await world_on(database, bell)
    await page(made)
    async with serving(made) as running:
        yield running


@asynccontextmanager
async def running(script: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *("node", "--no-warnings", str(script), *arguments),
        env={"PATH": os.environ["PATH"], "NODE_ENV": "production"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        return (await process.stdout.readline()).decode().rstrip()


async def test_the_booking_page_shows_what_is_free_live_and_books_once(built: Path, served: Served) -> None:
    script = built / "examples/booking-page.js"
    async with running(script, f"{served.url}/graphql", served.booking, "intro-call") as process:
        out, problems = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, problems.decode()) == (0, "")
    named, starts, held, first, again = out.decode().splitlines()
    assert named == "Intro call with Anna, 30 minutes"
    count = int(starts.partition(" ")[0])
    assert held == f"held; others see {count - 1} starts"
    assert first == again == "booked 2026-10-26T08:00:00Z: CONFIRMED"
    rows = await served.world.rows("SELECT COUNT(*) AS number FROM appointment")
    assert rows[0]["number"] == 1


async def test_the_dashboard_keeps_its_week_though_its_wire_is_cut(built: Path, served: Served) -> None:
    for number, title in enumerate(("A", "B", "C")):  # Two pages of two.
        await _block(served, NINE + number * 3600, title)
    async with (
        wire_to(served.port) as (wire, url),
        running(built / "examples/dashboard.js", f"{url}/graphql", served.owner, *WEEK) as process,
    ):
        assert await line(process) == "Anna reads: A, B, C"
        await _block(served, NINE + 4 * 3600, "D")
        assert await line(process) == "ADDED: A, B, C, D"
        wire.cut()
        await _block(served, NINE + 5 * 3600, "E")
        await _block(served, NINE + 6 * 3600, "F")
        wire.mend()
        # What came while it was away, in order, and nothing twice.
        assert await line(process) == "ADDED: A, B, C, D, E"
        assert await line(process) == "ADDED: A, B, C, D, E, F"
        await _block(served, NINE + 7 * 3600, "G")
        assert await line(process) == "ADDED: A, B, C, D, E, F, G"


async def test_the_dashboard_connects_anew_where_nothing_is_heard_any_more(
    built: Path, served: Served
) -> None:
    async with (
        wire_to(served.port) as (wire, url),
        running(built / "examples/dashboard.js", f"{url}/graphql", served.owner, *WEEK) as process,
    ):
        assert await line(process) == "Anna reads:"
        await _block(served, NINE, "A")
        assert await line(process) == "ADDED: A"
        wire.freeze()
        await _block(served, NINE + 3600, "B")
        assert await line(process) == "ADDED: A, B"


async def _block(served: Served, start: int, title: str) -> None:
    world = served.world
    made = await world.admin(
        events.create_blocked_slot, user_id=world.anna.user, start=start, end=start + 1800, title=title
    )
    assert isinstance(made, SlotView), made
