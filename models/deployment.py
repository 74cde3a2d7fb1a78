"""Facts of this deployment: the change log's epoch, the probe that tells a wrong sealing key at start, and by which
rules of time zones its processes read.
"""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from models.clocks import CLOCKS_DIFFER
from models.sql import Db, execute, fetch


class Fact(Model):
    name = fields.CharField(max_length=64, primary_key=True)
    value = fields.TextField()

    class Meta:
        table = "deployment_fact"


class ZoneRules(Model):
    # Of two, the greater is the newer.
    name = fields.CharField(max_length=64, primary_key=True)
    # When a process with a sync loop last said that it has them.
    seen_at = fields.FloatField()

    class Meta:
        table = "zone_rules"


async def read_fact(db: Db, name: str) -> str | None:
    fact = await Fact.filter(name=name).using_db(db).first()
    return None if fact is None else fact.value


async def keep_fact(db: Db, name: str, value: str) -> None:
    """Sets it, whatever it was."""
    await Fact.filter(name=name).using_db(db).delete()
    await Fact.create(using_db=db, name=name, value=value)


async def write_nothing(db: Db) -> None:
    """Fails where the database may only be read."""
    await execute(db, "UPDATE deployment_fact SET value = value WHERE name IS NULL")


_OF_LATE = "seen_at BETWEEN $1 AND $2"


async def note_zone_rules(db: Db, name: str, *, now: float, lasts: float) -> None:
    """That this process has them; those that nobody had for `lasts` seconds are forgotten."""
    await execute(
        db,
        "INSERT INTO zone_rules (name, seen_at) VALUES ($1, $2)"
        " ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at",
        name,
        now,
    )
    await execute(db, f"DELETE FROM zone_rules WHERE NOT {_OF_LATE}", now - lasts, now + CLOCKS_DIFFER)  # noqa: S608


async def zone_rules_in_force(db: Db, *, now: float, lasts: float) -> str | None:
    """The newest that a process has had within so many seconds. Chosen here: PostgreSQL would sort by its locale."""
    statement = f"SELECT name FROM zone_rules WHERE {_OF_LATE}"  # noqa: S608 - a constant.
    rows = await fetch(db, statement, now - lasts, now + CLOCKS_DIFFER)
    return max((row["name"] for row in rows), default=None)
