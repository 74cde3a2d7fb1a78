"""Queries by GET and by hash, what may be kept of their answers, and compression."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.responses import Response

from domain.actor import Role
from models.bell import Bell
from models.database import Database
from resolvers import keys
from server.coding import coded
from tests.e2e.serving import Served, serving
from tests.integration.pages import booked, page
from tests.integration.world import world_on

GRAPHQL_JSON = "application/graphql-response+json"
FREE = """query Free($page: String!, $from: DateTime!, $to: DateTime!) { availability(input: {bookingPage: $page,
    from: $from, to: $to}) { __typename ... on Availability { slotStarts } } }"""
VIEWER = "{ viewer { role } }"
WEEK = {"page": "intro-call", "from": "2026-10-26T00:00:00Z", "to": "2026-10-31T00:00:00Z"}


@pytest.fixture
async def served(database: Database, bell: Bell) -> AsyncIterator[Served]:
    world = await world_on(database, bell)
    await page(world)
    async with serving(world) as running:
        yield running


def extensions_of(query: str) -> dict[str, object]:
    return {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(query.encode()).hexdigest()}}


async def register(served: Served, key: str, query: str, **variables: object) -> httpx2.Response:
    body = {"query": query, "variables": variables, "extensions": extensions_of(query)}
    return await served.post(key, body, accept=GRAPHQL_JSON)


async def get(
    served: Served, key: str | None, query: str, *, variables: object = None, **headers: str
) -> httpx2.Response:
    parameters = {"extensions": json.dumps(extensions_of(query)), "variables": json.dumps(variables or {})}
    async with served.client(key, accept=GRAPHQL_JSON) as client:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return await client.get("/graphql", params=parameters, headers=names)


async def test_a_document_is_asked_for_by_hash_once_it_was_sent(served: Served) -> None:
    unknown = await get(served, served.booking, FREE, variables=WEEK)
    assert (unknown.status_code, unknown.headers["cache-control"]) == (400, "no-store")
    assert unknown.json()["errors"][0]["message"] == "PersistedQueryNotFound"
    sent = await register(served, served.booking, FREE, **WEEK)
    again = await get(served, served.booking, FREE, variables=WEEK)
    assert again.json() == sent.json()
    assert again.json()["data"]["availability"]["slotStarts"]


async def test_what_every_visitor_of_a_page_is_shown_may_be_kept_by_a_cdn(served: Served) -> None:
    await register(served, served.booking, FREE, **WEEK)
    answer = await get(served, served.booking, FREE, variables=WEEK)
    assert answer.headers["cache-control"] == "public, max-age=5, stale-while-revalidate=5"
    assert {"Authorization", "Accept", "Accept-Encoding", "Origin"} == set(answer.headers["vary"].split(", "))


async def test_an_unchanged_answer_is_304_and_a_changed_one_is_whole(served: Served) -> None:
    await register(served, served.booking, FREE, **WEEK)
    first = await get(served, served.booking, FREE, variables=WEEK)
    tag = first.headers["etag"]
    for known in (tag, f'"x", {tag}', "*", tag.removeprefix("W/")):
        same = await get(served, served.booking, FREE, variables=WEEK, if_none_match=known)
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag), known
        assert same.headers["cache-control"] == first.headers["cache-control"]
    block = """mutation($user: ID!) { createBlockedSlot(input: {userId: $user, start: "2026-10-27T09:00:00Z",
        end: "2026-10-27T10:00:00Z"}) { __typename } }"""
    await served.ask(served.admin, block, user=served.world.anna.user)
    changed = await get(served, served.booking, FREE, variables=WEEK, if_none_match=tag)
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


@pytest.mark.parametrize("role", ["admin", "owner", "booking"])
async def test_what_is_for_the_key_alone_is_kept_by_no_one_else(served: Served, role: str) -> None:
    key = getattr(served, role)
    await register(served, key, VIEWER)
    answer = await get(served, key, VIEWER)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, no-cache")


async def test_an_admins_availability_is_its_own(served: Served) -> None:
    await register(served, served.admin, FREE, **WEEK)
    answer = await get(served, served.admin, FREE, variables=WEEK)
    assert answer.headers["cache-control"] == "private, no-cache"


async def test_what_a_guests_token_shows_is_kept_by_no_cdn(served: Served) -> None:
    by_variable = """query($input: AvailabilityInput!) { availability(input: $input) { __typename } }"""
    asked = {"bookingPage": "intro-call", "from": WEEK["from"], "to": WEEK["to"]}
    await register(served, served.booking, by_variable, input=asked)
    shared = await get(served, served.booking, by_variable, variables={"input": asked})
    assert shared.headers["cache-control"].startswith("public")
    token = (await booked(served.world)).manage_token
    own = await get(served, served.booking, by_variable, variables={"input": asked | {"manageToken": token}})
    assert own.json()["data"]["availability"]["__typename"] == "Availability"
    assert own.headers["cache-control"] == "private, no-cache"
    by_text = (
        'query($from: DateTime!, $to: DateTime!) { availability(input: {bookingPage: "intro-call", from: $from,'
        f' to: $to, manageToken: "{token}"}}) {{ __typename }} }}'
    )
    given = {"from": WEEK["from"], "to": WEEK["to"]}
    await register(served, served.booking, by_text, **given)
    own = await get(served, served.booking, by_text, variables=given)
    assert own.json()["data"]["availability"]["__typename"] == "Availability"
    assert own.headers["cache-control"] == "private, no-cache"


async def test_a_refusal_is_kept_by_no_cdn(served: Served) -> None:
    await register(served, served.booking, FREE, **WEEK)
    nowhere = await get(served, served.booking, FREE, variables=WEEK | {"page": "nowhere"})
    assert nowhere.json()["data"]["availability"]["__typename"] == "NotFound"
    assert nowhere.headers["cache-control"] == "private, no-cache"
    for _ in range(60):
        limited = await get(served, served.booking, FREE, variables=WEEK)
    assert limited.json()["data"]["availability"]["__typename"] == "RateLimited"
    assert limited.headers["cache-control"] == "private, no-cache"


async def test_one_subaccounts_documents_are_unknown_to_another(served: Served) -> None:
    other, _ = await served.world.other_subaccount()
    made = await keys.issue_key(served.services, subaccount=other.subaccount, label="theirs", role=Role.ADMIN)
    assert isinstance(made, tuple)
    await register(served, served.admin, VIEWER)
    assert (await get(served, served.owner, VIEWER)).status_code == 200
    theirs = await get(served, made[1], VIEWER)
    assert theirs.json()["errors"][0]["message"] == "PersistedQueryNotFound"


async def test_a_mutation_is_never_run_by_get(served: Served) -> None:
    mutation = 'mutation($id: ID!) { updateUser(input: {userId: $id, name: "X"}) { __typename } }'
    await register(served, served.admin, mutation, id="nobody")
    answer = await get(served, served.admin, mutation, variables={"id": served.world.anna.user})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")
    shown = await served.ask(
        served.admin, "query($id: ID!) { user(id: $id) { name } }", id=served.world.anna.user
    )
    assert shown["data"]["user"]["name"] == "Anna"


async def test_a_get_needs_a_key_as_any_request_does(served: Served) -> None:
    assert (await get(served, None, VIEWER)).status_code == 401


async def test_a_document_stands_in_a_url_only_beside_its_hash(served: Served) -> None:
    async with served.client(served.admin) as client:
        plain = await client.get("/graphql", params={"query": VIEWER})
        beside = await client.get(
            "/graphql", params={"query": VIEWER, "extensions": json.dumps(extensions_of(VIEWER))}
        )
        wrong = await client.get(
            "/graphql",
            params={"query": "{ viewer { __typename } }", "extensions": json.dumps(extensions_of(VIEWER))},
        )
    assert (plain.status_code, plain.headers["allow"]) == (405, "POST, OPTIONS")
    assert beside.json() == {"data": {"viewer": {"role": "ADMIN"}}}
    assert "SHA-256" in wrong.json()["errors"][0]["message"]
    assert (await get(served, served.admin, VIEWER)).status_code == 200


async def test_a_document_that_can_not_be_run_is_not_kept(served: Served) -> None:
    await register(served, served.admin, "{ nothing }")
    answer = await get(served, served.admin, "{ nothing }")
    assert answer.json()["errors"][0]["message"] == "PersistedQueryNotFound"


async def test_head_answers_as_get_without_the_body(served: Served) -> None:
    await register(served, served.admin, VIEWER)
    parameters = {"extensions": json.dumps(extensions_of(VIEWER))}
    async with served.client(served.admin) as client:
        head = await client.head("/graphql", params=parameters)
        whole = await client.get("/graphql", params=parameters)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", whole.headers["etag"])


@pytest.mark.parametrize(("size", "times"), [(5_000, 1), (50_000, 2), (200_000, 2)])
async def test_the_same_answer_is_compressed_once_unless_it_is_too_long_to_keep(
    size: int, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    compressed: list[bytes] = []
    compress = gzip.compress

    def counted(body: bytes, *level: int, mtime: float) -> bytes:
        compressed.append(body)
        return compress(body, *level, mtime=mtime)

    monkeypatch.setattr(gzip, "compress", counted)
    body = b"%d" % size * (size // 4)
    for _ in range(2):
        assert gzip.decompress(bytes((await coded(Response(body), "gzip")).body)) == body
    assert len(compressed) == times


async def test_a_long_answer_is_compressed_for_who_takes_it(served: Served) -> None:
    asked = {"query": FREE, "variables": WEEK}
    async with served.client(served.booking) as client:
        zipped = await client.post("/graphql", json=asked, headers={"accept-encoding": "br, gzip;q=0.5"})
        plain = await client.post("/graphql", json=asked, headers={"accept-encoding": "identity"})
        short = await client.post("/graphql", json={"query": VIEWER}, headers={"accept-encoding": "gzip"})
    assert zipped.headers["content-encoding"] == "gzip"
    assert int(zipped.headers["content-length"]) < len(plain.content) / 3
    assert zipped.content == plain.content
    for answer in (plain, short):
        assert "content-encoding" not in answer.headers
    assert "Accept-Encoding" in plain.headers["vary"]


async def test_a_compressed_body_is_not_taken(served: Served) -> None:
    body = gzip.compress(json.dumps({"query": VIEWER}).encode())
    async with served.client(served.admin) as client:
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        answer = await client.post("/graphql", content=body, headers=headers)
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")
