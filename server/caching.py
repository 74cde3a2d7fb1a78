"""What browsers and CDNs may keep of an answer to a GET, and for how long (RFC 9111)."""

from __future__ import annotations

import hashlib

import orjson
from graphql import FieldNode
from starlette.responses import Response

from domain.actor import Role
from schema.operation import Operation
from server.engine import Answer, Prepared, Request

NEVER = "no-store"
OWN = "private, no-cache"
"""Kept by the browser that asked alone, and never shown without asking whether it still holds."""

SHARED_FOR = 5
SHARED = f"public, max-age={SHARED_FOR}, stale-while-revalidate={SHARED_FOR}"
"""For what every page with this key is shown. `public`: a CDN may keep it though a key was sent; Vary parts them."""

VARY = "Origin, Authorization, Accept, Accept-Encoding"
_SHARED_FIELDS = frozenset({"availability", "bookingPage"})
# A guest's own time and booking: of who holds the token.
_TOKEN = "Token"  # noqa: S105 - part of the names of arguments.


def cache_control(
    answer: Answer, prepared: Prepared, request: Request, operation: Operation, *, role: Role
) -> str:
    if not answer.began or answer.errors:
        return NEVER
    is_shared = role is Role.BOOKING and _is_of_the_page(prepared, request)
    # A refusal, such as that of one address that asked too often, is no answer to anyone else.
    return SHARED if is_shared and operation.granted == answer.answered else OWN


def _is_of_the_page(prepared: Prepared, request: Request) -> bool:
    """Whether it asks only what is the same for everyone who looks at a booking page."""
    fields = prepared.operation.selection_set.selections
    if not all(isinstance(field, FieldNode) and field.name.value in _SHARED_FIELDS for field in fields):
        return False
    return _TOKEN not in request.query and _TOKEN.encode() not in orjson.dumps(dict(request.variables))


def entity_tag(body: bytes) -> str:
    """Weak: the same answer compressed and plain is one."""
    return f'W/"{hashlib.blake2b(body, digest_size=15).hexdigest()}"'


def holds(if_none_match: str | None, tag: str) -> bool:
    """Whether what the client has is still the answer (RFC 9110 13.1.2, by the weak comparison)."""
    if if_none_match is None:
        return False
    known = {choice.strip().removeprefix("W/") for choice in if_none_match.split(",")}
    return "*" in known or tag.removeprefix("W/") in known


def not_modified(tag: str) -> Response:
    return Response(status_code=304, headers={"etag": tag})
