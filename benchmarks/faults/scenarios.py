"""All at once, by chance: then it heals, and all is as a fresh sync finds it, and as each appointment says.

The rows of `icloud` throw one fault at a time. Here up to three meet one poll or write, the owner and guests act
between two of its requests, and what one run leaves, the next one goes on from. After each poll and write is asked what
must hold at any time: healing makes good much that a host has suffered by then.
"""

from __future__ import annotations

from benchmarks.campaigns.tally import Tally
from benchmarks.faults.account import account
from benchmarks.faults.beside import Life
from benchmarks.faults.happenings import held, something
from benchmarks.faults.honest import Standing, appointments, standing_copies
from benchmarks.faults.row import Scene
from domain.accounts import AccountStatus
from domain.copies import WriteState
from models.booking import Appointment
from standin.catalog import CalendarFacts, Kind
from standin.manners import HOSTILE, STRICT, Manners

TRIALS = 500
RUNS = 20
"""Of one life, which its seed makes again. The next life has the next seed."""
_HAPPENINGS = 8
_SYNCS = 4
_ROUNDS = 60
"""Until all is read: what lags, and a calendar that went and came back, take some."""
TEAM = CalendarFacts(id="f" * 64, name="Team", kind=Kind.SHARED, order=3)


async def scenarios(scene: Scene) -> Tally:
    tally = Tally(scene.name, scene.where)
    happened = 0
    for number in range(0, scene.count, RUNS):
        happened += await _live(scene, scene.seed + number // RUNS, min(RUNS, scene.count - number), tally)
    tally.facts["happenings"] = happened
    return tally


async def _live(scene: Scene, seed: int, runs: int, tally: Tally) -> int:
    """How much happened. A failure ends the life: what it left behind is no ground for more."""
    folder = scene.folder / str(seed)
    folder.mkdir()
    manners = STRICT if (seed % 2 == 1) == (scene.kind == "sqlite") else HOSTILE  # In turns, here and there.
    happened = 0
    async with account(
        folder,
        scene.kind,
        postgres=scene.postgres,
        seed=seed,
        manners=manners,
        request_seconds=3.0,
        more=[TEAM],
    ) as known:
        life = Life(known)
        for run in range(runs):
            tally.trials += 1
            try:
                await _run(life, manners)
            except Exception as error:  # noqa: BLE001 - counted, and told with all that led to it.
                again = f"--database {scene.kind} --seed {seed} --count {RUNS}, run {run}"
                what = f"{type(error).__name__}: {error}"[:600]
                tally.hold(claim=False, story=f"{again}: {what}\n        {', '.join(life.told)}")
                break
            finally:
                happened += len(life.told)
                life.told.clear()
    return happened


async def _run(life: Life, manners: Manners) -> None:
    known = life.known
    known.icloud.manners = manners
    for _ in range(_HAPPENINGS):
        await something(life)
    await _heal(life)
    known.icloud.manners = STRICT  # What the fresh sync finds is to lag behind nothing.
    await check(life)


async def _heal(life: Life) -> None:
    known = life.known
    known.faults.clear()
    for name in known.calendars:
        known.faults.read_only(name, read_only=False)
    if (await known.engine.account()).status == AccountStatus.NEEDS_NEW_PASSWORD:
        await known.enter_password()
    for _ in range(_SYNCS):
        await _until_well(life)
    life.is_vague = False


async def _until_well(life: Life) -> None:
    """As `Account.heal`, with all held to what must hold on the way."""
    known, engine = life.known, life.known.engine
    for _ in range(_ROUNDS):
        engine.now += 61
        await held(life, engine.poll)
        is_read = (await engine.account()).last_synced_at == engine.now
        await held(life, engine.push)
        await known.hasten()
        if is_read and not await engine.pending():
            return
    account = await engine.account()
    raise AssertionError(f"never healed: {account.status}, {account.problem_code}")


async def check(life: Life) -> None:
    """Once all is read and written: by a fresh sync, and by what stands in iCloud."""
    known = life.known
    await known.check_slots()
    standing = await standing_copies(known)
    for own in await appointments(known):
        found = standing.pop(own.uid or "", [])
        said = f"{own.id}, {own.status} from {own.starts} to {own.ends}, is {own.write_state}, and there is {found}"
        assert _is_so(own, found), said
        if own.write_state in {WriteState.WRITTEN, WriteState.REMOVED}:
            life.touched.discard(own.id)
    assert not standing, f"copies of no appointment: {standing}"


def _is_so(own: Appointment, found: list[Standing]) -> bool:
    """Whether what the appointment says of its copy is what stands in iCloud."""
    if own.status != "CONFIRMED":
        return not found and own.write_state in {WriteState.REMOVED, WriteState.DELETED_IN_ICLOUD}
    match own.write_state:
        case WriteState.WRITTEN:
            return found == [(own.starts, own.ends)]
        case WriteState.CHANGED_IN_ICLOUD:
            return len(found) == 1 and found != [(own.starts, own.ends)]
        case WriteState.DELETED_IN_ICLOUD:
            return not found
    return False
