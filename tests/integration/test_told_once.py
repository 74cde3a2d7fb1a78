"""One change is told once for all who follow alike, whoever comes first or leaves; and to no one else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import orjson
import pytest

from domain.actor import Actor, Role
from models.bell import Bell
from models.database import Database
from resolvers import feeds
from resolvers.context import Context
from resolvers.settings import ResolverSettings
from schema.build import build
from schema.operation import Operation
from server.engine import Answer, Engine, Prepared, Request
from tests.integration.pages import HOUR, NINE, SLUG, block, booked, key_of, page
from tests.integration.world import World, owner_of, world_on

SLOTS = (
    "subscription ($user: ID!, $after: Cursor)"
    " { blockedSlotChanges(userId: $user, after: $after) { kind slot { title } } }"
)
WITH_EVENT = (
    "subscription ($user: ID!) { blockedSlotChanges(userId: $user) { kind slot { title event { title } } } }"
)
SWITCHED = (
    "subscription ($user: ID!, $yes: Boolean!)"
    " { blockedSlotChanges(userId: $user) { kind cursor @include(if: $yes) } }"
)
BY_DEFAULT = (
    "subscription ($user: ID!, $yes: Boolean = true)"
    " { blockedSlotChanges(userId: $user) { kind cursor @include(if: $yes) } }"
)
APPOINTMENTS = (
    "subscription ($user: ID!)"
    " { appointmentChanges(userId: $user) { kind appointment { title type { name } } } }"
)
FREE = (
    "subscription ($input: AvailabilityInput!) { availabilityChanges(input: $input)"
    " { isSnapshot availability { windows { start } cursors { userId } } closed { start } } }"
)
MANY = 20


@pytest.fixture
async def world(database: Database, bell: Bell, monkeypatch: pytest.MonkeyPatch) -> World:
    """No machine is too slow for what comes together."""
    monkeypatch.setattr(feeds, "_TOGETHER", 3600.0)
    made = await world_on(database, bell)
    made.services = replace(made.services, settings=ResolverSettings(look_every=0.05))
    return made


@pytest.fixture
def engine() -> Engine:
    return Engine(build()[0], booking_introspection=False)


def follow(
    engine: Engine, world: World, actor: Actor, query: str, **variables: object
) -> AsyncGenerator[Answer, None]:
    request = Request(query, None, variables)
    prepared = engine.prepare(request, actor.role)
    assert isinstance(prepared, Prepared), prepared
    return engine.subscribe(prepared, request, Operation(Context(world.services, actor, address="192.0.2.1")))


async def start(world: World, followers: list[AsyncGenerator[Answer, None]]) -> list[asyncio.Task[Answer]]:
    """Each waits for its next answer: those of a user's log for what lands from now on."""

    async def following(follower: AsyncGenerator[Answer, None]) -> Answer:
        return await anext(follower)

    tasks = [asyncio.create_task(following(follower)) for follower in followers]
    await world.followed(by=len(followers))
    async with asyncio.timeout(60):
        # Once a log was looked at: what lands before that is no news, and each reads it for itself.
        while any(share.value._position is None for share in world.services.feeds._shares.values()):
            await asyncio.sleep(0.01)
    return tasks


async def ends(followers: list[AsyncGenerator[Answer, None]]) -> None:
    for follower in followers:
        await follower.aclose()


@pytest.mark.parametrize("query", [SLOTS, WITH_EVENT])
async def test_one_change_is_executed_once_and_all_get_the_same_bytes(
    world: World, engine: Engine, query: str
) -> None:
    anna = world.anna.user
    followers = [follow(engine, world, owner_of(world.anna), query, user=anna) for _ in range(MANY)]
    waiting = await start(world, followers)
    await block(world, NINE, NINE + HOUR)
    answers = await asyncio.wait_for(asyncio.gather(*waiting), 60)
    assert engine.executed == 1
    assert len({id(answer.as_bytes()) for answer in answers}) == 1
    assert orjson.loads(answers[0].as_bytes())["data"]["blockedSlotChanges"]["kind"] == "ADDED"
    await ends(followers)
    assert len(engine._told) == len(world.services.feeds) == 0


async def test_what_is_told_hangs_on_the_document_its_switches_and_who_may_see_it(
    world: World, engine: Engine
) -> None:
    anna, admin = world.anna.user, key_of(world, role=Role.ADMIN)
    followers = [
        *(follow(engine, world, owner_of(world.anna), SWITCHED, user=anna, yes=yes) for yes in (True, True, False)),
        *(follow(engine, world, admin, SWITCHED, user=anna, yes=True) for _ in range(2)),
    ]  # fmt: skip
    waiting = await start(world, followers)
    await block(world, NINE, NINE + HOUR)
    answers = await asyncio.wait_for(asyncio.gather(*waiting), 60)
    shown = [sorted(orjson.loads(it.as_bytes())["data"]["blockedSlotChanges"]) for it in answers]
    assert shown == [["cursor", "kind"], ["cursor", "kind"], ["kind"], ["cursor", "kind"], ["cursor", "kind"]]
    assert engine.executed == 3
    await ends(followers)


async def test_a_switch_that_is_null_is_not_one_left_to_its_default(world: World, engine: Engine) -> None:
    anna = world.anna.user
    null = follow(engine, world, owner_of(world.anna), BY_DEFAULT, user=anna, yes=None)
    left_out = follow(engine, world, owner_of(world.anna), BY_DEFAULT, user=anna)
    waiting = await start(world, [null, left_out])
    await block(world, NINE, NINE + HOUR)
    refused, told = await asyncio.wait_for(asyncio.gather(*waiting), 60)
    assert orjson.loads(refused.as_bytes())["errors"]
    assert set(orjson.loads(told.as_bytes())["data"]["blockedSlotChanges"]) == {"kind", "cursor"}
    await ends([null, left_out])


async def test_where_a_subscriber_stands_is_its_own(world: World, engine: Engine) -> None:
    from resolvers.cursors import write_cursor

    anna = world.anna.user
    await block(world, NINE, NINE + HOUR)
    cursor = write_cursor("e1", world.anna, await world.position() - 1)
    late = follow(engine, world, owner_of(world.anna), SLOTS, user=anna, after=cursor)
    now = follow(engine, world, owner_of(world.anna), SLOTS, user=anna)
    [first, second] = await start(world, [late, now])
    await first
    assert not second.done()
    await block(world, NINE + HOUR, NINE + 2 * HOUR)
    await asyncio.wait_for(asyncio.gather(second, anext(late)), 60)
    assert engine.executed == 2, "the one that both came to, once"
    await ends([late, now])


@pytest.mark.parametrize("query", [WITH_EVENT, APPOINTMENTS])
async def test_one_that_leaves_at_the_change_takes_nothing_with_it(
    world: World, engine: Engine, query: str
) -> None:
    await page(world)
    anna = world.anna.user
    followers = [follow(engine, world, owner_of(world.anna), query, user=anna) for _ in range(MANY)]
    waiting = await start(world, followers)
    await (booked(world) if query == APPOINTMENTS else block(world, NINE, NINE + HOUR))
    for leaving in waiting[: MANY // 2]:
        leaving.cancel()
    answers = await asyncio.wait_for(asyncio.gather(*waiting[MANY // 2 :]), 60)
    assert len({answer.as_bytes() for answer in answers}) == 1
    assert b'"errors"' not in answers[0].as_bytes()
    await asyncio.gather(*waiting, return_exceptions=True)
    await ends(followers)


async def test_availability_is_told_once_a_role_and_to_guests_without_cursors(
    world: World, engine: Engine
) -> None:
    await page(world)
    asked = {"bookingPage": SLUG, "from": "2026-10-27T08:00:00Z", "to": "2026-10-27T16:00:00Z"}
    actors = [*[key_of(world)] * 5, *[owner_of(world.anna)] * 5]
    followers = [follow(engine, world, actor, FREE, input=asked) for actor in actors]
    snapshots = await asyncio.wait_for(asyncio.gather(*(anext(it) for it in followers)), 60)
    assert engine.executed == 2
    waiting = [asyncio.ensure_future(anext(follower)) for follower in followers]
    await block(world, NINE, NINE + HOUR)
    updates = await asyncio.wait_for(asyncio.gather(*waiting), 60)
    assert engine.executed == 4
    for answers in (snapshots, updates):
        shown = [orjson.loads(it.as_bytes())["data"]["availabilityChanges"] for it in answers]
        assert [len(it["availability"]["cursors"]) for it in shown] == [0] * 5 + [1] * 5
    await ends(followers)


async def test_a_refusal_is_each_ones_own(world: World, engine: Engine) -> None:
    good = follow(engine, world, owner_of(world.anna), SLOTS, user=world.anna.user)
    waiting = await start(world, [good])
    bad = await anext(follow(engine, world, owner_of(world.ben), SLOTS, user=world.anna.user))
    assert not bad.began
    assert bad.errors[0].extensions == {"code": "NOT_FOUND"}
    guest = await anext(follow(engine, world, key_of(world), SLOTS, user=world.anna.user))
    assert guest.errors[0].extensions == {"code": "FORBIDDEN"}
    await block(world, NINE, NINE + HOUR)
    assert (await asyncio.wait_for(waiting[0], 60)).began
    await ends([good])
