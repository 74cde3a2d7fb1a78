"""The app-specific password shows nowhere: not in answers, logs, the database, or a process's arguments."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, quote_plus
from uuid import uuid4

import asyncpg
import httpx2
import pytest

from benchmarks.campaigns.connected import connect
from benchmarks.client import GraphQLError, Json
from benchmarks.world import APPLE_ID, PASSWORD, World, world
from tests.e2e import queries as q

MISTYPED = "wxyz-canc-anar-yyyy"
OWN = 'Main "canary" pässword/1+&'
"""The Apple ID's own password, entered by mistake: escaped it looks different each time."""

ANSWERED = "{ connectICloud(input: %s) { __typename ... on UserError { message } } }"


def forms(secret: str) -> Iterator[bytes]:
    """As it is, and as it is written elsewhere."""
    for text in {secret, secret.replace("-", ""), secret.lower(), secret.upper()}:
        yield text.encode()
        yield quote(text, safe="").encode()
        yield quote(text).encode()
        yield quote_plus(text).encode()
        yield "".join(f"%{byte:02X}" for byte in text.encode()).encode()
        yield text.replace("-", "%2D").encode()
        yield text.replace("-", "\\u002d").encode()
        yield json.dumps(text)[1:-1].encode()
        yield json.dumps(json.dumps(text))[3:-3].encode()
        yield text.encode().hex().encode()
        yield repr(text)[1:-1].encode()
    for start in range(3):
        # In base64 a text looks different at each place in what it is part of; its ends depend on its neighbours.
        coded = base64.b64encode(b"x" * start + secret.encode())
        yield coded[4 if start else 0 : -4]
        yield base64.urlsafe_b64encode(b"x" * start + secret.encode())[4 if start else 0 : -4]
    yield base64.b64encode(f"{APPLE_ID}:{secret}".encode()).rstrip(b"=")


def shown(where: bytes) -> list[bytes]:
    return [form for secret in (PASSWORD, MISTYPED, OWN) for form in forms(secret) if form in where]


@dataclass
class Heard:
    """All that the server answered."""

    running: World
    texts: list[str] = field(default_factory=list)

    async def say(self, query: object, variables: object = None) -> str:
        async with self.running.owner() as owner:
            body = {"query": query, "variables": variables}
            answer = await owner._http.post(owner.url, json=body)
        self.texts += [answer.text, str(answer.headers)]
        return answer.text

    async def send(self, body: str, content_type: str) -> None:
        async with self.running.owner() as owner:
            headers = {"Content-Type": content_type}
            answer = await owner._http.post(owner.url, content=body.encode(), headers=headers)
            self.texts += [answer.text, str(answer.headers)]
            answer = await owner._http.get(owner.url, params={"query": body})
            self.texts += [answer.text, str(answer.headers)]

    async def subscribe(self, query: str, **variables: object) -> None:
        async with self.running.owner() as owner, owner.socket() as socket:
            try:
                async for frame in socket.subscribe(query, **variables):
                    self.texts.append(json.dumps(frame))
            except GraphQLError as error:
                self.texts.append(str(error))


@pytest.fixture
async def slotwire(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, database_url, settings={"SLOTWIRE_LOG_LEVEL": "DEBUG"}) as running:
        yield running


@pytest.mark.slow
async def test_the_password_shows_nowhere_in_a_whole_run(slotwire: World) -> None:
    heard = Heard(slotwire)
    for secret in (MISTYPED, PASSWORD, OWN):
        await _connect_badly(heard, secret)
    await connect(slotwire)
    await _go_wrong(slotwire)
    await _go_on(heard)
    places = {
        "answers": "\n".join(heard.texts).encode(),
        "log": slotwire.servers[0].log.read_bytes(),
        "arguments and environment": b"".join(_of_processes(slotwire)),
        "database": await _database(slotwire),
    }
    slotwire.servers[0].stop()
    places["log at the end"] = slotwire.servers[0].log.read_bytes()
    assert all(places.values())
    assert b"DEBUG" in places["log"]
    assert APPLE_ID.encode() in places["database"]
    assert {name: shown(place) for name, place in places.items()} == {name: [] for name in places}


async def _connect_badly(heard: Heard, secret: str) -> None:
    """Every way to get a call wrong with the password in it."""
    user, typed = heard.running.people.user_id, json.dumps(secret)
    whole = f'userId: "{user}", appleId: "{APPLE_ID}"'
    for value in (
        f"{{ {whole}, appSpecificPassword: [{typed}] }}",
        f"{{ {whole}, appSpecificPassword: {{ is: {typed} }} }}",
        f"{{ {whole}, password: {typed} }}",
        f"{{ {whole}, appSpecificPassword: {typed}, appSpecificPassword: {typed} }}",
        f"{{ {whole}, appSpecificPassword: {secret} }}",
        f"{{ {whole}, appSpecificPassword: {typed}",
        f"{{ userId: {typed}, appleId: {typed}, appSpecificPassword: {typed} }}",
        f"[{typed}]",
        typed,
    ):
        document = f"mutation {ANSWERED % value}"
        await heard.say(document)
        await heard.subscribe(document)
        await heard.subscribe(document.replace("mutation", "subscription"))
    document = f"mutation ($input: ConnectICloudInput!) {ANSWERED % '$input'}"
    right: Json = {"userId": user, "appleId": APPLE_ID, "appSpecificPassword": secret}
    for variables in (
        {"input": {**right, "appSpecificPassword": {"is": secret}}},
        {"input": {**right, "appSpecificPassword": [secret]}},
        {"input": {**right, secret: secret}},
        {"input": secret},
        {"input": {"appSpecificPassword": secret}},
        {"input": {**right, "userId": secret}},
        {"input": {**right, "userId": [secret]}},
        {secret: right},
        secret,
    ):
        await heard.say(document, variables)
    await heard.say({"query": secret})
    await heard.say(secret)
    await heard.say(f"query {secret.replace('-', '_')} {{ {secret} }}")
    await heard.send(json.dumps({"query": document, "variables": {"input": right}})[:-2], "application/json")
    await heard.send(f"query={quote(secret)}", "application/x-www-form-urlencoded")
    if secret != PASSWORD:
        await heard.say(document, {"input": right})


async def _go_wrong(running: World) -> None:
    """What the write and the polls after it meet. All the other kinds: tests/integration/test_answers.py."""
    planned = (("lost", "PUT"), ("foreign-hrefs", "sync-collection"), ("html", "calendar-multiget"))
    async with httpx2.AsyncClient(trust_env=False, headers={"Authorization": "Bearer for-tests"}) as http:
        for fault, on in planned:
            asked = {"fault": fault, "on": on}
            answer = await http.post(f"{running.caldav_url}-/accounts/{APPLE_ID}/inject", json=asked)
            assert answer.is_success, answer.text


async def _go_on(heard: Heard) -> None:
    """What is done with it afterwards: reads, a write, a poll, a wrong renewal, a right one."""
    user = heard.running.people.user_id
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=90)
    renew = (
        "mutation ($input: RenewICloudPasswordInput!) { renewICloudPassword(input: $input) { __typename } }"
    )
    start = await _book(heard, start)
    for secret in (MISTYPED, OWN, PASSWORD):
        await heard.say(renew, {"input": {"userId": user, "appSpecificPassword": secret}})
        await heard.say(renew, {"input": {"userId": user, "appSpecificPassword": [secret]}})
    assert '"ICloudConnected"' in heard.texts[-4]
    await heard.say(
        "mutation ($input: RefreshICloudInput!) { refreshICloud(input: $input) { __typename } }",
        {"input": {"userId": user}},
    )
    span = {"from": start.isoformat(), "to": (start + timedelta(days=1)).isoformat()}
    async with asyncio.timeout(60):
        while '"WRITTEN"' not in await heard.say(q.APPOINTMENTS, {"user": user, **span}):
            await asyncio.sleep(0.2)
    await heard.say(
        "query ($user: ID!) { user(id: $user) { iCloudAccount { appleId status problem { code message }"
        " calendars { id name problems(first: 10) { message } } } }"
        " auditLog(first: 50) { edges { node { actor action } } } }",
        {"user": user},
    )


async def _book(heard: Heard, start: datetime) -> datetime:
    """At this start, or the next that the owner's own events leave open; where it was booked."""
    booked = {
        "idempotencyKey": str(uuid4()),
        "userId": heard.running.people.user_id,
        "start": start.isoformat(),
        "end": (start + timedelta(minutes=30)).isoformat(),
        "guest": {"name": "Gina", "email": "gina@example.org"},
    }
    answer = await heard.say(
        f"mutation ($input: CreateAppointmentInput!) {{ createAppointment(input: $input) {{ {q.SAVED} }} }}",
        {"input": booked},
    )
    made = json.loads(answer)["data"]["createAppointment"]
    if "appointment" in made:
        return start
    return await _book(heard, datetime.fromisoformat(made["nextSlots"][0]["start"]))


def _of_processes(running: World) -> Iterator[bytes]:
    for process in running.servers:
        assert process.running is not None
        for name in ("cmdline", "environ"):
            yield Path(f"/proc/{process.running.pid}/{name}").read_bytes()


async def _database(running: World) -> bytes:
    """The files with what is still in the log of writes; of PostgreSQL every row, as text."""
    if running.database_url.startswith("sqlite"):
        path = Path(running.database_url.removeprefix("sqlite:///"))
        return b"".join(each.read_bytes() for each in path.parent.glob(f"{path.name}*"))
    connection = await asyncpg.connect(running.database_url)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        rows = [
            str(row["line"])
            for table in tables
            for row in await connection.fetch(f'SELECT t::text AS line FROM "{table["tablename"]}" t')
        ]
        return "\n".join(rows).encode()
    finally:
        await connection.close()


@pytest.mark.parametrize("secret", [PASSWORD, MISTYPED, OWN])
def test_the_search_finds_what_it_looks_for(secret: str) -> None:
    assert shown(f"a {secret} b".encode())
    assert shown(json.dumps({"input": secret}).encode())
    assert shown(b"Authorization: Basic " + base64.b64encode(f"{APPLE_ID}:{secret}".encode()))
    assert shown(f"x={quote(secret)}".encode())
    assert not shown(b"nothing of it")
