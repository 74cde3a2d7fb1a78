"""Real clients from npm against a server of ours: fetched once, run by node, each claim a result of its own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from zlib import crc32

import pytest

from models.bell import Bell
from server.database import open_database
from tests.alone import alone
from tests.e2e.serving import Served, serving
from tests.integration.world import world_on

HERE = Path(__file__).parent
Told = Mapping[str, str]


def need(what: str, *, is_there: bool) -> None:
    """Skips by name on a person's machine; where CI runs, what is missing is a failure."""
    if not is_there:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(what)


@pytest.fixture(scope="session")
def packages() -> Path:
    need("node and npm are not installed", is_there=bool(shutil.which("node") and shutil.which("npm")))
    with alone(HERE):
        fetched, wanted = (
            HERE / "node_modules" / ".fetched",
            str(crc32((HERE / "package-lock.json").read_bytes())),
        )
        if not fetched.is_file() or fetched.read_text() != wanted:
            done = subprocess.run(
                ["npm", "ci", "--no-audit", "--no-fund"],
                cwd=HERE,
                capture_output=True,
                text=True,
                check=False,
            )
            need(f"npm could not fetch the clients: {done.stderr[-300:]}", is_there=done.returncode == 0)
            fetched.write_text(wanted)
    return HERE


@pytest.fixture(scope="module")
def told_by(
    packages: Path, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Told]:
    """What a script says of the server, by claim; each script is run once."""
    known: dict[str, Told] = {}

    def told(script: str) -> Told:
        if script not in known:
            path = tmp_path_factory.mktemp("clients") / "slotwire.sqlite3"
            path.write_bytes(sqlite_template.read_bytes())
            known[script] = asyncio.run(_run_on_fresh(script, f"sqlite:///{path}"))
        return known[script]

    return told


async def _run_on_fresh(script: str, url: str) -> Told:
    async with open_database(url) as database, serving(await world_on(database, Bell())) as served:
        lines = await run_script(script, served)
    told = [json.loads(line) for line in lines]
    return {each["claim"]: each["story"] for each in told}


async def run_script(script: str, served: Served, **environment: str) -> list[str]:
    """Its lines. Whatever else it has to say is a failure."""
    node = await asyncio.create_subprocess_exec(
        *("node", "--no-warnings", script),
        cwd=HERE,
        env={
            "PATH": os.environ["PATH"],
            "NODE_ENV": "production",
            "SLOTWIRE_URL": f"{served.url}/graphql",
            "SLOTWIRE_OWNER_KEY": served.owner,
            "SLOTWIRE_BOOKING_KEY": served.booking,
            "SLOTWIRE_USER": served.world.anna.user,
            **environment,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, problems = await node.communicate()
    except BaseException:
        node.kill()
        raise
    assert (node.returncode, problems.decode()) == (0, ""), out.decode() + problems.decode()
    return out.decode().splitlines()
