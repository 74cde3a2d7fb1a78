"""A plain Radicale, started for the tests: an ordinary CalDAV server without iCloud's manners."""

from __future__ import annotations

import asyncio
import socket
import sys
import urllib.request
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

NAME, PASSWORD = "owner@example.test", "plain-password"
_AUTHORIZATION = f"Basic {b64encode(f'{NAME}:{PASSWORD}'.encode()).decode()}"


@asynccontextmanager
async def plain_radicale(folder: Path) -> AsyncIterator[str]:
    """Its address, with two calendars, one task list and nothing in them."""
    port = _free_port()
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
        await _wait_for(port)
        for path, component in (("home", "VEVENT"), ("work", "VEVENT"), ("tasks", "VTODO")):
            await asyncio.to_thread(_make_calendar, f"{url}{NAME}/{path}/", component)
        yield url
    finally:
        process.terminate()
        await process.wait()


def _make_calendar(url: str, component: str) -> None:
    body = (
        '<c:mkcalendar xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"><d:set><d:prop><d:displayname>'
        f"{url.rstrip('/').rpartition('/')[2].title()}</d:displayname><c:supported-calendar-component-set>"
        f'<c:comp name="{component}"/></c:supported-calendar-component-set></d:prop></d:set></c:mkcalendar>'
    )
    request = urllib.request.Request(url, body.encode(), method="MKCALENDAR")
    request.add_header("Authorization", _AUTHORIZATION)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 201


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


async def _wait_for(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            await writer.wait_closed()
            return
