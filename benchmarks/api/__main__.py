"""`python -m benchmarks.api availability | fanout | sockets`: each goal, and 1 as exit code where one is missed."""

from __future__ import annotations

import argparse
import asyncio
import sys

from benchmarks.api import availability, fanout, sockets


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.api", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    asked = commands.add_parser(
        "availability", help="against a floor, plain strawberry, and live from CalDAV"
    )
    asked.add_argument("--rounds", type=int, default=9)
    asked.add_argument("--requests", type=int, default=500)
    told = commands.add_parser("fanout", help="one change to many sockets, and to one")
    told.add_argument("--sockets", type=int, default=1000)
    told.add_argument("--changes", type=int, default=20)
    idle = commands.add_parser("sockets", help="what idle sockets take")
    idle.add_argument("--sockets", type=int, default=5000)
    given = parser.parse_args()
    match given.command:
        case "availability":
            is_met = asyncio.run(availability.run(rounds=given.rounds, requests=given.requests))
        case "fanout":
            is_met = asyncio.run(fanout.run(sockets=given.sockets, changes=given.changes))
        case _:
            is_met = asyncio.run(sockets.run(sockets=given.sockets))
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
