"""A root field's arguments, converted once and asked with many times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import strawberry
from graphql import GraphQLField, GraphQLResolveInfo
from strawberry.schema.schema_converter import GraphQLCoreConverter, get_arguments
from strawberry.types.field import StrawberryField

Resolve = Callable[..., Any]
Bind = Callable[[Mapping[str, Any], GraphQLResolveInfo[Any]], Resolve]
"""From coerced arguments to a resolver that is given no more than its source and info."""

BIND = "slotwire-bind"
"""Where a root field of queries keeps its Bind: with the guard of its rule around it."""


def definition_of(field: GraphQLField) -> StrawberryField | None:
    found = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    return found if isinstance(found, StrawberryField) else None


def binding(
    field: GraphQLField, converter: GraphQLCoreConverter, guard: Callable[[Resolve], Resolve]
) -> Bind:
    definition = definition_of(field)
    assert definition is not None
    resolver = definition.base_resolver
    assert resolver is not None

    def bind(coerced: Mapping[str, Any], info: GraphQLResolveInfo[Any]) -> Resolve:
        args, kwargs = get_arguments(
            field=definition,
            source=None,
            info=strawberry.Info(_raw_info=info, _field=definition),
            kwargs=dict(coerced),
            config=converter.config,
            scalar_registry=converter.scalar_registry,
        )

        if "info" not in kwargs:
            return guard(lambda *_: resolver(*args, **kwargs))
        del kwargs["info"]

        def resolve(_: object, info: GraphQLResolveInfo[Any]) -> object:
            return resolver(*args, info=strawberry.Info(_raw_info=info, _field=definition), **kwargs)

        return guard(resolve)

    return bind
