"""What no client means to send: refused with one clear error, one log line and no trace of what was sent."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest

from models.bell import Bell
from models.database import Database
from tests.e2e.serving import Served, serving
from tests.integration.world import world_on
from tests.unit.abuse import ABUSES

HEADERS = {"content-type": "application/json", "accept": "application/graphql-response+json"}
STATUS = {"PAYLOAD_TOO_LARGE": 413}


@pytest.fixture
async def served(database: Database, bell: Bell) -> AsyncIterator[Served]:
    async with serving(await world_on(database, bell)) as running:
        yield running


async def test_it_is_refused_with_one_code_and_one_log_line(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "uvicorn.access")  # As in server.logs.
    caplog.set_level(logging.WARNING, "httpx2")  # The test's own client.
    caplog.set_level(logging.INFO)
    async with served.client(served.admin) as client:
        for name, (body, code) in ABUSES.items():
            caplog.clear()
            answer = await client.post("/graphql", content=body, headers=HEADERS)
            shown = answer.json()
            assert {error["extensions"]["code"] for error in shown["errors"]} == {code}, (name, shown)
            assert answer.status_code == STATUS.get(code, 400), name
            assert "data" not in shown, name
            assert len(answer.content) < 4_000, name
            [line] = caplog.records
            assert line.name == "server.requests", name
            assert len(str(line.__dict__["said"])) < 400, name
        # And whoever comes next is served.
        assert (await client.post("/graphql", json={"query": "{ viewer { role } }"})).status_code == 200
