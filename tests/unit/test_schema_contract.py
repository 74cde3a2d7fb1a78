"""The printed schema is current, holds the whole public contract, and describes all that it has."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    is_specified_scalar_type,
    print_ast,
)

from schema.build import build

ROOT = Path(__file__).parents[2]
CONTRACT = build_schema((ROOT / "tests/contract.graphql").read_text())
PRINTED = build()[1]
OURS = build_schema(PRINTED)


def own_types(schema: GraphQLSchema) -> Iterator[GraphQLNamedType]:
    return (
        kind
        for name, kind in schema.type_map.items()
        if not name.startswith("__") and not is_specified_scalar_type(kind)
    )


def promises(schema: GraphQLSchema) -> set[str]:
    """Everything that a client may rely on, a line each."""
    return {line for kind in own_types(schema) for line in promises_of(kind)}


def promises_of(kind: GraphQLNamedType) -> Iterator[str]:
    yield f"{type(kind).__name__} {kind.name}"
    match kind:
        case GraphQLObjectType() | GraphQLInterfaceType():
            yield from (f"{kind.name} implements {it.name}" for it in kind.interfaces)
            for name, field in kind.fields.items():
                yield f"{kind.name}.{name}: {field.type}"
                yield from (
                    f"{kind.name}.{name}({argument}: {asked(given)})"
                    for argument, given in field.args.items()
                )
        case GraphQLInputObjectType():
            yield from (f"{kind.name}.{name}: {asked(given)}" for name, given in kind.fields.items())
        case GraphQLEnumType():
            yield from (f"{kind.name}.{value}" for value in kind.values)
        case GraphQLUnionType():
            yield from (f"{kind.name} = {member.name}" for member in kind.types)


def asked(given: GraphQLArgument | GraphQLInputField) -> str:
    literal = None if given.default is None else given.default.literal
    return f"{given.type}" if literal is None else f"{given.type} = {print_ast(literal)}"


def descriptions(kind: GraphQLNamedType) -> Iterator[tuple[str, str]]:
    """Of the type and of each of its parts, by what a reader sees above it."""
    yield kind.name, kind.description or ""
    match kind:
        case GraphQLObjectType() | GraphQLInterfaceType():
            for name, field in kind.fields.items():
                yield f"{kind.name} {name}", field.description or ""
                for argument, given in field.args.items():
                    yield f"{kind.name} {name} {argument}", given.description or ""
        case GraphQLInputObjectType():
            yield from ((f"{kind.name} {name}", it.description or "") for name, it in kind.fields.items())
        case GraphQLEnumType():
            yield from ((f"{kind.name} {name}", it.description or "") for name, it in kind.values.items())


_FILLERS = {"a", "an", "the", "of", "its", "it", "this", "that", "is", "are", "was", "to", "in", "one", "as"}
_FILLERS |= {"which", "what", "who", "whose"}


def words(text: str) -> set[str]:
    apart = re.sub(r"([a-z])([A-Z])", r"\1 \2", text).replace("'s", "")
    return {word.rstrip("s") for word in re.findall(r"[a-z]+", apart.lower()) if word not in _FILLERS}


def only_repeats(name: str, description: str) -> bool:
    return words(description) <= words(name)


def test_the_printed_schema_is_current() -> None:
    stored = (ROOT / "schema/schema.graphql").read_text()
    assert stored == PRINTED, "Run `python -m schema` to print it anew."


def test_nothing_of_the_contract_is_missing_or_different() -> None:
    assert not sorted(promises(CONTRACT) - promises(OURS))


def test_the_schema_holds_nothing_that_the_contract_does_not_know() -> None:
    assert not sorted(promises(OURS) - promises(CONTRACT))


def test_the_schema_itself_says_how_it_is_reached() -> None:
    assert OURS.description == build()[0].description
    assert "Authorization: Bearer KEY" in (OURS.description or "")


def test_everything_is_described_by_more_than_its_name() -> None:
    described = [each for kind in own_types(OURS) for each in descriptions(kind)]
    assert not [name for name, description in described if only_repeats(name, description)]


@pytest.mark.parametrize(
    ("name", "description", "repeats"),
    [
        ("Hold", "", True),
        ("Hold expiresAt", "When.", False),
        ("Hold token", "The hold's token.", True),
        ("RevokeKeyInput keyId", "Which one.", True),
        ("Hold token", "The key to this hold, to give when booking.", False),
    ],
)
def test_a_description_that_says_no_more_than_the_name_is_found(
    name: str, description: str, *, repeats: bool
) -> None:
    assert only_repeats(name, description) is repeats
