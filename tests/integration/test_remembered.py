"""What is answered from memory is what would be read anew, whatever happens in between; and to whom it may be."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from domain.actor import Actor, Role
from domain.hours import WeeklyHours
from models.bell import Bell
from models.database import Database
from models.glances import GlanceError
from resolvers import availability, calendars, events, hours, types
from resolvers.context import Context, Services
from resolvers.kept import Kept
from resolvers.outcomes import Forbidden, NotFound, RateLimited
from resolvers.question import AvailabilityQuestion, StalePolicy
from resolvers.standings import Standings
from resolvers.timelines import Timelines
from resolvers.views import AvailabilityView
from tests.integration.pages import (
    DAY,
    HOUR,
    NINE,
    SLUG,
    block,
    key_of,
    page,
    try_to_book,
    try_to_hold,
)
from tests.integration.world import NOW, World, owner_of, world_on

STEPS = 70
LONG_NOTICE = 24 * HOUR


@pytest.fixture
async def world(database: Database, bell: Bell) -> World:
    return await world_on(database, bell)


def forgetful(services: Services) -> Services:
    """The same, remembering nothing."""
    return replace(
        services,
        standings=Standings(),
        timelines=Timelines(),
        answers=Kept(most=1000),
        types=Kept(most=100),
    )


async def ask(
    world: World,
    actor: Actor,
    question: AvailabilityQuestion,
    services: Services | None = None,
    *,
    alone: bool = True,
) -> object:
    # Each from an address of its own: limits are another test's.
    address = f"198.51.{random.randrange(256)}.{random.randrange(256)}"
    context = Context(services or world.services, actor, address=address)
    context.asks_once = alone
    try:
        return await availability.availability(context, question)
    finally:
        await context.close()


def comparable(view: object, now: float) -> object:
    """But for where the first window begins, when now and a notice cut it: it may be remembered for up to a minute."""
    if not isinstance(view, AvailabilityView) or not view.free:
        return view
    first, *rest = view.free
    for cut in (int(now), int(now) + LONG_NOTICE):
        if abs(first - cut) <= 60:
            return replace(view, free=(cut, *rest))
    return view


class Walk:
    """Steps that change someone's time, or what is known of it, or what time it is."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world = world
        self.chance = chance
        self.booked: list[str] = []
        self.slots: list[str] = []
        self.type_id = ""

    def start(self) -> int:
        return NINE + self.chance.randrange(0, 4 * DAY // HOUR) * HOUR // 2

    async def block(self) -> None:
        start = self.start()
        user = self.chance.choice([self.world.anna, self.world.ben])
        end = start + self.chance.choice([HOUR, HOUR, 30 * HOUR])
        self.slots.append((await block(self.world, start, end, user=user)).slot.id)

    async def unblock(self) -> None:
        if self.slots:
            gone = self.slots.pop(self.chance.randrange(len(self.slots)))
            await self.world.admin(events.delete_blocked_slot, slot_id=gone)

    async def book(self) -> None:
        await try_to_book(self.world, self.start(), key=f"a-key-of-the-walk-{self.chance.random()}")

    async def hold(self) -> None:
        address = f"203.0.113.{self.chance.randrange(256)}"
        await try_to_hold(self.world, self.start(), address=address)

    async def change_hours(self) -> None:
        weekly = [WeeklyHours(day, self.chance.choice([480, 540, 600]), 1020) for day in range(7)]
        await self.world.admin(
            hours.set_working_hours, user_id=self.world.anna.user, weekly=weekly, overrides=[]
        )

    async def change_type(self) -> None:
        numbers: dict[str, Any] = {
            "buffer_before_minutes": self.chance.choice([0, 10]),
            "maximum_per_day": self.chance.choice([None, 2]),
        }
        await self.world.admin(types.update_type, type_id=self.type_id, **numbers)

    async def poll(self) -> None:
        """A poll that found nothing new: no row in the log."""
        await self.world.write("UPDATE icloud_account SET last_synced_at = $1", self.world.clock.now)

    async def roll(self) -> None:
        """The horizon moves, or comes near: no row in the log either."""
        until = NINE + self.chance.choice([1, 2, 400]) * DAY
        await self.world.write("UPDATE icloud_account SET expanded_until = $1", until)

    async def wait(self) -> None:
        self.world.clock.now += self.chance.choice([0.4, 1, 7, 59, 60, 400, 2000])


@pytest.mark.parametrize("seed", range(4))
async def test_an_answer_from_memory_is_the_one_that_is_read_anew(world: World, seed: int) -> None:
    chance = random.Random(seed)
    walk = Walk(world, chance)
    walk.type_id = (await page(world, minimum_notice_minutes=0, horizon_days=3)).id
    await page(world, "long-notice", minimum_notice_minutes=LONG_NOTICE // 60)
    await world.connect(world.anna)
    home = (await world.calendars(world.anna))["Home"]
    await world.admin(calendars.set_conflict, user_id=world.anna.user, calendar_ids=[home.id])
    await world.write("UPDATE calendar SET last_synced_at = $1", NOW)
    await world.write(
        "UPDATE icloud_account SET last_synced_at = $1, expanded_zone = 'Europe/Paris', expanded_until = $2",
        NOW, NINE + 400 * DAY,
    )  # fmt: skip
    week: dict[str, Any] = {"from_": NINE - DAY, "to": NINE + 4 * DAY}
    both = (world.anna.user, world.ben.user)
    asked = [
        (key_of(world), AvailabilityQuestion(booking_page=SLUG, **week)),
        (key_of(world), AvailabilityQuestion(booking_page="long-notice", **week)),
        (owner_of(world.anna), AvailabilityQuestion(user_ids=(world.anna.user,), **week)),
        (owner_of(world.anna), AvailabilityQuestion(booking_page=SLUG, on_stale=StalePolicy.SERVE_LAST_KNOWN, **week)),
        (key_of(world, role=Role.ADMIN), AvailabilityQuestion(user_ids=both, buffer_after_minutes=10, **week)),
        (key_of(world, role=Role.ADMIN), AvailabilityQuestion(user_ids=both, appointment_type_id=walk.type_id, **week)),
    ]  # fmt: skip
    steps: list[Callable[[], Awaitable[None]]] = [
        walk.block, walk.unblock, walk.book, walk.hold, walk.change_hours, walk.change_type, walk.poll, walk.roll,
        *[walk.wait] * 4,
    ]  # fmt: skip
    for _ in range(STEPS):
        await chance.choice(steps)()
        for actor, question in chance.sample(asked, 3):
            alone = chance.random() < 0.8
            given = await ask(world, actor, question, alone=alone)
            anew = await ask(world, actor, question, forgetful(world.services))
            now = world.clock.now
            assert comparable(given, now) == comparable(anew, now), (actor.role, question)


QUESTION = AvailabilityQuestion(booking_page=SLUG, from_=NINE, to=NINE + 8 * HOUR)


async def test_while_nothing_moves_no_snapshot_is_opened(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await page(world)
    guest = key_of(world)
    first = await ask(world, guest, QUESTION)
    await ask(world, guest, QUESTION)
    with caplog.at_level(logging.DEBUG, "tortoise.db_client"):
        again = await ask(world, guest, QUESTION)
        other = await ask(world, guest, replace(QUESTION, to=NINE + 4 * HOUR))
    assert again == first
    assert isinstance(other, AvailabilityView)
    assert [record for record in caplog.records if record.name == "tortoise.db_client"] == []


async def test_who_may_not_ask_gets_nothing_that_another_was_answered(world: World) -> None:
    mine = AvailabilityQuestion(user_ids=(world.anna.user,), from_=NINE, to=NINE + 8 * HOUR)
    made = await page(world)
    of_type = replace(mine, appointment_type_id=made.id)
    for question in (mine, of_type):
        for _ in range(2):
            assert isinstance(await ask(world, owner_of(world.anna), question), AvailabilityView)
        assert isinstance(await ask(world, owner_of(world.ben), question), NotFound)
        assert isinstance(await ask(world, key_of(world), question), Forbidden)
    stranger, _ = await world.other_subaccount()
    assert isinstance(await ask(world, stranger, mine), NotFound)
    assert isinstance(await ask(world, stranger, QUESTION), NotFound)


async def test_a_guest_is_shown_neither_users_nor_cursors_that_the_owner_was(world: World) -> None:
    await page(world)
    for _ in range(2):
        owner = await ask(world, owner_of(world.anna), QUESTION)
        guest = await ask(world, key_of(world), QUESTION)
    assert isinstance(owner, AvailabilityView)
    assert isinstance(guest, AvailabilityView)
    assert owner.cursors
    assert owner.openings.users
    assert (guest.cursors, guest.openings.users) == ((), None)


async def test_a_page_that_was_archived_and_a_user_that_was_removed_are_not_remembered(world: World) -> None:
    made = await page(world)
    for _ in range(2):
        await ask(world, key_of(world), QUESTION)
    await world.admin(types.archive_type, type_id=made.id)
    assert isinstance(await ask(world, key_of(world), QUESTION), NotFound)
    question = AvailabilityQuestion(user_ids=(world.ben.user,), from_=NINE, to=NINE + HOUR)
    admin = key_of(world, role=Role.ADMIN)
    for _ in range(2):
        assert isinstance(await ask(world, admin, question), AvailabilityView)
    await world.write("DELETE FROM timeline WHERE user_id = $1", world.ben.user)
    await world.write("DELETE FROM users WHERE id = $1", world.ben.user)
    assert isinstance(await ask(world, admin, question), NotFound)


async def test_a_type_that_changed_is_not_remembered_though_its_user_was_read_again_since(
    world: World,
) -> None:
    made = await page(world)
    mine = AvailabilityQuestion(user_ids=(world.anna.user,), from_=NINE, to=NINE + 8 * HOUR)
    for _ in range(2):
        await ask(world, key_of(world), QUESTION)
    await world.admin(types.update_type, type_id=made.id, duration_minutes=240)
    await ask(world, owner_of(world.anna), mine)
    shown = await ask(world, key_of(world), replace(QUESTION, to=NINE + 7 * HOUR))
    assert isinstance(shown, AvailabilityView)
    assert shown.openings.length == 4 * HOUR


async def test_what_is_remembered_counts_as_a_question_of_its_address(world: World) -> None:
    await page(world)
    answers = []
    for _ in range(61):
        context = Context(world.services, key_of(world), address="192.0.2.9")
        context.asks_once = True
        answers.append(isinstance(await availability.availability(context, QUESTION), RateLimited))
        await context.close()
    assert answers == [False] * 60 + [True]


async def test_where_no_glance_succeeds_it_is_read_from_a_snapshot(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await page(world)

    async def blind(*_: object) -> None:
        raise GlanceError

    first = await ask(world, key_of(world), QUESTION)
    monkeypatch.setattr(world.services.database, "glance", blind)
    monkeypatch.setattr(world.services.database, "version", lambda: None)
    assert await ask(world, key_of(world), QUESTION) == first


async def test_another_processs_commit_is_seen_by_the_next_question(world: World, database_url: str) -> None:
    """No bell rings here for it: what is looked at is the database itself."""
    from server.database import open_database

    await page(world)
    for _ in range(3):
        before = await ask(world, key_of(world), QUESTION)
    async with open_database(database_url) as elsewhere:
        other = World(
            replace(world.services, database=elsewhere, bell=Bell()),
            world.icloud, world.clock, world.subaccount, world.anna, world.ben,
        )  # fmt: skip
        await block(other, NINE, NINE + HOUR)
        after = await ask(world, key_of(world), QUESTION)
    assert isinstance(before, AvailabilityView)
    assert isinstance(after, AvailabilityView)
    assert (before.free[0], after.free[0]) == (NINE, NINE + HOUR)


def test_the_longest_unasked_goes_first() -> None:
    kept: Kept[str] = Kept(most=10)
    kept.keep("a", "A", weight=5)
    kept.keep("b", "B", weight=5)
    assert kept.find("a") == "A"
    kept.keep("c", "C", weight=5)
    assert (kept.find("a"), kept.find("b"), kept.find("c")) == ("A", None, "C")
