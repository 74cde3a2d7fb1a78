"""A Hypothesis check over as many examples as are wanted, in batches that their seeds make again."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from benchmarks.arguments import at_least_one

_BATCH = 1_000


def run(
    name: str, examples: st.SearchStrategy[Any], check: Callable[[Any], None], *, count: int, of: str
) -> None:
    """Reads `--seed` and `--count`, and ends the process: with 1 where a check failed, which is shown small."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--seed", type=int, default=1, help="of the first batch; the next has the next")
    parser.add_argument("--count", type=at_least_one, default=count)
    asked = parser.parse_args()
    since, done = time.monotonic(), 0
    while done < asked.count:
        size, number = min(_BATCH, asked.count - done), asked.seed + done // _BATCH
        try:
            _batch(examples, check, size, number)
        except BaseException:
            print(f"seed {number}, --count {size}: failed", flush=True)
            raise
        done += size
        if done % 10_000 == 0 or done == asked.count:
            print(
                f"{done} {of}, seeds from {asked.seed}, {time.monotonic() - since:.0f} s: all agree",
                flush=True,
            )
    sys.exit(0)


def _batch(examples: st.SearchStrategy[Any], check: Callable[[Any], None], size: int, number: int) -> None:
    wanted = settings(
        max_examples=size, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )

    def one(example: Any) -> None:
        check(example)

    seed(number)(wanted(given(examples)(one)))()
