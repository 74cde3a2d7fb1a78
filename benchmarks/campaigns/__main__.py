"""`python -m benchmarks.campaigns`: runs the campaigns and prints what they counted; exit code 1 on any failure."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.campaigns.bookers import bookers
from benchmarks.campaigns.crashes import crashes
from benchmarks.campaigns.idempotency import idempotency
from benchmarks.campaigns.kills import kills
from benchmarks.campaigns.sockets import sockets
from benchmarks.campaigns.tally import Tally
from benchmarks.world import World, fresh_database, world

POSTGRES = "postgres://postgres@127.0.0.1:5432/postgres"
Campaign = Callable[[World, argparse.Namespace, str], Awaitable[Tally]]

CAMPAIGNS: dict[str, Campaign] = {
    "bookers": lambda w, a, where: bookers(w, rounds=a.rounds, seed=a.seed, where=where),
    "idempotency": lambda w, a, where: idempotency(w, rounds=a.rounds, where=where),
    "kills": lambda w, a, where: kills(w, times=a.kills, seed=a.seed, where=where),
    "crashes": lambda w, a, where: crashes(w, times=a.crashes, seed=a.seed, where=where),
    "sockets": lambda w, a, where: sockets(w, drops=a.drops, seed=a.seed, where=where),
}
PLACES = (("sqlite", 1), ("postgres", 1), ("postgres", 4))
TAKES_FOUR = {"bookers", "idempotency"}


async def run(arguments: argparse.Namespace) -> int:
    print(f"{'campaign':<12} {'where':<22} {'trials':>6} {'failures':>8}", flush=True)
    is_good = True
    for name in arguments.campaign or CAMPAIGNS:
        for kind, processes in PLACES:
            if kind not in arguments.database or (processes > 1 and name not in TAKES_FOUR):
                continue
            tally = await _one(name, kind, processes, arguments)
            print(tally.line(), flush=True)
            for story in tally.failures[:10]:
                print(f"    {story}", flush=True)
            is_good = is_good and tally.is_good
    return 0 if is_good else 1


async def _one(name: str, kind: str, processes: int, arguments: argparse.Namespace) -> Tally:
    where = f"{kind}, {processes} process{'es' if processes > 1 else ''}"
    postgres = os.environ.get("SLOTWIRE_TEST_POSTGRES", POSTGRES)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        async with (
            fresh_database(kind, Path(folder), postgres=postgres) as url,
            world(Path(folder), url, servers=processes) as running,
        ):
            tally = await CAMPAIGNS[name](running, arguments, where)
    tally.facts["seconds"] = round(time.monotonic() - started)
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.campaigns", description=__doc__)
    parser.add_argument(
        "campaign",
        nargs="*",
        choices=[*CAMPAIGNS, []],
        metavar="campaign",
        help="which of " + ", ".join(CAMPAIGNS) + "; all if none is named",
    )
    parser.add_argument(
        "--database", nargs="+", choices=["sqlite", "postgres"], default=["sqlite", "postgres"]
    )
    parser.add_argument("--rounds", type=int, default=300, help="of bookers, and of idempotency")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--crashes", type=int, default=20, help="at each named step of the sync engine")
    parser.add_argument("--drops", type=int, default=500, help="sockets dropped and resumed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--small", action="store_true", help="a tenth of everything, as CI runs it")
    arguments = parser.parse_args()
    if arguments.small:
        arguments.rounds, arguments.kills, arguments.crashes, arguments.drops = 30, 5, 1, 50
    return asyncio.run(run(arguments))


if __name__ == "__main__":
    sys.exit(main())
