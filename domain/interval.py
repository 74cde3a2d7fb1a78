"""Half-open spans of time, in whole seconds since the epoch (UTC)."""

from __future__ import annotations

from typing import NamedTuple


class Span(NamedTuple):
    """`[start, end)`, in epoch seconds. Empty where `end <= start`."""

    start: int
    end: int

    def overlaps(self, other: Span) -> bool:
        return self.start < other.end and other.start < self.end

    def clipped(self, within: Span) -> Span:
        return Span(max(self.start, within.start), min(self.end, within.end))

    @property
    def is_empty(self) -> bool:
        return self.end <= self.start
