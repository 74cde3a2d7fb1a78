"""GraphQL's clients as npm has them, and graphql-http's audits: each claim tried by node against a server of ours."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import pytest

from models.bell import Bell
from models.database import Database
from server import websocket
from tests.clients.conftest import HERE, Told, run_script
from tests.e2e.serving import serving
from tests.integration.world import world_on

pytestmark = pytest.mark.slow  # The first run fetches the packages.

DROPS = os.environ.get("SLOTWIRE_CLIENT_DROPS", "2000")
SEED = os.environ.get("SLOTWIRE_CLIENT_SEED", "1")

# What the specification leaves to the server: documents in URLs are not taken, but for those that are persisted.
NOT_OFFERED = {"5A70", "D6D5", "6A70"}
AUDITS = dict(line.split(" ", 1) for line in (HERE / "audits.txt").read_text().splitlines())

FOLLOWS = "what came meanwhile is there after a drop, by keeping the cursor as the manual shows"
CLAIMS = {
    "graphql_ws.mjs": (
        "a query and its answer",
        "a subscription is told of a change",
        "a bad document ends itself, and the socket goes on",
        "a wrong key is closed with 4403",
        "a payload of null is an init without a key",
        "it pings the server and is answered",
        FOLLOWS,
        "made as the manual says, it comes back to a server that was away",
        "the client of the manual leaves a line on which nothing is heard",
    ),
    "graphql_sse.mjs": (
        "a query and a mutation, each answered and completed",
        "a subscription is told of each change in order",
        "a document that can not be run is told as an answer, and completed",
        "a subscription that is refused is told why, and completed",
        "a wrong key is 401",
        "single-connection mode is refused",
        FOLLOWS,
    ),
    "apollo.mjs": (
        "a query and a mutation",
        "a request error with its code",
        "a wrong key",
        "a subscription over multipart",
        "a subscription that is refused over multipart",
        "a subscription over graphql-ws",
        "persisted documents: sent once, then asked for by GET",
    ),
    "urql.mjs": (
        "a query and a mutation",
        "a request error with its code",
        "a subscription over server-sent events",
        "a subscription that is refused over server-sent events",
        "a subscription over graphql-ws",
        "persisted documents: sent once, then asked for by GET",
    ),
    "legacy.mjs": ("it is closed with 4406 and shown nothing",),
}
Tells = Callable[[str], Told]


@pytest.mark.parametrize(
    ("script", "claim"), [(script, claim) for script, claims in CLAIMS.items() for claim in claims]
)
def test_a_stock_client(told_by: Tells, script: str, claim: str) -> None:
    assert told_by(script)[claim] == "ok"


@pytest.mark.parametrize("script", CLAIMS)
def test_no_claim_of_a_client_goes_unlooked_at(told_by: Tells, script: str) -> None:
    assert set(told_by(script)) == set(CLAIMS[script])


@pytest.mark.parametrize(("audit", "name"), AUDITS.items())
def test_the_specifications_audit(told_by: Tells, audit: str, name: str) -> None:
    story = told_by("audits.mjs")[f"{audit} {name}"]
    if audit in NOT_OFFERED:
        assert story.startswith("notice")
    else:
        assert story == "ok"


def test_no_audit_goes_unlooked_at(told_by: Tells) -> None:
    assert set(told_by("audits.mjs")) == {f"{audit} {name}" for audit, name in AUDITS.items()}
    assert all(AUDITS[audit].startswith("MAY") for audit in NOT_OFFERED)


async def test_what_breaks_on_the_servers_side_is_come_back_from(
    packages: object, database: Database, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = websocket._Connection._begin
    broken: list[object] = []

    async def breaking(self: websocket._Connection, frame: dict[str, object]) -> None:
        if not broken:
            broken.append(frame)
            raise RuntimeError("a fault of ours")
        await begin(self, frame)

    monkeypatch.setattr(websocket._Connection, "_begin", breaking)
    async with serving(await world_on(database, bell)) as served:
        [line] = await run_script("broken.mjs", served)
    assert json.loads(line)["story"] == "ok"


async def test_readers_dropped_and_resumed_miss_nothing_and_see_nothing_twice(
    packages: object, database: Database, bell: Bell
) -> None:
    """SLOTWIRE_CLIENT_DROPS and SLOTWIRE_CLIENT_SEED choose another campaign."""
    async with serving(await world_on(database, bell)) as served:
        [line] = await run_script("resume.mjs", served, DROPS=DROPS, SEED=SEED)
    told = json.loads(line)
    assert told["drops"] >= int(DROPS)
    assert told["changes"] > 0
    print(f"{told['drops']} drops, {told['changes']} changes, {told['seconds']:.0f} s")
