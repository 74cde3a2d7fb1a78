"""What the use cases' tests stand on."""

from __future__ import annotations

import pytest

from models.bell import Bell
from models.database import Database
from tests.integration.world import World, world_on


@pytest.fixture
async def world(database: Database, bell: Bell) -> World:
    return await world_on(database, bell)
