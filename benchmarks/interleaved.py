"""Two processes in the middle of each other: `python -m benchmarks.interleaved --seed 1 --runs 1000`.

A seed that fails is printed with what was done, where; `--seed N --runs 1` runs it again.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.arguments import at_least_one
from tests.machine.ground import Ground
from tests.machine.interleaved import SETTINGS, STEPS, run
from tests.memory import memory


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.interleaved", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the next has the next")
    parser.add_argument("--runs", type=at_least_one, default=1_000)
    parser.add_argument("--steps", type=at_least_one, default=STEPS, help="of a run")
    parser.add_argument("--postgres", metavar="URL", help="a server to make databases on, in place of SQLite")
    asked = parser.parse_args()
    if asked.runs > 1:
        logging.disable(logging.CRITICAL)
    since = time.process_time()
    with tempfile.TemporaryDirectory(prefix="slotwire-interleaved-", dir=memory()) as folder:
        ground = Ground(Path(folder), asked.postgres, settings=SETTINGS)
        try:
            for seed in range(asked.seed, asked.seed + asked.runs):
                run(ground, seed, steps=asked.steps)
        finally:
            ground.close()
    print(f"{asked.runs} runs, seeds from {asked.seed}, {time.process_time() - since:.0f} s of CPU: all hold")
    return 0


if __name__ == "__main__":
    sys.exit(main())
