"""Clocks: the machine's own jumps, and is set right again; the owners' go forward and back, in twelve zones."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from benchmarks.campaigns.tally import Tally
from benchmarks.faults.row import Scene
from domain.availability import Busy, Match, Rules, UserTime, find_starts
from domain.hours import WeeklyHours, WorkingHours
from domain.interval import Span
from models.clocks import CLOCKS_DIFFER
from resolvers.availability import AvailabilityQuestion, availability
from resolvers.views import AvailabilityView
from sync.ical.resource import read_resource
from sync.remote import Throttled, Unreachable
from tests.machine import guests
from tests.machine.life import Life
from tests.machine.machine import Machine
from tests.machine.process import started

HOUR, DAY = 3600, 86_400
STEPS = 12


async def jumps(scene: Scene) -> Tally:
    """The whole system, with a clock that jumps by an hour between any two things that happen.

    In the end it runs ahead once more, for longer, and is set right: what it stored meanwhile is not waited for.
    """
    tally = Tally(scene.name, scene.where)
    await asyncio.to_thread(_jump, scene, tally)
    return tally


def _jump(scene: Scene, tally: Tally) -> None:
    for number in range(scene.count):
        tally.trials += 1
        chance = random.Random(f"{scene.seed}/{number}")
        state, is_ahead = Machine(), False
        try:
            for _ in range(STEPS):
                # An hour ahead, and right again: what a process that died held is held for an hour at most.
                is_ahead = not is_ahead
                state.clock_jump(seconds=HOUR if is_ahead else -HOUR)
                chance.choice(_HAPPENINGS)(state, chance.randrange(72))
            state.life.clock.now -= HOUR if is_ahead else 0
            state.do(_set_right(state.life, chance))
            state.teardown()
        except AssertionError as error:
            tally.hold(claim=False, story=f"trial {number}: {error}"[:400])
    Machine.close()


_HAPPENINGS: tuple[Callable[[Machine, int], None], ...] = (
    lambda state, place: state.book(place=place, halves=2),
    lambda state, place: state.hold(place=place),
    lambda state, place: state.book_page(place=place, uses_hold=True),
    lambda state, place: state.iphone_edit(which=place % 12, place=place, halves=2),
    lambda state, place: state.reschedule(which=place % 12, place=place),
    lambda state, place: state.cancel(which=place % 12),
    lambda state, place: state.crash(points=place % 24, does="both"),
    lambda state, place: state.at_once(seed=place, place=place, halves=1, which=0),
    lambda state, _: state.write(),
)

# --- Set right

AHEAD = (90, 600, HOUR, 12 * HOUR, 3 * DAY, 400 * DAY)
LONGEST_WAIT = 1.2 * HOUR
"""For an account that fails: for what it would have waited for by any clock."""
NIGHT = 31 * HOUR
_STEP = 20


async def _set_right(life: Life, chance: random.Random) -> None:
    """The process runs on, or has ended before; its account is well, or had been told to wait."""
    life.cloud.heal()
    life.process.doom.points_left = None
    settings, seconds = replace(life.process.sync.context.settings, look_every=0.01), chance.choice(AHEAD)
    life.process = started(life.world.services, life.database, life.cloud, life.clock, settings)
    is_running, is_failing = chance.random() < 0.5, chance.random() < 0.3
    running = asyncio.create_task(life.process.sync.run()) if is_running else None
    life.clock.now += seconds
    await life.poll()
    await _use(life, chance, seconds)
    if is_failing:
        life.cloud.errors.append(Throttled(600))
        life.clock.now += 1
        await life.poll()
    life.clock.now -= seconds
    await _check_age(life)
    running = running or asyncio.create_task(life.process.sync.run())
    try:
        await _check_due(life, most=LONGEST_WAIT if is_failing else 0.0)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _use(life: Life, chance: random.Random, seconds: int) -> None:
    """A booking whose write fails, and a hold; by a clock for which they lie ahead."""
    if seconds > DAY:
        return
    await guests.hold(life, chance.randrange(72))
    await guests.book(life, chance.randrange(72), 2)
    life.cloud.errors += [Unreachable()] * chance.randrange(2)
    await life.push()
    life.cloud.errors.clear()


async def _check_age(life: Life) -> None:
    """What lies in the future is not known to be fresh."""
    asked = AvailabilityQuestion(
        user_ids=(life.world.anna.user,), from_=int(life.clock.now), to=int(life.clock.now) + DAY
    )
    view = await life.run(lambda ctx: availability(ctx, asked))
    assert isinstance(view, AvailabilityView), view
    as_of = view.freshness.as_of
    assert as_of is None or as_of <= life.clock.now + CLOCKS_DIFFER, "a state of the future"
    assert not view.freshness.is_fresh or as_of is not None, "fresh, and nobody knows of when"


async def _check_due(life: Life, *, most: float) -> None:
    """Polled at once, or after the wait that it was told; then all is written, and nothing lies too far ahead."""
    # A write that a dead process has taken is waited for, for a minute.
    await _until(life, "last_polled_at", most=most + 3 * CLOCKS_DIFFER)
    # A calendar that moved, nobody knows by what, is asked five times before it is compared.
    await _until(life, "last_synced_at", most=6 * life.process.sync.context.settings.watched_every)
    now = life.clock.now
    [calendar] = await life.rows("SELECT MAX(compare_at) AS at, MAX(last_synced_at) AS read FROM calendar")
    assert calendar["at"] <= now + NIGHT, f"compared in {calendar['at'] - now} s"
    assert calendar["read"] <= now, "read in the future"
    [hold] = await life.rows("SELECT MAX(expires_at) AS at FROM hold")
    assert (hold["at"] or 0) <= now + life.process.services.settings.hold_for, (
        f"held for {hold['at'] - now} s"
    )


async def _until(life: Life, stamp: str, *, most: float) -> None:
    """It is of now, and what was to be written was tried. Time stands still for a moment where something is leased."""
    since = life.clock.now
    for turn in itertools.count():
        [account] = await life.rows("SELECT * FROM icloud_account")
        writes = await life.rows("SELECT lease_until FROM pending_write WHERE attempts = 0")
        if 0 <= life.clock.now - (account[stamp] or 0) <= 2 * _STEP and not writes:
            return
        assert life.clock.now - since <= most, f"{stamp} {account[stamp]}, {life.clock.now - since} s later"
        await asyncio.sleep(0.03)
        leases = (account["lease_until"], *(write["lease_until"] for write in writes))
        if turn % 10 == 0 or not any(until is not None and until > life.clock.now for until in leases):
            life.clock.now += _STEP


# --- The owners' clocks

ZONES = (
    *("Europe/Paris", "Europe/London", "America/New_York", "America/Los_Angeles", "America/St_Johns"),
    *("Australia/Lord_Howe", "Australia/Sydney", "Pacific/Auckland", "Africa/Casablanca", "Asia/Jerusalem"),
    *("Asia/Kathmandu", "Pacific/Kiritimati"),
)
"""Kathmandu's and Kiritimati's clocks never change: there, the trials are of odd offsets."""
NINE_TO_FIVE = WorkingHours(tuple(WeeklyHours(day, 540, 1020) for day in range(7)))


async def changes(scene: Scene) -> Tally:
    """Events and offered starts around each change, against the standard library's own zones."""
    tally = Tally(scene.name, scene.where)
    for zone in ZONES:
        for change in _changes_of(zone):
            chance = random.Random(f"{scene.seed}/{zone}/{change}")
            for _ in range(scene.count):
                tally.trials += 1
                tally.hold(*_event(zone, change, chance))
            tally.hold(*_starts(zone, change))
    tally.facts["zones"] = len(ZONES)
    return tally


def _changes_of(zone: str) -> list[datetime]:
    """The first two instants after now at which the offset changes, or two days where it never does."""
    info, at = ZoneInfo(zone), datetime(2026, 9, 1, tzinfo=UTC)
    found = []
    for hour in range(24 * 400):
        before, after = at + timedelta(hours=hour), at + timedelta(hours=hour + 1)
        if before.astimezone(info).utcoffset() != after.astimezone(info).utcoffset():
            found.append(after)
    return found[:2] or [at, at + timedelta(days=180)]


def _event(zone: str, change: datetime, chance: random.Random) -> tuple[bool, str]:
    """A daily series of three over the change, by wall clock."""
    info = ZoneInfo(zone)
    day = (change.astimezone(info) - timedelta(days=1)).replace(tzinfo=None, hour=0, minute=0, second=0)
    first = day + timedelta(minutes=15 * chance.randrange(96))
    minutes = 15 * chance.randint(1, 12)
    text = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nBEGIN:VEVENT\r\nUID:u\r\nDTSTAMP:20260901T000000Z\r\n"
        f"DTSTART;TZID={zone}:{first:%Y%m%dT%H%M%S}\r\nDURATION:PT{minutes}M\r\nRRULE:FREQ=DAILY;COUNT=3\r\n"
        "END:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    at = int(change.timestamp())
    window = Span(at - 10 * DAY, at + 10 * DAY)
    read = read_resource(text, zone="UTC", addresses=frozenset(), window=window)
    busy = sorted((each.busy.start, each.busy.end) for each in read.occurrences)
    wanted = sorted(_busy(first + timedelta(days=number), minutes * 60, info) for number in range(3))
    return busy == wanted, f"{zone} at {first}, {minutes} min: {busy}, not {wanted}"


def _busy(local: datetime, seconds: int, info: ZoneInfo) -> tuple[int, int]:
    """RFC 5545 3.3.5: in a gap by the offset before it. In a fold, both hours block."""
    early, late = (int(local.replace(tzinfo=info, fold=fold).timestamp()) for fold in (0, 1))
    return (early, max(early, late) + seconds) if _is_fold(local, info) else (early, early + seconds)


def _is_fold(local: datetime, info: ZoneInfo) -> bool:
    early, late = (local.replace(tzinfo=info, fold=fold) for fold in (0, 1))
    return late.timestamp() > early.timestamp()


def _starts(zone: str, change: datetime) -> tuple[bool, str]:
    """Half hours of three days, nine to five: each offered once, and none beside them."""
    info, at = ZoneInfo(zone), int(change.timestamp())
    day = (change.astimezone(info) - timedelta(days=1)).replace(tzinfo=None, hour=0, minute=0, second=0)
    low = int(day.replace(tzinfo=info).timestamp())
    high = int((day + timedelta(days=3)).replace(tzinfo=info).timestamp())
    user = UserTime(user="usr_1", zone=zone, hours=NINE_TO_FIVE, busy=Busy())
    rules = Rules(duration=1800, step=1800, grid_zone=zone)
    found = find_starts([user], rules, within=Span(low, high), now=at - 30 * DAY, match=Match.EVERYONE)
    offered = found.at
    wanted = [
        int((day + timedelta(days=number, minutes=540 + 30 * half)).replace(tzinfo=info).timestamp())
        for number in range(3)
        for half in range(16)
    ]
    return offered == wanted, f"{zone} around {change}: {sorted(set(offered) ^ set(wanted))}"
