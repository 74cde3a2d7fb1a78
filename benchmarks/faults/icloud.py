"""What iCloud and the way to it can do: crawl, break, refuse, lie, forget, move; one fault a trial."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from benchmarks.campaigns.tally import Tally
from benchmarks.faults.account import Account, account
from benchmarks.faults.row import Scene
from domain.accounts import AccountStatus
from models.calendar import Calendar
from standin.catalog import CalendarFacts
from standin.faults import Lie
from sync.remote import PasswordRefused
from tests.fakes.calendar_server import APPLE_ID, PASSWORD

QUESTIONS = ("", "PROPFIND", "sync-collection", "calendar-multiget", "PUT", "DELETE")
"""Which request meets the fault; the empty one is whatever comes next."""
Plan = Callable[[Account, str], Awaitable[None] | None]


async def run(scene: Scene, kinds: Sequence[str], plan: Plan) -> Tally:
    """`scene.count` trials of each kind, in turn, on one account that lives on."""
    tally, unmet = Tally(scene.name, scene.where), 0
    async with account(scene.folder, scene.kind, postgres=scene.postgres, seed=scene.seed) as known:
        for number in range(scene.count * len(kinds)):
            kind = kinds[number % len(kinds)]
            story = f"trial {number}, {kind}"
            try:
                is_met = await _trial(known, kind, plan)
            except Exception as error:  # noqa: BLE001 - counted and told; what it left behind is no ground for more.
                tally.hold(claim=False, story=f"{story}: {type(error).__name__}: {error}"[:600])
                break
            tally.trials += is_met
            unmet += not is_met
    tally.facts |= {"kinds": len(kinds), "met by no request, not counted": unmet}
    return tally


async def _trial(known: Account, kind: str, plan: Plan) -> bool:
    """Whether any request met the fault: where none did, all that holds says nothing of it."""
    await known.live()
    planned = plan(known, kind)
    if planned is not None:
        await planned
    stands, waiting = await known.slots(), len(known.faults.pending)
    error = await known.act()
    is_met = waiting == 0 or len(known.faults.pending) < waiting
    status = (await known.engine.account()).status
    if error is not None:
        assert status != AccountStatus.CONNECTED, f"{type(error).__name__}, and it is shown as CONNECTED"
    ahead = {uid for _, ends, uid in stands if ends > known.engine.now}
    lost = ahead - {uid for _, _, uid in await known.slots()}
    assert len(lost) <= 1, f"lost {lost}: the owner deleted one at most"
    await known.heal()
    await known.check()
    return is_met


def inject(*, times: int = 1) -> Plan:
    def plan(known: Account, kind: str) -> None:
        known.faults.inject(kind, times, on=known.chance.choice(QUESTIONS), skip=known.chance.randrange(2))

    return plan


# --- The way there

BROKEN = (
    "slow:0.3",
    "slow:1.5",
    "drip:1024",
    "silence:2",
    "half",
    "reset",
    "twice",
    "duplicated",
    "reordered",
)


async def network(scene: Scene) -> Tally:
    def plan(known: Account, kind: str) -> None:
        at = f"reset:{known.chance.randrange(2000)}" if kind == "reset" else kind
        known.faults.inject(at, on=known.chance.choice(QUESTIONS), skip=known.chance.randrange(2))

    return await run(scene, BROKEN, plan)


# --- What it refuses

TOMORROW = format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)
STATUSES = (
    *(f"status:{code}" for code in (500, 502, 503, 504, 400, 403, 404, 421, 423, 507)),
    *(
        f"{kind}:{after}"
        for kind in ("throttle", "too-many")
        for after in ("1", TOMORROW, "-5", "1" + "0" * 15, "soon")
    ),
    "unauthorized",
)


async def statuses(scene: Scene) -> Tally:
    return await run(scene, STATUSES, inject())


async def refused_for_good(scene: Scene) -> Tally:
    """Three times, and then never again until a new password is there."""
    return await run(scene, ("401 for good",), _refuse_for_good)


async def _refuse_for_good(known: Account, _kind: str) -> None:
    known.faults.revoke(PASSWORD)
    engine = known.engine
    row = await engine.account()
    for _ in range(6):
        engine.now += 3700
        row = await engine.account()
        if row.status == AccountStatus.NEEDS_NEW_PASSWORD:
            break
        outcome = await engine.poll(known.context)
        assert isinstance(outcome.error, PasswordRefused), outcome.error
    assert row.status == AccountStatus.NEEDS_NEW_PASSWORD, row.status
    assert row.next_poll_at is None
    await known.enter_password()


# --- What it says that is not so

LIES = tuple(str(lie) for lie in Lie if lie not in {Lie.NO_CHANGE, Lie.STALE, Lie.CUT_507, Lie.LEFT_OUT})
"""Those that one answer gives away. What a delta leaves out, only a night's comparison finds: `left-out` tries that."""


async def lies(scene: Scene) -> Tally:
    def plan(known: Account, kind: str) -> None:
        sized = {Lie.GZIP_BOMB: "gzip-bomb:64", Lie.HUGE_TEXT: "huge-text:12"}.get(Lie(kind), kind)
        known.faults.inject(sized, on=known.chance.choice(QUESTIONS), skip=known.chance.randrange(2))

    return await run(scene, LIES, plan)


async def left_out(scene: Scene) -> Tally:
    """A delta that tells nothing, an old answer, a cut one: after the next day's night all is there."""

    async def plan(known: Account, kind: str) -> None:
        known.faults.inject(kind, on="sync-collection")
        await known.act()
        assert not known.faults.pending, "no delta was asked for"
        known.faults.clear()
        known.engine.now += 30 * 3600  # One compared at 0:01 is so again before 5 on the next day.

    return await run(scene, (str(Lie.NO_CHANGE), str(Lie.STALE), str(Lie.CUT_507), str(Lie.LEFT_OUT)), plan)


# --- What it forgets

TOKENS = ("purged", "status:403", "status:409", "status:410", "status:412", "status:507")


async def tokens(scene: Scene) -> Tally:
    def plan(known: Account, kind: str) -> None:
        if kind == "purged":
            known.faults.purge_tokens(known.chance.choice(("", *known.calendars)))
        else:
            for _ in range(known.chance.randint(1, 2)):
                known.faults.inject(kind, on="sync-collection")

    return await run(scene, TOKENS, plan)


async def lost_answers(scene: Scene) -> Tally:
    """The write was done, and nobody was told."""

    def plan(known: Account, kind: str) -> None:
        for _ in range(known.chance.randint(1, 2)):
            known.faults.lose_answers(on=kind)

    return await run(scene, ("PUT", "PUT", "PUT", "DELETE"), plan)


# --- Where things are

_OURS = re.compile(r"^UID:slotwire-(\d+)", re.MULTILINE)
PLACES = (
    *(f"partition {old}" for old in ("serves", "redirects", "missing", "resets")),
    *("calendar renamed", "read-only and back", "calendar deleted", "linked calendar deleted"),
)


async def places(scene: Scene) -> Tally:
    return await run(scene, PLACES, _move)


async def _move(known: Account, kind: str) -> None:
    match kind.split():
        case "partition", old_host:
            known.faults.move_partition(old_host=old_host)
        case "calendar", "renamed":
            number = known.chance.randrange(10**6)
            known.faults.rename(known.calendars[1], f"Work {number}")
            known.call(known.calendars[0], f"Work {number}")
        case "read-only", *_:
            known.faults.read_only(known.calendars[0])
            await known.act()
            known.faults.read_only(known.calendars[0], read_only=False)
        case "calendar", "deleted":
            await _replace(known, 1)
        case _:
            await _replace(known, 0)


async def _replace(known: Account, which: int) -> None:
    """The owner deletes a calendar, and chooses another in its place."""
    gone = known.calendars[which]
    new = f"{('Home', 'Work')[which]} {known.chance.randrange(10**6)}"
    # Two polls a minute apart prove that it is gone.
    events = await known.phone.events(gone)
    listed = {event.path for event in events}
    known.deleted |= {f"apt_{uid}" for event in events for uid in _OURS.findall(event.text)}
    known.events = [path for path in known.events if path not in listed]
    await known.faults.delete_calendar(gone)
    known.icloud.add_calendar(APPLE_ID, CalendarFacts(id=f"new-{new[5:]}", name=new))
    names = list(known.calendars)
    names[which] = new
    for _ in range(3):
        known.engine.now += 61
        await known.engine.poll(known.context)
    async with known.engine.database.reading() as db:
        row = await Calendar.filter(name=gone).using_db(db).first()
    assert row is None or row.is_gone, f"{gone} is gone, and kept"
    known.call(names[0], names[1])
    await known.engine.choose(*known.calendars, linked=names[0])
