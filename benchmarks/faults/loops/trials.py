"""A run a trial: what happens, while both loops go on; then all heals, and is as a fresh sync finds it.

In `scenarios` one poll or write is begun after the other, by a clock that stands still meanwhile. Here both loops run
as in production, begin what is due by themselves, and are looked at whenever it suits us.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from random import Random

from benchmarks.campaigns.tally import Tally
from benchmarks.faults import beside, scenarios
from benchmarks.faults.account import Account, account
from benchmarks.faults.beside import Life
from benchmarks.faults.loops.happenings import give_password, return_one, something
from benchmarks.faults.loops.process import SETTINGS, Clock
from benchmarks.faults.loops.promises import Watched
from benchmarks.faults.loops.run import Run
from benchmarks.faults.row import Scene
from domain.accounts import AccountStatus
from models.polling import ask_for_poll
from server.database import open_database
from standin.manners import HOSTILE, STRICT
from tests.fakes.calendar_server import PASSWORD

TRIALS = 200
_EVENTS = 6
"""To begin with, beside the account's own."""
_TURNS = 10
_MOST_AT_ONCE = 3
_LOOKS = 2
_MOST_REST = 0.3
"""Seconds before a look: some polls long, or not even one."""
_HEALS_WITHIN = 180.0
_SYNCS, _MINUTE = 4, 61.0
"""As in `scenarios`: so many polls that read all, so far from one another, until what lags is read too."""


async def two_loops(scene: Scene) -> Tally:
    tally, happened = Tally(scene.name, scene.where), 0
    for seed in range(scene.seed, scene.seed + scene.count):
        tally.trials += 1
        happened += await _try(scene, seed, tally)
    tally.facts["happenings"] = happened
    return tally


async def _try(scene: Scene, seed: int, tally: Tally) -> int:
    """How much happened."""
    folder = scene.folder / str(seed)
    folder.mkdir()
    async with AsyncExitStack() as stack:
        known = await stack.enter_async_context(
            account(
                folder,
                scene.kind,
                postgres=scene.postgres,
                seed=seed,
                request_seconds=SETTINGS.request_seconds,
                more=[scenarios.TEAM],
            )
        )
        known.icloud.manners = STRICT if seed % 2 else HOSTILE
        life = Life(known)
        databases = [await stack.enter_async_context(open_database(known.url)) for _ in range(2)]
        run = Run(life, Clock(known.engine.now), await Watched.begun(life), databases, Random(seed))
        try:
            await _run(run)
        except Exception as error:  # noqa: BLE001 - counted, and told with all that led to it.
            again = f"--only {scene.name} --database {scene.kind} --seed {seed} --count 1"
            what = f"{type(error).__name__}: {error}"[:900]
            tally.hold(claim=False, story=f"{again}: {what}\n        {', '.join(life.told)}")
    return len(life.told)


async def _run(run: Run) -> None:
    known = run.life.known
    for _ in range(_EVENTS):
        await beside.add(run.life)
    await run.watched.note(run.clock())
    await _ask(known)
    try:
        await run.start()
        for _ in range(_TURNS):
            await _turn(run)
        await _heal(run)
    finally:
        await run.end()
    await run.watched.hold_as_ended()
    known.icloud.manners = STRICT  # What the fresh sync finds is to lag behind nothing.
    run.set_time()
    await scenarios.check(run.life)


async def _ask(known: Account) -> None:
    """By the settings of its first reading it is due in a minute."""
    async with known.engine.database.writing() as db:
        await ask_for_poll(db, known.engine.account_id, now=known.engine.now)


async def _turn(run: Run) -> None:
    for _ in range(run.life.chance.randint(1, _MOST_AT_ONCE)):
        await something(run)
    for _ in range(_LOOKS):
        await asyncio.sleep(run.life.chance.uniform(0, _MOST_REST))
        await run.look()


async def _heal(run: Run) -> None:
    """Faults have ended, and both live."""
    known = run.life.known
    run.life.told.append("it heals")
    for process in run.processes:
        process.doom.points_left = None
    while run.lost:
        return_one(run)
    for name in known.calendars:
        known.faults.read_only(name, read_only=False)
    known.faults.clear()
    run.set_time()
    if run.is_refused or (await known.engine.account()).status == AccountStatus.NEEDS_NEW_PASSWORD:
        await give_password(run)
    known.faults.allow(PASSWORD)  # With which the fresh sync signs in.
    await run.watched.note(run.clock())
    async with asyncio.timeout(_HEALS_WITHIN):
        await _until_well(run)
    run.life.is_vague = False


async def _until_well(run: Run) -> None:
    engine, syncs, since = run.life.known.engine, 0, run.clock()
    while syncs < _SYNCS or await engine.pending():
        await asyncio.sleep(0.1)
        await run.look()
        synced_at = (await engine.account()).last_synced_at or 0.0
        if synced_at > since and run.skip(_MINUTE):
            syncs, since = syncs + 1, run.clock()
