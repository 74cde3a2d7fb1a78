"""What costs much to read is refused before it is run, and refused cheaply."""

from __future__ import annotations

import time

import pytest

from domain.actor import Role
from schema.build import build
from server.engine import Answer, Engine, Request
from server.request import MOST_BYTES, Asked, read_body
from tests.unit.abuse import ABUSES

SCHEMA = build()[0]
MOST_SECONDS = 0.1
TRIES = 12
"""The least of them counts: what else a machine does, and its caches, are no work of this."""


def cpu_seconds(body: bytes) -> float:
    """Of reading, weighing and validating a document that was never seen before."""
    engine = Engine(SCHEMA, booking_introspection=False)
    began = time.thread_time()
    asked = read_body(body)
    if isinstance(asked, Asked) and asked.query is not None:
        engine.prepare(Request(asked.query, asked.operation_name, asked.variables), Role.ADMIN)
    return time.thread_time() - began


@pytest.mark.parametrize("name", [name for name, (body, _) in ABUSES.items() if len(body) <= MOST_BYTES])
def test_it_is_refused_within_100_ms_of_work(name: str) -> None:
    body, _ = ABUSES[name]
    assert any(cpu_seconds(body) < MOST_SECONDS for _ in range(TRIES))


def test_a_document_that_is_just_allowed_is_within_the_bound_too() -> None:
    wide = "{" + "viewer{subaccount{id name}role user{id name email cursor}}" * 25 + "}"
    engine = Engine(SCHEMA, booking_introspection=False)
    assert not isinstance(engine.prepare(Request(wide), Role.ADMIN), Answer)
    body = b'{"query": "%s"}' % wide.encode()
    assert any(cpu_seconds(body) < MOST_SECONDS for _ in range(TRIES))
