"""Working hours: kept as given, refused by the path of what is wrong."""

from __future__ import annotations

from datetime import date

from domain.changes import ChangeKind
from domain.hours import DEFAULT_HOURS, DateOverride, HoursSpan, WeeklyHours, WorkingHours
from resolvers import hours, people
from resolvers.outcomes import InvalidInput, NotFound
from resolvers.views import UserView
from tests.integration.world import World, owner_of

MONDAY = WeeklyHours(0, 540, 720)
MONDAY_LATE = WeeklyHours(0, 780, 1440)
CLOSED = DateOverride(date(2026, 12, 25))
SHORT = DateOverride(date(2026, 12, 24), (HoursSpan(540, 600), HoursSpan(660, 720)))


async def test_hours_come_back_in_order_as_they_were_set(world: World) -> None:
    answer = await world.owner(
        hours.set_working_hours,
        user_id=world.anna.user,
        weekly=[MONDAY_LATE, MONDAY],
        overrides=[CLOSED, SHORT],
    )
    wanted = WorkingHours((MONDAY, MONDAY_LATE), (SHORT, CLOSED))
    assert isinstance(answer, UserView)
    assert answer.hours == wanted
    stored = await world.owner(people.user, world.anna.user)
    assert stored is not None
    assert stored.hours == wanted
    assert [row.kind for row in await world.log()] == [ChangeKind.HOURS]
    assert await world.audited("hours.set") == [world.anna.user]


async def test_no_hours_at_all_are_hours_too(world: World) -> None:
    answer = await world.owner(hours.set_working_hours, user_id=world.anna.user, weekly=[], overrides=[])
    assert isinstance(answer, UserView)
    assert answer.hours == WorkingHours(())


async def test_hours_that_stand_already_are_no_change(world: World) -> None:
    await world.owner(
        hours.set_working_hours, user_id=world.anna.user, weekly=DEFAULT_HOURS.weekly, overrides=[]
    )
    assert await world.log() == []


async def test_what_is_wrong_is_named_and_nothing_is_stored(world: World) -> None:
    refused = await world.owner(
        hours.set_working_hours,
        user_id=world.anna.user,
        weekly=[MONDAY, WeeklyHours(1, 600, 540)],
        overrides=[],
    )
    assert isinstance(refused, InvalidInput)
    assert refused.field == "weekly.1.end"
    assert await world.log() == []


async def test_another_owners_hours_are_out_of_reach(world: World) -> None:
    refused = await world.run(
        owner_of(world.ben), hours.set_working_hours, user_id=world.anna.user, weekly=[], overrides=[]
    )
    assert isinstance(refused, NotFound)
