"""What a process does now and then: says by which rules it reads time zones, and drops what is kept for a time only."""

from __future__ import annotations

import logging

from models.changelog import trim
from models.deployment import note_zone_rules, zone_rules_in_force
from models.settle import chunks
from models.sql import Db, execute, fetch, marks
from sync.context import SyncContext

log = logging.getLogger(__name__)


async def keep_house(context: SyncContext) -> None:
    """Says by which rules this process reads time zones, so that no other takes them for gone.

    And drops what is kept for a time only: old changes, holds that ended, answers to idempotent calls.
    """
    now, settings = context.clock(), context.settings
    async with context.database.writing() as db:
        await note_zone_rules(db, context.rules, now=now, lasts=settings.rules_last)
        in_force = await zone_rules_in_force(db, now=now, lasts=settings.rules_last)
    if in_force != context.rules:
        log.warning(
            "time zones are %s here, and %s in a process of the last hour, which stay in force",
            context.rules,
            in_force,
        )
    await trim(context.database, before=now - settings.keep_changes, most_rows=settings.most_changes)
    await _forget_what_is_gone(context)
    async with context.database.writing() as db:
        await execute(db, "DELETE FROM hold WHERE expires_at < $1", now - settings.keep_holds)
        # By the calls' own time too: a clock that is ahead by days ends none, and the last ones stay until others come.
        await execute(
            db,
            "DELETE FROM idempotent_call WHERE created_at < $1"
            " AND created_at < (SELECT MAX(created_at) FROM idempotent_call) - $2",
            now - settings.keep_calls,
            settings.keep_calls,
        )


async def _forget_what_is_gone(context: SyncContext) -> None:
    """Another process disconnected it: here, too, nothing stays signed in."""
    memory = context.memory
    async with context.database.reading() as db:
        accounts = await _gone(db, "icloud_account", memory.accounts)
        calendars = await _gone(db, "calendar", memory.calendars)
    memory.forget(accounts, calendars)


async def _gone(db: Db, table: str, known: set[str]) -> set[str]:
    there: set[str] = set()
    for part in chunks(known):
        rows = await fetch(db, f"SELECT id FROM {table} WHERE id IN ({marks(len(part))})", *part)  # noqa: S608
        there |= {row["id"] for row in rows}
    return known - there
