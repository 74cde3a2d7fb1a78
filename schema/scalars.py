"""The scalars: the one place where instants, dates, hours and zones become text and back."""

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, NewType

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

DateTime = NewType("DateTime", float)
"""Epoch seconds. An `int` is calendar time and shown in whole seconds, a `float` a moment, in milliseconds."""

LocalTime = NewType("LocalTime", int)
"""Minutes after midnight, 0 to 1440."""

TimeZone = NewType("TimeZone", str)
Cursor = NewType("Cursor", str)

# RFC 3339 section 5.6. A leap second is none of our business: every minute has sixty.
_DATE_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):([0-5]\d)(?:\.\d{1,18})?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)
_LOCAL_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LONGEST_CURSOR = 200


def parse_date_time(value: object) -> int:
    found = _DATE_TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise GraphQLError(
            "DateTime is an RFC 3339 instant with its offset, such as 2026-11-20T09:30:00Z or"
            " 2026-11-20T10:30:00+01:00."
        )
    # The fraction is cut off: a browser's toISOString() always has one, and so have the moments that we show.
    *calendar, sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        wall = datetime(*map(int, calendar), tzinfo=UTC)  # type: ignore[arg-type, misc]  # Six numbers.
        instant = wall + offset if sign == "-" else wall - offset
    except (ValueError, OverflowError):
        raise GraphQLError("DateTime names a day or an hour that does not exist.") from None
    return int(instant.timestamp())


def format_date_time(value: float) -> str:
    """Calendar time is an `int` all the way from the database, a bookkeeping moment a `float`."""
    if isinstance(value, int):
        return _format_calendar_time(value)
    seconds, milliseconds = divmod(int(value * 1000), 1000)
    return f"{_utc(seconds):%Y-%m-%dT%H:%M:%S}.{milliseconds:03}Z".rjust(24, "0")


@lru_cache(maxsize=1 << 15)
def _format_calendar_time(value: int) -> str:
    """Spans begin and end at the same quarters of an hour, over and over."""
    return f"{_utc(value):%Y-%m-%dT%H:%M:%S}Z".rjust(20, "0")


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def parse_date(value: object) -> date:
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise GraphQLError("Date is an RFC 3339 full-date that exists, such as 2026-11-20.")


def parse_local_time(value: object) -> LocalTime:
    if not isinstance(value, str) or not _LOCAL_TIME.fullmatch(value):
        raise GraphQLError("LocalTime is HH:MM on a clock of 24 hours, from 00:00 to 24:00.")
    hours, minutes = value.split(":")
    return LocalTime(int(hours) * 60 + int(minutes))


def format_local_time(value: int) -> str:
    return f"{value // 60:02}:{value % 60:02}"


def parse_time_zone(value: object) -> TimeZone:
    """Any name: that it is no zone's is told with the field that it stands in."""
    if not isinstance(value, str):
        raise GraphQLError("TimeZone is an IANA name, such as Europe/Paris.")
    return TimeZone(value)


def parse_cursor(value: object) -> Cursor:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_CURSOR:
        raise GraphQLError("Cursor is a text that an answer gave.")
    return Cursor(value)


def _scalar(name: str, description: str, *, parse: Any, serialize: Any = str) -> ScalarDefinition:
    return strawberry.scalar(name=name, description=description, parse_value=parse, serialize=serialize)


SCALARS: dict[object, ScalarDefinition] = {
    DateTime: _scalar(
        "DateTime",
        "RFC 3339 instant with offset on input, where a fraction of a second is cut off; always UTC with `Z` on output,"
        " in whole seconds, or in milliseconds where it is a moment that the server noted.",
        parse=parse_date_time,
        serialize=format_date_time,
    ),
    date: _scalar("Date", "RFC 3339 full-date.", parse=parse_date, serialize=date.isoformat),
    LocalTime: _scalar(
        "LocalTime",
        "Wall-clock time `HH:MM`, 00:00 to 24:00.",
        parse=parse_local_time,
        serialize=format_local_time,
    ),
    TimeZone: _scalar("TimeZone", "IANA time zone name, such as `Europe/Paris`.", parse=parse_time_zone),
    Cursor: _scalar(
        "Cursor",
        "Opaque position in one user's change log. Positions of one user are totally ordered and never"
        " reused; those that one subscription shows can skip. One that belongs to another user is refused;"
        " one the log does not know (too old, or from before a backup was restored) gives RESET.",
        parse=parse_cursor,
    ),
}
