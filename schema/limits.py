"""How much one document may ask for: counted before anything is validated or run, each fragment once.

Limits that follow every spread anew double their own work with each level of nested fragments: under a kilobyte of
text keeps them busy for good. Here a fragment's weight is counted once and added where it is spread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
)

from schema.errors import Code, error

TOKENS = 1_000
DEPTH = 10
ALIASES = 15
DIRECTIVES = 50
REPEATS = 25
"""Of one name in one selection: validation compares each with each, and all that stands below them."""
COST = 50_000
"""Fields in the answer, at most: about half a second of work."""

_MOST_IN_A_PAGE = 200
_IN_A_LIST = 10  # Where no one can say how many: calendars, reasons, types.
_IN_A_LONG_LIST = 100
_LONG_LISTS = frozenset({"closedSpans", "windows", "slots", "opened", "closed"})
_DEEPEST = 60  # Levels that are counted at all: the rest of the stack is Python's.
_SCHEMA_FIELDS = frozenset({"__schema", "__type"})


@dataclass(frozen=True, slots=True)
class Weight:
    """`cost` counts fields of the answer; `depth` leaves out what lies under `__schema`, where nothing is stored."""

    depth: int = 0
    aliases: int = 0
    directives: int = 0
    repeats: int = 0
    cost: int = 0
    asks_schema: bool = False

    def beside(self, other: Weight) -> Weight:
        return Weight(
            max(self.depth, other.depth),
            self.aliases + other.aliases,
            self.directives + other.directives,
            max(self.repeats, other.repeats),
            self.cost + other.cost,
            self.asks_schema or other.asks_schema,
        )

    def under(self, *, times: int, is_aliased: bool, directives: int) -> Weight:
        """As the selection of one field that the answer holds `times`."""
        return replace(
            self,
            depth=self.depth + 1,
            aliases=self.aliases + is_aliased,
            directives=self.directives + directives,
            cost=1 + times * self.cost,
        )


def paged_by(document: DocumentNode) -> tuple[str, ...]:
    """The variables that say how much is asked for: with their values the weight of a document is known."""
    return tuple(sorted(set(_sizes(document))))


def _sizes(document: DocumentNode) -> Iterator[str]:
    # Without recursion: a document is as deep as its sender likes.
    open_sets = [node.selection_set for node in document.definitions if hasattr(node, "selection_set")]
    while open_sets:
        for node in open_sets.pop().selections:
            if isinstance(node, FieldNode):
                yield from (
                    argument.value.name.value
                    for argument in node.arguments or ()
                    if argument.name.value == "first" and isinstance(argument.value, VariableNode)
                )
            if isinstance(node, FieldNode | InlineFragmentNode) and node.selection_set is not None:
                open_sets.append(node.selection_set)


def weigh(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, object],
) -> Weight:
    """Raises GraphQLError where fragments go in a circle."""
    return _Scales(schema, document, operation, variables).weigh()


def refusal(weight: Weight) -> GraphQLError | None:
    asked = (
        ("levels deep", weight.depth, DEPTH),
        ("aliases", weight.aliases, ALIASES),
        ("directives", weight.directives, DIRECTIVES),
        ("fields of one name in one selection", weight.repeats, REPEATS),
        ("fields in the answer", weight.cost, COST),
    )
    for what, found, allowed in asked:
        if found > allowed:
            return _too_complex(what, allowed)
    return None


def _too_complex(what: str, allowed: int) -> GraphQLError:
    return error(
        Code.TOO_COMPLEX,
        f"This asks for too much at once (over {allowed:,} {what}): ask for less, or in several requests.",
    )


class _Scales:
    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: Mapping[str, object],
    ) -> None:
        self._schema = schema
        self._operation = operation
        self._variables = variables
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._defaults = {
            each.variable.name.value: int(each.default_value.value)
            for each in operation.variable_definitions or ()
            if isinstance(each.default_value, IntValueNode) and len(each.default_value.value) < 10
        }
        self._weights: dict[str, Weight | None] = {}  # None while it is being counted.
        self._level = 0

    def weigh(self) -> Weight:
        root = self._schema.get_root_type(self._operation.operation)
        weight = self._set(self._operation.selection_set, root)
        return replace(weight, directives=weight.directives + len(self._operation.directives or ()))

    def _set(
        self,
        selections: SelectionSetNode,
        parent: GraphQLNamedType | None,
        within: Counter[str] | None = None,
    ) -> Weight:
        """`within` counts the names of the selection that an inline fragment is a part of."""
        if self._level == _DEEPEST:
            raise _too_complex("levels deep", _DEEPEST)
        self._level += 1
        names: Counter[str] = Counter() if within is None else within
        total = Weight()
        for node in selections.selections:
            match node:
                case FieldNode():
                    names[(node.alias or node.name).value] += 1
                    total = total.beside(self._field(node, parent))
                case InlineFragmentNode():
                    condition = node.type_condition
                    kind = parent if condition is None else self._schema.get_type(condition.name.value)
                    weight = self._set(node.selection_set, kind, names)
                    total = total.beside(
                        replace(weight, directives=weight.directives + len(node.directives or ()))
                    )
                case FragmentSpreadNode():
                    weight = self._fragment(node.name.value)
                    total = total.beside(
                        replace(weight, directives=weight.directives + len(node.directives or ()))
                    )
        self._level -= 1
        return replace(total, repeats=max(total.repeats, *names.values(), 0))

    def _fragment(self, name: str) -> Weight:
        fragment = self._fragments.get(name)
        if fragment is None:
            return Weight()  # Validation names it.
        if name not in self._weights:
            self._weights[name] = None
            kind = self._schema.get_type(fragment.type_condition.name.value)
            self._weights[name] = self._set(fragment.selection_set, kind)
        weight = self._weights[name]
        if weight is None:
            raise error(Code.BAD_REQUEST, f"Fragment {name} spreads itself.")
        return weight

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None) -> Weight:
        name = node.name.value
        is_aliased, directives = node.alias is not None, len(node.directives or ())
        if name in _SCHEMA_FIELDS:
            within = self._set(node.selection_set, None) if node.selection_set else Weight()
            return replace(
                within.under(times=1, is_aliased=is_aliased, directives=directives), depth=1, asks_schema=True
            )
        field = _field_of(parent, name)
        if node.selection_set is None:
            return Weight().under(times=1, is_aliased=is_aliased, directives=directives)
        within = self._set(node.selection_set, None if field is None else get_named_type(field.type))
        return within.under(
            times=1 if field is None else self._times(node, field),
            is_aliased=is_aliased,
            directives=directives,
        )

    def _times(self, node: FieldNode, field: GraphQLField) -> int:
        if "first" in field.args:
            given = next((it.value for it in node.arguments or () if it.name.value == "first"), None)
            return self._size(given, default=field.args["first"].default_value)
        if not is_list_type(get_nullable_type(field.type)):
            return 1
        # The edges of a page are as many as the page was asked to hold: counted there.
        if node.name.value == "edges":
            return 1
        return _IN_A_LONG_LIST if node.name.value in _LONG_LISTS else _IN_A_LIST

    def _size(self, given: ValueNode | None, *, default: object) -> int:
        match given:
            case IntValueNode():
                size: object = int(given.value) if len(given.value) < 10 else None
            case VariableNode():
                size = self._variables.get(given.name.value, self._defaults.get(given.name.value))
            case _:
                size = None
        # Without a number the field has its own; what is out of range it refuses.
        for number in (size, default):
            if isinstance(number, int) and 1 <= number <= _MOST_IN_A_PAGE:
                return number
        return _MOST_IN_A_PAGE


def _field_of(parent: GraphQLNamedType | None, name: str) -> GraphQLField | None:
    if isinstance(parent, GraphQLObjectType | GraphQLInterfaceType):
        field: GraphQLField | None = parent.fields.get(name)
        return field
    return None
