"""What a client is told of its own mistakes: where and why, and nothing that it sent there."""

from __future__ import annotations

import pytest
from graphql import GraphQLError, GraphQLSchema, OperationDefinitionNode, parse, validate
from graphql.execution.values import get_variable_values

from schema.build import build
from server.faults import mended, of_validation

SENT = "abcd-efgh-ijkl-mnop"
SCHEMA: GraphQLSchema = build()[0]
OF_AN_INPUT = "Variable '$v' has invalid value: Expected value of type 'ConnectICloudInput' "
INSTANT = "DateTime is an RFC 3339 instant with its offset, such as 2026-11-20T09:30:00Z or 2026-11-20T10:30:00+01:00."


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        ("ConnectICloudInput!", SENT, f"{OF_AN_INPUT}to be an object."),
        (
            "ConnectICloudInput!",
            {"userId": "a", "appleId": "b", "appSpecificPassword": "c", "password": SENT},
            f"{OF_AN_INPUT}not to include unknown field 'password'.",
        ),
        (
            "ConnectICloudInput!",
            {"userId": "a", "appleId": "b", "appSpecificPassword": "c", SENT: ""},
            f"{OF_AN_INPUT}not to include unknown field.",
        ),
        (
            "ConnectICloudInput!",
            {"userId": "a", "appleId": "b", "appSpecificPassword": "c", SENT.replace("-", ""): ""},
            f"{OF_AN_INPUT}not to include unknown field.",
        ),
        (
            "ConnectICloudInput!",
            {"userId": "a", "appleId": "b", "appSpecificPassword": "c", f"a', found: '{SENT}'": ""},
            f"{OF_AN_INPUT}not to include unknown field 'a'.",
        ),
        (
            "ConnectICloudInput!",
            {"appleId": "b", "appSpecificPassword": SENT},
            f"{OF_AN_INPUT}to include required field 'userId'.",
        ),
        (
            "ConnectICloudInput!",
            {"userId": "a", "appleId": {"is": SENT}, "appSpecificPassword": "c"},
            "Variable '$v' has invalid value at .appleId: String cannot represent a non string value.",
        ),
        ("Int!", SENT, "Variable '$v' has invalid value: Int cannot represent non-integer value."),
        ("Boolean!", SENT, "Variable '$v' has invalid value: Boolean cannot represent a non boolean value."),
        ("DateTime!", SENT, f"Variable '$v' has invalid value: {INSTANT}"),
        (
            "AvailabilityMatch!",
            SENT,
            "Variable '$v' has invalid value: This value does not exist in 'AvailabilityMatch' enum.",
        ),
        (
            "[AvailabilityMatch!]!",
            [f"has invalid value: ' does not exist in '{SENT}"],
            "Variable '$v' has invalid value at [0]: This value does not exist in 'AvailabilityMatch' enum.",
        ),
        (
            "ID!",
            None,
            "Variable '$v' has invalid value: Expected value of non-null type 'ID!' not to be None.",
        ),
    ],
)
def test_a_variable_that_cant_be_taken(kind: str, value: object, told: str) -> None:
    operation = parse(f"query($v: {kind}) {{ __typename }}").definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    found = get_variable_values(SCHEMA, operation.variable_definitions or (), {"v": value})
    assert isinstance(found, list)
    assert [mended(problem).message for problem in found] == [told]


@pytest.mark.parametrize(
    ("selection", "told"),
    [
        (f'user(id: {{a: "{SENT}"}}) {{ id }}', ["ID cannot represent a non-string and non-integer value."]),
        (f'node(id: "a", a: "{SENT}") {{ id }}', ["Unknown argument 'a' on field 'Query.node'."]),
        (
            f'user(id: "a") {{ blockedSlots(from: "{SENT}", to: "2026-11-20T09:30:00Z") {{ edges {{ cursor }} }} }}',
            [INSTANT],
        ),
        ("usr { id }", ["Cannot query field 'usr' on type 'Query'."]),
    ],
)
def test_a_document_that_asks_for_what_is_not_there(selection: str, told: list[str]) -> None:
    found = validate(SCHEMA, parse(f"{{ {selection} }}"), hide_suggestions=True)
    assert [of_validation(problem).message for problem in found] == told


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("query a b", "Syntax Error: Expected '{', found Name."),
        (f'{{ a(b: "{SENT}"', "Syntax Error: Expected Name, found <EOF>."),
        (f'{{ a b: "{SENT}" }}', "Syntax Error: Expected Name, found String."),
    ],
)
def test_a_document_that_is_none(document: str, told: str) -> None:
    with pytest.raises(GraphQLError) as found:
        parse(document)
    assert mended(found.value).message == told
