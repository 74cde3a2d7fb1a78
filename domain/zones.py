"""Stretches of one offset from UTC, and days, as the wall clock of a zone cuts them.

Between two changes of offset local time is plain arithmetic; gaps, folds and 30-minute shifts are where
two stretches meet. A day is numbered as `date.toordinal` does.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from domain.edges import Edges, merge
from domain.zone_table import EPOCH_ORDINAL, Zone, find_zone

DAY = 86_400


class Stretch(NamedTuple):
    """`[start, end)` in which local time is UTC plus `offset` seconds."""

    start: int
    end: int
    offset: int


def stretches(zone: str, start: int, end: int) -> list[Stretch]:
    """The stretches of one offset that cover `[start, end)`, clipped to it."""
    table = _table(zone)
    first, last = bisect_right(table.changes, start), bisect_right(table.changes, end - 1)
    bounds = [start, *table.changes[first:last], end]
    return [Stretch(bounds[i], bounds[i + 1], table.offsets[first + i]) for i in range(last - first + 1)]


def wall_at(instant: int, zone: str) -> int:
    """What the clock shows, in seconds as if it were UTC."""
    return _table(zone).wall(instant)


def day_at(instant: int, zone: str) -> int:
    """The ordinal of the date that the clock shows."""
    return wall_at(instant, zone) // DAY + EPOCH_ORDINAL


def day_edges(day: int, zone: str) -> Edges:
    """The instants of one date: in two parts where the clock once went back over midnight, none of a skipped one."""
    local = (day - EPOCH_ORDINAL) * DAY
    around = stretches(zone, local - 2 * DAY, local + 3 * DAY)
    return merge((max(s.start, local - s.offset), min(s.end, local + DAY - s.offset)) for s in around)


def day_end(day: int, zone: str) -> int:
    """The first instant after the last one whose date is `day` or earlier."""
    local = (day - EPOCH_ORDINAL + 1) * DAY
    around = stretches(zone, local - 3 * DAY, local + 3 * DAY)
    return max(min(s.end, local - s.offset) for s in around if s.start < local - s.offset)


def _table(zone: str) -> Zone:
    table = find_zone(zone)
    assert table is not None, f"no zone is called {zone}: names are checked where they come in"
    return table
