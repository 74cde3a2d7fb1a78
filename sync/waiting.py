"""Accounts that are leased and not polled yet, those due first in front; failing ones apart."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush

from models.polling import Lease


class Queue:
    def __init__(self) -> None:
        self._heap: list[tuple[float, str, Lease]] = []

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, lease: Lease) -> None:
        heappush(self._heap, (lease.due_at or 0.0, lease.account_id, lease))

    def soonest(self) -> float | None:
        return self._heap[0][0] if self._heap else None

    def due(self, now: float, *, ahead: float) -> Lease | None:
        """Takes out the one that is longest due.

        One planned later than `ahead` allows is taken too: it is from before the clock was set back.
        """
        if not self._heap or now < self._heap[0][0] <= now + ahead:
            return None
        return heappop(self._heap)[2]

    def drop(self, account_id: str) -> None:
        left = [entry for entry in self._heap if entry[1] != account_id]
        if len(left) < len(self._heap):
            heapify(left)
            self._heap = left

    def clear(self) -> None:
        self._heap.clear()


class Waiting:
    """`has_more`: the last turn took as many as it wanted, so that there may be more."""

    def __init__(self) -> None:
        self.healthy, self.failing = Queue(), Queue()
        self.has_more = False

    def add(self, leases: Iterable[Lease]) -> None:
        for lease in leases:
            (self.failing if lease.is_failing else self.healthy).add(lease)

    def drop(self, account_id: str) -> None:
        self.healthy.drop(account_id)
        self.failing.drop(account_id)

    def clear(self) -> None:
        self.healthy.clear()
        self.failing.clear()
