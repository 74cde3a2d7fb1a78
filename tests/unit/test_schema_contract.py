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

from domain import hours, validate
from domain.changes import MOST_SLOTS_AT_ONCE
from resolvers import booking, keyring, origins, paging, question
from resolvers.settings import ResolverSettings
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


def test_the_limits_that_are_told_are_those_that_are_held() -> None:
    printed = " ".join(PRINTED.split())
    most = {field: limits[1] for field, limits in validate._NUMBERS.items()}
    settings, day = ResolverSettings(), 86_400
    for told in (
        f"`first` 1 to {paging.MOST_AT_ONCE}; from–to at most {question.MOST_DAYS} days",
        f"{paging.MOST_DAYS} for other lists; names and titles {validate.NAME_LENGTH} characters",
        f"notes and reasons {validate.NOTES_LENGTH:,}.",
        f"lengths and steps 1 to {most['durationMinutes']:,} minutes, buffers {most['bufferAfterMinutes']} at most",
        f"a notice {most['minimumNoticeMinutes']:,} at most, a horizon 1 to {most['horizonDays']} days",
        f"a day's maximum 1 to {most['maximumPerDay']}.",
        f"at most {question.MOST_USERS} users",
        f"at most {question.MOST_STARTS}.",
        f"may be, 1 second to {question._LONGEST_STALENESS // day} days.",
        f"at most {hours.MOST_WEEKLY_SPANS} spans.",
        f"At most {hours.MOST_WEEKLY_SPANS} spans. Empty: off all day.",
        f"at most {hours.MOST_OVERRIDES}, one a date",
        f"between them, at most {validate.SLUG_LENGTH};",
        f"At most {booking._LONGEST // day} days after start.",
        f"these origins, at most {origins.MOST_ORIGINS}.",
        f"other processes of the server after {keyring.TRUSTED_FOR:g} s",
        f"in any form; at most {validate.PHONE_LENGTH} characters",
        f"{validate.KEY_LENGTHS[0]} to {validate.KEY_LENGTHS[-1]} characters, made anew",
        f"over {MOST_SLOTS_AT_ONCE} slots changed at once",
        f"or after {settings.refresh_at_most:g} s.",
        f"for {settings.hold_for // 60} minutes (a setting)",
    ):
        assert told in printed, told
