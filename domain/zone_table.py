"""Time zones as tables of integers: from the clock on the wall to the instant, gaps and folds included.

A wall time is counted in seconds as if it were UTC, so that days are 86,400 of them and adding is plain
arithmetic; only a zone turns it into an instant.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

DAY = 86_400
EPOCH_ORDINAL = 719_163  # date(1970, 1, 1).toordinal()
FIRST_INSTANT = -62_135_596_800  # 0001-01-01T00:00:00Z
LAST_INSTANT = 253_402_300_799  # 9999-12-31T23:59:59Z
NEVER = 2**62

# The table holds what a calendar asks for. Before and after it the offset at its edge is used.
_TABLE_START = 0  # 1970
_TABLE_END = 4_102_444_800  # 2100
_HOUR = 3_600
_PROBE = 6 * DAY
"""Shorter than any summer time: a week in Recife in 2000, and in Gaza in 2040, if its rules stay."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")
_NO_ZONE = frozenset({"localtime", "factory", "posixrules"})  # The host's own zone, or none at all.
_NOT_OURS = ("right/",)  # Some hosts have the zones once more, by a clock that counts leap seconds.


@dataclass(frozen=True, slots=True)
class Zone:
    """`offsets[i]` holds from change `i - 1` to change `i`.

    On the wall's clock the offset before a change can be meant up to its `first_breaks`, the one after it from its
    `last_breaks` on. Of a gap both are the end; a fold lies between them, from the last to the first.
    """

    name: str
    offsets: tuple[int, ...]
    changes: tuple[int, ...]
    first_breaks: tuple[int, ...]
    last_breaks: tuple[int, ...]

    def earliest(self, wall: int) -> int:
        """The instant of a wall time. In a gap by the offset before it; in a fold the first (RFC 5545 3.3.5)."""
        return wall - self.offsets[bisect_right(self.first_breaks, wall)]

    def latest(self, wall: int) -> int:
        """The same, but in a fold the second."""
        return wall - self.offsets[bisect_right(self.last_breaks, wall)]

    def steady_until(self, wall: int) -> int:
        """Up to here each wall time from this one on means one instant, by one offset. In a fold: this one itself."""
        nth = bisect_right(self.last_breaks, wall)
        if nth != bisect_right(self.first_breaks, wall):
            return wall
        return self.last_breaks[nth] if nth < len(self.last_breaks) else NEVER

    def instants(self, walls: Sequence[int]) -> list[int]:
        """The earliest of each; `walls` in order."""
        found: list[int] = []
        low = 0
        while low < len(walls):
            high = max(low + 1, bisect_left(walls, self.steady_until(walls[low]), low))
            offset = walls[low] - self.earliest(walls[low])
            found += [wall - offset for wall in walls[low:high]]
            low = high
        return found

    def is_in_gap(self, wall: int) -> bool:
        return self.wall(self.earliest(wall)) != wall

    def wall(self, instant: int) -> int:
        """What the clock shows at an instant."""
        return instant + self.offsets[bisect_right(self.changes, instant)]

    def walls_in_gap(self, instant: int) -> tuple[int, ...]:
        """The wall time in a gap that is read as this instant, where there is one."""
        nth = bisect_right(self.changes, instant)
        wall = instant + self.offsets[nth - 1] if nth else instant
        return (wall,) if self.earliest(wall) == instant and self.is_in_gap(wall) else ()


def zone_of_changes(name: str, first_offset: int, changes: Iterable[tuple[int, int]]) -> Zone:
    """A zone from its changes: pairs of the instant and the offset from then on, in order."""
    offsets, instants, first_breaks, last_breaks = [first_offset], [], [], []
    for instant, after in changes:
        before = offsets[-1]
        if after == before:
            continue
        offsets.append(after)
        instants.append(instant)
        first_breaks.append(instant + max(before, after))
        last_breaks.append(instant + after)
    return Zone(name, tuple(offsets), tuple(instants), tuple(first_breaks), tuple(last_breaks))


UTC_ZONE = zone_of_changes("UTC", 0, [])


@lru_cache(maxsize=1024)
def find_zone(name: str) -> Zone | None:
    """The IANA zone of this name, in any case; None where there is none."""
    if not _is_ours(name):
        return None
    try:
        return _tabulate(name, ZoneInfo(name))
    except (ZoneInfoNotFoundError, OSError, ValueError):
        known = _names_by_lower_case().get(name.lower())
        return find_zone(known) if known and known != name else None


def _is_ours(name: str) -> bool:
    lower = name.lower()
    return bool(_NAME.fullmatch(name)) and lower not in _NO_ZONE and not lower.startswith(_NOT_OURS)


def zone_names() -> list[str]:
    """Of all zones that there are, in order."""
    return sorted(filter(_is_ours, available_timezones()))


@cache
def _names_by_lower_case() -> dict[str, str]:
    return {name.lower(): name for name in available_timezones()}


def _tabulate(name: str, info: ZoneInfo) -> Zone:
    def offset(instant: int) -> timedelta | None:
        return datetime.fromtimestamp(instant, info).utcoffset()

    changes: list[tuple[int, int]] = []
    first = before = offset(_TABLE_START)
    for probe in range(_TABLE_START + _PROBE, _TABLE_END + _PROBE, _PROBE):
        after = offset(probe)
        if after != before:
            changes.append((_change(offset, probe - _PROBE, probe), _seconds(after)))
            before = after
    return zone_of_changes(name, _seconds(first), changes)


def _change(offset: Callable[[int], timedelta | None], low: int, high: int) -> int:
    """Since when it is another than at `low`, and as it is at `high`. Nearly every change is at a full hour."""
    before = offset(low)

    def is_over(instant: int) -> bool:
        return offset(instant) != before

    hours = range(low, high, _HOUR)
    after = low + _HOUR * bisect_left(hours, x=True, key=is_over)
    if not is_over(after - 1):
        return after
    return after - _HOUR + bisect_left(range(after - _HOUR, after), x=True, key=is_over)


def _seconds(offset: timedelta | None) -> int:
    assert offset is not None
    return offset.days * DAY + offset.seconds
