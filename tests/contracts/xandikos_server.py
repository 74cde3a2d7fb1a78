"""A plain Xandikos, started for the tests: another ordinary CalDAV server. It asks nobody for a password."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.contracts.loopback import make_calendar, started

NAME, PASSWORD = "anybody@example.test", "whatever-it-is"
HOME = "user/calendars/"


@asynccontextmanager
async def plain_xandikos(folder: Path) -> AsyncIterator[str]:
    """Its address, with two calendars, one task list and nothing in them."""
    common = ["serve", "-d", str(folder), "--defaults", "-l", "127.0.0.1", "--no-detect-systemd"]
    async with started("xandikos", lambda port: [*common, "-p", str(port)]) as port:
        url = f"http://127.0.0.1:{port}/"
        for path, component in (("home", "VEVENT"), ("work", "VEVENT"), ("tasks", "VTODO")):
            await asyncio.to_thread(make_calendar, f"{url}{HOME}{path}/", component)
        yield url
