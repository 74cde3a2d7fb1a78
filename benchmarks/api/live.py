"""Availability asked from the calendar server each time: tsdav fetches, ical.js reads, as Cal.com does."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.api import data
from benchmarks.ports import free_ports
from benchmarks.world import ROOT

PACKAGES = ("tsdav@2.3.4", "ical.js@2.2.1")
_SCRIPT = ROOT / "benchmarks" / "peers" / "caldav_live.mjs"
_ROUNDS = 5


def brought(folder: Path) -> Path | str:
    """Where npm put the peers, or what is missing."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return "Node.js with npm is not here"
    install = [npm, "install", "--silent", "--no-save", "--prefix", str(folder), *PACKAGES]
    if subprocess.run(install, capture_output=True, check=False, timeout=240).returncode:
        return f"npm could not bring {' and '.join(PACKAGES)}"
    shutil.copy(_SCRIPT, folder / _SCRIPT.name)
    return folder


async def measured(folder: Path, spans: int, since: int) -> float:
    """CPU seconds of one question, all of it in the client: the server has its answers ready."""
    [port] = free_ports(1)
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.api.caldav", str(port), str(spans), str(since)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert server.stdout is not None
        await asyncio.wait_for(server.stdout.readline(), 60)
        script = await asyncio.create_subprocess_exec(
            *("node", str(folder / _SCRIPT.name), f"http://127.0.0.1:{port}", str(data.CALENDARS)),
            *(str(since), str(since + data.DAYS * data.DAY), str(_ROUNDS)),
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await asyncio.wait_for(script.communicate(), 240)
    finally:
        server.terminate()
        await server.wait()
    found = json.loads(said)
    assert found["windows"] == spans, found
    cpu: float = found["cpu"]
    return cpu
