"""The whole-system machine over as many runs as are wanted: `python -m benchmarks.machine --seed 1 --runs 100000`.

A run that fails is made small and printed as code, with the seed that makes it again; kept in
`tests/machine/stories.py`, it runs in the suite from then on.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from benchmarks.arguments import at_least_one
from tests.machine.machine import Machine

BATCH = 200


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.machine", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the first batch; the next has the next")
    parser.add_argument("--runs", type=at_least_one, default=2_000)
    parser.add_argument("--steps", type=at_least_one, default=50, help="of a run, at most")
    parser.add_argument("--postgres", metavar="URL", help="a server to make databases on, in place of SQLite")
    asked = parser.parse_args()
    Machine.postgres = asked.postgres
    logging.disable(logging.CRITICAL)
    since, done = time.process_time(), 0
    while done < asked.runs:
        runs, seed = min(BATCH, asked.runs - done), asked.seed + done // BATCH
        try:
            batch(runs=runs, steps=asked.steps, seed=seed)
        except BaseException:
            again = f"python -m benchmarks.machine --seed {seed} --runs {runs} --steps {asked.steps}"
            print(f"failed; again: {again}", flush=True)
            raise
        finally:
            Machine.close()
        done += runs
        print(
            f"{done} runs, seeds from {asked.seed}, {time.process_time() - since:.0f} s of CPU: all hold",
            flush=True,
        )
    return 0


def batch(*, runs: int, steps: int, seed: int) -> None:
    class Seeded(Machine):
        _hypothesis_internal_use_seed = seed

    wanted = settings(
        max_examples=runs,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    Seeded.__name__ = Machine.__name__
    run_state_machine_as_test(Seeded, settings=wanted)


if __name__ == "__main__":
    sys.exit(main())
