"""What is held of a calendar's resources: looked up, and nothing changed."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from domain.ids import Kind, derived_id
from models.calendar import Calendar
from models.database import Database
from models.rows import NOT_GIVEN, problems_json
from models.settle import chunks
from models.sql import Db, Row, fetch, marks


def resource_id(calendar: Calendar, href: str) -> str:
    return _resource_id(calendar.id, href)


@functools.lru_cache(maxsize=2048)
def _resource_id(calendar_id: str, href: str) -> str:
    """Of one page, each is asked for a few times."""
    return derived_id(Kind.RESOURCE, calendar_id, href)


async def known_etags(db: Db, calendar: Calendar) -> dict[str, str]:
    """By href, of all that the calendar has."""
    rows = await fetch(db, "SELECT href, etag FROM resource WHERE calendar_id = $1", calendar.id)
    return {row["href"]: row["etag"] for row in rows}


async def etags_of(database: Database, calendar: Calendar, hrefs: Iterable[str]) -> dict[str, str]:
    """By href, of those resources that the calendar has. Not all at one instant."""
    return {row["href"]: row["etag"] for row in await _look_up(database, calendar, hrefs)}


async def copies_among(database: Database, calendar: Calendar, hrefs: Iterable[str]) -> set[str]:
    """Those of them that are copies of appointments."""
    found = await _look_up(database, calendar, hrefs)
    return {row["href"] for row in found if row["appointment_id"] is not None}


async def _look_up(database: Database, calendar: Calendar, hrefs: Iterable[str]) -> list[Row]:
    found: list[Row] = []
    for part in chunks(resource_id(calendar, href) for href in hrefs):
        statement = f"SELECT href, etag, appointment_id FROM resource WHERE id IN ({marks(len(part))})"  # noqa: S608
        found += await database.look(statement, *part)
    return found


async def count_resources(database: Database, calendar: Calendar, *, most: int = 1 << 31) -> int:
    """Up to `most`: what a calendar has beyond it costs nothing."""
    async with database.reading() as db:
        counted = (
            "SELECT COUNT(*) AS held FROM (SELECT 1 FROM resource WHERE calendar_id = $1 LIMIT $2) AS held"
        )
        [row] = await fetch(db, counted, calendar.id, most)
    return int(row["held"])


async def hrefs_from(database: Database, calendar: Calendar, beginning: str) -> list[str]:
    """Those that begin so."""
    async with database.reading() as db:
        return await hrefs_where(db, calendar, "substr(href, 1, $2) = $3", len(beginning), beginning)


async def not_given(db: Db, calendar: Calendar) -> list[str]:
    """On record so. A text that came without its ETag has none either, and perhaps problems of its own."""
    return await hrefs_where(
        db, calendar, "etag = '' AND has_problems AND problems = $2", problems_json([NOT_GIVEN])
    )


async def has_given(db: Db, calendar: Calendar) -> bool:
    """Whether anything was given of the calendar."""
    found = await fetch(
        db, "SELECT 1 AS one FROM resource WHERE calendar_id = $1 AND etag <> '' LIMIT 1", calendar.id
    )
    return bool(found)


async def given_beside(db: Db, calendar: Calendar, hrefs: AbstractSet[str], *, most: int) -> list[str]:
    """Of those that were given of the calendar some, by href, that are none of these; else of the account's others."""
    account = "SELECT account_id FROM calendar WHERE id = $1"
    for of in ("= $1", f"IN (SELECT id FROM calendar WHERE account_id = ({account}) AND id <> $1)"):  # noqa: S608
        rows = await fetch(
            db,
            f"SELECT href FROM resource WHERE etag <> '' AND calendar_id {of} LIMIT $2",  # noqa: S608 - constants.
            calendar.id,
            len(hrefs) + most,
        )
        if found := [row["href"] for row in rows if row["href"] not in hrefs]:
            return found[:most]
    return []


async def unreadable(db: Db, calendar: Calendar) -> list[str]:
    """Given, and not to be read as it was given: by href."""
    return await hrefs_where(db, calendar, "has_problems AND NOT is_readable AND etag <> ''")


async def held_bodies(db: Db, calendar: Calendar, hrefs: Sequence[str]) -> dict[str, str]:
    """The texts that are stored of these, by href."""
    ids = [resource_id(calendar, href) for href in hrefs]
    rows = await of_names(db, "SELECT href, body FROM resource WHERE id IN", ids)
    return {row["href"]: row["body"] for row in rows}


async def stored_rows(db: Db, calendar: Calendar, hrefs: Sequence[str]) -> dict[str, Row]:
    rows = await of_names(
        db,
        "SELECT href, uid, salt FROM resource WHERE id IN",
        [resource_id(calendar, href) for href in hrefs],
    )
    return {row["href"]: row for row in rows}


async def hrefs_where(db: Db, calendar: Calendar, condition: str, *values: object) -> list[str]:
    """`condition`: a constant, whose first value is `$2`."""
    rows = await fetch(
        db,
        f"SELECT href FROM resource WHERE calendar_id = $1 AND {condition}",  # noqa: S608 - constants.
        calendar.id,
        *values,
    )
    return [row["href"] for row in rows]


async def of_names(db: Db, statement: str, names: Sequence[str], *values: object) -> list[Row]:
    """A statement that ends in `IN`, for any number of names."""
    rows: list[Row] = []
    for part in chunks(names):
        rows += await fetch(db, f"{statement} ({marks(len(part), after=len(values))})", *values, *part)
    return rows
