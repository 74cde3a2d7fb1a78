"""Readers that stop: they cost little, are let go with 4410, and come back from their cursor to miss nothing."""

from __future__ import annotations

from benchmarks.campaigns.tally import Tally
from benchmarks.databases import fresh_database
from benchmarks.faults.row import Scene
from benchmarks.world import world
from tests.e2e.test_slow_readers import (
    SOCKETS,
    test_readers_that_take_nothing_cost_under_20_mb_are_closed_4410_and_resume,
)


async def stopped(scene: Scene) -> Tally:
    """Six sockets a trial, on a server of the trial's own: what it holds is measured."""
    tally = Tally(scene.name, scene.where)
    for number in range(scene.count):
        folder = scene.folder / str(number)
        folder.mkdir()
        async with (
            fresh_database(scene.kind, folder, postgres=scene.postgres) as url,
            world(folder, url) as running,
        ):
            tally.trials += 1
            try:
                await test_readers_that_take_nothing_cost_under_20_mb_are_closed_4410_and_resume(running)
            except (AssertionError, TimeoutError) as error:
                tally.hold(claim=False, story=f"trial {number}: {type(error).__name__} {error}"[:400])
    tally.facts["sockets a trial"] = SOCKETS
    return tally
