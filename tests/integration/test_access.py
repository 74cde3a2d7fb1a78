"""Every field, every role, every relation: who reaches what, and that another tenant's id is no id at all."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from domain.actor import Role
from models.bell import Bell
from models.database import Database
from resolvers import people
from tests.e2e.serving import Served, issue, serving, settings_with
from tests.integration.world import world_on


@pytest.fixture
async def served(database: Database, bell: Bell) -> AsyncIterator[Served]:
    async with serving(await world_on(database, bell)) as running:
        yield running


async def test_a_booking_key_finds_its_subaccount_as_a_node_and_nothing_else(served: Served) -> None:
    query = "query($id: ID!) { node(id: $id) { id __typename } }"
    shown = await served.ask(served.booking, query, id=served.world.subaccount)
    assert shown["data"]["node"]["__typename"] == "Subaccount"


async def test_a_removed_users_key_opens_nothing(served: Served) -> None:
    world = served.world
    assert (
        await world.admin(people.remove_user, user_id=world.anna.user, cancel_upcoming=True)
        == world.anna.user
    )
    answer = await served.post(served.owner, {"query": "{ viewer { role } }"})
    assert answer.status_code == 401


async def test_a_key_revoked_elsewhere_is_refused_within_5_s(served: Served) -> None:
    assert (await served.post(served.owner, {"query": "{ viewer { role } }"})).status_code == 200
    await served.world.write("UPDATE api_key SET revoked_at = 1 WHERE role = 'OWNER'")
    served.world.clock.now += 5
    assert (await served.post(served.owner, {"query": "{ viewer { role } }"})).status_code == 401


PAGE = "https://book.example.com"
ASK = {"query": "{ viewer { role } }"}


async def test_pages_use_a_booking_key_from_its_origins_alone(served: Served) -> None:
    key = await issue(served.world, Role.BOOKING, origins=[PAGE])
    good = await served.post(key, ASK, origin=PAGE)
    assert (good.status_code, good.headers["access-control-allow-origin"]) == (200, PAGE)
    assert "retry-after" in good.headers["access-control-expose-headers"]
    assert "Origin" in good.headers["vary"]
    for origin in (
        "https://evil.example.com",
        "null",
        "http://book.example.com",
        f"{PAGE}.evil.com",
        f"{PAGE}:8443",
    ):
        bad = await served.post(key, ASK, origin=origin)
        assert (bad.status_code, bad.json()["errors"][0]["extensions"]["code"]) == (403, "FORBIDDEN")
        assert "access-control-allow-origin" not in bad.headers
    assert (await served.post(key, ASK)).status_code == 200  # No browser: no page.
    assert (await served.post(key, ASK, origin=served.url)).status_code == 200  # Our own pages.


async def test_a_preflight_is_answered_for_any_page_without_a_key(served: Served) -> None:
    async with served.client() as client:
        answer = await client.options(
            "/graphql", headers={"origin": PAGE, "access-control-request-method": "POST"}
        )
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == PAGE
    taken = answer.headers["access-control-allow-headers"].split(", ")
    assert {"authorization", "content-type", "if-none-match"} <= set(taken)
    assert answer.headers["access-control-allow-methods"] == "GET, POST"
    assert answer.headers["access-control-max-age"] == "7200"
    assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-credentials" not in answer.headers


async def test_pages_use_an_owners_key_from_the_origins_that_are_set(database: Database, bell: Bell) -> None:
    world = await world_on(database, bell)
    async with serving(world, settings_with(ALLOWED_ORIGINS=f"{PAGE}, https://two.example")) as served:
        assert (await served.post(served.owner, ASK, origin="https://two.example")).status_code == 200
        assert (await served.post(served.owner, ASK, origin="https://three.example")).status_code == 403


async def _addresses(served: Served, forwarded: str) -> int:
    """How many wrong keys it takes until the address behind the header is told to wait."""
    for count in range(1, 40):
        answer = await served.post("sw_admin_" + "x" * 43, ASK, x_forwarded_for=forwarded)
        if answer.status_code == 429:
            return count
    return 0


async def test_a_forwarded_address_is_believed_from_a_trusted_proxy_alone(
    database: Database, bell: Bell
) -> None:
    world = await world_on(database, bell)
    async with serving(world, settings_with(TRUSTED_PROXIES="127.0.0.0/8, 10.0.0.0/8")) as served:
        assert await _addresses(served, "203.0.113.7") == 31
        assert (
            await _addresses(served, "198.51.100.9, 203.0.113.7, 10.1.2.3") == 1
        )  # The same caller, two proxies.
        assert await _addresses(served, "203.0.113.8") == 31
        assert await _addresses(served, "2001:db8::1") == 31
        assert await _addresses(served, "2001:db8::ffff") == 1  # One household has the whole /64.
    async with serving(world) as served:
        assert await _addresses(served, "203.0.113.9") == 31
        assert await _addresses(served, "203.0.113.10") == 1  # Anyone can write that.
