"""What a process keeps by key, up to a weight: the longest unasked go first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from models.booking import AppointmentType

T = TypeVar("T")


class Kept(Generic[T]):
    def __init__(self, *, most: int) -> None:
        self._kept: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._weight = 0
        self._most = most

    def find(self, key: Hashable) -> T | None:
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def keep(self, key: Hashable, value: T, *, weight: int = 1) -> None:
        self._drop(key)
        self._kept[key] = value, weight
        self._weight += weight
        while self._weight > self._most:
            self._drop(next(iter(self._kept)))

    def __len__(self) -> int:
        return len(self._kept)

    def _drop(self, key: Hashable) -> None:
        if (found := self._kept.pop(key, None)) is not None:
            self._weight -= found[1]


@dataclass(frozen=True, slots=True)
class KnownType:
    """An appointment type as it was at one position of its owner's log: it does not change without a row there."""

    type: AppointmentType
    position: int


def key_of_type(subaccount: str, *, page: str | None, type_id: str | None) -> Hashable:
    """By how a question names it: a page by its slug, or the type itself."""
    return (subaccount, page, type_id)
