"""Compiled plans: hot queries, worked out once a document, and run without asking again what each field is.

A plan is made only where every field below the root is an attribute or a plain function of its object. What is
collected, coerced and serialised, and by what rule each root field is guarded, is graphql-core's and the schema's own;
a plan only remembers it. Anything else (arguments and loaders below the root, introspection, what fails half-way) is
graphql-core's to run, and what a plan sends is the same to the byte.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, TypeGuard

import orjson
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLUnionType,
    OperationDefinitionNode,
    is_leaf_type,
    located_error,
)
from graphql.execution.collect_fields import (
    FieldDetails,
    FragmentDetails,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues, get_argument_values, get_variable_values
from graphql.pyutils import Path
from graphql.type.definition import GraphQLResolveInfoHelpers
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

from resolvers.kept import Kept
from schema.availability import Availability
from schema.binding import BIND, Bind, definition_of
from schema.operation import Operation

_CONTEXT = GraphQLResolveInfo._fields.index("context")
_MOST_SHOWN = 8
# Bytes of text kept with an answer, by its weight: two instants and their user's id. What is longer is written anew.
_TEXT_OF_EACH = 160
MOST_BOUND = 16 * 1024 * 1024
"""Bytes, by what they weigh, of all that is bound to variables: a guest's key can send as many as it likes."""
_EACH_BOUND = 4096  # Of a run beside the texts in its variables, which stand in it as in its key.
_TIMES_ITS_VARIABLES = 3

Shape = Callable[[Any], Any]
"""From a resolved value to what orjson writes."""


class UnplannedError(Exception):
    """There is something in it that is graphql-core's to run."""


@dataclass(frozen=True, slots=True, eq=False)
class Root:
    """One field of the operation. `name` is its key in the answer, as JSON with the colon."""

    key: str
    name: bytes
    details: list[FieldDetails]
    field: GraphQLField
    bind: Bind
    info: GraphQLResolveInfo[Any]
    shape: Shape
    is_nullable: bool

    def info_of(self, operation: Operation) -> GraphQLResolveInfo[Any]:
        """As `_replace` gives it, at a fifth of its cost."""
        return tuple.__new__(
            GraphQLResolveInfo, (*self.info[:_CONTEXT], operation, *self.info[_CONTEXT + 1 :])
        )


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """A root with its arguments as one request's variables give them."""

    root: Root
    ask: Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Run:
    """What a plan does for one request's variables: in the answer's order what is asked, and what is ever the same."""

    parts: tuple[Bound | bytes, ...]
    asks_once: bool

    async def __call__(self, operation: Operation) -> tuple[bytes | None, tuple[GraphQLError, ...]]:
        """The answer's `data` and its errors. Raises UnplannedError where graphql-core is to say what is wrong."""
        operation.ctx.asks_once = self.asks_once
        parts: list[bytes] = []
        for it in self.parts:
            if isinstance(it, bytes):
                parts.append(it)
                continue
            try:
                answer = await it.ask(None, it.root.info_of(operation))
            except Exception as error:
                if not self.asks_once:
                    raise UnplannedError from error
                return self._failed(it, error, parts)
            parts.append(it.root.name + _shown(it.root, answer))
        return b"{" + b",".join(parts) + b"}", ()

    def _failed(
        self, bound: Bound, error: Exception, before: list[bytes]
    ) -> tuple[bytes | None, tuple[GraphQLError, ...]]:
        root = bound.root
        found = located_error(error, [detail.node for detail in root.details], [root.key])
        if not root.is_nullable:
            return None, (found,)
        after = self.parts[self.parts.index(bound) + 1 :]
        parts = [*before, root.name + b"null", *(it for it in after if isinstance(it, bytes))]
        return b"{" + b",".join(parts) + b"}", (found,)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """`roots` in the answer's order; bytes are what is the same in every answer."""

    roots: tuple[Root | bytes, ...]
    _runs: Kept[Run]

    def run(self, variables: bytes, values: Callable[[], VariableValues]) -> Run:
        """For these variables. Raises UnplannedError where graphql-core is to say what is wrong with them."""
        known = self._runs.find((self, variables))
        if known is None:
            coerced = values()
            parts = tuple(it if isinstance(it, bytes) else _bind(it, coerced) for it in self.roots)
            known = Run(parts, asks_once=sum(isinstance(it, Bound) for it in parts) == 1)
            weight = _TIMES_ITS_VARIABLES * len(variables) + _EACH_BOUND
            self._runs.keep((self, variables), known, weight=weight)
        return known


def plan(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    values: VariableValues,
    runs: Kept[Run],
) -> Plan:
    """For these values of what its directives ask for. Raises UnplannedError."""
    if operation.directives or schema.query_type is None:
        raise UnplannedError
    compiler = _Compiler(schema, document, operation, values)
    return Plan(tuple(compiler.roots(schema.query_type)), runs)


def coerced(
    schema: GraphQLSchema, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> VariableValues:
    """Raises UnplannedError where they are wrong."""
    found = get_variable_values(schema, operation.variable_definitions or (), dict(variables))
    if not isinstance(found, VariableValues):
        raise UnplannedError
    return found


def _shown(root: Root, answer: object) -> bytes:
    """What was answered before, from the same state, is not written anew."""
    if not isinstance(answer, Availability):
        return _written(root, answer)
    shown = answer.view.shown
    text = shown.get(root)
    if text is None:
        text = _written(root, answer)
        room = _TEXT_OF_EACH * answer.view.weight - len(text)
        if room >= 0:
            if len(shown) >= _MOST_SHOWN or sum(map(len, shown.values())) > room:
                shown.clear()
            shown[root] = text
    return text


def _written(root: Root, answer: object) -> bytes:
    try:
        return orjson.dumps(root.shape(answer))
    except Exception as error:
        raise UnplannedError from error


def _bind(root: Root, values: VariableValues) -> Bound:
    try:
        given = get_argument_values(root.field, root.details[0].node, values)
        return Bound(root, root.bind(given, root.info))
    except Exception as error:
        raise UnplannedError from error


def _is_awaitable(value: object) -> TypeGuard[Awaitable[Any]]:
    return isawaitable(value)


async def _no_gathering(_: object) -> list[Any]:
    raise UnplannedError


_NO_HELPERS = GraphQLResolveInfoHelpers(gather=_no_gathering, track=lambda _: None)


class _Compiler:
    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        values: VariableValues,
    ) -> None:
        self._schema = schema
        self._operation = operation
        self._values = values
        self._definitions = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._fragments = {name: FragmentDetails(node) for name, node in self._definitions.items()}

    def roots(self, query: GraphQLObjectType) -> list[Root | bytes]:
        collected = collect_fields(self._schema, self._fragments, self._values, query, self._operation)
        return [self._root(query, key, details) for key, details in collected.grouped_field_set.items()]

    def _root(self, query: GraphQLObjectType, key: str, details: list[FieldDetails]) -> Root | bytes:
        name = orjson.dumps(key) + b":"
        field_name = details[0].node.name.value
        if field_name == "__typename":
            return name + orjson.dumps(query.name)
        found = query.fields.get(field_name)
        if found is None or BIND not in found.extensions:
            raise UnplannedError
        return Root(
            key=key,
            name=name,
            details=details,
            field=found,
            bind=found.extensions[BIND],
            info=GraphQLResolveInfo(
                field_name=field_name,
                field_nodes=[detail.node for detail in details],
                return_type=found.type,
                parent_type=query,
                path=Path(None, key, query.name),
                schema=self._schema,
                fragments=self._definitions,
                root_value=None,
                operation=self._operation,
                variable_values=self._values,
                context=None,
                is_awaitable=_is_awaitable,
                abort_signal=None,
                async_helpers=_NO_HELPERS,
            ),
            shape=self._shape(found.type, details),
            is_nullable=not isinstance(found.type, GraphQLNonNull),
        )

    def _shape(self, kind: object, details: list[FieldDetails]) -> Shape:
        if isinstance(kind, GraphQLNonNull):
            return _never_null(self._whole(kind.of_type, details))
        return _or_null(self._whole(kind, details))

    def _whole(self, kind: object, details: list[FieldDetails]) -> Shape:
        match kind:
            case GraphQLList():
                return _each(self._shape(kind.of_type, details))
            case GraphQLObjectType():
                return self._object(kind, details)
            case GraphQLUnionType() | GraphQLInterfaceType():
                return self._one_of(kind, details)
        if is_leaf_type(kind):
            return kind.coerce_output_value
        raise UnplannedError

    def _object(self, kind: GraphQLObjectType, details: list[FieldDetails]) -> Shape:
        collected = collect_subfields(
            self._schema, self._fragments, self._values, self._operation, kind, details
        )
        fields = [(key, *self._field(kind, found)) for key, found in collected.grouped_field_set.items()]
        return _fields(fields)

    def _field(self, kind: GraphQLObjectType, details: list[FieldDetails]) -> tuple[Shape, Shape]:
        name = details[0].node.name.value
        if name == "__typename":
            return _always(kind.name), _as_it_is
        found = kind.fields.get(name)
        if found is None or found.args:
            raise UnplannedError
        definition = definition_of(found)
        if definition is None or definition.extensions:
            raise UnplannedError
        return _getter(definition), self._shape(found.type, details)

    def _one_of(self, kind: GraphQLUnionType | GraphQLInterfaceType, details: list[FieldDetails]) -> Shape:
        shapes: dict[type, Shape] = {}
        for possible in self._schema.get_possible_types(kind):
            definition = possible.extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
            if definition.origin in shapes or definition.type_var_map:
                raise UnplannedError
            shapes[definition.origin] = self._object(possible, details)
        return lambda value: shapes[type(value)](value)


def _getter(definition: StrawberryField) -> Shape:
    resolver = definition.base_resolver
    if resolver is None:
        name = definition.python_name
        return lambda value: getattr(value, name)
    if resolver.is_async or resolver.info_parameter or not resolver.self_parameter or definition.arguments:
        raise UnplannedError
    plain = resolver.wrapped_func
    if not callable(plain):
        raise UnplannedError
    return plain


def _always(value: str) -> Shape:
    return lambda _: value


def _as_it_is(value: object) -> object:
    return value


def _never_null(shape: Shape) -> Shape:
    def shaped(value: Any) -> Any:
        if value is None:
            raise UnplannedError
        found = shape(value)
        if found is None:
            raise UnplannedError
        return found

    return shaped


def _or_null(shape: Shape) -> Shape:
    return lambda value: None if value is None else shape(value)


def _each(shape: Shape) -> Shape:
    return lambda values: [shape(value) for value in values]


def _fields(fields: list[tuple[str, Shape, Shape]]) -> Shape:
    return lambda value: {key: shape(get(value)) for key, get, shape in fields}
