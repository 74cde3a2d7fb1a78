"""What availability costs in the engine alone, on a warmed merged timeline: `python -m benchmarks.engine`.

Ten calendars of a thousand timed events over three years, as one user's. The floor is the list of slots by
itself: the same starts counted out with `range`, from free spans that are known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from statistics import median
from time import perf_counter

from domain.availability import Booked, Busy, Match, Rules, UserTime, find_starts, find_windows, merge_busy
from domain.booking import decide, nearest_starts
from domain.hours import DEFAULT_HOURS, WeeklyHours, WorkingHours
from domain.interval import Span

DAY = 86_400
NOW = 1_780_272_000  # 2026-06-01T00:00Z, a Monday; the zone changes its clock within none of the windows.
PLAIN = Rules(duration=1800, step=900)
BUFFERED = replace(PLAIN, buffer_before=600, buffer_after=900)
ALWAYS = WorkingHours(tuple(WeeklyHours(day, 0, 1440) for day in range(7)))
GOALS = {7: 100, 30: 300, 90: 600}


def main() -> None:
    user = a_user(count=10_000, seed=1)
    at_work = replace(user, hours=DEFAULT_HOURS)
    booked = replace(at_work, appointments=tuple(appointments(200)))
    six = [a_user(count=1_000, seed=seed) for seed in range(6)]
    print(f"{'':42}{'7 d':>9}{'30 d':>9}{'90 d':>9}   us, median of 5 x 20")
    line("floor: range() over the free spans", lambda within: floor(user, within))
    line("windows", lambda within: windows([user], PLAIN, within))
    line("starts (goal 100, 300, 600)", lambda within: starts([user], PLAIN, within))
    line("starts, buffers", lambda within: starts([user], BUFFERED, within))
    line("starts, Mon-Fri 9-17", lambda within: starts([at_work], PLAIN, within))
    line("starts, Mon-Fri 9-17, buffers, 200 booked", lambda within: starts([booked], BUFFERED, within))
    line("starts, 6 users, everyone", lambda within: starts(six, PLAIN, within))
    line("starts, 6 users, anyone", lambda within: starts(six, PLAIN, within, Match.ANYONE))
    busy = timed(lambda: windows([replace(user, busy=Busy())], PLAIN, Span(NOW, NOW + 7 * DAY)))
    print(f"\nwindows of an empty timeline, 7 d: {busy:.1f} us")
    print(f"decide: {timed(lambda: decide(NOW + DAY, user=booked, rules=BUFFERED, now=NOW)):.1f} us")
    nearest = timed(lambda: nearest_starts(booked, BUFFERED, around=NOW + DAY, now=NOW))
    print(f"nearest_starts: {nearest:.1f} us")
    print(f"merging 10,000 blocked slots anew: {timed(lambda: merge_busy(events(10_000, 1))):.0f} us")


def events(count: int, seed: int) -> list[Span]:
    """In the hours in which people meet, so that gaps remain."""
    random = Random(seed)
    starts = (NOW + random.randrange(-400, 695) * DAY + random.randrange(32, 80) * 900 for _ in range(count))
    return [Span(start, start + random.choice([900, 1800, 1800, 3600])) for start in starts]


def a_user(*, count: int, seed: int) -> UserTime:
    return UserTime(
        user=f"usr_{seed}", zone="Europe/Paris", hours=ALWAYS, busy=merge_busy(events(count, seed))
    )


def appointments(count: int) -> list[Booked]:
    random = Random(3)
    starts = sorted(NOW + random.randrange(90) * DAY + random.randrange(32, 68) * 900 for _ in range(count))
    return [Booked(Span(start, start + 1800), 600, 600) for start in starts]


def windows(users: list[UserTime], rules: Rules, within: Span) -> object:
    return find_windows(users, rules, within=within, now=NOW)


def starts(users: list[UserTime], rules: Rules, within: Span, match: Match = Match.EVERYONE) -> object:
    return find_starts(users, rules, within=within, now=NOW, match=match)


def floor(user: UserTime, within: Span) -> object:
    known = FREE.get(within) or FREE.setdefault(within, find_windows([user], PLAIN, within=within, now=NOW))
    return [start for low, high in known for start in range(low, high - 1799, 900)]


FREE: dict[Span, list[Span]] = {}


def line(name: str, work: Callable[[Span], object]) -> None:
    times = [timed(lambda days=days: work(Span(NOW, NOW + days * DAY))) for days in GOALS]  # type: ignore[misc]
    print(f"{name:42}" + "".join(f"{time:9.1f}" for time in times))


def timed(work: Callable[[], object], rounds: int = 20) -> float:
    """Microseconds a call, warmed."""
    work()
    times = []
    for _ in range(5):
        since = perf_counter()
        for _ in range(rounds):
            work()
        times.append((perf_counter() - since) / rounds * 1e6)
    return median(times)


if __name__ == "__main__":
    main()
