"""A plain Radicale, started for the tests: an ordinary CalDAV server without iCloud's manners."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.contracts.loopback import make_calendar, started

NAME, PASSWORD = "owner@example.test", "plain-password"
_AUTHORIZATION = f"Basic {b64encode(f'{NAME}:{PASSWORD}'.encode()).decode()}"


@asynccontextmanager
async def plain_radicale(folder: Path) -> AsyncIterator[str]:
    """Its address, with two calendars, one task list and nothing in them."""
    (folder / "users").write_text(f"{NAME}:{PASSWORD}\n")
    config = folder / "config"
    config.write_text(
        f"[auth]\ntype = htpasswd\nhtpasswd_filename = {folder}/users\nhtpasswd_encryption = plain\ndelay = 0\n"
        f"[storage]\nfilesystem_folder = {folder}/collections\n[logging]\nlevel = error\n"
    )
    common = ["--config", str(config), "--server-hosts"]
    async with started("radicale", lambda port: [*common, f"127.0.0.1:{port}"]) as port:
        url = f"http://127.0.0.1:{port}/"
        for path, component in (("home", "VEVENT"), ("work", "VEVENT"), ("tasks", "VTODO")):
            await asyncio.to_thread(make_calendar, f"{url}{NAME}/{path}/", component, _AUTHORIZATION)
        yield url
