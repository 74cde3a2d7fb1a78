"""What a compiled plan sends is what graphql-core would have sent, to the byte, for every key."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from domain.actor import Actor, Role
from models.bell import Bell
from models.database import Database
from resolvers.context import Context
from resolvers.remembered import Remembered
from schema.build import build
from schema.operation import Operation
from schema.scalars import format_date_time
from server import engine as engines
from server.engine import Answer, Engine, Prepared, Request
from tests.integration.documents import Maker
from tests.integration.pages import DAY, NINE, block, booked, created, held, key_of, page
from tests.integration.world import World, owner_of, world_on

FROM, TO = format_date_time(NINE - DAY), format_date_time(NINE + 3 * DAY)
DOCUMENTS = 250


@pytest.fixture
async def world(database: Database, bell: Bell) -> World:
    made = await world_on(database, bell)
    await made.connect(made.ben)
    await page(made)
    await block(made, NINE + 3600, NINE + 5400)
    await booked(made)
    await held(made, NINE + 2 * 3600)
    await created(made, NINE + 4 * 3600)
    return made


def engine() -> Engine:
    return Engine(build()[0], booking_introspection=False)


async def answer_of(engine: Engine, world: World, actor: Actor, request: Request) -> Answer:
    prepared = engine.prepare(request, actor.role)
    if isinstance(prepared, Answer):
        return prepared
    return await engine.execute(prepared, request, operation_of(world, actor))


async def slowly(engine: Engine, world: World, actor: Actor, request: Request) -> Answer:
    """As graphql-core runs it."""
    prepared = engine.prepare(request, actor.role)
    if isinstance(prepared, Answer):
        return prepared
    operation = operation_of(world, actor)
    try:
        return await engine._execute(prepared, request, operation)
    finally:
        await operation.ctx.close()


def operation_of(world: World, actor: Actor) -> Operation:
    # Each from an address of its own: a limit is another test's.
    address = f"198.51.{random.randrange(256)}.{random.randrange(256)}"
    return Operation(Context(world.services, actor, address=address))


def actors(world: World) -> list[Actor]:
    return [key_of(world, role=Role.ADMIN), owner_of(world.anna), owner_of(world.ben), key_of(world)]


async def test_a_plan_sends_what_graphql_core_sends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    planned: Counter[bool] = Counter()
    run = engines._planned

    async def counted(prepared: Prepared, request: Request, operation: Operation) -> Answer | None:
        found = await run(prepared, request, operation)
        planned[found is not None] += 1
        return found

    monkeypatch.setattr(engines, "_planned", counted)
    chance, ours = random.Random(5), engine()
    view = await booked(world, NINE + 5 * 3600, key="another-key-of-anna-1")
    [type_] = [it["id"] for it in await world.rows("SELECT id FROM appointment_type")]
    [account] = [it["id"] for it in await world.rows("SELECT id FROM icloud_account")]
    within = f'from: "{FROM}", to: "{TO}"'
    users = f'["{world.anna.user}", "{world.ben.user}"]'
    calls = [
        *(f'availability(input: {{bookingPage: "intro-call", {within}}})',) * 3,
        f"availability(input: {{userIds: {users}, {within}, match: ANYONE}})",
        f'availability(input: {{userIds: ["{world.anna.user}"], {within}, appointmentTypeId: "{type_}"}})',
        f'availability(input: {{userIds: ["{world.anna.user}"], from: "{TO}", to: "{FROM}"}})',
        f'availability(input: {{userIds: ["nobody"], {within}}})',
        f'availability(input: {{bookingPage: "intro-call", {within}, manageToken: "{view.manage_token}"}})',
        "viewer", 'bookingPage(slug: "intro-call")', 'bookingPage(slug: "no-such")', "users(first: 5)", "keys",
        "auditLog(first: 3)", "syncHealth", f'booking(manageToken: "{view.manage_token}")',
        f'user(id: "{world.anna.user}")', f'node(id: "{world.ben.user}")', f'node(id: "{account}")',
        f'node(id: "{type_}")', 'node(id: "nothing")', "users(first: 0)",
    ]  # fmt: skip
    paged = f"(first: 5, {within})"
    nested = {
        "User.events": paged,
        "User.blockedSlots": paged,
        "User.appointments": paged,
        "User.closedSpans": f"({within})",
        "Calendar.problems": "(first: 2)",
    }
    maker = Maker(build()[0], chance, calls, nested)
    differing: list[str] = []
    for _ in range(DOCUMENTS):
        document = maker.document()
        request = Request(document.text, None, document.variables)
        for actor in actors(world):
            expected = (await slowly(ours, world, actor, request)).as_bytes()
            for _ in range(2):
                given = (await answer_of(ours, world, actor, request)).as_bytes()
                if given != expected:
                    differing.append(f"{actor.role}: {document}\n{expected!r}\n{given!r}")
    assert not differing, "\n\n".join(differing[:3])
    # Else nothing was compared: most of what is made up has a loader or an argument in it somewhere.
    assert planned[True] > DOCUMENTS, planned


ASKED = (
    "query ($i: AvailabilityInput!) { availability(input: $i) { __typename ... on UserError { message } } }"
)


def asking(world: World, **given: Any) -> Request:
    return Request(ASKED, None, {"i": {"bookingPage": "intro-call", "from": FROM, "to": TO, **given}})


async def test_a_plan_counts_each_question_of_a_guests_address(world: World) -> None:
    ours, guest = engine(), key_of(world)
    answers = []
    for _ in range(61):
        prepared = ours.prepare(asking(world), guest.role)
        assert isinstance(prepared, Prepared)
        operation = Operation(Context(world.services, guest, address="192.0.2.77"))
        answers.append((await ours.execute(prepared, asking(world), operation)).as_bytes())
    assert [b"RateLimited" in answer for answer in answers] == [False] * 60 + [True]


@pytest.mark.parametrize(
    "wrong", [{"from": "tomorrow"}, {"match": "SOMEONE"}, {"userIds": {}}, {"nothing": 1}]
)
async def test_wrong_variables_of_a_planned_document_are_refused_as_ever(
    world: World, wrong: dict[str, Any]
) -> None:
    ours, admin = engine(), key_of(world, role=Role.ADMIN)
    for _ in range(3):
        await answer_of(ours, world, admin, asking(world))
    expected = await slowly(ours, world, admin, asking(world, **wrong))
    assert not expected.began
    assert (await answer_of(ours, world, admin, asking(world, **wrong))).as_bytes() == expected.as_bytes()


async def test_what_is_bound_to_long_variables_takes_no_more_room_than_it_may(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "MOST_BOUND", 500_000)
    ours, guest = engine(), key_of(world)
    for number in range(12):
        told = await answer_of(ours, world, guest, asking(world, holdToken=f"{number}" + "x" * 60_000))
        assert b"Availability" in told.as_bytes()
    assert 0 < len(ours._runs) <= 2


async def test_what_an_answer_was_written_as_is_kept_only_while_it_is_not_long(world: World) -> None:
    ours, owner = engine(), owner_of(world.anna)
    given = (
        f'availability(input: {{userIds: ["{world.anna.user}"], from: "{FROM}", to: "{TO}", stepMinutes: 5}})'
    )

    def asked(*, times: int, key: str = "it") -> Request:
        slots = " ".join(f"s{number}: slots {{ start end }}" for number in range(times))
        return Request(f"{{ {key}: {given} {{ ... on Availability {{ {slots} }} }} }}")

    for request in (asked(times=1), asked(times=10), *(asked(times=2, key=f"it{n}") for n in range(12))):
        expected = (await slowly(ours, world, owner, request)).as_bytes()
        assert len(expected) > 5000
        for _ in range(3):
            assert (await answer_of(ours, world, owner, request)).as_bytes() == expected
        [(kept, _)] = world.services.answers._kept.values()
        assert isinstance(kept, Remembered)
        view = kept.answer.view
        assert 0 < sum(map(len, view.shown.values())) <= 160 * view.weight


async def test_a_fault_in_a_plan_is_told_without_a_detail(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, admin = engine(), key_of(world, role=Role.ADMIN)
    await answer_of(ours, world, admin, asking(world))

    async def broken(*_: object) -> None:
        raise ValueError("the password is swordfish")

    monkeypatch.setattr("resolvers.availability.remembered", broken)
    told = await answer_of(ours, world, admin, asking(world))
    assert told.as_bytes() == (await slowly(ours, world, admin, asking(world))).as_bytes()
    assert b"INTERNAL" in told.as_bytes()
    assert b"swordfish" not in told.as_bytes()
