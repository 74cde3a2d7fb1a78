"""GraphQL over websockets: the protocol's close codes, subscriptions, odd frames, and keys that are revoked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from graphql import get_introspection_query
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from domain.actor import Role
from domain.changes import BlockedSlotSource, Slot
from models.bell import Bell
from models.changelog import changing
from models.database import Database
from models.transactions import Snapshot
from resolvers import booking, events
from resolvers.context import Context
from resolvers.cursors import write_cursor
from resolvers.views import GuestView, SlotView
from schema.build import build
from schema.operation import Operation
from server import outgoing, sockets, websocket
from server.database import open_database
from server.engine import Engine, Prepared, Request
from tests.clients.proxy import wire_to_database
from tests.e2e.serving import REFUSED, Served, issue, receive, send, serving
from tests.integration.world import NOW, owner_of, world_on
from tests.work import at_most

CHANGES = """subscription($user: ID!, $after: Cursor) { blockedSlotChanges(userId: $user, after: $after) {
    cursor kind slot { id title start event { id } } previous { id } } }"""
REVOKE = "mutation($id: ID!) { revokeKey(input: {keyId: $id}) { __typename } }"


@pytest.fixture
async def served(database: Database, bell: Bell) -> AsyncIterator[Served]:
    async with serving(await world_on(database, bell)) as running:
        yield running


async def closed_with(opened: ClientConnection, *, within: float = 60) -> tuple[int, str]:
    async with asyncio.timeout(within):
        try:
            while True:
                await opened.recv()
        except ConnectionClosed:
            return opened.close_code or 0, opened.close_reason or ""


async def block(served: Served, start: int, title: str = "Dentist") -> SlotView:
    made = await served.world.owner(
        events.create_blocked_slot, user_id=served.world.anna.user, start=start, end=start + 1800, title=title
    )
    assert isinstance(made, SlotView)
    return made


async def follow(
    served: Served, opened: ClientConnection, *, after: str | None = None, name: str = "1"
) -> None:
    variables = {"user": served.world.anna.user, "after": after}
    await send(opened, type="subscribe", id=name, payload={"query": CHANGES, "variables": variables})


async def test_a_subscriber_is_told_of_a_change_and_resumes_from_its_cursor(served: Served) -> None:
    async with served.socket(served.owner) as opened:
        await follow(served, opened)
        await served.world.followed()
        await block(served, int(NOW) + 3600, "One")
        first = (await receive(opened))["payload"]["data"]["blockedSlotChanges"]
    assert (first["kind"], first["slot"]["title"], first["slot"]["event"]) == ("ADDED", "One", None)
    await block(served, int(NOW) + 7200, "Two")
    async with served.socket(served.owner) as opened:
        await follow(served, opened, after=first["cursor"])
        second = (await receive(opened))["payload"]["data"]["blockedSlotChanges"]
    assert second["slot"]["title"] == "Two"


async def test_availability_comes_whole_and_then_as_it_changes(served: Served) -> None:
    query = """subscription($input: AvailabilityInput!) { availabilityChanges(input: $input) {
        isSnapshot opened { start } closed { start end } availability { windows { start } } } }"""
    asked = {
        "userIds": [served.world.anna.user],
        "from": "2026-10-26T00:00:00Z",
        "to": "2026-10-31T00:00:00Z",
    }
    async with served.socket(served.owner) as opened:
        await send(opened, type="subscribe", id="a", payload={"query": query, "variables": {"input": asked}})
        whole = (await receive(opened))["payload"]["data"]["availabilityChanges"]
        assert whole["isSnapshot"]
        await block(served, 1_793_091_600)  # 2026-10-27T09:00:00Z
        change = (await receive(opened))["payload"]["data"]["availabilityChanges"]
    assert (change["isSnapshot"], change["closed"]) == (
        False,
        [{"start": "2026-10-27T09:00:00Z", "end": "2026-10-27T09:30:00Z"}],
    )


async def test_queries_and_mutations_run_over_the_socket_too(served: Served) -> None:
    async with served.socket(served.admin) as opened:
        await send(opened, type="subscribe", id="q", payload={"query": "{ viewer { role } }"})
        assert await receive(opened) == {
            "id": "q",
            "type": "next",
            "payload": {"data": {"viewer": {"role": "ADMIN"}}},
        }
        assert await receive(opened) == {"id": "q", "type": "complete"}


async def test_one_bad_document_ends_itself_and_no_other_operation(served: Served) -> None:
    async with served.socket(served.owner) as opened:
        await follow(served, opened)
        for name, payload in (
            ("syntax", {"query": "{"}),
            ("unknown", {"query": "{ viewer { role } }", "operationName": "Nope"}),
            ("variables", {"query": CHANGES, "variables": {}}),
            ("complex", {"query": "{" + " viewer { role }" * 400 + "}"}),
        ):
            await send(opened, type="subscribe", id=name, payload=payload)
            frame = await receive(opened)
            assert (frame["type"], frame["id"]) == ("error", name)
            assert frame["payload"][0]["extensions"]["code"] in {"BAD_REQUEST", "TOO_COMPLEX"}
        await served.world.followed()
        await block(served, int(NOW) + 3600)
        assert (await receive(opened))["type"] == "next"


@pytest.mark.parametrize(
    ("after", "code", "field"),
    [("nonsense", "BAD_REQUEST", "after"), (None, "NOT_FOUND", None)],
)
async def test_a_refused_subscription_is_an_error_with_code_and_field(
    served: Served, after: str | None, code: str, field: str | None
) -> None:
    user = served.world.anna.user if after else served.world.ben.user
    async with served.socket(served.owner) as opened:
        variables = {"user": user, "after": after}
        await send(opened, type="subscribe", id="1", payload={"query": CHANGES, "variables": variables})
        frame = await receive(opened)
    assert frame["type"] == "error"
    assert frame["payload"][0]["extensions"] == {"code": code} | ({"field": field} if field else {})


async def test_a_booking_key_follows_no_blocked_slots(served: Served) -> None:
    async with served.socket(served.booking) as opened:
        await follow(served, opened)
        assert (await receive(opened))["payload"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_the_socket_is_for_graphql_transport_ws_alone(served: Served) -> None:
    for protocols in (["graphql-ws"], None):
        async with connect(f"ws://127.0.0.1:{served.port}/graphql", subprotocols=protocols) as opened:  # type: ignore[arg-type]
            assert (await closed_with(opened))[0] == 4406


async def test_a_wrong_key_is_closed_with_4403(served: Served) -> None:
    for payload in (None, {}, {"authorization": "Bearer sw_admin_" + "x" * 43}, {"authorization": 7}):
        async with served.raw_socket() as opened:
            await send(opened, type="connection_init", payload=payload)
            assert (await closed_with(opened))[0] == 4403, payload


async def test_an_operation_before_the_key_is_closed_with_4401(served: Served) -> None:
    async with served.raw_socket() as opened:
        await send(opened, type="subscribe", id="1", payload={"query": "{ viewer { role } }"})
        assert (await closed_with(opened))[0] == 4401


async def test_a_second_init_is_closed_with_4429_and_a_second_id_with_4409(served: Served) -> None:
    async with served.socket(served.owner) as opened:
        await send(opened, type="connection_init", payload={})
        assert (await closed_with(opened))[0] == 4429
    async with served.socket(served.owner) as opened:
        await follow(served, opened)
        await follow(served, opened)
        assert (await closed_with(opened))[0] == 4409


async def test_who_never_inits_is_closed_with_4408(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "INIT_WITHIN", 0.3)
    async with served.raw_socket() as opened:
        await send(opened, type="ping")
        assert await receive(opened) == {"type": "pong"}
        assert (await closed_with(opened))[0] == 4408


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "{",
        "1",
        "null",
        "[]",
        '"x"',
        "[" * 50_000,
        '{"type": "subscribe", "payload": {"query": "{viewer{role}}"}}',
        '{"type": "subscribe", "id": {}, "payload": {"query": "{viewer{role}}"}}',
        '{"type": "subscribe", "id": "", "payload": {"query": "{viewer{role}}"}}',
        '{"type": "subscribe", "id": "1", "payload": "x"}',
        '{"type": "subscribe", "id": "1", "payload": {"query": 7}}',
        '{"type": "' + "x" * 500 + '"}',
        '{"no": "type"}',
        '{"type": ["subscribe"]}',
        '{"type": "ping", "payload": ' + '{"a":' * 8_000,
        '{"type": "subscribe", "id": "1", "payload": {"query": "\\ud800"}}',
        '{"type": "subscribe", "id": "' + "x" * 300 + '", "payload": {"query": "{viewer{role}}"}}',
        '{"type": "subscribe", "id": "1"}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{viewer{role}}", "variables": []}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{a}", "extensions": {"persistedQuery": 1}}}',
        '{"type": "complete"}',
        '{"type": "complete", "id": 7}',
        '{"type": "connection_ack"}',
        '{"type": "start", "id": "1", "payload": {"query": "{viewer{role}}"}}',
    ],
    ids=lambda frame: frame[:40] or "empty",
)
async def test_an_odd_frame_is_closed_with_4400(
    served: Served, frame: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "server.requests")
    async with served.socket(served.owner) as opened:
        await opened.send(frame)
        code, reason = await closed_with(opened)
    assert code == 4400
    assert len(reason.encode()) <= 123
    async with asyncio.timeout(60):
        while caplog.records[-1].message != "websocket closed":
            await asyncio.sleep(0.01)
    lines = [record for record in caplog.records if record.message != "websocket opened"]
    assert [(line.levelname, line.said["code"], line.said["reason"]) for line in lines] == [  # type: ignore[attr-defined]
        ("INFO", 4400, reason)
    ]


DOUBLED = "{ ...F0 } " + " ".join(
    f"fragment F{level} on Query {{ ...F{level + 1} ...F{level + 1} }}" for level in range(24)
)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"query": DOUBLED + " fragment F24 on Query { b: viewer { role } }"}, "TOO_COMPLEX"),
        ({"query": "{" + " ".join(f"a{n}:__typename" for n in range(3_500)) + "}"}, "TOO_COMPLEX"),
        ({"query": "{" + "(" * 60_000}, "BAD_REQUEST"),
        ({"query": "query A { viewer { role } } query B { viewer { role } }"}, "BAD_REQUEST"),
        (
            {"query": "", "extensions": {"persistedQuery": {"version": 1, "sha256Hash": "a" * 64}}},
            "BAD_REQUEST",
        ),
    ],
    ids=["fragments doubled", "aliases", "parentheses", "two operations", "unknown hash"],
)
async def test_what_can_not_be_run_is_refused_with_little_work_and_one_line(
    served: Served, payload: dict[str, object], code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "server.requests")
    async with served.socket(served.owner) as opened:
        await send(opened, type="subscribe", id="warm", payload={"query": "{ nothing }"})
        await receive(opened)
        caplog.clear()
        with at_most(lines=REFUSED):
            await send(opened, type="subscribe", id="1", payload=payload)
            frame = await receive(opened)
        await send(opened, type="ping")
        assert (await receive(opened))["type"] == "pong"
    assert (frame["type"], [it["extensions"]["code"] for it in frame["payload"]]) == ("error", [code])
    [line] = [record for record in caplog.records if record.message == "websocket operation"]
    assert line.said["codes"] == [code]  # type: ignore[attr-defined]


async def test_binary_frames_and_frames_over_64_kib_are_not_taken(served: Served) -> None:
    async with served.socket(served.owner) as opened:
        await opened.send(b'{"type": "ping"}')
        assert (await closed_with(opened))[0] == 4400
    async with served.socket(served.owner) as opened:
        await opened.send(json.dumps({"type": "ping", "payload": {"x": "y" * 70_000}}))
        assert (await closed_with(opened))[0] == 1009


async def test_a_revoked_keys_sockets_are_closed_within_5_s(served: Served) -> None:
    async with served.socket(served.owner) as opened, served.socket(served.admin) as other:
        shown = await served.ask(served.admin, "{ keys { edges { node { id role } } } }")
        owner_key = next(
            edge["node"]["id"] for edge in shown["data"]["keys"]["edges"] if edge["node"]["role"] == "OWNER"
        )
        await served.ask(served.admin, REVOKE, id=owner_key)
        served.world.clock.now += 3
        assert (await closed_with(opened))[0] == 4403
        await send(other, type="ping")
        assert (await receive(other))["type"] == "pong"


async def test_a_completed_operation_frees_its_id(served: Served) -> None:
    async with served.socket(served.owner) as opened:
        await follow(served, opened)
        await served.world.followed()
        await send(opened, type="complete", id="1")
        now = write_cursor(served.services.epoch, served.world.anna, await served.world.position())
        await follow(served, opened, after=now)
        await block(served, int(NOW) + 3600)
        assert (await receive(opened))["id"] == "1"


async def test_at_most_a_hundred_operations_run_on_one_socket(served: Served) -> None:
    async with served.socket(served.owner) as opened:
        for number in range(101):
            variables = {"user": served.world.anna.user}
            await send(
                opened, type="subscribe", id=str(number), payload={"query": CHANGES, "variables": variables}
            )
        frame = await receive(opened)
    assert (frame["type"], frame["id"]) == ("error", "100")


async def test_subscribers_hold_no_snapshot_while_they_wait(served: Served) -> None:
    """SQLite's readers are four: many more subscribers than that leave them free, whatever their events read."""
    query = """subscription($user: ID!) { appointmentChanges(userId: $user) {
        kind appointment { title user { name } } } }"""
    variables = {"user": served.world.anna.user}
    async with served.socket(served.owner) as opened:
        for number in range(20):
            payload = {"query": query, "variables": variables}
            await send(opened, type="subscribe", id=str(number), payload=payload)
        await served.world.followed(by=20)
        for day in (1, 2):
            await served.world.owner(
                booking.create_appointment,
                idempotency_key=f"0123456789abcdef{day}",
                user_id=served.world.anna.user,
                type_id=None,
                start=int(NOW) + day * 86_400,
                end=int(NOW) + day * 86_400 + 600,
                title="Call",
                guest=GuestView("Ben", "ben@example.org", None),
                notes=None,
            )
            told = [await receive(opened) for _ in range(20)]
            assert {frame["id"] for frame in told} == {str(number) for number in range(20)}
            assert told[0]["payload"]["data"]["appointmentChanges"]["appointment"]["user"]["name"] == "Anna"
        async with asyncio.timeout(60):
            assert (await served.ask(served.owner, "{ viewer { role } }"))["data"]


async def test_an_answer_that_waits_for_its_reader_holds_no_snapshot(served: Served) -> None:
    user = served.world.anna.user
    request = Request(
        "subscription($user: ID!) { iCloudAccountChanges(userId: $user) { account { calendars { id } } } }",
        variables={"user": user},
    )
    await served.world.connect()
    engine = Engine(build()[0], booking_introspection=False)
    prepared = engine.prepare(request, Role.OWNER)
    assert isinstance(prepared, Prepared)
    context = Context(served.services, owner_of(served.world.anna), address="")
    async with aclosing(engine.subscribe(prepared, request, Operation(context))) as answers:
        first = await anext(answers)
        assert first.data is not None
        assert len(first.data["iCloudAccountChanges"]["account"]["calendars"]) == 6
        assert context._snapshot is None


async def test_a_reader_that_takes_nothing_is_let_go_with_4410(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outgoing, "SEND_WITHIN", 0.5)
    caplog.set_level("INFO", "server.requests")
    async with served.socket(served.owner) as opened:
        for number in range(90):
            await send(opened, type="subscribe", id=str(number), payload={"query": get_introspection_query()})
        # It must not read before it was let go: how long what fits into the buffers takes is the machine's affair.
        async with asyncio.timeout(60):
            while not any(record.message == "websocket closed" for record in caplog.records):
                await asyncio.sleep(0.05)
        assert (await closed_with(opened))[0] == 4410


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_database_that_hangs_up_closes_what_is_followed_with_1013_and_it_goes_on_after_that(
    database_url: str, bell: Bell
) -> None:
    async with (
        wire_to_database(database_url) as (wire, through),
        open_database(through) as database,
        serving(await world_on(database, bell)) as served,
    ):
        before = write_cursor("e1", served.world.anna, await served.world.position())
        async with served.socket(served.owner) as opened:
            await follow(served, opened, after=before)
            await served.world.followed()
            wire.cut()
            await bell.ring(served.world.anna.user)
            assert (await closed_with(opened))[0] == 1013
        wire.mend()
        await block(served, int(NOW))
        async with served.socket(served.owner) as opened:
            await follow(served, opened, after=before)
            assert (await receive(opened))["payload"]["data"]["blockedSlotChanges"]["kind"] == "ADDED"


async def test_a_database_that_is_away_fills_no_log(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried = 0

    async def away() -> Snapshot:
        nonlocal tried
        tried += 1
        raise ConnectionRefusedError

    async with served.socket(served.owner):
        monkeypatch.setattr(sockets, "LOOK_EVERY", 0.01)
        monkeypatch.setattr(served.services.database, "open_snapshot", away)
        async with served.raw_socket() as other:
            await send(other, type="connection_init", payload={"authorization": f"Bearer {served.booking}"})
            assert (await closed_with(other))[0] == 1013
        async with asyncio.timeout(30):
            while tried < 6:
                await asyncio.sleep(0.01)
        monkeypatch.undo()
    told = [(record.getMessage(), record.exc_info is not None) for record in caplog.records]
    looked = "keys can't be looked at right now, and connections stay open"
    # Which comes first is the machine's affair.
    assert sorted(told) == [
        ("A key can't be looked at: ConnectionRefusedError: ", False),
        (looked, True),
        (f"{looked}, as before: ConnectionRefusedError", False),
    ]


async def test_a_change_that_can_be_told_only_in_part_is_told_whole_after_1013(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> Snapshot:
        raise OSError

    async with served.socket(served.owner) as opened:
        await follow(served, opened, after=write_cursor("e1", served.world.anna, 0))
        await block(served, int(NOW))
        cursor = (await receive(opened))["payload"]["data"]["blockedSlotChanges"]["cursor"]
        monkeypatch.setattr(served.services.database, "open_snapshot", away)
        now, bell = served.services.clock(), served.services.bell
        async with changing(served.services.database, bell, served.world.anna, now=now) as ledger:
            ledger.slot_added(Slot("blk_1", 1, 2, False, BlockedSlotSource.ICLOUD, "Dentist", "evt_1"))
        with pytest.raises(ConnectionClosed):
            await receive(opened)
        assert opened.close_code == 1013
    monkeypatch.undo()
    async with served.socket(served.owner) as opened:
        await follow(served, opened, after=cursor)
        told = (await receive(opened))["payload"]
        assert "errors" not in told
        assert told["data"]["blockedSlotChanges"]["slot"]["title"] == "Dentist"


async def test_a_booking_keys_page_must_be_of_its_origins(served: Served) -> None:
    key = await issue(served.world, Role.BOOKING, origins=["https://book.example.com"])
    async with served.raw_socket(origin="https://evil.example.com") as opened:
        await send(opened, type="connection_init", payload={"Authorization": f"Bearer {key}"})
        assert (await closed_with(opened))[0] == 4403
    async with served.socket(key, origin="https://book.example.com"):
        pass
