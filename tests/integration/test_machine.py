"""The whole-system run: the owner's edits, bookings, faults, crashes and time, as Hypothesis mixes them.

`python -m benchmarks.machine --seed 7 --runs 100000` makes more of them, and others.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.machine import batch
from tests.machine.machine import Machine
from tests.machine.stories import STORIES, Story

RUNS, STEPS, PARTS = 2_000, 50, 4
"""In parts, so that every core has some."""


@pytest.fixture(autouse=True, scope="module")
def ground() -> Iterator[None]:
    yield
    Machine.close()


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(1, PARTS + 1))
def test_every_promise_outlives_all_that_happens(seed: int) -> None:
    batch(runs=RUNS // PARTS, steps=STEPS, seed=seed)


@pytest.mark.parametrize("story", STORIES)
def test_what_once_failed_holds(story: Story) -> None:
    state = Machine()
    try:
        story(state)
    finally:
        state.teardown()
