"""A plain Xandikos, started for the tests: another ordinary CalDAV server. It asks nobody for a password."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.contracts.loopback import free_port, make_calendar, wait_for

NAME, PASSWORD = "anybody@example.test", "whatever-it-is"
HOME = "user/calendars/"


@asynccontextmanager
async def plain_xandikos(folder: Path) -> AsyncIterator[str]:
    """Its address, with two calendars, one task list and nothing in them."""
    port = free_port()
    arguments = ["serve", "-d", str(folder), "--defaults", "-l", "127.0.0.1", "-p", str(port)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "xandikos", *arguments, "--no-detect-systemd"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}/"
    try:
        await wait_for(port)
        for path, component in (("home", "VEVENT"), ("work", "VEVENT"), ("tasks", "VTODO")):
            await asyncio.to_thread(make_calendar, f"{url}{HOME}{path}/", component)
        yield url
    finally:
        process.terminate()
        await process.wait()
