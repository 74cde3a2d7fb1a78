"""What it takes to start somebody else's server for a test: a free port, its first answer, and calendars in it."""

from __future__ import annotations

import asyncio
import socket
import urllib.request


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


async def wait_for(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            await writer.wait_closed()
            return


def make_calendar(url: str, component: str, authorization: str = "") -> None:
    name = url.rstrip("/").rpartition("/")[2].title()
    body = (
        '<c:mkcalendar xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"><d:set><d:prop><d:displayname>'
        f"{name}</d:displayname><c:supported-calendar-component-set>"
        f'<c:comp name="{component}"/></c:supported-calendar-component-set></d:prop></d:set></c:mkcalendar>'
    )
    request = urllib.request.Request(url, body.encode(), method="MKCALENDAR")
    request.add_header("Content-Type", "application/xml")
    if authorization:
        request.add_header("Authorization", authorization)
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 201
