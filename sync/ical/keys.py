"""Dates as text: the keys of occurrences, which are RECURRENCE-ID's, and the ISO dates of all-day ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import lru_cache

from domain.zone_table import DAY, EPOCH_ORDINAL, FIRST_INSTANT, LAST_INSTANT
from sync.ical.times import Place


def keys_at(walls: Sequence[int], place: Place, *, is_date: bool) -> list[str]:
    """The key of each original start; `walls` in order."""
    if is_date:
        return [day_key(wall // DAY) for wall in walls]
    if place.is_floating or not place.is_known:
        return [f"{day_key(wall // DAY)}T{_time_text(wall % DAY)}" for wall in walls]
    return instant_keys(place.zone.instants(walls))


def instant_keys(instants: list[int]) -> list[str]:
    """Of instants in order."""
    if instants and (instants[0] < FIRST_INSTANT or instants[-1] > LAST_INSTANT):
        instants = [within_time(instant) for instant in instants]
    return [f"{day_key(instant // DAY)}T{_time_text(instant % DAY)}Z" for instant in instants]


def instant_key(instant: int) -> str:
    return f"{day_key(instant // DAY)}{time_key(instant % DAY)}"


def time_key(second: int) -> str:
    """What follows the day in the key of an instant, where it is this second of its day."""
    return f"T{_time_text(second)}Z"


def within_time(instant: int) -> int:
    """Years 1 to 9999: what a date can say."""
    return min(max(instant, FIRST_INSTANT), LAST_INSTANT)


@lru_cache(maxsize=8192)
def day_key(day: int) -> str:
    return _date(day).strftime("%Y%m%d").zfill(8)


@lru_cache(maxsize=8192)
def iso_day(day: int) -> str:
    return _date(day).isoformat()


def _date(day: int) -> date:
    """Or the nearest that there is."""
    return date.fromordinal(min(max(day + EPOCH_ORDINAL, 1), date.max.toordinal()))


@lru_cache(maxsize=2048)
def _time_text(second: int) -> str:
    return f"{second // 3_600:02}{second % 3_600 // 60:02}{second % 60:02}"
