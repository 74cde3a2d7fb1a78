"""Walks the schema: for every field a document that asks for it, and what came of it as one letter."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from graphql import (
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_required_argument,
)

Json = dict[str, Any]
Cell = Literal["!", "-", "0", "+"]

FORBIDDEN: Cell = "!"
NOT_THERE: Cell = "-"
EMPTY: Cell = "0"
SHOWN: Cell = "+"
MEANING = "+ shown   0 there, and null or an empty list   - not there: null or NotFound   ! FORBIDDEN"
_BY_REACH = "!-0+"

RANGE = 'from: "2026-10-26T00:00:00Z", to: "2026-11-20T00:00:00Z"'
ARGUMENTS = {"from": '"2026-10-26T00:00:00Z"', "to": '"2026-11-20T00:00:00Z"'}
"""Of fields below the roots: what they can't do without."""


@dataclass(frozen=True)
class Door:
    """A root field, and what to ask it for: `$user` and the like stand for the subject's.

    Where the call names no subject, the answer shows the subject's only if `marker` is in what `beside` asks for.
    """

    path: str
    call: str
    beside: str = ""
    marker: str = ""
    goes_on: bool = False
    """Whether the walk follows what is a node by itself, or leaves that to another door."""

    @property
    def root(self) -> str:
        return self.path.partition(".")[0]

    @property
    def field(self) -> str:
        return self.path.partition(".")[2]


@dataclass(frozen=True)
class Ask:
    """One document: through the door, along the steps, to every field of one type."""

    door: Door
    kind: str
    is_direct: bool
    document: str


def asks(schema: GraphQLSchema, door: Door) -> Iterator[Ask]:
    """One for each type that the door leads to, by the shortest way."""
    for kind, steps in _ways(schema, door).items():
        yield Ask(door, kind, not steps, _document(schema, door, kind, steps))


def ask_all_at_once(schema: GraphQLSchema, door: Door) -> Ask:
    """For what has an effect: every member of its result in one document, each no deeper than its own fields."""
    result = get_named_type(_field(schema, door).type)
    types: dict[str, str] = {}
    members = " ".join(
        f"... on {member.name} {{ {_selections(member, types, depth=1)} }}"
        for member in _objects(schema, result)
    )
    document = f"{door.root.lower()} {{ {door.call} {{ __typename {members} }} }}"
    return Ask(door, "", is_direct=True, document=document)


def cells(
    ask: Ask, shown: Json, schema: GraphQLSchema, names: Mapping[str, str]
) -> Iterator[tuple[str, Cell]]:
    """What the answer says of the root field, and of each field that it holds or does not get to."""
    root = outcome(ask.door, shown, names)
    yield ask.door.path, root
    if ask.kind:
        nothing = FORBIDDEN if root == FORBIDDEN else NOT_THERE
        yield from ((f"{ask.kind}.{field}", nothing) for field in _object(schema, ask.kind).fields)
    if root == SHOWN:
        whose = frozenset(names.values()) if ask.door.marker else None
        for kind, field, value in _held(schema, shown["data"][ask.door.field], whose):
            yield f"{kind}.{field}", EMPTY if value in (None, []) else SHOWN


def _held(
    schema: GraphQLSchema, value: object, whose: frozenset[str] | None
) -> Iterator[tuple[str, str, object]]:
    """Every field of every object; of what has an id only where it is one of `whose`, if that is given."""
    if isinstance(value, list):
        for item in value:
            yield from _held(schema, item, whose)
    elif (
        isinstance(value, dict)
        and "__typename" in value
        and (whose is None or value.get("id", "") in {"", *whose})
    ):
        kind = value["__typename"]
        for field in _object(schema, kind).fields:
            for name in {field, f"{kind}_{field}"} & value.keys():
                yield kind, field, value[name]
                yield from _held(schema, value[name], whose)


def outcome(door: Door, shown: Json, names: Mapping[str, str]) -> Cell:
    codes = {error["extensions"]["code"] for error in shown.get("errors", ())}
    if codes:
        assert codes <= {"FORBIDDEN", "NOT_FOUND"}, shown
        return FORBIDDEN if codes == {"FORBIDDEN"} else NOT_THERE
    found = shown["data"][door.field]
    if found is None or found["__typename"] == "NotFound":
        return NOT_THERE
    if found["__typename"] == "Forbidden":
        return FORBIDDEN
    return SHOWN if not door.marker or names[door.marker] in json.dumps(shown["data"]) else NOT_THERE


def furthest(seen: Iterable[Cell]) -> Cell:
    """Of all the ways to a field the one that leads furthest."""
    return max(seen, key=_BY_REACH.index)


def filled(text: str, names: Mapping[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda found: json.dumps(names[found[1]]), text)


def without(shown: Json, names: Mapping[str, str]) -> str:
    """The answer with the subject's names taken out: all that is left must not depend on whose they are."""
    text = json.dumps(shown, sort_keys=True)
    for name, value in sorted(names.items(), key=lambda it: -len(it[1])):  # A token holds its booking's id.
        text = text.replace(value, f"<{name}>")
    return text


def _ways(schema: GraphQLSchema, door: Door) -> dict[str, tuple[str, ...]]:
    ways: dict[str, tuple[str, ...]] = {}
    waiting: list[tuple[GraphQLNamedType, tuple[str, ...]]] = [
        (get_named_type(_field(schema, door).type), ())
    ]
    while waiting:
        kind, steps = waiting.pop(0)
        if is_abstract_type(kind):
            waiting += [(member, (*steps, f"... on {member.name}")) for member in _objects(schema, kind)]
        elif isinstance(kind, GraphQLObjectType) and kind.name not in ways:
            ways[kind.name] = steps
            if steps and not door.goes_on and _is_node(kind):
                continue
            waiting += [
                (get_named_type(field.type), (*steps, _call(name, field)))
                for name, field in kind.fields.items()
                if is_composite_type(get_named_type(field.type))
            ]
    return ways


def _document(schema: GraphQLSchema, door: Door, kind: str, steps: tuple[str, ...]) -> str:
    inner = _selections(_object(schema, kind), {})
    for step in reversed(steps):
        inner = f"__typename {step} {{ {inner} }}"
    return f"{door.root.lower()} {{ {door.call} {{ {inner} }} {door.beside} }}"


def _selections(kind: GraphQLObjectType, types: dict[str, str], *, depth: int = 0) -> str:
    """`types` holds those of the fields asked for beside it: members of one result can't disagree on a name."""
    chosen = ["__typename"]
    for name, field in kind.fields.items():
        named = get_named_type(field.type)
        is_other = types.setdefault(name, str(field.type)) != str(field.type)
        alias = f"{kind.name}_{name}: " if is_other else ""
        below = ""
        if isinstance(named, GraphQLObjectType) and depth and not _is_node(named):
            below = f" {{ {_selections(named, {}, depth=depth - 1)} }}"
        elif is_composite_type(named):
            below = " { __typename }"
        chosen.append(f"{alias}{_call(name, field)}{below}")
    return " ".join(chosen)


def _is_node(kind: GraphQLObjectType) -> bool:
    return any(it.name == "Node" for it in kind.interfaces)


def _call(name: str, field: GraphQLField) -> str:
    needed = [argument for argument, given in field.args.items() if is_required_argument(given)]
    given = ", ".join(f"{argument}: {ARGUMENTS[argument]}" for argument in needed)
    return f"{name}({given})" if given else name


def _field(schema: GraphQLSchema, door: Door) -> GraphQLField:
    field: GraphQLField = _object(schema, door.root).fields[door.field]
    return field


def _objects(schema: GraphQLSchema, kind: GraphQLNamedType) -> list[GraphQLObjectType]:
    if is_abstract_type(kind):
        return list(schema.get_possible_types(kind))
    assert isinstance(kind, GraphQLObjectType)
    return [kind]


def _object(schema: GraphQLSchema, name: str) -> GraphQLObjectType:
    kind = schema.type_map[name]
    assert isinstance(kind, GraphQLObjectType)
    return kind
