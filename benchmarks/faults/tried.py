"""One row of the table, tried and told: in this process, or in one of several beside each other."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import tempfile
import time
from pathlib import Path

from benchmarks.campaigns.tally import Tally
from benchmarks.faults.row import LeftOutError, Place, Row, Scene
from benchmarks.faults.table import ROWS
from tests.memory import memory

POSTGRES_URL = "postgres://postgres@127.0.0.1:5432/postgres"

Told = tuple[str, bool]
"""A row's lines, and whether all was survived."""


def quietly() -> None:
    logging.disable(logging.ERROR)  # What goes wrong here, goes wrong on purpose.


def one(name: str, place: Place, asked: argparse.Namespace) -> Told:
    [row] = [row for row in ROWS if row.name == name]
    return asyncio.run(tried(row, place, asked))


async def tried(row: Row, place: Place, asked: argparse.Namespace) -> Told:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=memory() if asked.small else None) as folder:
        scene = Scene(
            name=row.name,
            kind=place[0],
            processes=place[1],
            count=_count(row, asked),
            seed=asked.seed,
            folder=Path(folder),
            postgres=os.environ.get("SLOTWIRE_TEST_POSTGRES", POSTGRES_URL),
        )
        try:
            tally = await row.run(scene)
        except LeftOutError as lacking:
            return f"{row.name:<18} {scene.where:<22} left out: {lacking}", True
        except Exception as error:  # noqa: BLE001 - told as this row's; the others go on.
            tally = Tally(scene.name, scene.where, failures=[f"{type(error).__name__}: {error}"[:600]])
    tally.facts["seconds"] = round(time.monotonic() - started)
    return _lines(tally), tally.is_good


def _count(row: Row, asked: argparse.Namespace) -> int:
    if asked.count is not None:
        return int(asked.count)
    return row.small if asked.small else max(round(row.trials * asked.scale), 1)


def _lines(tally: Tally) -> str:
    return "\n".join([tally.line(), *(f"    {story}" for story in tally.failures[:10])])
