"""Requests that no client of good will sends: each gets a clear error and one line in the log, and none is a fault."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest

from models.bell import Bell
from models.database import Database
from tests.e2e.serving import REFUSED, Served, serving
from tests.integration.world import world_on
from tests.work import at_most

VIEWER = b'{"query":"{viewer{role}}"}'
USERS = b'{"query":"query($n:Int){users(first:$n){pageInfo{hasNextPage}}}","variables":{"n":%s}}'
KEYS = b'{"query":"query($i:AvailabilityInput!){availability(input:$i){__typename}}","variables":{"i":%s}}'
JSON = "application/json"
DEEP_LIST = b"[" * 900 + b"]" * 900
DEEP_OBJECT = b'{"from":' * 900 + b"1" + b"}" * 900
GET = "/graphql?"
HASH = quote(json.dumps({"persistedQuery": {"version": 1, "sha256Hash": "a" * 64}}))
SUBSCRIBES = b'{"query":"subscription{iCloudAccountChanges(userId:\\"x\\"){account{id}}}"}'
BOTH = b'{"query":"query A{viewer{role}} query B{viewer{role}}"%s}'


@pytest.fixture
async def served(database: Database, bell: Bell) -> AsyncIterator[Served]:
    async with serving(await world_on(database, bell)) as running:
        yield running


BODIES: dict[str, tuple[bytes, int]] = {
    "empty": (b"", 400),
    "half an object": (b"{", 400),
    "a number": (b"1", 400),
    "null": (b"null", 400),
    "a text": (b'"x"', 400),
    "true": (b"true", 400),
    "an empty list": (b"[]", 400),
    "a batch": (b"[" + VIEWER + b"]", 400),
    "an empty object": (b"{}", 400),
    "more after it": (VIEWER + b"x", 400),
    "two objects": (VIEWER + VIEWER, 400),
    "a BOM": (b"\xef\xbb\xbf" + VIEWER, 400),
    "UTF-16": (VIEWER.decode().encode("utf-16"), 400),
    "no UTF-8": (b'{"query":"\xff"}', 400),
    "half a surrogate": (b'{"query":"\\ud800"}', 400),
    "NaN": (USERS % b"NaN", 400),
    "Infinity": (USERS % b"Infinity", 400),
    "single quotes": (b"{'query':'{viewer{role}}'}", 400),
    "a comment": (b"/* */" + VIEWER, 400),
    "20,000 levels of lists": (b"[" * 20_000, 400),
    "10,000 levels of objects": (b'{"a":' * 10_000, 400),
    "a query of null": (b'{"query":null}', 400),
    "a query of number": (b'{"query":7}', 400),
    "a query of list": (b'{"query":["{viewer{role}}"]}', 400),
    "a query of object": (b'{"query":{}}', 400),
    "a query of spaces": (b'{"query":" \\n\\t "}', 400),
    "variables as a list": (b'{"query":"{viewer{role}}","variables":[]}', 400),
    "variables as a text": (b'{"query":"{viewer{role}}","variables":"{}"}', 400),
    "variables as a number": (b'{"query":"{viewer{role}}","variables":0}', 400),
    "extensions as a list": (b'{"query":"{viewer{role}}","extensions":[]}', 400),
    "extensions as a number": (b'{"query":"{viewer{role}}","extensions":1}', 400),
    "a name as an object": (b'{"query":"{viewer{role}}","operationName":{}}', 400),
    "a name as a number": (b'{"query":"{viewer{role}}","operationName":1}', 400),
    "a hash of nothing": (b'{"extensions":{"persistedQuery":{}}}', 400),
    "a hash as a text": (b'{"extensions":{"persistedQuery":"x"}}', 400),
    "a hash that is not the document's": (
        b'{"query":"{viewer{role}}","extensions":{"persistedQuery":{"version":1,"sha256Hash":"%s"}}}'
        % (b"a" * 64),
        200,
    ),
    "a hash that is unknown": (
        b'{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"%s"}}}' % (b"a" * 64),
        200,
    ),
    "two operations and no name": (BOTH % b"", 200),
    "two operations and an empty name": (BOTH % b',"operationName":""', 200),
    "two operations and another name": (BOTH % b',"operationName":"C"', 200),
    "one operation and another name": (b'{"query":"query A{viewer{role}}","operationName":"B"}', 200),
    "no operation": (b'{"query":"fragment F on Query{viewer{role}}"}', 200),
    "a schema": (b'{"query":"type Query{a:Int}"}', 200),
    "a subscription": (SUBSCRIBES, 200),
    "a document of NUL": (b'{"query":"\\u0000"}', 200),
    "an open text": (b'{"query":"{viewer{role(a:\\"}}"}', 200),
    "parentheses alone": (b'{"query":"{' + b"(" * 60_000 + b'"}', 200),
    "a number of 5,000 digits": (USERS % (b"9" * 5_000), 400),
    "a number of 400 digits with a dot": (USERS % (b"9" * 400 + b".5"), 400),
    "a number of 5,000 digits in the document": (
        b'{"query":"{users(first:%s){pageInfo{hasNextPage}}}"}' % (b"9" * 5_000),
        200,
    ),
    "an exponent of 999": (USERS % b"1e999", 400),
    "a number as a text": (USERS % b'"1"', 200),
    "a list for a number": (USERS % b"[[1]]", 200),
    "900 levels for a number": (USERS % DEEP_LIST, 200),
    "900 levels for an input": (KEYS % DEEP_OBJECT, 200),
    "a list for an input": (KEYS % b"[[]]", 200),
    "an input of nothing": (KEYS % b"{}", 200),
    "an unknown variable's type": (b'{"query":"query($a:Nope){viewer{role}}"}', 200),
}


def code_of(answer_text: str, caplog: pytest.LogCaptureFixture) -> str:
    """Of its errors, which are few and of one kind; and the log has one line and no fault."""
    errors = json.loads(answer_text)["errors"]
    assert 1 <= len(errors) <= 2
    for error in errors:
        assert error["message"].endswith((".", "PersistedQueryNotFound"))
    assert "Traceback" not in answer_text
    assert not [record for record in caplog.records if record.levelno > 20]
    [line] = [record for record in caplog.records if record.name == "server.requests"]
    assert line.message == "request"
    [code] = {error["extensions"]["code"] for error in errors}
    return str(code)


@pytest.mark.parametrize("name", BODIES)
async def test_an_odd_body_gets_a_clear_error(
    served: Served, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    body, status = BODIES[name]
    caplog.set_level("INFO")
    async with served.client(served.admin) as client:
        await client.post("/graphql", content=VIEWER, headers={"content-type": JSON})
        caplog.clear()
        with at_most(lines=REFUSED):
            answer = await client.post("/graphql", content=body, headers={"content-type": JSON})
    assert answer.status_code == status
    assert code_of(answer.text, caplog) in {"BAD_REQUEST", "TOO_COMPLEX"}


@pytest.mark.parametrize(
    ("method", "where", "headers", "status"),
    [
        ("POST", "/graphql", {"content-type": "text/plain"}, 415),
        ("POST", "/graphql", {"content-type": ""}, 415),
        ("POST", "/graphql", {"content-type": "application/graphql"}, 415),
        ("POST", "/graphql", {"content-type": "application/x-www-form-urlencoded"}, 415),
        ("POST", "/graphql", {"content-type": "multipart/form-data; boundary=x"}, 415),
        ("POST", "/graphql", {"content-type": "application/json; charset=latin-1"}, 415),
        ("POST", "/graphql", {"content-type": "application/json; charset=utf-16"}, 415),
        ("POST", "/graphql", {"content-type": JSON, "content-encoding": "br"}, 415),
        ("POST", "/graphql", {"content-type": JSON, "accept": "text/html"}, 406),
        ("POST", "/graphql", {"content-type": JSON, "accept": "application/json;q=0"}, 406),
        ("PUT", "/graphql", {"content-type": JSON}, 405),
        ("PATCH", "/graphql", {"content-type": JSON}, 405),
        ("DELETE", "/graphql", {}, 405),
        ("GET", "/graphql", {}, 400),
        ("GET", GET + "query={viewer{role}}", {}, 405),
        ("GET", GET + "query=", {}, 400),
        ("GET", GET + f"extensions={HASH}&extensions={HASH}", {}, 400),
        ("GET", GET + "extensions=1", {}, 400),
        ("GET", GET + "extensions={", {}, 400),
        ("GET", GET + f"extensions={HASH}&variables=[]", {}, 400),
        ("GET", GET + f"extensions={HASH}&variables=" + "[" * 20_000, {}, 400),
        ("GET", GET + f"extensions={HASH}&operationName=%00", {}, 200),
        ("GET", GET + f"extensions={HASH}", {"accept": "application/graphql-response+json"}, 400),
    ],
)
async def test_an_odd_way_to_ask_gets_a_clear_error(
    served: Served,
    method: str,
    where: str,
    headers: dict[str, str],
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    async with served.client(served.admin) as client:
        content = None if method == "GET" else VIEWER
        answer = await client.request(method, where, content=content, headers=headers)
    assert answer.status_code == status
    assert code_of(answer.text, caplog) == "BAD_REQUEST"
    assert ("allow" in answer.headers) == (status == 405)
