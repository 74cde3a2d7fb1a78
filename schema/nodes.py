"""What has an id, and how a page of such things is cut."""

from collections.abc import Callable
from typing import Annotated, Generic, Self, TypeVar

import strawberry

from resolvers.views import Page

N = TypeVar("N")
V = TypeVar("V")

First = Annotated[int | None, strawberry.argument(description="How many at most, 1 to 200.")]
After = Annotated[
    str | None, strawberry.argument(description="The cursor of the edge that the page begins after.")
]


@strawberry.interface(description="Whatever can be found again by its id.")
class Node:
    id: strawberry.ID = strawberry.field(description="Opaque, never reused, and of one kind of thing only.")


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether more comes after this page.")
    has_previous_page: bool = strawberry.field(description="Whether something comes before this page.")
    start_cursor: str | None = strawberry.field(description="The first edge's cursor; null on an empty page.")
    end_cursor: str | None = strawberry.field(
        description="The last edge's cursor, to give as `after`; null on an empty page."
    )


@strawberry.type(description="One thing in its place in a list.")
class Edge(Generic[N]):
    cursor: str = strawberry.field(description="Stands for this place in the list.")
    node: N = strawberry.field(description="What stands at this place.")


@strawberry.type(description="One page of a list.")
class Connection(Generic[N]):
    edges: list[Edge[N]] = strawberry.field(
        description="What is on this page, in the order that the list's own description gives."
    )
    page_info: PageInfo = strawberry.field(description="Where this page stands in the list.")

    @classmethod
    def of(cls, page: Page[V], make: Callable[[V], N]) -> Self:
        return cls(
            edges=[
                Edge(cursor=cursor, node=make(item))
                for cursor, item in zip(page.cursors, page.items, strict=True)
            ],
            page_info=PageInfo(
                has_next_page=page.has_next,
                has_previous_page=page.has_previous,
                start_cursor=page.cursors[0] if page.cursors else None,
                end_cursor=page.cursors[-1] if page.cursors else None,
            ),
        )
