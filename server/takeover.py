"""Who starts while no other process runs on its SQLite file takes over at once what a killed one had under lease.

Beside others, and on PostgreSQL, such a lease ends by itself: a connection that was lost proves no process dead, and
two are never to poll one account.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO

from models.database import Database
from models.outbox import free_writes
from models.polling import free_accounts
from models.unavailable import is_unavailable
from server.database import of_its_files, sqlite_file

log = logging.getLogger(__name__)


@asynccontextmanager
async def taking_over(database: Database, url: str) -> AsyncIterator[None]:
    """Around all that may lease anything. The system frees the file's lock however its process ends."""
    if database.is_postgres:
        yield
        return
    path = sqlite_file(url)
    with of_its_files():
        running = path.with_name(f"{path.name}.running").open("w")
    with running as held:
        if _is_alone(held):
            await _free_all(database)
        # The lock is let go for an instant here. Nothing is leased yet that another could free in it.
        await asyncio.to_thread(fcntl.flock, held, fcntl.LOCK_SH)
        yield


def _is_alone(held: IO[str]) -> bool:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _free_all(database: Database) -> None:
    try:
        async with database.writing() as db:
            await free_accounts(db)
            await free_writes(db)
    except Exception as error:
        log.warning("leases end by themselves: %s", error, exc_info=None if is_unavailable(error) else error)
