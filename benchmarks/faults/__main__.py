"""`python -m benchmarks.faults --all`: the table of faults; exit code 1 where one was not survived."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.campaigns.tally import Tally
from benchmarks.faults.row import LeftOutError, Place, Row, Scene
from benchmarks.faults.table import ROWS

POSTGRES_URL = "postgres://postgres@127.0.0.1:5432/postgres"


async def run(asked: argparse.Namespace) -> int:
    print(f"{'fault':<18} {'where':<22} {'trials':>6} {'failures':>8}", flush=True)
    is_good = True
    for row in ROWS:
        if asked.only and row.name not in asked.only:
            continue
        for place in row.places:
            if _is_asked(row, place, asked):
                is_good = await _one(row, place, asked) and is_good
    return 0 if is_good else 1


def _is_asked(row: Row, place: Place, asked: argparse.Namespace) -> bool:
    kind, processes = place
    is_left_out = asked.small and (processes > 1 or not row.small)
    return kind in asked.database and processes in asked.processes and not is_left_out


async def _one(row: Row, place: Place, asked: argparse.Namespace) -> bool:
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(
            name=row.name,
            kind=place[0],
            processes=place[1],
            count=row.small if asked.small else max(round(row.trials * asked.scale), 1),
            seed=asked.seed,
            folder=Path(folder),
            postgres=os.environ.get("SLOTWIRE_TEST_POSTGRES", POSTGRES_URL),
        )
        try:
            tally = await row.run(scene)
        except LeftOutError as lacking:
            print(f"{row.name:<18} {scene.where:<22} left out: {lacking}", flush=True)
            return True
    tally.facts["seconds"] = round(time.monotonic() - started)
    _print(tally)
    return tally.is_good


def _print(tally: Tally) -> None:
    print(tally.line(), flush=True)
    for story in tally.failures[:10]:
        print(f"    {story}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    names = [row.name for row in ROWS]
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--all", action="store_true", help="each row, in its whole count")
    what.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    what.add_argument("--small", action="store_true", help="each row, as seldom as CI runs it")
    parser.add_argument("--scale", type=float, default=1.0, help="of the counts: 0.1 is a tenth")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--database", nargs="+", choices=["sqlite", "postgres"], default=["sqlite", "postgres"]
    )
    parser.add_argument("--processes", nargs="+", type=int, choices=[1, 4], default=[1, 4])
    asked = parser.parse_args()
    logging.disable(logging.ERROR)  # What goes wrong here, goes wrong on purpose.
    return asyncio.run(run(asked))


if __name__ == "__main__":
    sys.exit(main())
