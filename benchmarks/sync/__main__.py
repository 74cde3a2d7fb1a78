"""The sync's speed beside its floors and its peers: `python -m benchmarks.sync`, or one of its parts.

A server of our own answers from memory, in another process, so that what is counted is the client: CPU of its process,
the median of a few runs, and the ratio to a floor of the same run. Ends with 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import TypedDict

from benchmarks.ical import MissingError
from benchmarks.sync import peers, servers
from benchmarks.sync.replay import a_replay

Figures = dict[str, float]
_WITHIN = 1_200


class _Pace(TypedDict):
    accounts: int
    every: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Asked:
    events: int
    on_servers: int
    rounds: int
    accounts: int
    seconds: float
    databases: tuple[str, ...]
    postgres: str
    with_peers: bool


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sync", description=__doc__)
    parser.add_argument("part", nargs="*", help=f"of {', '.join(PARTS)}; all of them where none is named")
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--on-servers", type=int, default=1_000, help="events on Radicale and Xandikos")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--accounts", type=int, default=10_000, help="that are kept in step")
    parser.add_argument("--seconds", type=float, default=60, help="for which they are watched")
    parser.add_argument("--database", choices=["sqlite", "postgres", "both"], default="both")
    parser.add_argument("--postgres", default="postgres://postgres@127.0.0.1:5432/postgres")
    parser.add_argument("--no-peers", action="store_true", help="ours and the floors alone")
    given = parser.parse_args()
    if unknown := set(given.part) - PARTS.keys():
        parser.error(f"no such part: {', '.join(unknown)}")
    asked = Asked(
        events=given.events,
        on_servers=given.on_servers,
        rounds=given.rounds,
        accounts=given.accounts,
        seconds=given.seconds,
        databases=("sqlite", "postgres") if given.database == "both" else (given.database,),
        postgres=given.postgres,
        with_peers=not given.no_peers,
    )
    met = [PARTS[part](asked) for part in given.part or PARTS]
    return 0 if all(met) else 1


# --- The parts: each says whether its goals are met


def poll(asked: Asked) -> bool:
    """A poll without a change, at over 2,000 a second, beside three floors that ask the same and look for the tokens.

    A blocking socket waits for one answer at a time: no client that has more than one account in hand can do as little.
    An event loop has twenty under way; "paced", it begins each when it is due, as the accounts' polls are.
    """
    with a_replay(20) as url:
        print("\nA poll without a change, 13 calendars, 15 KB: CPU ms")
        runs = [_child("floor-poll", url, **_PACE) for _ in range(asked.rounds)]
        floor = _median(iter(runs))
        for name, key in _FLOORS.items():
            print(f"{'floor: ' + name:52}{floor[key]:9.3f}")
        met = True
        for database in asked.databases:
            found = _median(
                _child("polls", url, database, asked.postgres, **_PACE) for _ in range(asked.rounds)
            )
            for name, key in _FLOORS.items():
                is_met = _goal(f"{database}, all told, to {name}", found["cpu"], floor[key], 3)
                met &= is_met or key == "blocking"
            met &= _least("  polls a second", found["per_second"], 2_000, f"{_rate(_PACE):.0f} asked for")
            late = f"p50 {found['lag_p50']:.0f}, shared machine"
            met &= _most("  a poll begins late, p99, ms", found["lag_p99"], 1000, late)
            met &= _most("  a poll's share of a core-second", found["cpu"], 0.5, "ms: 2,000 a second")
            met &= _most("  requests beside it", found["others"], 0, "")
            met &= _most("  rows of events and of the log", found["rows"], 0, "")
    return met


_PACE: _Pace = {"accounts": 4_200, "every": 2.0, "seconds": 6.0}
"""A twentieth more than the goal: the next poll is counted from the end of the last, which begins a bit late."""
_FLOORS = {
    "a blocking socket": "blocking",
    "an event loop, back to back": "looping",
    "an event loop, paced": "paced",
}


def _rate(pace: _Pace) -> float:
    return pace["accounts"] / pace["every"]


def first(asked: Asked) -> bool:
    """A first sync: stored, expanded over 400 days, and committed."""
    with a_replay(asked.events) as url:
        floor = _median(_child("floor-first", url) for _ in range(asked.rounds))["cpu"]
        print(
            f"\nFirst sync of {asked.events} events: CPU ms\n{'floor: etags, multiget, expat':36}{floor:9.0f}"
        )
        ours: dict[str, float] = {}
        met = True
        for database in asked.databases:
            runs = (_child("first", url, database, asked.postgres) for _ in range(asked.rounds))
            found = _median(runs)
            ours[database] = found["cpu"]
            met &= _goal(f"Slotwire, {database}, stored, expanded", found["cpu"], floor, 3)
            met &= _most("  MB at most", found["peak"], 100, f"of which {found['base']:.0f} before it began")
            late = f"worst {found['loop_worst']:.0f}; wall, shared machine"
            met &= _most("  the loop was late, p99, ms", found["loop_p99"], 50, late)
        if asked.with_peers:
            met &= _beside(url, min(ours.values()))
    return met


def _beside(url: str, ours: float) -> bool:
    met = True
    works: list[tuple[str, Callable[[str], float]]] = [
        ("tsdav, fetched only", peers.tsdav),
        ("vdirsyncer, into files", peers.vdirsyncer),
        ("python-caldav, fetched only", peers.python_caldav),
    ]
    for name, work in works:
        try:
            took = work(url)
        except (MissingError, subprocess.SubprocessError) as missing:
            print(f"{name:36}left out: {missing}", flush=True)
            continue
        is_ahead = ours < took
        print(
            f"{name:36}{took:9.0f}{took / ours:7.1f}x ours   {'ahead' if is_ahead else 'BEHIND'}", flush=True
        )
        met &= is_ahead
    return met


def change(asked: Asked) -> bool:
    """One change, and a hundred, in a big calendar and in one of a tenth."""
    found: dict[int, Figures] = {}
    floors: dict[int, Figures] = {}
    small = asked.events // 10
    counts = (1, 100, 200)
    for events in (small, asked.events):
        with a_replay(events) as url:
            floors[events] = _child("floor-change", url, accounts=25, changes=counts)
            found[events] = _child("change", url, "sqlite", asked.postgres, accounts=25, changes=counts)
    big, floor = found[asked.events], floors[asked.events]
    print(f"\nChanges among {asked.events} events, stored, expanded and committed (SQLite): CPU ms")
    print(f"{'floor, 1 and 100: requests, expat':36}{floor['cpu_1']:9.2f}{floor['cpu_100']:9.2f}")
    met = _most("one change", big["cpu_1"], 3, f"wall {big['wall_1']:.1f} ms")
    met &= _most("  requests", big["requests_1"], 3, "")
    ratio = big["cpu_1"] / found[small]["cpu_1"]
    met &= _most(f"  to what it costs among {small}", ratio, 1.3, "times")
    met &= _most("a hundred", big["cpu_100"], 60, f"wall {big['wall_100']:.0f} ms")
    met &= _most("  two hundred to that", big["cpu_200"] / big["cpu_100"], 2.2, "times: linear")
    return met


def write(asked: Asked) -> bool:
    """A booking written, and a sign-in, beside the same requests over a bare socket: no goals of their own."""
    with a_replay(20) as url:
        floor = _median(_child("floor-write", url) for _ in range(asked.rounds))
        print("\nA write, and a sign-in: CPU ms")
        print(
            f"{'floor: one put, and the sign-in of three requests':52}{floor['put']:9.3f}{floor['sign_in']:9.3f}"
        )
        for database in asked.databases:
            found = _median(_child("write", url, database, asked.postgres) for _ in range(asked.rounds))
            _beside_floor(f"{database}, a booking into iCloud, all told", found["write"], floor["put"])
            print(f"{'  requests':52}{found['requests']:9.2f}   wall {found['write_wall']:.1f} ms")
        _beside_floor("its put alone", found["put"], floor["put"])
        _beside_floor("a sign-in", found["sign_in"], floor["sign_in"])
    return True


def idle(asked: Asked) -> bool:
    """Many accounts, each polled once a minute, in one process."""
    met = True
    with a_replay(20) as url:
        for database in asked.databases:
            few = _child("polls", url, database, asked.postgres, accounts=100, every=2.0, seconds=5.0)
            found = _child(
                "polls", url, database, asked.postgres, accounts=asked.accounts, every=60.0,
                seconds=asked.seconds,
            )  # fmt: skip
            print(f"\n{asked.accounts} accounts, one poll a minute each, {database}, {asked.seconds:.0f} s")
            due = asked.accounts / 60 * asked.seconds
            met &= _most("  polls that did not come, of a hundred", 100 - found["polls"] / due * 100, 5, "")
            met &= _most("  share of a core", found["share"], 0.5, f"{found['cpu']:.3f} ms a poll")
            met &= _most(
                "  a poll begins late, p99, ms", found["lag_p99"], 1000, f"p50 {found['lag_p50']:.1f}"
            )
            late = f"p50 {found['loop_p50']:.2f}, worst {found['loop_worst']:.0f}; wall, shared machine"
            met &= _most("  the loop is late, p99, ms", found["loop_p99"], 50, late)
            each = (found["peak"] - few["peak"]) / (asked.accounts - 100) * 1024
            met &= _most("  KB an account", each, 10, f"{found['peak']:.0f} MB in all")
            print(f"{'  the round in which each was read':42}{found['warm_cpu']:9.2f}   ms an account")
            print(
                f"{'  a process that begins, all being due':42}{found['begin_cpu']:9.2f}   ms an account,"
                f" {found['begin_wall']:.1f} s for all"
            )
    return met


def midnight(asked: Asked) -> bool:
    """Many accounts of one zone, in the minute after its midnight, when their windows move on."""
    met = True
    with a_replay(20) as url:
        for database in asked.databases:
            found = _child(
                "polls", url, database, asked.postgres, accounts=asked.accounts, every=60.0,
                seconds=asked.seconds, midnight_in=_BEFORE_MIDNIGHT,
            )  # fmt: skip
            print(f"\n{asked.accounts} accounts after midnight, one poll a minute each, {database}")
            met &= _most("  share of a core", found["share"], 0.5, "")
            met &= _most(
                "  a poll begins late, p99, ms", found["lag_p99"], 1000, f"p50 {found['lag_p50']:.1f}"
            )
            met &= _most("  the loop is late, p99, ms", found["loop_p99"], 50, "wall, shared machine")
    return met


_BEFORE_MIDNIGHT = 180.0
"""Seconds in which all accounts are added and read once, on a busy machine too."""


def layers(asked: Asked) -> bool:
    """Where a first sync's CPU goes: no goal of its own."""
    command = [sys.executable, "-m", "benchmarks.sync.layers", "--events", str(asked.events)]
    command += ["--postgres", asked.postgres, "--databases", *asked.databases]
    runs = (
        json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=_WITHIN).stdout)
        for _ in range(asked.rounds)
    )
    print(f"\nWhere the first sync of {asked.events} events goes, layer by layer: CPU ms")
    for name, took in _median(runs).items():
        print(f"{name:42}{took:9.0f}", flush=True)
    return True


PARTS: dict[str, Callable[[Asked], bool]] = {
    "poll": poll,
    "first": first,
    "layers": layers,
    "change": change,
    "write": write,
    "idle": idle,
    "midnight": midnight,
    "servers": lambda asked: servers.compare(asked.on_servers, asked.rounds),
}


# --- What is printed


def _goal(name: str, value: float, floor: float, most: float) -> bool:
    ratio = value / floor
    verdict = "met" if ratio <= most else "MISSED"
    print(f"{name:52}{value:9.3f}{ratio:7.1f}x the floor   goal {most}x: {verdict}", flush=True)
    return ratio <= most


def _beside_floor(name: str, value: float, floor: float) -> None:
    print(f"{name:52}{value:9.3f}{value / floor:7.1f}x the floor", flush=True)


def _most(name: str, value: float, most: float, note: str) -> bool:
    verdict = "met" if value <= most else "MISSED"
    print(f"{name:42}{value:9.2f}   at most {most:g}: {verdict}   {note}", flush=True)
    return value <= most


def _least(name: str, value: float, least: float, note: str) -> bool:
    verdict = "met" if value >= least else "MISSED"
    print(f"{name:42}{value:9.0f}   at least {least:g}: {verdict}   {note}", flush=True)
    return value >= least


# --- Processes


def _child(
    what: str,
    url: str,
    database: str = "sqlite",
    postgres: str = "",
    *,
    accounts: int = 1,
    every: float = 60.0,
    seconds: float = 10.0,
    changes: tuple[int, ...] = (1,),
    midnight_in: float | None = None,
) -> Figures:
    command = [sys.executable, "-m", "benchmarks.sync.child", what, "--url", url, "--database", database]
    command += ["--postgres", postgres, "--accounts", str(accounts), "--every", str(every)]
    command += ["--seconds", str(seconds), "--changes", *map(str, changes)]
    command += [] if midnight_in is None else ["--midnight-in", str(midnight_in)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=_WITHIN)
    found: Figures = json.loads(done.stdout)
    return found


def _median(runs: Iterator[Figures]) -> Figures:
    every = list(runs)
    return {name: median(run[name] for run in every) for name in every[0]}


if __name__ == "__main__":
    sys.exit(main())
