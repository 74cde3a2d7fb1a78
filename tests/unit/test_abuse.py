"""What costs much to read is refused before it is run, and cheaply; `python -m benchmarks.refusals` times it."""

from __future__ import annotations

import pytest

from domain.actor import Role
from schema.build import build
from schema.errors import Code
from server.engine import Answer, Engine, Prepared, Request
from server.request import MOST_BYTES, Asked, read_body
from tests.unit.abuse import ABUSES, WIDEST
from tests.work import at_most

SCHEMA = build()[0]
MOST_LINES = {Code.TOO_COMPLEX: 800_000, Code.BAD_REQUEST: 5_000_000}
"""Three times what the worst of each takes: one is refused by its size or its weight, the other is validated."""


def read(body: bytes) -> Prepared | Answer | Asked | str:
    """Read, weighed and validated, as a document that was never seen before."""
    asked = read_body(body)
    if not isinstance(asked, Asked) or asked.query is None:
        return asked
    engine = Engine(SCHEMA, booking_introspection=False)
    return engine.prepare(Request(asked.query, asked.operation_name, asked.variables), Role.ADMIN)


@pytest.mark.parametrize("name", [name for name, (body, _) in ABUSES.items() if len(body) <= MOST_BYTES])
def test_it_is_refused_with_little_work(name: str) -> None:
    body, code = ABUSES[name]
    with at_most(lines=MOST_LINES[code]):
        read(body)


def test_a_document_that_is_just_allowed_is_within_the_bound_too() -> None:
    with at_most(lines=MOST_LINES[Code.BAD_REQUEST]):
        assert isinstance(read(WIDEST), Prepared)
