"""Documents by their hash: kept by subaccount, within a size; and requests as a query string has them."""

from __future__ import annotations

import hashlib
import json

import pytest

from server.persisted import Documents, is_its_hash
from server.request import Asked, read_parameters, read_request


def asked_for(text: str) -> Asked:
    return Asked(text, hashlib.sha256(text.encode()).hexdigest())


def by_hash(text: str) -> Asked:
    return Asked(None, asked_for(text).sha256)


def test_a_document_is_found_by_its_hash_once_it_was_kept() -> None:
    documents = Documents()
    assert documents.find(by_hash("{ a }"), subaccount="one") is None
    documents.keep(asked_for("{ a }"), subaccount="one")
    assert documents.find(by_hash("{ a }"), subaccount="one") == "{ a }"


def test_a_hash_tells_no_subaccount_what_another_asks() -> None:
    documents = Documents()
    documents.keep(asked_for("{ a }"), subaccount="one")
    assert documents.find(by_hash("{ a }"), subaccount="two") is None


def test_past_its_size_the_longest_unused_go() -> None:
    documents = Documents(most_bytes=10 * 4 * 1024)
    for number in range(100):
        documents.keep(asked_for(f"{number:04}" * 256), subaccount="one")
        assert documents.find(by_hash("0000" * 256), subaccount="one") is not None
        assert len(documents) <= 10
    assert documents.find(by_hash("0001" * 256), subaccount="one") is None
    assert documents.find(by_hash("0099" * 256), subaccount="one") is not None


def test_a_document_that_is_not_the_hashs_is_known_as_such() -> None:
    assert is_its_hash(asked_for("{ é }"))
    assert not is_its_hash(Asked("{ b }", asked_for("{ a }").sha256))


PERSISTED = {"persistedQuery": {"version": 1, "sha256Hash": "a" * 64}}


def test_a_query_string_says_the_same_as_a_body() -> None:
    body = {"operationName": "A", "variables": {"x": 1}, "extensions": PERSISTED}
    parameters = [("operationName", "A"), ("variables", '{"x":1}'), ("extensions", json.dumps(PERSISTED))]
    assert (
        read_parameters([*parameters, ("utm", "x"), ("utm", "y")])
        == read_request(body)
        == Asked(None, "a" * 64, "A", {"x": 1})
    )


@pytest.mark.parametrize(
    "parameters",
    [
        [],
        [("query", "")],
        [("query", "{a}"), ("query", "{b}")],
        [("query", "{a}"), ("variables", "{")],
        [("query", "{a}"), ("variables", "[]")],
        [("query", "{a}"), ("extensions", "1")],
        [("extensions", '{"persistedQuery": {"version": 2, "sha256Hash": "%s"}}' % ("a" * 64))],
        [("extensions", '{"persistedQuery": {"version": 1, "sha256Hash": "%s"}}' % ("A" * 64))],
        [("extensions", '{"persistedQuery": {"version": 1, "sha256Hash": 7}}')],
        [("extensions", '{"persistedQuery": "x"}')],
    ],
)
def test_an_odd_query_string_is_told_in_a_sentence(parameters: list[tuple[str, str]]) -> None:
    found = read_parameters(parameters)
    assert isinstance(found, str)
    assert found.endswith(".")
