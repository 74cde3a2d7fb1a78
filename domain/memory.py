"""Sets of instants that are worked out a block of time at a time, and remembered."""

from __future__ import annotations

from collections.abc import Callable

from domain.edges import Edges, clip, extend

BLOCK = 1 << 23
"""97 days: the longest question meets two of them."""

_MOST = 64

WorkOut = Callable[[int, int], Edges]


class Memory:
    """For as long as what the sets are worked out from stands: whoever changes that makes a new one.

    `of` names a set. What lies in one block must not hang on what lies in another.
    """

    def __init__(self) -> None:
        self._blocks: dict[tuple[object, int], Edges] = {}

    def within(self, start: int, end: int, *, of: object, work_out: WorkOut) -> Edges:
        if end <= start:
            return []
        first, last = start // BLOCK, (end - 1) // BLOCK
        found = clip(self._block(first, of, work_out), start, end)
        for index in range(first + 1, last + 1):
            extend(found, clip(self._block(index, of, work_out), start, end))
        return found

    def _block(self, index: int, of: object, work_out: WorkOut) -> Edges:
        known = self._blocks.get((of, index))
        if known is None:
            if len(self._blocks) >= _MOST:
                self._blocks.clear()
            known = self._blocks[of, index] = work_out(index * BLOCK, (index + 1) * BLOCK)
        return known
