"""The rows, each in the count that its promise rests on, and in the one that CI runs: a tenth, where that is quick."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from benchmarks.campaigns.bookers import bookers
from benchmarks.campaigns.crashes import crashes
from benchmarks.campaigns.idempotency import idempotency
from benchmarks.campaigns.kills import kills
from benchmarks.campaigns.sockets import sockets
from benchmarks.campaigns.tally import Tally
from benchmarks.databases import fresh_database
from benchmarks.faults import clocks, disks, icloud, races, readers, scenarios, stops
from benchmarks.faults.loops import trials
from benchmarks.faults.row import FOUR, FOUR_ON_SQLITE, POSTGRES, SQLITE, Row, Scene
from benchmarks.world import World, world

Campaign = Callable[[World, Scene], Awaitable[Tally]]


def served(campaign: Campaign, *, is_forked: bool = False) -> Callable[[Scene], Awaitable[Tally]]:
    """Over real processes: servers, the stand-in, callers. `is_forked`: of a row that starts hundreds of servers."""

    async def run(scene: Scene) -> Tally:
        async with (
            fresh_database(scene.kind, scene.folder, postgres=scene.postgres) as url,
            world(scene.folder, url, servers=scene.processes, is_forked=is_forked) as running,
        ):
            return await campaign(running, scene)

    return run


BOTH = (SQLITE, POSTGRES)
ALL = (SQLITE, FOUR_ON_SQLITE, POSTGRES, FOUR)

ROWS: tuple[Row, ...] = (
    Row(
        "bookers", 3_000, 8, ALL, served(lambda w, s: bookers(w, rounds=s.count, seed=s.seed, where=s.where))
    ),
    Row("book-and-sync", 1_000, 100, BOTH, races.against_a_sync),
    Row("book-and-move", 1_000, 100, BOTH, races.against_a_move),
    Row("cancel-and-book", 1_000, 100, BOTH, races.against_a_cancel),
    Row(
        "idempotency",
        1_000,
        100,
        (*BOTH, FOUR),
        served(lambda w, s: idempotency(w, rounds=s.count, where=s.where)),
    ),
    Row("one-apple-account", 1_000, 100, BOTH, races.one_apple_account),
    Row(
        "kill-9",
        500,
        25,
        BOTH,
        served(lambda w, s: kills(w, times=s.count, seed=s.seed, where=s.where), is_forked=True),
    ),
    Row(
        "crash-at-steps",
        20,
        1,
        BOTH,
        served(lambda w, s: crashes(w, times=s.count, seed=s.seed, where=s.where), is_forked=True),
    ),
    Row("lost-answers", 500, 34, (SQLITE,), icloud.lost_answers),
    Row("network", 300, 30, (SQLITE,), icloud.network),
    Row("statuses", 300, 30, (SQLITE,), icloud.statuses),
    Row("401-for-good", 300, 30, (SQLITE,), icloud.refused_for_good),
    Row("lies", 100, 10, (SQLITE,), icloud.lies),
    Row("left-out", 100, 10, (SQLITE,), icloud.left_out),
    Row("tokens", 300, 30, (SQLITE,), icloud.tokens),
    Row("places", 50, 5, (SQLITE,), icloud.places),
    Row("scenarios", scenarios.TRIALS, 40, BOTH, scenarios.scenarios),
    Row("two-loops", trials.TRIALS, 2, BOTH, trials.two_loops),
    Row("disk-full", 100, 10, (SQLITE,), disks.full),
    Row("disk-fails", 2_000, 200, (SQLITE,), disks.failing),
    Row("disk-locked", 50, 3, (SQLITE,), disks.locked),
    Row("postgres-stopped", 100, 2, (POSTGRES,), stops.hard),
    Row("bell-cut", 100, 10, (POSTGRES,), stops.bell),
    Row("clock-jumps", 200, 20, (SQLITE,), clocks.jumps),
    Row("clock-changes", 200, 20, (SQLITE,), clocks.changes),
    Row(
        "sockets",
        2_000,
        200,
        BOTH,
        served(lambda w, s: sockets(w, drops=s.count, seed=s.seed, where=s.where)),
    ),
    Row("stopped-reader", 10, 0, BOTH, readers.stopped),
)
