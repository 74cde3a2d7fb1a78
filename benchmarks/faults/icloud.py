"""What iCloud and the way to it can do: crawl, break, refuse, lie, forget, move; one fault a trial."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from benchmarks.campaigns.tally import Tally
from benchmarks.faults import honest
from benchmarks.faults.account import REQUEST_SECONDS, Account, account
from benchmarks.faults.beside import Life
from benchmarks.faults.questions import NIGHT, READS, Question, aim, book, cancel, edit, move, request_of
from benchmarks.faults.row import Scene
from domain.accounts import AccountStatus
from models.calendar import Calendar
from standin.catalog import CalendarFacts
from standin.faults import Lie
from standin.log import Seen
from sync.remote import PasswordRefused, RemoteError
from tests.fakes.calendar_server import APPLE_ID, PASSWORD

MOST_TRIES = 5
"""For each trial that is asked for. Where the fault is met in fewer than that, the row has failed."""
_LIFE = 100
_ENOUGH = 10
"""Failures: more would tell nothing new."""


@dataclass(slots=True)
class _Counted:
    """By kind, and by the requests that met a fault."""

    tries: Counter[str] = field(default_factory=Counter)
    trials: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    unmet: int = 0


@dataclass(slots=True)
class Trial:
    """One of a life's, before and while its fault waits."""

    life: Life
    kind: str
    turn: int
    "Which of its kind in this life, beginning with another in each."
    writes_first: bool = False
    is_sure: bool = False
    "The fault is no request's alone: whatever is asked, meets it."

    @property
    def known(self) -> Account:
        return self.life.known


Plan = Callable[[Trial], Awaitable[None]]


async def run(
    scene: Scene,
    kinds: Sequence[str],
    plan: Plan,
    *,
    requests: Collection[str] = (),
    request_seconds: float = REQUEST_SECONDS,
) -> Tally:
    """`scene.count` trials of each kind in which its fault was met, and all of `requests` met one.

    In turn, in lives of some trials: a life is made again by its seed, and a failure ends it, since what that left
    behind is no ground for more.
    """
    tally, counted = Tally(scene.name, scene.where), _Counted()
    for number in itertools.count():
        if len(tally.failures) >= _ENOUGH or not _missing(scene, kinds, counted):
            break
        folder = scene.folder / f"{number}"
        folder.mkdir()
        seed = scene.seed + number
        async with account(
            folder, scene.kind, postgres=scene.postgres, seed=seed, request_seconds=request_seconds
        ) as known:
            await _live(Life(known), replace(scene, seed=seed), kinds, plan, counted, tally)
    for kind in kinds:
        tally.hold(
            counted.trials[kind] >= scene.count,
            f"{kind}: {counted.trials[kind]} of {scene.count} trials, in {counted.tries[kind]} tries",
        )
    if scene.count >= len(Question):
        for request in requests:
            tally.hold(counted.requests[request], f"no {request} met a fault")
    tally.facts |= {"kinds": len(kinds), "met by no request, not counted": counted.unmet}
    tally.facts |= {f"{request}:": count for request, count in sorted(counted.requests.items())}
    return tally


def _missing(scene: Scene, kinds: Sequence[str], counted: _Counted) -> list[str]:
    most = MOST_TRIES * scene.count
    return [kind for kind in kinds if counted.trials[kind] < scene.count and counted.tries[kind] < most]


async def _live(
    life: Life, scene: Scene, kinds: Sequence[str], plan: Plan, counted: _Counted, tally: Tally
) -> None:
    turns = Counter({kind: scene.seed + place for place, kind in enumerate(kinds)})
    for number in range(_LIFE):
        missing = _missing(scene, kinds, counted)
        if not missing:
            return
        kind = missing[number % len(missing)]
        counted.tries[kind] += 1
        try:
            met = await _try(Trial(life, kind, turns[kind]), plan)
        except Exception as error:  # noqa: BLE001 - counted and told.
            tally.trials += 1
            story = f"--seed {scene.seed}, trial {number}, {kind}: {type(error).__name__}: {error}"
            tally.hold(claim=False, story=story[:600])
            return
        turns[kind] += 1
        if met is None:
            counted.unmet += 1
        else:
            tally.trials += 1
            counted.trials[kind] += 1
            counted.requests.update(met)


async def _try(trial: Trial, plan: Plan) -> set[str] | None:
    """The requests that met the fault. None: no request did, and all that holds says nothing of it."""
    known, heard = trial.known, list[Seen]()
    known.icloud.front.heard = heard.append
    try:
        await known.live()
        await plan(trial)
        error = await _act(trial)
        is_spent = not known.faults.pending
        status = (await known.engine.account()).status
        if error is not None:
            assert status != AccountStatus.CONNECTED, f"{type(error).__name__}, and it is shown as CONNECTED"
        await known.heal()
        await known.check()
        met = await _met(heard) if is_spent and not trial.is_sure else set[str]()
    finally:
        known.icloud.front.heard = None
    return met if met or trial.is_sure else None


async def _act(trial: Trial) -> RemoteError | None:
    """With all that must hold at any time. A RemoteError may come of the poll, and nothing else of anything."""
    known, life = trial.known, trial.life
    life.touched |= known.deleted
    known.engine.now += 1
    before = await honest.look(known)
    if trial.writes_first:
        await known.engine.push(known.context)
    error = await known.act()
    lost = honest.lost(before, await known.slots())
    assert not lost, f"they stand in iCloud, and close nothing any more: {lost}"
    await honest.hold(life, before)
    await honest.hold_as_told(life)
    return error


async def _met(heard: Sequence[Seen]) -> set[str]:
    """Those whose answer was another by it. A slow one ends, and is heard of, when nobody waits for it any more."""
    for _ in range(40):
        met = {request_of(seen) for seen in heard if seen.felt or _is_refused_token(seen)}
        if met or any(seen.fault for seen in heard):
            return met
        await asyncio.sleep(0.05)
    return set()


def _is_refused_token(seen: Seen) -> bool:
    return seen.report == "sync-collection" and seen.status == 403 and seen.fault is None


def inject(questions: Mapping[str, Sequence[Question]], draw: Callable[[Account, str], str]) -> Plan:
    """A fault of the kind, as drawn, for each of its questions in turn."""

    async def plan(trial: Trial) -> None:
        asked = questions[trial.kind]
        aimed = await aim(trial.known, asked[trial.turn % len(asked)])
        trial.writes_first = aimed.writes_first
        trial.known.faults.inject(draw(trial.known, trial.kind), on=aimed.on, skip=aimed.skip)

    return plan


def _as_it_is(_known: Account, kind: str) -> str:
    return kind


_REQUESTS = (
    "entry",
    "principal",
    "home",
    "listing",
    "sync-collection",
    "calendar-multiget",
    "PUT",
    "GET",
    "DELETE",
)
_EACH = tuple(Question)


# --- The way there

_IN_TIME = 0.4
"""Seconds for a request here: one waits in vain for most of these."""
BROKEN = (
    "slow:0.15",
    "slow:0.55",
    "drip:1024",
    "silence:0.8",
    "half",
    "reset",
    "twice",
    "duplicated",
    "reordered",
)


async def network(scene: Scene) -> Tally:
    plan = inject({kind: _ALTERS.get(kind, _EACH) for kind in BROKEN}, _broken)
    return await run(scene, BROKEN, plan, requests=_REQUESTS, request_seconds=_IN_TIME)


def _broken(known: Account, kind: str) -> str:
    return f"reset:{known.chance.choice((0, known.chance.randrange(400)))}" if kind == "reset" else kind


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
    return await run(scene, STATUSES, inject(dict.fromkeys(STATUSES, _EACH), _as_it_is), requests=_REQUESTS)


async def refused_for_good(scene: Scene) -> Tally:
    """Three times, and then never again until a new password is there."""
    return await run(scene, ("401 for good",), _refuse_for_good)


async def _refuse_for_good(trial: Trial) -> None:
    known, trial.is_sure = trial.known, True
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

_ALTERS: Mapping[str, Sequence[Question]] = {
    **dict.fromkeys(("half", "reset", "drip:1024"), (*READS, Question.GET)),  # A write's answer has no body.
    **dict.fromkeys(
        (Lie.DUPLICATED, Lie.TRUNCATED, Lie.BAD_UTF8, Lie.FOREIGN_HREFS, Lie.ALL_GONE),
        READS,
    ),
    Lie.REORDERED: (Question.HOME, Question.LISTING, Question.DELTA),  # Where more than one thing is told of.
    **dict.fromkeys((Lie.OTHER_CALENDAR, Lie.NO_ETAGS), (Question.LISTING, Question.DELTA, Question.TEXTS)),
}
"""Of some kinds, the questions whose answers they can alter; all others alter each."""
LIES = tuple(str(lie) for lie in Lie if lie not in {Lie.NO_CHANGE, Lie.STALE, Lie.CUT_507, Lie.LEFT_OUT})
"""Those that one answer gives away. What a delta leaves out, only a night's comparison finds: `left-out` tries that."""


_ONE_GONE = "one-gone"
"""The kind of lie that says of one event, which the owner has just moved, that it is gone."""
_LONG = {Lie.GZIP_BOMB: "gzip-bomb:64", Lie.HUGE_TEXT: "huge-text:12"}


async def lies(scene: Scene) -> Tally:
    tell = inject({lie: _ALTERS.get(lie, _EACH) for lie in LIES}, lambda _, kind: _LONG.get(Lie(kind), kind))

    async def plan(trial: Trial) -> None:
        await (_tell_one_gone if trial.kind == _ONE_GONE else tell)(trial)

    return await run(scene, (*LIES, _ONE_GONE), plan, requests=_REQUESTS)


async def _tell_one_gone(trial: Trial) -> None:
    """Not the calendar too, which would give the lie away; nor what we know nothing of, which `left-out` tries."""
    known = trial.known
    held = {resource.href for resource in await known.engine.resources()}
    events = [event for event in known.events if event in held]
    if events:
        path = known.chance.choice(events)
    else:
        path = await edit(known, known.chance.choice(known.calendars), may_delete=False)
        await known.heal()
    await known.phone.move(path, *known.span())
    known.faults.inject(f"{Lie.ALL_GONE}:{path}", on=f"{path.rpartition('/')[0]}/")


_NEW_GONE = "new-gone"
"""Of an event that we do not hold yet, a delta says that it is gone."""
LEFT_OUT = (str(Lie.NO_CHANGE), str(Lie.STALE), str(Lie.CUT_507), str(Lie.LEFT_OUT), _NEW_GONE)


async def left_out(scene: Scene) -> Tally:
    """A delta that tells nothing, an old answer, a cut one: after the next day's night all is there."""
    return await run(scene, LEFT_OUT, _leave_out, requests=["sync-collection"])


async def _leave_out(trial: Trial) -> None:
    known = trial.known
    calendar = known.chance.choice(known.calendars)
    for _ in range(2):  # Half of one is none.
        await edit(known, calendar, may_delete=False)
    fault = trial.kind
    if fault == _NEW_GONE:
        known.events.append(await known.phone.add(calendar, "Busy", *known.span()))
        fault = f"{Lie.ALL_GONE}:{known.events[-1]}"
    known.faults.inject(fault, on=(await known.phone.calendars())[calendar])
    await known.act()
    known.faults.clear()
    known.engine.now += NIGHT


# --- What it forgets

TOKENS = ("purged", "status:403", "status:409", "status:410", "status:412", "status:507")


async def tokens(scene: Scene) -> Tally:
    return await run(scene, TOKENS, _refuse_tokens, requests=["sync-collection"])


async def _refuse_tokens(trial: Trial) -> None:
    known, chance = trial.known, trial.known.chance
    await _ask_for_changes_again(known)
    calendar = chance.choice(known.calendars)
    await edit(known, calendar)
    if trial.kind == "purged":
        known.faults.purge_tokens(chance.choice(("", calendar)))
    else:
        # Once: it is listed anew. Twice: that too is refused, and it is read by its ETags.
        known.faults.inject(trial.kind, chance.randint(1, 2), on="sync-collection")


async def _ask_for_changes_again(known: Account) -> None:
    """Until each calendar is read by its changes.

    One that twice told none is read by its ETags until a night has compared it in full, and then from the start once.
    """
    if known.context.memory.without_changes:
        known.engine.now += NIGHT
        await known.heal()
    for calendar in known.calendars:
        if (await known.engine.calendar(calendar)).sync_token is None:
            await edit(known, calendar)
            await known.heal()


LOST: Mapping[str, Callable[[Account], Awaitable[str]]] = {"booked": book, "moved": move, "cancelled": cancel}


async def lost_answers(scene: Scene) -> Tally:
    """The write was done, and nobody was told."""

    async def plan(trial: Trial) -> None:
        known, times = trial.known, trial.known.chance.randint(1, 2)
        for _ in range(times):
            await LOST[trial.kind](known)
        trial.writes_first = known.chance.random() < 0.5
        known.faults.lose_answers(times, on="DELETE" if trial.kind == "cancelled" else "PUT")

    return await run(scene, tuple(LOST), plan, requests=["PUT", "DELETE"])


# --- Where things are

_OURS = re.compile(r"^UID:slotwire-(\d+)", re.MULTILINE)
PLACES = (
    *(f"partition {old}" for old in ("serves", "redirects", "missing", "resets")),
    *("calendar renamed", "read-only and back", "calendar deleted", "linked calendar deleted"),
)


async def places(scene: Scene) -> Tally:
    return await run(scene, PLACES, _move)


async def _move(trial: Trial) -> None:
    known, trial.is_sure = trial.known, True
    match trial.kind.split():
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
