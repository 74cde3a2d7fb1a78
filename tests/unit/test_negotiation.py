"""Which media type an Accept header means, and whether compressed answers are taken."""

from __future__ import annotations

import pytest

from server.negotiation import EVENT_STREAM, GRAPHQL_JSON, JSON, MULTIPART, accepted, takes_gzip

# As these clients' stock versions send them.
URQL = (
    "application/graphql-response+json, application/graphql+json, application/json,"
    " text/event-stream, multipart/mixed"
)
URQL_SUBSCRIBES = "text/event-stream, multipart/mixed"
APOLLO = "application/graphql-response+json,application/json;q=0.9"
APOLLO_SUBSCRIBES = f"multipart/mixed;boundary=graphql;subscriptionSpec=1.0,{APOLLO}"


@pytest.mark.parametrize(
    ("header", "media_type"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (GRAPHQL_JSON, GRAPHQL_JSON),
        (f"{GRAPHQL_JSON}; charset=utf-8", GRAPHQL_JSON),
        (f"{JSON}, {GRAPHQL_JSON}", GRAPHQL_JSON),
        (f"{JSON}, {GRAPHQL_JSON};q=0.5", JSON),
        (f"{JSON};q=0.5, {GRAPHQL_JSON};q=0.6", GRAPHQL_JSON),
        (f"*/*;q=0.1, {GRAPHQL_JSON};q=0.05", JSON),
        (f"{JSON};q=0, */*", GRAPHQL_JSON),
        (f"{JSON};q=0, {GRAPHQL_JSON};q=0", None),
        (f"{JSON};q=nonsense", None),
        (f"{JSON};q=7", None),
        ("text/html", None),
        ("text/*", None),
        (", ,", None),
        (URQL, GRAPHQL_JSON),
        (APOLLO, GRAPHQL_JSON),
        (URQL_SUBSCRIBES, None),
    ],
)
def test_the_json_that_is_liked_best_is_chosen(header: str | None, media_type: str | None) -> None:
    assert accepted(header).json == media_type


@pytest.mark.parametrize(
    ("header", "one_answer", "subscription"),
    [
        (None, None, None),
        ("*/*", None, None),
        ("text/*", None, None),
        (EVENT_STREAM, EVENT_STREAM, EVENT_STREAM),
        (f"{EVENT_STREAM}, {JSON}", None, EVENT_STREAM),
        (f"{EVENT_STREAM}, {JSON};q=0.9", EVENT_STREAM, EVENT_STREAM),
        (f"{EVENT_STREAM};q=0, {JSON}", None, None),
        (URQL, None, EVENT_STREAM),
        (URQL_SUBSCRIBES, EVENT_STREAM, EVENT_STREAM),
        (APOLLO, None, None),
        (APOLLO_SUBSCRIBES, None, MULTIPART),
        ('multipart/mixed;subscriptionSpec="1.0"', MULTIPART, MULTIPART),
        ("multipart/mixed", None, None),
        ("multipart/mixed;deferSpec=20220824", None, None),
        ("multipart/mixed;subscriptionSpec=2.0", None, None),
        (f"{EVENT_STREAM};q=0.5, multipart/mixed;subscriptionSpec=1.0;q=0.6", MULTIPART, MULTIPART),
    ],
)
def test_one_answer_is_streamed_only_where_no_json_is_liked_as_much(
    header: str | None, one_answer: str | None, subscription: str | None
) -> None:
    found = accepted(header)
    assert found.streams(is_subscription=False) == one_answer
    assert found.streams(is_subscription=True) == subscription


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        (None, False),
        ("", False),
        ("identity", False),
        ("br, zstd", False),
        ("gzip", True),
        ("br, gzip;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip;q=0.0, *", False),
        ("*", True),
        ("*;q=0", False),
        ("x-gzip", True),
        ("gzip; q=1.0", True),
    ],
)
def test_gzip_is_taken_where_it_is_named_and_not_refused(header: str | None, takes: bool) -> None:
    assert takes_gzip(header) is takes
