"""Fields of an input as use cases get them: absent, null or given."""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import Final, Literal, TypeVar
from zoneinfo import available_timezones

from domain.validate import Invalid
from resolvers.outcomes import InvalidInput

T = TypeVar("T")


class Unset(Enum):
    """An absent field leaves things as they are; null may clear."""

    UNSET = "UNSET"


UNSET: Final = Unset.UNSET
Absent = Literal[Unset.UNSET]


def given(value: T | Absent, otherwise: T) -> T:
    """What was given, or what stands."""
    return otherwise if value is UNSET else value


def not_null(field: str) -> InvalidInput:
    return InvalidInput("This can't be cleared: give a value, or leave the field out.", field)


def invalid(found: Invalid) -> InvalidInput:
    return InvalidInput(found.message, found.field)


def check_zone(name: str, *, field: str = "timeZone") -> str | Invalid:
    if name in _zones():
        return name
    return Invalid(field, "Give the IANA name of a time zone, such as Europe/Paris.")


@cache
def _zones() -> frozenset[str]:
    # The host's own zone and the one that means "not set" are no places.
    return frozenset(available_timezones() - {"localtime", "Factory"})
