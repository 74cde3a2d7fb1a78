"""Two processes in the middle of each other: the same seeds each time, fewer where they cost more.

`python -m benchmarks.interleaved --seed 1000 --runs 5000` makes more of them, and others.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import POSTGRES, need_postgres
from tests.machine.ground import Ground
from tests.machine.interleaved import SETTINGS, run
from tests.memory import memory

SEEDS = {"sqlite": 40, "postgres": 8}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def ground(request: pytest.FixtureRequest, postgres_is_reachable: bool) -> Iterator[tuple[Ground, int]]:
    """And how many seeds are run on it."""
    url = None
    if request.param == "postgres":
        need_postgres(postgres_is_reachable)
        url = POSTGRES
    with tempfile.TemporaryDirectory(prefix="slotwire-interleaved-", dir=memory()) as folder:
        ground = Ground(Path(folder), url, settings=SETTINGS)
        try:
            yield ground, SEEDS[request.param]
        finally:
            ground.close()


def test_every_promise_outlives_what_happens_in_the_middle(ground: tuple[Ground, int]) -> None:
    place, seeds = ground
    for seed in range(1, seeds + 1):
        run(place, seed)
