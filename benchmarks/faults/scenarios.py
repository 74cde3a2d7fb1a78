"""All at once, by chance: then it heals, and all is as a fresh sync finds it, and as each appointment says.

The rows of `icloud` throw one fault at a time. Here up to three meet one poll or write, the owner's phone acts
between two of its requests, and what one run leaves, the next one goes on from.
"""

from __future__ import annotations

from benchmarks.campaigns.tally import Tally
from benchmarks.faults.account import OURS, Account, account
from benchmarks.faults.beside import Life
from benchmarks.faults.happenings import something
from benchmarks.faults.row import Scene
from domain.accounts import AccountStatus
from models.booking import Appointment
from models.outbox import WriteState
from standin.catalog import CalendarFacts, Kind
from standin.manners import HOSTILE, STRICT, Manners
from sync.ical import read_written

TRIALS = 500
RUNS = 25
"""Of one life, which its seed makes again. The next life has the next seed."""
_HAPPENINGS = 8
_SYNCS = 4
"""Until all is read: what lags, and a calendar that went and came back, take some."""
_TEAM = CalendarFacts(id="f" * 64, name="Team", kind=Kind.SHARED, order=3)
Standing = tuple[int, int]


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
        more=[_TEAM],
    ) as known:
        life = Life(known)
        for run in range(runs):
            tally.trials += 1
            try:
                await _run(life, manners)
            except Exception as error:  # noqa: BLE001 - counted, and told with all that led to it.
                again = f"--database {scene.kind} --seed {seed} --scale {RUNS / TRIALS}, run {run}"
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
    await _heal(known)
    known.icloud.manners = STRICT  # What the fresh sync finds is to lag behind nothing.
    await _check(known)


async def _heal(known: Account) -> None:
    known.faults.clear()
    known.faults.read_only(known.calendars[0], read_only=False)
    if (await known.engine.account()).status == AccountStatus.NEEDS_NEW_PASSWORD:
        await known.enter_password()
    for _ in range(_SYNCS):
        await known.heal()


async def _check(known: Account) -> None:
    await known.check_slots()
    standing = await _copies(known)
    async with known.engine.database.reading() as db:
        ours = await Appointment.all().using_db(db)
    for own in ours:
        found = standing.pop(own.uid, [])
        said = f"{own.id}, {own.status} from {own.starts} to {own.ends}, is {own.write_state}, and there is {found}"
        assert _is_so(own, found), said
    assert not standing, f"copies of no appointment: {standing}"


async def _copies(known: Account) -> dict[str | None, list[Standing]]:
    """By UID, in all calendars."""
    found: dict[str | None, list[Standing]] = {}
    for name in known.calendars:
        for event in await known.phone.events(name):
            written = read_written(event.text)
            if written is not None and written.uid.startswith(OURS):
                found.setdefault(written.uid, []).append((written.start, written.end))
    return found


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
