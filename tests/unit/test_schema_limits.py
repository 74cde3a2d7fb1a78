"""How much a document may ask for: each fragment is weighed once, whatever spreads it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from graphql import GraphQLError, OperationDefinitionNode, get_introspection_query, parse

from schema import limits
from schema.build import build
from schema.limits import Weight, paged_by, refusal, weigh
from tests.work import at_most

SCHEMA = build()[0]
RANGE = 'from: "2026-11-20T00:00:00Z", to: "2026-11-21T00:00:00Z"'


def weight_of(text: str, **variables: object) -> Weight:
    document = parse(text)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    return weigh(SCHEMA, document, operation, variables)


def test_depth_aliases_and_directives_are_counted() -> None:
    weight = weight_of("query @a { viewer { who: user @include(if: true) { ... @skip(if: false) { id } } } }")
    assert (weight.depth, weight.aliases, weight.directives) == (3, 1, 3)


def test_a_page_counts_as_many_times_as_it_may_hold() -> None:
    one = weight_of("{ users(first: 1) { edges { node { id name } } } }").cost
    many = weight_of("{ users(first: 100) { edges { node { id name } } } }").cost
    assert many - one == 99 * (one - 1)


def test_a_variable_counts_with_its_value() -> None:
    text = "query($n: Int) { users(first: $n) { edges { node { id } } } }"
    assert paged_by(parse(text)) == ("n",)
    assert weight_of(text, n=200).cost > 10 * weight_of(text, n=5).cost
    assert weight_of(text).cost == weight_of(text, n=-1).cost == weight_of(text, n="x").cost


def test_without_a_number_the_fields_own_default_counts_and_before_it_the_variables() -> None:
    fifty = weight_of("{ users(first: 50) { edges { node { id } } } }").cost
    assert weight_of("{ users { edges { node { id } } } }").cost == fifty
    assert weight_of("{ users(first: null) { edges { node { id } } } }").cost == fifty
    text = "query($n: Int = 200) { users(first: $n) { edges { node { id } } } }"
    assert weight_of(text).cost == weight_of(text, n=200).cost > 3 * fifty


def test_pages_within_pages_multiply_and_are_refused() -> None:
    page = f"events({RANGE}, first: 200)"
    nested = (
        f"{{ users(first: 200) {{ edges {{ node {{ {page} {{ edges {{ node {{ id title }} }} }} }} }} }} }}"
    )
    found = refusal(weight_of(nested))
    assert found is not None
    assert "50,000 fields" in found.message


def test_what_a_dashboard_asks_for_passes() -> None:
    text = f"""{{ viewer {{ user {{ id name cursor linkedCalendar {{ id name }} conflictCalendars {{ id name color }}
        events({RANGE}, first: 200) {{ edges {{ node {{ id title start end calendar {{ id name }} }} }} }}
        blockedSlots({RANGE}, first: 200) {{ edges {{ node {{ id title start end event {{ id }} }} }} }}
        appointments({RANGE}, first: 200) {{ edges {{ node {{ id title guest {{ name email }}
            iCloud {{ state calendar {{ name }} }} conflicts {{ id }} }} }} }} }} }} }}"""
    assert refusal(weight_of(text)) is None


def test_graphiqls_introspection_passes() -> None:
    weight = weight_of(get_introspection_query(input_value_deprecation=True))
    assert refusal(weight) is None
    assert weight.asks_schema
    assert not weight_of("{ viewer { __typename } }").asks_schema


@pytest.mark.parametrize("leaf", ["viewer { role }", "a: viewer { role }"])
def test_fragments_doubled_24_levels_deep_are_each_walked_once(leaf: str) -> None:
    text = "{ ...F0 } " + " ".join(
        f"fragment F{level} on Query {{ ...F{level + 1} ...F{level + 1} }}" for level in range(24)
    )
    with at_most(lines=90_000):  # Of which 30,000 are run; each fragment walked twice makes it many millions.
        weight = weight_of(f"{text} fragment F24 on Query {{ {leaf} }}")
    assert refusal(weight) is not None
    assert weight.cost >= 2**24


def test_fragments_in_a_circle_are_refused() -> None:
    with pytest.raises(GraphQLError, match="spreads itself"):
        weight_of("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }")


def test_nesting_beyond_all_reason_is_refused_without_recursion() -> None:
    with pytest.raises(GraphQLError, match="too much"):
        weight_of("{ a" + " { a" * 190 + " }" * 190 + " }")
    with pytest.raises(GraphQLError, match="too much"):
        weight_of("{ ...F0 } " + " ".join(f"fragment F{n} on Query {{ ...F{n + 1} }}" for n in range(100)))


def test_each_limit_refuses_what_is_one_over_and_passes_what_is_at_it() -> None:
    most = Weight(limits.DEPTH, limits.ALIASES, limits.DIRECTIVES, limits.REPEATS, limits.COST)
    assert refusal(most) is None
    for over in (
        replace(most, depth=most.depth + 1),
        replace(most, aliases=most.aliases + 1),
        replace(most, directives=most.directives + 1),
        replace(most, repeats=most.repeats + 1),
        replace(most, cost=most.cost + 1),
    ):
        found = refusal(over)
        assert found is not None
        assert found.extensions == {"code": "TOO_COMPLEX"}
