"""Databases that live as long as a benchmark: with nothing of the engine, or of the world around it, in memory."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg


@asynccontextmanager
async def fresh_database(kind: str, folder: Path, *, postgres: str) -> AsyncIterator[str]:
    """The URL of an empty, unmigrated database of its own; dropped at the end."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'slotwire.sqlite3'}"
        return
    name = f"slotwire_world_{secrets.token_hex(6)}"
    await _on_server(postgres, f"CREATE DATABASE {name}")
    try:
        yield f"{postgres.rpartition('/')[0]}/{name}"
    finally:
        await _on_server(postgres, f"DROP DATABASE {name} WITH (FORCE)")


async def _on_server(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
