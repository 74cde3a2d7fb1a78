"""The schema: the types put together, each root field behind its rule."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from inspect import isawaitable
from typing import Any

import strawberry
from graphql import GraphQLField, GraphQLObjectType, GraphQLResolveInfo, GraphQLSchema
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema_converter import GraphQLCoreConverter

from resolvers import outcomes
from resolvers.outcomes import Refusal
from schema import front, rules
from schema.binding import BIND, Resolve, binding
from schema.errors import refused
from schema.mutation import Mutation
from schema.operation import Operation
from schema.query import Query
from schema.refusals import told
from schema.scalars import SCALARS
from schema.subscription import TOLD, Subscription

FORBIDDEN = outcomes.Forbidden("This key's role may never do this: ask for another key.")


def build() -> tuple[GraphQLSchema, str]:
    """The executable schema and its printed form. Raises rules.UndeclaredError."""
    made = strawberry.Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        config=StrawberryConfig(scalar_map=SCALARS, disable_field_suggestions=True),
    )
    schema = made._schema  # noqa: SLF001  # graphql-core's own: what the executor takes.
    schema.description = front.DESCRIPTION
    rules.check(schema)
    _guard(schema, made.schema_converter)
    return schema, f"{front.PRINTED}\n{made.as_str()}\n"


def _guard(schema: GraphQLSchema, converter: GraphQLCoreConverter) -> None:
    for path, roles in rules.ROOT_FIELDS.items():
        root, _, name = path.partition(".")
        field = _field(schema, root, name)
        match root:
            case "Query":
                guard = partial(_asking, roles=roles, is_by_type=path in rules.BY_TYPE)
                field.extensions[BIND] = binding(field, converter, guard)
                field.resolve = guard(_resolver(field.resolve))
            case "Mutation":
                field.resolve = _doing(field, roles)
            case "Subscription":
                field.subscribe = _following(field, roles)
                field.resolve = _telling(TOLD[name])


def _field(schema: GraphQLSchema, root: str, name: str) -> GraphQLField:
    kind = schema.type_map[root]
    assert isinstance(kind, GraphQLObjectType)
    field: GraphQLField = kind.fields[name]
    return field


def _asking(resolve: Resolve, *, roles: rules.Roles, is_by_type: bool) -> Resolve:
    async def ask(source: object, info: GraphQLResolveInfo[Operation], **given: Any) -> object:
        operation = info.context
        role = operation.ctx.actor.role
        if role not in roles:
            raise refused(FORBIDDEN)
        answer = resolve(source, info, **given)
        if isawaitable(answer):
            answer = await answer
        if isinstance(answer, Refusal):
            return told(answer)
        operation.granted += 1
        if is_by_type and answer is not None and role not in rules.TYPES[type(answer).__name__]:
            return None
        return answer

    return ask


def _doing(field: GraphQLField, roles: rules.Roles) -> Resolve:
    resolve = _resolver(field.resolve)

    async def do(source: object, info: GraphQLResolveInfo[Operation], **given: Any) -> object:
        operation = info.context
        if operation.ctx.actor.role not in roles:
            return told(FORBIDDEN)
        await operation.renew()
        try:
            answer = await _settled(resolve(source, info, **given))
        finally:
            await operation.renew()
        return told(answer) if isinstance(answer, Refusal) else answer

    return do


def _following(field: GraphQLField, roles: rules.Roles) -> Resolve:
    """Its events' own generator, with nothing around it: a thousand sockets run it for each change."""
    subscribe = _resolver(field.subscribe)

    async def follow(
        source: object, info: GraphQLResolveInfo[Operation], **given: Any
    ) -> AsyncGenerator[object, None]:
        if info.context.ctx.actor.role not in roles:
            raise refused(FORBIDDEN)
        events: AsyncGenerator[object, None] = await _settled(subscribe(source, info, **given))
        return events

    return follow


def _telling(told: Callable[[Any], object]) -> Resolve:
    return lambda view, *_, **__: told(view)


def _resolver(resolve: Resolve | None) -> Resolve:
    assert resolve is not None, "Strawberry gives each root field its resolver."
    return resolve


async def _settled(value: Awaitable[Any] | Any) -> Any:
    return await value if isawaitable(value) else value
