"""Appointment types and their booking pages."""

from __future__ import annotations

from typing import Any

import pytest

from domain.changes import ChangeKind
from resolvers import types
from resolvers.outcomes import InvalidInput, NotFound, SlugTaken
from resolvers.views import AppointmentTypeView, BookingPageView
from tests.integration.pages import DAY, MIDNIGHT, SLUG, key_of, page
from tests.integration.world import NOW, World, admin_of, owner_of


async def test_a_type_without_a_step_starts_where_the_one_before_ends(world: World) -> None:
    made = await page(world, duration_minutes=45)
    assert made.step_minutes == 45


async def test_types_come_by_name_archived_ones_too(world: World) -> None:
    zebra = await page(world, "zebra")
    await world.admin(types.update_type, type_id=zebra.id, name="A zebra")
    old = await page(world, "old")
    await world.admin(types.archive_type, type_id=old.id)
    found = await world.admin(types.types_by_user, [world.anna, world.ben])
    assert {user: [(each.slug, each.is_archived) for each in views] for user, views in found.items()} == {
        world.anna: [("zebra", False), ("old", True)]
    }
    assert await world.run(owner_of(world.ben), types.types_by_user, [world.anna]) == {}


async def test_a_slug_is_taken_once_a_subaccount_though_archived(world: World) -> None:
    made = await page(world)
    await world.admin(types.archive_type, type_id=made.id)
    again = await world.admin(
        types.create_type, user_id=world.ben.user, name="Other", slug=SLUG, duration_minutes=15
    )
    assert isinstance(again, SlugTaken)
    admin, otto = await world.other_subaccount()
    theirs = await world.run(
        admin, types.create_type, user_id=otto.user, name="Other", slug=SLUG, duration_minutes=15
    )
    assert isinstance(theirs, AppointmentTypeView)


async def test_renaming_a_slug_onto_another_is_refused_and_changes_nothing(world: World) -> None:
    first, second = await page(world, "first"), await page(world, "second")
    position = await world.position()
    assert isinstance(await world.admin(types.update_type, type_id=second.id, slug="first"), SlugTaken)
    assert (await world.admin(types.type_by_id, second.id)) == second
    assert (await world.admin(types.type_by_id, first.id)) == first
    assert await world.position() == position


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": " "}, "name"),
        ({"slug": "No Spaces"}, "slug"),
        ({"duration_minutes": 0}, "durationMinutes"),
        ({"step_minutes": 1441}, "stepMinutes"),
        ({"buffer_before_minutes": -1}, "bufferBeforeMinutes"),
        ({"minimum_notice_minutes": 525_601}, "minimumNoticeMinutes"),
        ({"horizon_days": 0}, "horizonDays"),
        ({"maximum_per_day": 0}, "maximumPerDay"),
    ],
)
async def test_a_number_or_a_text_out_of_range_is_named(
    world: World, given: dict[str, Any], field: str
) -> None:
    asked = {"user_id": world.anna.user, "name": "Call", "slug": "call", "duration_minutes": 30, **given}
    refused = await world.admin(types.create_type, **asked)
    assert isinstance(refused, InvalidInput)
    assert refused.field == field


async def test_an_absent_field_stays_and_null_clears_the_maximum_alone(world: World) -> None:
    made = await page(world, maximum_per_day=3, buffer_after_minutes=10)
    changed = await world.owner(types.update_type, type_id=made.id, maximum_per_day=None)
    assert isinstance(changed, AppointmentTypeView)
    assert changed.maximum_per_day is None
    assert changed.buffer_after_minutes == 10
    refused = await world.owner(types.update_type, type_id=made.id, step_minutes=None)
    assert isinstance(refused, InvalidInput)
    assert refused.field == "stepMinutes"


async def test_each_change_is_logged_and_audited_and_no_change_is_neither(world: World) -> None:
    made = await page(world)
    await world.admin(types.update_type, type_id=made.id, name="Intro call")
    await world.admin(types.archive_type, type_id=made.id)
    await world.admin(types.archive_type, type_id=made.id)
    rows = [row.kind for row in await world.log()]
    assert rows == [ChangeKind.TYPES, ChangeKind.TYPES]
    assert await world.audited("appointmentType.archived") == [made.id]


async def test_another_users_type_is_out_of_an_owners_reach(world: World) -> None:
    bens = await page(world, user=world.ben)
    assert isinstance(await world.owner(types.update_type, type_id=bens.id, name="Mine"), NotFound)
    assert isinstance(await world.owner(types.archive_type, type_id=bens.id), NotFound)
    assert await world.owner(types.type_by_id, bens.id) is None
    refused = await world.owner(
        types.create_type, user_id=world.ben.user, name="Call", slug="call", duration_minutes=30
    )
    assert isinstance(refused, NotFound)


async def test_a_page_shows_a_guest_how_far_it_can_book(world: World) -> None:
    await page(world, minimum_notice_minutes=90, horizon_days=7)
    found = await world.run(key_of(world), types.page, SLUG)
    assert isinstance(found, BookingPageView)
    assert found.host_name == "Anna"
    assert found.bookable_from == NOW + 90 * 60
    # The last second of the seventh day from today, in Paris, an hour ahead of UTC.
    assert found.bookable_until == MIDNIGHT + 8 * DAY - 3600 - 1


async def test_there_is_no_page_that_is_archived_unknown_or_another_subaccounts(world: World) -> None:
    made = await page(world)
    admin, _ = await world.other_subaccount()
    assert await world.run(admin, types.page, SLUG) is None
    assert await world.run(owner_of(world.ben), types.page, SLUG) is not None
    assert await world.run(admin_of(world.subaccount), types.page, "no\0pe") is None
    await world.admin(types.archive_type, type_id=made.id)
    assert await world.run(key_of(world), types.page, SLUG) is None
