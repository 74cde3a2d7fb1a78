"""What availability costs in the engine alone, on a warmed merged timeline: `python -m benchmarks.engine`.

Ten calendars of a thousand timed events over three years, as one user's. The floor is the list of slots by
itself: the same starts counted out with `range`, from free spans that are known. CPU time; exits with 1 where a goal
is missed. "Anew" is a user of whom nothing is remembered but the merged timeline: the first question after a change.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from statistics import median
from time import process_time

from domain import edges as sweep
from domain.availability import (
    Booked,
    Match,
    Rules,
    UserTime,
    find_free,
    find_starts,
    find_windows,
    merge_busy,
)
from domain.booking import decide, nearest_starts
from domain.hours import DEFAULT_HOURS, WeeklyHours, WorkingHours
from domain.interval import Span
from domain.memory import Memory

DAY = 86_400
NOW = 1_780_272_000  # 2026-06-01T00:00Z, a Monday; the zone changes its clock within none of the windows.
PLAIN = Rules(duration=1800, step=900)
BUFFERED = replace(PLAIN, buffer_before=600, buffer_after=900)
ALWAYS = WorkingHours(tuple(WeeklyHours(day, 0, 1440) for day in range(7)))
DAYS = (7, 30, 90)
BUSY = (10, 10, 10)
STARTS = (100, 300, 600)


def main() -> int:
    argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__).parse_args()
    user = a_user(count=10_000, seed=1)
    anew = replace(user, memory=None)
    at_work = replace(user, hours=DEFAULT_HOURS, memory=Memory())
    booked = replace(at_work, appointments=tuple(appointments(200)), memory=Memory())
    six = [a_user(count=1_000, seed=seed) for seed in range(6)]
    print(f"{'':46}{'7 d':>9}{'30 d':>9}{'90 d':>9}   CPU us, median of 9 x 20")
    met = [
        line("busy spans", lambda within: sweep.clip(user.busy.edges, *within), BUSY),
        line("free windows, as edges", lambda within: free([user], PLAIN, within), BUSY),
        line(
            "free windows, Mon-Fri 9-17, buffers, 200 booked", lambda it: free([booked], BUFFERED, it), BUSY
        ),
        line("starts", lambda within: starts([user], PLAIN, within), STARTS),
        line("starts, buffers", lambda within: starts([user], BUFFERED, within), STARTS),
        line("starts, Mon-Fri 9-17, buffers, 200 booked", lambda it: starts([booked], BUFFERED, it), STARTS),
    ]
    line("floor of starts: range() over the free spans", lambda within: floor(user, within))
    line("windows, as values of their own", lambda within: windows([user], PLAIN, within))
    line("starts, Mon-Fri 9-17", lambda within: starts([at_work], PLAIN, within))
    line("starts, 6 users, everyone", lambda within: starts(six, PLAIN, within))
    line("starts, 6 users, anyone", lambda within: starts(six, PLAIN, within, Match.ANYONE))
    line("windows, anew", lambda within: free([anew], PLAIN, within))
    line("starts, anew", lambda within: starts([anew], PLAIN, within))
    print(f"\ndecide: {timed(lambda: decide(NOW + DAY, user=booked, rules=BUFFERED, now=NOW)):.1f} us")
    nearest = timed(lambda: nearest_starts(booked, BUFFERED, around=NOW + DAY, now=NOW))
    print(f"nearest_starts: {nearest:.1f} us")
    print(f"merging 10,000 blocked slots anew: {timed(lambda: merge_busy(events(10_000, 1))):.0f} us")
    return 0 if all(met) else 1


def events(count: int, seed: int) -> list[Span]:
    """In the hours in which people meet, so that gaps remain."""
    random = Random(seed)
    starts = (NOW + random.randrange(-400, 695) * DAY + random.randrange(32, 80) * 900 for _ in range(count))
    return [Span(start, start + random.choice([900, 1800, 1800, 3600])) for start in starts]


def a_user(*, count: int, seed: int) -> UserTime:
    return UserTime(
        user=f"usr_{seed}",
        zone="Europe/Paris",
        hours=ALWAYS,
        busy=merge_busy(events(count, seed)),
        memory=Memory(),
    )


def appointments(count: int) -> list[Booked]:
    random = Random(3)
    starts = sorted(NOW + random.randrange(90) * DAY + random.randrange(32, 68) * 900 for _ in range(count))
    return [Booked(Span(start, start + 1800), 600, 600) for start in starts]


def windows(users: list[UserTime], rules: Rules, within: Span) -> object:
    return find_windows(users, rules, within=within, now=NOW)


def free(users: list[UserTime], rules: Rules, within: Span) -> object:
    return find_free(users, rules, within=within, now=NOW)


def starts(users: list[UserTime], rules: Rules, within: Span, match: Match = Match.EVERYONE) -> object:
    return find_starts(users, rules, within=within, now=NOW, match=match)


def floor(user: UserTime, within: Span) -> object:
    known = FREE.get(within) or FREE.setdefault(within, find_windows([user], PLAIN, within=within, now=NOW))
    return [start for low, high in known for start in range(low, high - 1799, 900)]


FREE: dict[Span, list[Span]] = {}


def line(name: str, work: Callable[[Span], object], goals: Sequence[float] = ()) -> bool:
    """Whether each goal is met."""
    times = [timed(lambda days=days: work(Span(NOW, NOW + days * DAY))) for days in DAYS]  # type: ignore[misc]
    is_met = all(time <= goal for time, goal in zip(times, goals, strict=False))
    said = f"   goal {', '.join(map(str, goals))}: {'met' if is_met else 'MISSED'}" if goals else ""
    print(f"{name:46}" + "".join(f"{time:9.1f}" for time in times) + said)
    return is_met


def timed(work: Callable[[], object], rounds: int = 20) -> float:
    """Microseconds a call, warmed."""
    work()
    times = []
    for _ in range(9):
        since = process_time()
        for _ in range(rounds):
            work()
        times.append((process_time() - since) / rounds * 1e6)
    return median(times)


if __name__ == "__main__":
    sys.exit(main())
