"""What it takes to start somebody else's server for a test: a free port, its first answer, and calendars in it."""

from __future__ import annotations

import asyncio
import socket
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager


@asynccontextmanager
async def started(module: str, arguments: Callable[[int], Sequence[str]]) -> AsyncIterator[int]:
    """A server's port, once it answers there. Another program may take a free port first: then the next one."""
    for _ in range(5):
        port = _free_port()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments(port)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            if await _answers(port, process):
                yield port
                return
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
    raise AssertionError(f"{module} did not start")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


async def _answers(port: int, process: asyncio.subprocess.Process) -> bool:
    """False where the process has ended."""
    async with asyncio.timeout(60):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            await writer.wait_closed()
            return True
    return False


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
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 201
