"""Servers of a benchmark as its parent sees them: started, asked what they took, ended."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ports import free_ports
from benchmarks.world import ROOT


@dataclass(frozen=True, slots=True)
class Taken:
    """`cpu` in seconds and `rss` in bytes, of the server's process."""

    cpu: float
    rss: int
    executions: int

    def since(self, before: Taken) -> Taken:
        return Taken(self.cpu - before.cpu, self.rss - before.rss, self.executions - before.executions)


@dataclass(frozen=True, slots=True)
class Worker:
    port: int
    process: asyncio.subprocess.Process

    async def taken(self) -> Taken:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"\n")
        return Taken(**json.loads(await asyncio.wait_for(self.process.stdout.readline(), 30)))


@asynccontextmanager
async def worker(
    kind: str, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Worker]:
    [port] = free_ports(1)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.api.worker", kind, str(port), *([str(folder)] if folder else [])),
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        await _answers(port, process)
        yield Worker(port, process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 20)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _answers(port: int, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(60):
        while True:
            if process.returncode is not None:
                raise RuntimeError("a server of the benchmark ended by itself")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return
