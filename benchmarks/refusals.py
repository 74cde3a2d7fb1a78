"""What it takes to refuse a request that is made to cost much, beside what its document costs where nothing is refused.

`python -m benchmarks.refusals`: CPU of each of `tests/unit/abuse.py`'s requests, read, weighed and validated as the
server does it; the floor is graphql-core's parser over the same text, and the peer graphql-core's parser and
validation, both without limits. The least of some rounds counts, for each. The goal: 100 ms at most, for each; where
graphql-core needs more than that, it says what the limits are for.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import orjson
from graphql import GraphQLError, parse, validate

from benchmarks.arguments import at_least_one
from domain.actor import Role
from schema.build import build
from server.engine import Engine, Request
from server.request import MOST_BYTES, Asked, read_body
from tests.unit.abuse import ABUSES, WIDEST

GOAL = 0.1
SCHEMA = build()[0]


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of CPU. No floor where the text is none, and no peer where it was given up."""

    name: str
    size: int
    ours: float
    floor: float | None
    peer: float | None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.refusals", description=__doc__)
    parser.add_argument("--rounds", type=at_least_one, default=9)
    parser.add_argument(
        "--patience", type=float, default=10, help="seconds of CPU after which a peer is given up"
    )
    given = parser.parse_args()
    bodies = {name: body for name, (body, _) in ABUSES.items() if len(body) <= MOST_BYTES}
    bodies["(the widest that is allowed)"] = WIDEST
    taken = sorted(
        (measured(name, body, given.rounds, given.patience) for name, body in bodies.items()),
        key=lambda each: -each.ours,
    )
    print(f"{'CPU, ms':58}{'bytes':>8}{'ours':>9}{'floor':>9}{'times':>7}{'unlimited':>11}")
    for each in taken:
        print(row(each, given.patience))
    missed = [each.name for each in taken if each.ours > GOAL]
    print(f"\n{len(taken)} requests; over {GOAL * 1000:.0f} ms: {', '.join(missed) or 'none'}")
    return 1 if missed else 0


def row(each: Taken, patience: float) -> str:
    shown = f"{each.name:58}{each.size:8,}{each.ours * 1000:9.2f}"
    if each.floor is None:
        return shown
    peer = f"over {patience:.0f} s" if each.peer is None else f"{each.peer * 1000:.1f}"
    return f"{shown}{each.floor * 1000:9.2f}{each.ours / each.floor:7.1f}{peer:>11}"


def measured(name: str, body: bytes, rounds: int, patience: float) -> Taken:
    ours = min(seconds(lambda: refuse(body)) for _ in range(rounds))
    text = document_in(body)
    if text is None:
        return Taken(name, len(body), ours, None, None)
    floor = min(seconds(lambda: read(text)) for _ in range(rounds))
    first = within(patience, lambda: seconds(lambda: read(text, is_validated=True)))
    more = rounds - 1 if first is not None and first < 1 else 0
    again = (seconds(lambda: read(text, is_validated=True)) for _ in range(more))
    return Taken(name, len(body), ours, floor, None if first is None else min([first, *again]))


def refuse(body: bytes) -> None:
    """By an engine that has never seen the document."""
    asked = read_body(body)
    if isinstance(asked, Asked) and asked.query is not None:
        Engine(SCHEMA, booking_introspection=False).prepare(
            Request(asked.query, asked.operation_name, asked.variables), Role.ADMIN
        )


def document_in(body: bytes) -> str | None:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    text = found.get("query") if isinstance(found, dict) else None
    return text if isinstance(text, str) else None


def read(text: str, *, is_validated: bool = False) -> None:
    """As graphql-core does it by itself; what is beyond its own stack ends it."""
    try:
        document = parse(text)
        if is_validated:
            validate(SCHEMA, document)
    except (GraphQLError, RecursionError):
        pass


def seconds(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return time.thread_time() - began


def within(patience: float, work: Callable[[], float]) -> float | None:
    """None where it takes more CPU than that."""

    def give_up(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, patience)
    try:
        return work()
    except TimeoutError:
        return None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


if __name__ == "__main__":
    sys.exit(main())
