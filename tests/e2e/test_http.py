"""GraphQL over HTTP, as the specification has it: media types, statuses, limits, and odd requests of every kind."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from models.bell import Bell
from models.database import Database
from server.database import open_database
from tests.clients.proxy import wire_to_database
from tests.e2e.serving import REFUSED, Served, serving
from tests.integration.world import world_on
from tests.work import at_most

VIEWER = {"query": "{ viewer { role } }"}
GRAPHQL_JSON = "application/graphql-response+json"


@pytest.fixture
async def served(database: Database, bell: Bell) -> AsyncIterator[Served]:
    async with serving(await world_on(database, bell)) as running:
        yield running


def codes(shown: dict[str, object]) -> list[str]:
    errors = shown["errors"]
    assert isinstance(errors, list)
    return [error["extensions"]["code"] for error in errors]


async def test_a_query_is_answered_in_the_media_type_that_was_accepted(served: Served) -> None:
    for accept, answered in (
        ("*/*", "application/json"),
        (GRAPHQL_JSON, GRAPHQL_JSON),
        (f"{GRAPHQL_JSON}, application/json;q=0.9", GRAPHQL_JSON),
        (f"application/json, {GRAPHQL_JSON};q=0.5", "application/json"),
        ("text/event-stream, application/json", "application/json"),
    ):
        answer = await served.post(served.admin, VIEWER, accept=accept)
        assert answer.headers["content-type"] == f"{answered}; charset=utf-8", accept
        assert answer.json() == {"data": {"viewer": {"role": "ADMIN"}}}


async def test_a_wrong_document_is_400_only_in_graphqls_own_media_type(served: Served) -> None:
    for query in ("{", "{ nothing }", "query($a: Int!) { viewer { role } }"):
        own = await served.post(served.admin, {"query": query}, accept=GRAPHQL_JSON)
        plain = await served.post(served.admin, {"query": query}, accept="application/json")
        assert (own.status_code, plain.status_code) == (400, 200), query
        assert "data" not in own.json()
        assert codes(own.json())[0] == "BAD_REQUEST"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"1",
        b"null",
        b'"x"',
        b"true",
        b"[]",
        b'[{"query":"{viewer{role}}"}]',
        b"{}",
        b'{"query":null}',
        b'{"query":7}',
        b'{"query":" "}',
        b'{"query":"{viewer{role}}","variables":[]}',
        b'{"query":"{viewer{role}}","variables":"x"}',
        b'{"query":"{viewer{role}}","extensions":1}',
        b'{"query":"{viewer{role}}","operationName":{}}',
        b'\xff\xfe{"query":"{viewer{role}}"}',
        b"[" * 30_000,
        b'{"a":' * 10_000,
        b'{"query":"{viewer{role}}","variables":{"n":' + b"9" * 5_000,
    ],
    ids=lambda body: body[:24],
)
async def test_a_body_that_is_no_request_is_400(served: Served, body: bytes) -> None:
    async with served.client(served.admin) as client:
        answer = await client.post("/graphql", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert codes(answer.json()) == ["BAD_REQUEST"]


async def test_a_huge_number_as_a_variable_is_a_mistake_of_the_client(served: Served) -> None:
    body = (
        b'{"query":"query($n:Int){users(first:$n){pageInfo{hasNextPage}}}","variables":{"n":'
        + b"9" * 5_000
        + b"}}"
    )
    async with served.client(served.admin) as client:
        answer = await client.post("/graphql", content=body, headers={"content-type": "application/json"})
    assert codes(answer.json()) == ["BAD_REQUEST"]
    assert "999" not in answer.text


async def test_methods_and_media_types_that_are_not_taken_are_named(served: Served) -> None:
    async with served.client(served.admin) as client:
        got = await client.get("/graphql", params={"query": "{viewer{role}}"})
        text = await client.post("/graphql", content=b"{}", headers={"content-type": "text/plain"})
        picture = await client.post("/graphql", json=VIEWER, headers={"accept": "image/png"})
    assert (got.status_code, got.headers["allow"]) == (405, "POST, OPTIONS")
    assert (text.status_code, picture.status_code) == (415, 406)


async def test_a_body_over_64_kib_is_413_declared_or_not(served: Served) -> None:
    async def in_pieces() -> AsyncIterator[bytes]:
        for _ in range(70):
            yield b" " * 1024

    async with served.client(served.admin) as client:
        headers = {"content-type": "application/json"}
        declared = await client.post("/graphql", content=b" " * 70_000, headers=headers)
        chunked = await client.post("/graphql", content=in_pieces(), headers=headers)
    for answer in (declared, chunked):
        assert answer.status_code == 413
        assert codes(answer.json()) == ["PAYLOAD_TOO_LARGE"]


async def test_several_operations_need_a_name(served: Served) -> None:
    both = "query A { viewer { role } } query B { viewer { subaccount { name } } }"
    assert codes((await served.post(served.admin, {"query": both})).json()) == ["BAD_REQUEST"]
    named = await served.post(served.admin, {"query": both, "operationName": "B"})
    assert named.json() == {"data": {"viewer": {"subaccount": {"name": "Acme"}}}}


async def test_a_subscription_is_sent_to_the_websocket(served: Served) -> None:
    query = 'subscription { iCloudAccountChanges(userId: "x") { account { id } } }'
    answer = await served.post(served.admin, {"query": query}, accept=GRAPHQL_JSON)
    assert answer.status_code == 400
    assert "websocket" in answer.json()["errors"][0]["message"]


async def test_without_a_key_nothing_is_answered(served: Served) -> None:
    for key in (None, "sw_admin_" + "x" * 43, "nonsense"):
        answer = await served.post(key, VIEWER)
        assert (answer.status_code, codes(answer.json())) == (401, ["UNAUTHENTICATED"])
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_the_31st_wrong_key_of_an_address_is_429_and_a_right_one_still_goes_through(
    served: Served,
) -> None:
    answers = [await served.post("sw_admin_" + "x" * 43, VIEWER) for _ in range(31)]
    assert [answer.status_code for answer in answers] == [401] * 30 + [429]
    assert answers[-1].json()["errors"][0]["extensions"]["retryAt"].endswith("Z")
    assert (await served.post(served.admin, VIEWER)).status_code == 200


async def test_a_mistyped_password_call_shows_the_password_nowhere(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "abcd-efgh-ijkl-mnop"
    field = "connectICloud(input: %s) { __typename }"
    by_variable = "mutation($i: ConnectICloudInput!) { " + field % "$i" + " }"
    inputs: list[object] = [
        {"appSpecificPassword": secret},
        {"appSpecificPassword": [secret], "userId": "u", "appleId": "a"},
        {"appSpecificPassword": {"x": secret}, "userId": "u", "appleId": "a"},
        {"appSpecificPassword": secret, "userId": ["u"], "appleId": {}, "more": secret},
        [secret],
        secret,
    ]
    texts = [
        "mutation { " + field % f'{{appSpecificPassword: ["{secret}"], userId: "u"}}' + " }",
        "mutation { " + field % f'{{appSpecificPassword "{secret}"}}' + " }",
        "mutation { " + field % f'{{appSpecificPassword: "{secret}", user: "u"}}' + " }",
        "mutation { " + field % f'"{secret}"' + " }",
        f'mutation {{ connectICloud(input: "{secret}" }}',
    ]
    documents: list[object] = [{"query": by_variable, "variables": {"i": value}} for value in inputs]
    documents += [{"query": text} for text in texts]
    for document in documents:
        answer = await served.post(served.owner, document)
        assert codes(answer.json())[0] == "BAD_REQUEST", answer.text
        assert secret not in answer.text
    assert secret not in caplog.text


PAGE = '(from: "2026-11-20T00:00:00Z", to: "2026-11-21T00:00:00Z")'
TURN = f"user {{ appointments{PAGE} {{ edges {{ node {{ "
DEEP = "{ viewer { " + TURN * 3 + "id" + " } } } }" * 3 + " } }"
DOUBLED = "{ ...F0 } " + " ".join(
    f"fragment F{level} on Query {{ ...F{level + 1} ...F{level + 1} }}" for level in range(24)
)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{" + " ".join(f"a{n}: viewer {{ role }}" for n in range(16)) + "}", "TOO_COMPLEX"),
        ("{ viewer { role " + "@include(if: true) " * 51 + "} }", "TOO_COMPLEX"),
        (DEEP, "TOO_COMPLEX"),
        ("{" + " viewer { role }" * 400 + "}", "TOO_COMPLEX"),
        ("{ a" + " { a" * 240 + " }" * 240 + "}", "TOO_COMPLEX"),
        (DOUBLED + " fragment F24 on Query { viewer { role } }", None),
        (DOUBLED + " fragment F24 on Query { b: viewer { role } }", "TOO_COMPLEX"),
        ("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }", "BAD_REQUEST"),
    ],
    ids=["aliases", "directives", "depth", "tokens", "nesting", "doubling", "doubled aliases", "circle"],
)
async def test_what_is_too_much_is_refused_with_little_work(
    served: Served, query: str, code: str | None
) -> None:
    await served.post(served.admin, VIEWER)
    with at_most(lines=REFUSED):
        answer = await served.post(served.admin, {"query": query})
    if code is not None:
        assert codes(answer.json())[0] == code


async def test_graphiqls_introspection_passes_and_a_booking_key_gets_none(served: Served) -> None:
    from graphql import get_introspection_query

    query = get_introspection_query(
        specified_by_url=True, directive_is_repeatable=True, input_value_deprecation=True
    )
    for key in (served.admin, served.owner):
        assert "errors" not in await served.ask(key, query)
    assert codes(await served.ask(served.booking, query)) == ["FORBIDDEN"]
    assert codes(await served.ask(served.booking, '{ __type(name: "User") { name } }')) == ["FORBIDDEN"]


async def test_no_answer_suggests_a_field(served: Served) -> None:
    answer = await served.post(served.booking, {"query": "{ viewr { role } users { edges { nod } } }"})
    assert "Did you mean" not in answer.text


async def test_a_statement_that_the_database_can_make_no_sense_of_is_our_fault_and_told_without_a_detail(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    await served.world.write("DROP TABLE subaccount")
    answer = await served.post(served.admin, VIEWER)
    assert codes(answer.json()) == ["INTERNAL"]
    assert "subaccount" not in answer.text
    assert "subaccount" in caplog.text


async def test_a_key_that_a_statement_of_ours_fails_to_look_at_is_500(served: Served) -> None:
    await served.world.write("ALTER TABLE api_key RENAME TO api_key_gone")
    answer = await served.post(served.admin, VIEWER)
    assert (answer.status_code, codes(answer.json())) == (500, ["INTERNAL"])
    assert "api_key" not in answer.text


async def rename(served: Served) -> list[str]:
    query = 'mutation($id: ID!) { updateUser(input: {userId: $id, name: "Anna M."}) { __typename } }'
    answer = await served.post(served.admin, {"query": query, "variables": {"id": served.world.anna.user}})
    assert "readonly" not in answer.text
    return codes(answer.json())


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_disk_that_takes_no_writes_is_told_as_unavailable(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    await served.world.write("PRAGMA query_only = ON")
    assert await rename(served) == ["UNAVAILABLE"]
    assert "readonly" in caplog.text


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_database_that_hangs_up_is_told_as_unavailable(
    database_url: str, bell: Bell, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        wire_to_database(database_url) as (wire, through),
        open_database(through) as database,
        serving(await world_on(database, bell)) as served,
    ):
        wire.cut()
        assert await rename(served) == ["UNAVAILABLE"]
        assert "An operation failed" in caplog.text
        unlooked = await served.post(served.booking, VIEWER)
        assert (unlooked.status_code, codes(unlooked.json())) == (503, ["UNAVAILABLE"])
        assert int(unlooked.headers["retry-after"]) > 0
        wire.mend()


ODD = ["", "\x00", "\u202e\x07\r\n", "\uffff", "'; DROP TABLE users; --", "x" * 9_000, "\U0001f600" * 300]


@pytest.mark.parametrize("text", ODD, ids=lambda text: repr(text[:12]))
async def test_an_odd_text_is_never_a_fault_of_ours(served: Served, text: str) -> None:
    user, start = served.world.anna.user, "2026-11-02T09:00:00Z"
    guest = {"name": text, "email": text, "phone": text}
    key = {"idempotencyKey": text}
    named = {"userId": user, "name": text, "slug": text, "durationMinutes": 30}
    inputs: dict[str, dict[str, object]] = {
        "createUser": {"name": text, "email": text, "timeZone": text},
        "updateUser": {"userId": user, "name": text, "email": text, "timeZone": text},
        "createKey": {"label": text, "role": "BOOKING", "allowedOrigins": [text]},
        "revokeKey": {"keyId": text},
        "createAppointmentType": named,
        "createBlockedSlot": {"userId": user, "start": start, "end": "2026-11-02T10:00:00Z", "title": text},
        "connectICloud": {"userId": user, "appleId": text, "appSpecificPassword": text},
        "setLinkedCalendar": {"userId": user, "calendarId": text},
        "setConflictCalendars": {"userId": text, "calendarIds": [text]},
        "holdSlot": {"bookingPage": text, "start": start, "replaces": text, "manageToken": text},
        "releaseHold": {"token": text},
        "bookAppointment": {**key, "bookingPage": text, "start": start, "guest": guest, "notes": text},
        "rescheduleBooking": {**key, "manageToken": text, "start": start, "holdToken": text},
        "cancelBooking": {"manageToken": text, "reason": text},
        "createAppointment": {
            **key, "userId": user, "start": start, "end": "2026-11-02T11:00:00Z", "title": text, "guest": guest,
        },
    }  # fmt: skip
    for field, given in inputs.items():
        kind = field[0].upper() + field[1:]
        query = f"mutation($input: {kind}Input!) {{ {field}(input: $input) {{ __typename }} }}"
        shown = await served.ask(served.admin, query, input=given)
        assert "errors" not in shown, (field, shown)
    asked = {
        "bookingPage": text,
        "from": start,
        "to": "2026-11-03T09:00:00Z",
        "manageToken": text,
        "holdToken": text,
    }
    query = """query($text: String!, $id: ID!, $input: AvailabilityInput!) { user(id: $id) { id } node(id: $id) { id }
        bookingPage(slug: $text) { slug } booking(manageToken: $text) { id }
        availability(input: $input) { __typename } }"""
    shown = await served.ask(served.admin, query, text=text, id=text, input=asked)
    assert "errors" not in shown, shown


EDGES = ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z"]


@pytest.mark.parametrize("at", EDGES)
async def test_an_instant_at_the_edge_of_time_is_never_a_fault_of_ours(served: Served, at: str) -> None:
    user, key = served.world.anna.user, "0123456789abcdef"
    for first, last in ((at, at), (EDGES[0], at), (at, EDGES[-1])):
        inside = f'from: "{first}", to: "{last}"'
        query = f"""{{ user(id: "{user}") {{ events({inside}) {{ edges {{ cursor }} }} closedSpans({inside}) {{ start }}
            blockedSlots({inside}) {{ edges {{ cursor }} }} appointments({inside}) {{ edges {{ cursor }} }} }}
            availability(input: {{userIds: ["{user}"], {inside}}}) {{ __typename }} }}"""
        shown = await served.ask(served.admin, query)
        assert {error["extensions"]["code"] for error in shown.get("errors", ())} <= {"BAD_REQUEST"}, shown
    mutation = f"""mutation {{
        createBlockedSlot(input: {{userId: "{user}", start: "{at}", end: "{at}"}}) {{ __typename }}
        createAppointment(input: {{idempotencyKey: "{key}", userId: "{user}", start: "{at}", end: "{EDGES[-1]}",
            guest: {{name: "B", email: "b@example.org"}}}}) {{ __typename }} }}"""
    assert "errors" not in await served.ask(served.admin, mutation)


async def test_an_answer_after_a_mutation_shows_what_it_changed(served: Served) -> None:
    query = """mutation($id: ID!) { updateUser(input: {userId: $id, name: "Anna M."}) {
        ... on UserUpdated { user { name workingHours { weekly { day } } } } } }"""
    shown = await served.ask(served.admin, query, id=served.world.anna.user)
    assert shown["data"]["updateUser"]["user"]["name"] == "Anna M."


async def test_health_and_readiness_are_told_to_anyone(served: Served) -> None:
    async with served.client() as client:
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 200
