"""A PostgreSQL database that can be put back to how it once was: slower than SQLite in memory, and as true."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.database import Database
from models.sql import execute, fetch

_TABLES = (
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
    " AND table_type = 'BASE TABLE' AND table_name <> 'tortoise_migrations' ORDER BY table_name"
)


@dataclass(slots=True)
class OnPostgres:
    database: Database
    _tables: list[str] = field(default_factory=list)

    async def keep(self) -> None:
        async with self.database.writing() as db:
            self._tables = [row["table_name"] for row in await fetch(db, _TABLES)]
            await execute(db, "CREATE SCHEMA kept")
            for table in self._tables:
                await execute(db, f"CREATE TABLE kept.{table} AS TABLE public.{table}")

    async def put_back(self) -> None:
        if not self._tables:
            return
        async with self.database.writing() as db:
            # Not TRUNCATE: it makes a new file of each table, every run.
            for table in self._tables:
                await execute(db, f"DELETE FROM public.{table}")
                await execute(db, f"INSERT INTO public.{table} SELECT * FROM kept.{table}")
