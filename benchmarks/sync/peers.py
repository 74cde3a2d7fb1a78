"""What others take to fetch the same calendar. None expands an event, and only vdirsyncer keeps what it fetched.

Each is brought into a temporary folder of its own when it is run; one that can't be is named and left out.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from benchmarks.ical import MissingError

TSDAV, VDIRSYNCER = "tsdav@2", "vdirsyncer==0.21.*"
_SCRIPT = Path(__file__).parent.parent / "peers" / "tsdav.mjs"
_NAME, _PASSWORD = "a00000@icloud.com", "abcd-efgh-ijkl-mnop"
_WITHIN = 300


def tsdav(url: str) -> float:
    """CPU ms of `fetchCalendarObjects`: fetched, nothing read of it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise MissingError("Node.js with npm")
    with tempfile.TemporaryDirectory() as folder:
        install = [npm, "install", "--silent", "--no-save", "--prefix", folder, TSDAV]
        if subprocess.run(install, capture_output=True, check=False, timeout=_WITHIN).returncode:
            raise MissingError("npm could not bring it")
        module = Path(folder) / "node_modules/tsdav/dist/tsdav.esm.js"
        return _cpu([node, str(_SCRIPT), str(module), url])


def python_caldav(url: str) -> float:
    """CPU ms of `search`: fetched, nothing read of it."""
    return _cpu([sys.executable, "-m", "benchmarks.sync.peers", url])


def vdirsyncer(url: str) -> float:
    """CPU ms of the whole process: fetched, and a file written for each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        install = [str(folder / "venv/bin/pip"), "install", "--quiet", VDIRSYNCER]
        if subprocess.run(install, capture_output=True, check=False, timeout=_WITHIN).returncode:
            raise MissingError("pip could not bring it")
        settings = folder / "config"
        settings.write_text(
            f'[general]\nstatus_path = "{folder}/status/"\n[pair one]\na = "local"\nb = "remote"\ncollections = null\n'
            f'[storage local]\ntype = "filesystem"\npath = "{folder}/files/"\nfileext = ".ics"\n'
            f'[storage remote]\ntype = "caldav"\nurl = "{url}a00000/calendars/cal0/"\n'
            f'username = "{_NAME}"\npassword = "{_PASSWORD}"\n'
        )
        (folder / "files").mkdir()
        command = [str(folder / "venv/bin/vdirsyncer"), "--config", str(settings)]
        subprocess.run(
            [*command, "discover"], capture_output=True, input=b"y\n" * 5, check=True, timeout=_WITHIN
        )
        before = _children()
        subprocess.run([*command, "sync"], capture_output=True, check=True, timeout=_WITHIN)
        took = (_children() - before) * 1000
        if not any((folder / "files").iterdir()):
            raise MissingError("it fetched nothing")
        return took


def _children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _cpu(command: list[str]) -> float:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_WITHIN)
    if done.returncode:
        raise MissingError(f"it failed: {done.stderr.strip().splitlines()[-1:]}")
    found: dict[str, float] = json.loads(done.stdout)
    assert found["count"] > 0
    return found["cpu"]


def _search(url: str) -> None:
    import time

    import caldav

    with caldav.DAVClient(url=url, username=_NAME, password=_PASSWORD, auth_type="basic") as client:
        since = time.process_time()
        found = client.calendar(url=f"{url}a00000/calendars/cal0/").search(event=True)
        print(json.dumps({"cpu": (time.process_time() - since) * 1000, "count": len(found)}))


if __name__ == "__main__":
    _search(sys.argv[1])
