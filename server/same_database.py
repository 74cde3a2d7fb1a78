"""Whether the database is the one that the process began with: all that it remembers, and each cursor, goes by it.

A standby that takes over may lack what was committed last, and gives the same positions to other changes. A file that
is moved away takes with it what is still written to it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from pathlib import Path

from models.database import Database
from models.glances import GlanceError
from server.database import sqlite_file

log = logging.getLogger(__name__)

ANOTHER = "Another database has taken this one's place: start this process anew."
_LOOKED_EVERY = 2.0
# A timeline is another one after each promotion, and after each recovery to a point in time.
_OF_POSTGRES = (
    "SELECT system_identifier::text AS cluster, pg_walfile_name(pg_current_wal_insert_lsn()) AS segment"
    " FROM pg_control_system()"
)
_DIGITS_OF_TIMELINE = 8
_GONE = "gone"


async def identity_of(database: Database, url: str) -> str | None:
    """None where it can't be told now: it is away, or is a PostgreSQL that tells none."""
    return await _of_postgres(database) if database.is_postgres else _of_file(sqlite_file(url))


def epoch_on(database: Database, identity: str | None, epoch: str) -> str:
    """The change log's. Its positions are those of one timeline; a file's are the same wherever it lies."""
    if not database.is_postgres or identity is None:
        return epoch
    return epoch + hashlib.blake2s(identity.encode(), digest_size=4).hexdigest()


async def until_another(database: Database, url: str, identity: str | None) -> None:
    while True:
        await asyncio.sleep(_LOOKED_EVERY)
        found = await identity_of(database, url)
        if None not in {identity, found} and found != identity:
            log.error(ANOTHER)
            return


async def _of_postgres(database: Database) -> str | None:
    try:
        [row] = await database.glance(_OF_POSTGRES)
    except GlanceError:
        return None
    return f"{row['cluster']} {row['segment'][:_DIGITS_OF_TIMELINE]}"


def _of_file(path: Path) -> str | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return _GONE
    except OSError:
        return None
    return f"{found.st_dev} {found.st_ino}"
