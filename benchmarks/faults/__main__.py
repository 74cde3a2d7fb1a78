"""`python -m benchmarks.faults --all`: the table of faults; exit code 1 where one was not survived."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress

from benchmarks.arguments import at_least_one
from benchmarks.campaigns.tally import HEADING
from benchmarks.faults.row import Place, Row
from benchmarks.faults.table import ROWS
from benchmarks.faults.tried import Told, one, quietly
from benchmarks.own_postgres import is_installed, server_in_memory


def run(asked: argparse.Namespace) -> int:
    chosen = [row for row in ROWS if not asked.only or row.name in asked.only]
    tried = [(row.name, place) for row in chosen for place in row.places if _is_asked(row, place, asked)]
    if not tried:
        print("Nothing was tried: no such row has such a database and so many processes.", file=sys.stderr)
        return 2
    print(HEADING, flush=True)
    is_good = True
    with _databases(asked):
        for lines, is_survived in _each(tried, asked):
            print(lines, flush=True)
            is_good = is_survived and is_good
    return 0 if is_good else 1


@contextmanager
def _databases(asked: argparse.Namespace) -> Iterator[None]:
    """A small run's lie in memory, as the suite's: several rows would wait for one disk. PostgreSQL's, if it may."""
    if not asked.small or "SLOTWIRE_TEST_POSTGRES" in os.environ or not is_installed():
        yield
        return
    with server_in_memory() as server:
        os.environ["SLOTWIRE_TEST_POSTGRES"] = server.url  # The rows' processes have it from here.
        yield


def _is_asked(row: Row, place: Place, asked: argparse.Namespace) -> bool:
    kind, processes = place
    is_left_out = asked.small and (processes > 1 or not row.small)
    return kind in asked.database and processes in asked.processes and not is_left_out


def _each(tried: Sequence[tuple[str, Place]], asked: argparse.Namespace) -> Iterator[Told]:
    """In the table's order, however many are tried at once: then each in a process of its own."""
    if asked.beside == 1:
        yield from (one(name, place, asked) for name, place in tried)
        return
    processes = ProcessPoolExecutor(asked.beside, multiprocessing.get_context("spawn"), quietly)
    try:
        trying = [processes.submit(one, name, place, asked) for name, place in tried]
        yield from (each.result() for each in trying)
    finally:
        processes.shutdown(cancel_futures=True)


def _scale(text: str) -> float:
    with suppress(ValueError):
        if 0 < float(text) <= 1000:
            return float(text)
    raise argparse.ArgumentTypeError(f"a number over 0 and up to 1000, not {text}")


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    names = [row.name for row in ROWS]
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--all", action="store_true", help="each row, in its whole count")
    what.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    what.add_argument("--small", action="store_true", help="each row, as seldom as CI runs it")
    how_often = parser.add_mutually_exclusive_group()
    how_often.add_argument("--scale", type=_scale, default=1.0, help="of the counts: 0.1 is a tenth")
    how_often.add_argument("--count", type=at_least_one, help="of each row's trials, in place of its own")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--database", nargs="+", choices=["sqlite", "postgres"], default=["sqlite", "postgres"]
    )
    parser.add_argument("--processes", nargs="+", type=int, choices=[1, 4], default=[1, 4])
    parser.add_argument(
        "--beside", type=at_least_one, default=1, help="so many rows at once; printed in order"
    )
    return parser


def main() -> int:
    asked = parser().parse_args()
    quietly()
    # Told to end, it ends as by Ctrl-C: no server that a row began is left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run(asked)
    except KeyboardInterrupt:
        print("Ended before all rows were tried.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
