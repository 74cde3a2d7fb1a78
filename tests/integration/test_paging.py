"""Pages: every item once, whatever is refused named by its field."""

from __future__ import annotations

import base64
import json

import pytest

from domain.interval import Span
from resolvers import keys, people
from resolvers.outcomes import InvalidInput
from resolvers.paging import Keys, page_of, read_page, read_range, write_cursor
from resolvers.views import Page, UserView
from tests.integration.world import World

NAMES = ["Ärger", "Zoë", "anna b", "anna-b", "annab", "Émile", "\U0001f600", "Anna"]


async def all_pages(world: World, first: int) -> list[UserView]:
    found: list[UserView] = []
    after: str | None = None
    while True:
        page = await world.admin(people.users, first, after)
        assert isinstance(page, Page)
        assert page.has_previous is (after is not None)
        found += page.items
        if not page.has_next:
            return found
        after = page.cursors[-1]


@pytest.mark.parametrize("first", [1, 3, 10, 200])
async def test_pages_hold_every_item_once_in_order_of_code_points_on_both_databases(
    world: World, first: int
) -> None:
    for name in NAMES:
        await world.add_user(world.subaccount, name)
    found = [view.name for view in await all_pages(world, first)]
    assert found == sorted([*NAMES, "Anna", "Ben"])


async def test_a_page_goes_on_where_its_cursor_stood_though_the_item_is_gone(world: World) -> None:
    page = await world.admin(people.users, 1, None)
    assert isinstance(page, Page)
    await world.admin(people.remove_user, user_id=page.items[0].ref.user)
    rest = await world.admin(people.users, 10, page.cursors[0])
    assert isinstance(rest, Page)
    assert [view.name for view in rest.items] == ["Ben"]


@pytest.mark.parametrize("first", [None, 0, -1, 201])
async def test_more_than_200_or_none_at_all_is_refused(world: World, first: int | None) -> None:
    refused = await world.admin(people.users, first, None)
    assert isinstance(refused, InvalidInput)
    assert refused.field == "first"


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "%",
        "ü",
        "\ud800",
        "bm8",
        encoded(["keys", "a", "b"]),
        encoded(["users", "a"]),
        encoded(["users", "a", 1]),
        encoded(["users", "a\0", "b"]),
        encoded(["users", "\ud800", "b"]),
        encoded({"users": 1}),
        encoded(["users", "a" * 9000, "b"]),
        "W" * 3000,
    ],
)
async def test_what_is_no_cursor_of_this_list_is_refused(world: World, cursor: str) -> None:
    refused = await world.admin(people.users, 1, cursor)
    assert isinstance(refused, InvalidInput)
    assert refused.field == "after"


async def test_a_cursor_of_one_list_is_refused_by_another(world: World) -> None:
    page = await world.admin(people.users, 1, None)
    assert isinstance(page, Page)
    assert isinstance(await world.admin(keys.keys, 1, page.cursors[0]), InvalidInput)


@pytest.mark.parametrize("key", [True, 1 << 80, 1.5, None])
def test_numbers_that_no_column_holds_are_no_keys(key: object) -> None:
    start: Keys = (0, "")
    assert isinstance(read_page("events", 1, encoded(["events", key, "x"]), start=start), InvalidInput)


def test_a_cursor_comes_back_as_the_keys_it_was_made_of() -> None:
    asked = read_page("events", 1, write_cursor("events", (-5, "évt")), start=(0, ""))
    assert not isinstance(asked, InvalidInput)
    assert asked.after == (-5, "évt")


def test_the_row_past_a_page_tells_only_that_there_is_more() -> None:
    asked = read_page("events", 2, None, start=(0, ""))
    assert not isinstance(asked, InvalidInput)
    page = page_of(asked, [1, 2, 3], keys=lambda row: (row, ""), view=str)
    assert (page.items, page.has_next, page.has_previous) == (("1", "2"), True, False)
    assert not page_of(asked, [1, 2], keys=lambda row: (row, ""), view=str).has_next


@pytest.mark.parametrize(("from_", "to"), [(10, 10), (10, 9), (0, 400 * 86_400 + 1)])
def test_a_reversed_or_year_long_range_is_refused(from_: int, to: int) -> None:
    refused = read_range(from_, to)
    assert isinstance(refused, InvalidInput)
    assert refused.field == "to"


def test_400_days_are_allowed() -> None:
    assert read_range(0, 400 * 86_400) == Span(0, 400 * 86_400)
