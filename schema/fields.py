"""Fields that a function answers: strawberry's decorators, with the types that they hide."""

from collections.abc import Callable
from typing import Any, TypeVar

import strawberry

F = TypeVar("F", bound=Callable[..., Any])


def shown(description: str, *, name: str | None = None, as_type: Any = None) -> Callable[[F], F]:
    """A field of a query. `as_type` where the function also answers with a refusal, which is told later."""
    return strawberry.field(description=description, name=name, graphql_type=as_type)  # type: ignore[no-any-return]


def done(description: str, as_type: Any, *, name: str | None = None) -> Callable[[F], F]:
    """A mutation."""
    return strawberry.mutation(description=description, name=name, graphql_type=as_type)  # type: ignore[no-any-return]


def followed(description: str, as_type: Any, *, name: str | None = None) -> Callable[[F], F]:
    """A subscription. Its function gives views; schema.subscription.TOLD makes them what `as_type` says."""
    return strawberry.subscription(description=description, name=name, graphql_type=as_type)  # type: ignore[no-any-return]
