"""What a killed process has under lease: whose it is when the next one starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.bell import Bell
from models.database import Database
from server.config import Settings
from server.services import open_parts
from tests.e2e.serving import settings_with
from tests.integration.world import NOW, World, world_on


@pytest.fixture
async def world(database: Database, bell: Bell) -> World:
    made = await world_on(database, bell)
    await made.connect()
    await made.write(
        "INSERT INTO pending_write (appointment_id, subaccount_id, user_id, due_at, attempts, created_at)"
        " VALUES ('an-appointment', $1, $2, $3, 0, $3)",
        made.anna.subaccount,
        made.anna.user,
        NOW,
    )
    return made


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return settings_with(DATABASE_URL=database_url, SEALING_KEY_FILE=str(tmp_path / "s.key"))


async def lease(world: World) -> None:
    """Anna's account and one of her writes, to a process that says no more."""
    await world.write("UPDATE icloud_account SET lease_owner = 'killed', lease_until = $1", NOW + 30)
    await world.write("UPDATE pending_write SET lease_until = $1", NOW + 30)


async def leased(world: World) -> int:
    accounts = await world.rows(
        "SELECT 1 FROM icloud_account WHERE lease_owner IS NOT NULL AND lease_until IS NOT NULL"
    )
    writes = await world.rows("SELECT 1 FROM pending_write WHERE lease_until IS NOT NULL")
    return len(accounts) + len(writes)


async def test_who_starts_alone_takes_over_on_sqlite_what_was_leased(
    world: World, settings: Settings, database: Database
) -> None:
    await lease(world)
    async with open_parts(settings, {}):
        assert await leased(world) == (2 if database.is_postgres else 0)


async def test_who_starts_beside_another_takes_nothing_over(
    world: World, settings: Settings, database: Database
) -> None:
    async with open_parts(settings, {}):
        await lease(world)
        async with open_parts(settings, {}):
            assert await leased(world) == 2
        async with open_parts(settings, {}):  # Nor does that one's end make the first one dead.
            assert await leased(world) == 2
    async with open_parts(settings, {}):
        assert await leased(world) == (2 if database.is_postgres else 0)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_link_to_the_file_is_the_same_file(world: World, settings: Settings, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "link.sqlite3"
    link.parent.mkdir()
    link.symlink_to(settings.database_url.removeprefix("sqlite:///"))
    linked = settings_with(DATABASE_URL=f"sqlite:///{link}", SEALING_KEY_FILE=str(settings.sealing_key_file))
    async with open_parts(settings, {}):
        await lease(world)
        async with open_parts(linked, {}):
            assert await leased(world) == 2
