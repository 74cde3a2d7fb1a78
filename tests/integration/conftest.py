"""What the use cases' tests stand on."""

from __future__ import annotations

import pytest

from models.bell import Bell
from models.database import Database
from tests.fakes.calendar_server import FakeCalendar
from tests.integration.engine import Engine
from tests.integration.world import World, world_on


@pytest.fixture
async def world(database: Database, bell: Bell) -> World:
    return await world_on(database, bell)


@pytest.fixture
def home(engine: Engine) -> FakeCalendar:
    """Of a module's own engine."""
    return engine.server.calendars["/1/calendars/home/"]


@pytest.fixture
def work(engine: Engine) -> FakeCalendar:
    """The same."""
    return engine.server.calendars["/1/calendars/work/"]
