"""What is met where the database is away, and who asked is not to blame."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from tortoise.exceptions import DBConnectionError, OperationalError, TransactionManagementError

_UNAVAILABLE = (
    DBConnectionError,
    OperationalError,
    sqlite3.OperationalError,
    asyncpg.PostgresConnectionError,
    asyncpg.TransactionRollbackError,
    asyncpg.InterfaceError,
    # What it has no more of: disk, memory, connections.
    asyncpg.InsufficientResourcesError,
    # It starts, ends, or cut a statement off.
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresSystemError,
    # One that takes over for another takes no writes until it has.
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
    # Its administrator keeps us out for a while: the role, its password, the database, or what it may do there.
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.InsufficientPrivilegeError,
    # A connection that is just being lost is in no state that the driver knows.
    asyncpg.InternalClientError,
    OSError,
)
"""What is met where the database is away, closed to us, locked by another for too long or in a ring, or full: who asked
is not to blame.

And where it does not take a statement; see `is_unavailable`, which is what to ask.
"""

BY_POSTGRES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""Whatever the driver raises: the last but one where a connection is just being lost, in no state that it knows."""
_NOT_TAKEN = (asyncpg.SyntaxOrAccessError, asyncpg.DataError)


def is_unavailable(error: BaseException) -> bool:
    """Whether trying again soon can help. A statement that the database can't make sense of is our own fault."""
    if isinstance(error, TransactionManagementError) and error.__cause__ is not None:
        error = error.__cause__  # It names all of a transaction's states so.
    if not isinstance(error, _UNAVAILABLE):
        return False
    # Tortoise's own is raised where the driver's is met, and names it as its cause or not.
    met = (error.__cause__ or error.__context__) if isinstance(error, OperationalError) else error
    if isinstance(met, sqlite3.OperationalError):
        return getattr(met, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR
    return isinstance(met, asyncpg.InsufficientPrivilegeError) or not isinstance(met, _NOT_TAKEN)


@contextmanager
def where_it_can() -> Iterator[None]:
    """What only people read, or is said again, fails nothing where the database is away or takes no writes."""
    try:
        yield
    except Exception as error:
        if not is_unavailable(error):
            raise
