"""A PostgreSQL server of our own, in a folder that goes when it does: to be stopped hard, or to spare a disk."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.ports import free_ports
from tests.memory import memory

_BIN = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@dataclass(frozen=True, slots=True)
class Server:
    """Run by the user that Debian made for it where we are root."""

    binaries: Path
    data: Path
    port: int
    options: str

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def run(self, *arguments: str) -> None:
        asked = [str(self.binaries / arguments[0]), *arguments[1:]]
        as_other = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        subprocess.run([*as_other, *asked], check=True, capture_output=True, cwd="/", timeout=60)

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= {self.options}"
        log = str(self.data / "log")
        self.run("pg_ctl", "-w", "-D", str(self.data), "-l", log, "-o", options, "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-w", "-D", str(self.data), "-m", "immediate", "stop")


def is_installed() -> bool:
    return bool(_BIN)


@contextmanager
def own_server(folder: Path, *, options: str) -> Iterator[Server]:
    """Running, in `folder`, until the end; `options` are PostgreSQL's, as on its command line."""
    folder.chmod(0o755)
    data = folder / "postgres"
    data.mkdir()
    if os.geteuid() == 0:
        shutil.chown(data, "postgres")
    [port] = free_ports(1)
    server = Server(_BIN[-1], data, port, options)
    server.run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
    server.start()
    try:
        yield server
    finally:
        with suppress(subprocess.CalledProcessError):
            server.stop()


_SPARES_THE_DISK = "-c fsync=off -c full_page_writes=off -c max_connections=300"
"""What a server does that need not outlive a power cut: to make and drop a database takes a tenth of the time."""


@contextmanager
def server_in_memory() -> Iterator[Server]:
    """Where there is memory for it; else on the disk, sparing it."""
    with (
        TemporaryDirectory(prefix="slotwire-postgres-", dir=memory()) as folder,
        own_server(Path(folder), options=_SPARES_THE_DISK) as server,
    ):
        yield server
