"""Clocks: the machine's own jumps by an hour; the owners' go forward and back, in twelve zones."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from benchmarks.campaigns.tally import Tally
from benchmarks.faults.row import Scene
from domain.availability import Busy, Match, Rules, UserTime, find_starts
from domain.hours import WeeklyHours, WorkingHours
from domain.interval import Span
from sync.ical import read_resource
from tests.machine.machine import Machine

HOUR, DAY = 3600, 86_400
STEPS = 12


async def jumps(scene: Scene) -> Tally:
    """The whole system, with a clock that jumps by an hour between any two things that happen."""
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
