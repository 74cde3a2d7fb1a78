"""Where a process is cut off: the engine's named steps, and each statement by which a user's time is changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakSet

from models import sqlite
from models.sqlite_connection import Connection
from server import database

READ_STEPS = ("page read", "page stored", "token saved")
WRITE_STEPS = ("outbox taken", "write sent", "write answered", "write marked")

_HEADS = {
    "user's lock": r"UPDATE timeline SET seq = seq",
    "appointment inserted": r"INSERT INTO appointment\b",
    "appointment changed": r"UPDATE appointment SET",
    "call remembered": r"INSERT INTO idempotent_call",
    "write queued": r"INSERT INTO pending_write",
    "changes logged": r"INSERT INTO change",
    "position set": r"UPDATE timeline SET seq = [$?]",
    "writes leased": r"UPDATE pending_write SET lease_until",
    "write finished": r"DELETE FROM pending_write",
    "accounts leased": r"UPDATE icloud_account SET lease_owner = [$?]|WITH told",
    "resource stored": r"INSERT (?:OR FAIL )?INTO resource",
    "event stored": r"INSERT (?:OR FAIL )?INTO event",
    "slot blocked": r"INSERT (?:OR FAIL )?INTO blocked_slot",
    "slot freed": r"DELETE FROM blocked_slot",
    "sync token stored": r"UPDATE calendar SET sync_token",
    "poll recorded": r"UPDATE icloud_account SET status",
}
_COMMIT, _COMMITTED = "commit", "committed"
"""Of a transaction with the user's lock: what it wrote is lost, or stands and nobody was told."""

STATEMENTS = (*_HEADS, _COMMIT, _COMMITTED)

_STATEMENT = re.compile("|".join(f"({head})" for head in _HEADS.values()))

At = Callable[[str], None]


def watch_statements(at: At) -> None:
    """From now on `at` is told of each, once it is done, on connections that are yet to be opened."""
    setattr(sqlite, Connection.__name__, _watched(Connection, _OF_SQLITE, at))
    lasting = database._Lasting
    setattr(database, lasting.__name__, _watched(lasting, _OF_POSTGRES, at))


Told = Callable[..., str]
"""A call's arguments to its SQL."""


def _watched(kind: type, methods: Mapping[str, Told], at: At) -> type:
    locked: WeakSet[object] = WeakSet()

    def watched(name: str, told: Told) -> Callable[..., Any]:
        usual = getattr(kind, name)

        async def method(connection: object, *given: Any, **named: Any) -> Any:
            sql = told(*given).replace('"', "")
            has_lock, is_commit = connection in locked, sql.startswith("COMMIT")
            if has_lock and is_commit:
                at(_COMMIT)
            result = await usual(connection, *given, **named)
            if is_commit or sql.startswith("ROLLBACK"):
                locked.discard(connection)
            if has_lock and is_commit:
                at(_COMMITTED)
            elif (step := _step_of(sql)) is not None:
                if step == "user's lock":
                    locked.add(connection)
                at(step)
            return result

        return method

    return type(kind.__name__, (kind,), {name: watched(name, told) for name, told in methods.items()})


def _step_of(sql: str) -> str | None:
    found = _STATEMENT.match(sql)
    return None if found is None else tuple(_HEADS)[(found.lastindex or 0) - 1]


def _first(sql: str, *_: object) -> str:
    return sql


_OF_SQLITE: Mapping[str, Told] = {
    **dict.fromkeys(("execute_fetchall", "change", "execute_insert", "executemany", "insert"), _first),
    "commit": lambda: "COMMIT",
    "rollback": lambda: "ROLLBACK",
}
_OF_POSTGRES: Mapping[str, Told] = {
    **dict.fromkeys(("execute", "fetch", "fetchrow", "executemany"), _first),
    "copy_records_to_table": lambda table: f"INSERT INTO {table}",
}
