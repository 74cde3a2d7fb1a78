"""How SQLite goes about what it was asked: by rules of thumb, which can take a whole table for the shorter way."""

from __future__ import annotations

import pytest

from models.database import Database
from models.sql import fetch

LOGGER = "tortoise.db_client"


async def steps(database: Database, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Of the statements in the log, each with its text before it."""
    told = {
        str(record.args[0])
        for record in caplog.records
        if record.name == LOGGER and isinstance(record.args, tuple) and record.args
    }
    found: list[str] = []
    async with database.reading() as db:
        for each in sorted(told):
            if each.startswith(("SELECT", "UPDATE", "DELETE")):
                plan = await fetch(db, "EXPLAIN QUERY PLAN " + each.replace("?", "'x'"))
                found += [f"{each}: {step['detail']}" for step in plan]
    return found
