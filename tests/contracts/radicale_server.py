"""A plain Radicale, started for the tests: an ordinary CalDAV server without iCloud's manners."""

from __future__ import annotations

import asyncio
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.contracts.loopback import free_port, make_calendar, wait_for

NAME, PASSWORD = "owner@example.test", "plain-password"
_AUTHORIZATION = f"Basic {b64encode(f'{NAME}:{PASSWORD}'.encode()).decode()}"


@asynccontextmanager
async def plain_radicale(folder: Path) -> AsyncIterator[str]:
    """Its address, with two calendars, one task list and nothing in them."""
    port = free_port()
    (folder / "users").write_text(f"{NAME}:{PASSWORD}\n")
    config = folder / "config"
    config.write_text(
        f"[server]\nhosts = 127.0.0.1:{port}\n[auth]\ntype = htpasswd\nhtpasswd_filename = {folder}/users\n"
        f"htpasswd_encryption = plain\ndelay = 0\n[storage]\nfilesystem_folder = {folder}/collections\n"
        "[logging]\nlevel = error\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "radicale", "--config", str(config), stderr=asyncio.subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}/"
    try:
        await wait_for(port)
        for path, component in (("home", "VEVENT"), ("work", "VEVENT"), ("tasks", "VTODO")):
            await asyncio.to_thread(make_calendar, f"{url}{NAME}/{path}/", component, _AUTHORIZATION)
        yield url
    finally:
        process.terminate()
        await process.wait()
