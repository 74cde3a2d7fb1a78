"""The grid of starts: wall-clock times of one zone that are whole multiples of a step after midnight.

The wall clock counts, not the time since midnight: 09:00 stays on a 45-minute grid on the day a clock changes.
Both hours of a fold are on the grid; the times of a gap do not exist.
"""

from __future__ import annotations

from domain.edges import Edges, clip, pairs
from domain.zones import DAY, stretches, wall_at


def on_grid(instant: int, *, zone: str, step: int) -> bool:
    return wall_at(instant, zone) % DAY % step == 0


def grid_points(edges: Edges, *, zone: str, step: int) -> list[int]:
    """The grid's instants in a set, by time."""
    if not edges:
        return []
    points: list[int] = []
    for since, until, offset in stretches(zone, edges[0], edges[-1]):
        parts = edges if (since, until) == (edges[0], edges[-1]) else clip(edges, since, until)
        if DAY % step:
            _extend_by_day(points, parts, offset, step)
        else:  # The grid runs on over midnight: one progression for all days of the stretch.
            for start, end in pairs(parts):
                points += range(start + (-start - offset) % step, end, step)
    return points


def _extend_by_day(points: list[int], edges: Edges, offset: int, step: int) -> None:
    """For a step that does not divide the day: each midnight begins the grid anew."""
    for start, end in pairs(edges):
        for day in range((start + offset) // DAY, (end - 1 + offset) // DAY + 1):
            midnight = day * DAY - offset
            low, high = max(start, midnight), min(end, midnight + DAY)
            points += range(low + (midnight - low) % step, high, step)
