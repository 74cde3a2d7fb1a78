"""Bodies that were asked before are not read again, and mean to each role what they mean to it."""

from __future__ import annotations

import hashlib

import orjson
import pytest

from domain.actor import Actor, Role
from models.bell import Bell
from models.database import Database
from schema.build import build
from server.app import caps_of, gate_of
from server.config import read_settings
from server.engine import Answer, Engine
from server.front import Front, Ready
from server.persisted import Documents
from server.sockets import Sockets
from tests.integration.world import world_on

VIEWER = "{ viewer { role } }"
REVOKE = 'mutation { revokeKey(input: {keyId: "key_1"}) { __typename } }'
ADMIN = Actor("key_1", "admin", Role.ADMIN, "sub_1")
BOOKING = Actor("key_2", "page", Role.BOOKING, "sub_1")


@pytest.fixture
async def front(database: Database, bell: Bell) -> Front:
    services, settings = (await world_on(database, bell)).services, read_settings({})
    engine = Engine(build()[0], booking_introspection=False)
    sockets = Sockets(services, caps_of(settings))
    return Front(services, gate_of(services, settings), engine, Documents(), sockets)


def body_of(query: str, **more: object) -> bytes:
    return orjson.dumps({"query": query} | more)


def test_a_query_is_read_once(front: Front) -> None:
    found = front.read(body_of(VIEWER), ADMIN)
    assert isinstance(found, Ready)
    assert front.read(body_of(VIEWER), ADMIN) is found


def test_a_mutation_is_not_kept_for_it_may_hold_a_password(front: Front) -> None:
    found = front.read(body_of(REVOKE), ADMIN)
    assert isinstance(found, Ready)
    assert front.read(body_of(REVOKE), ADMIN) is not found


def test_what_one_role_may_ask_another_is_still_refused(front: Front) -> None:
    schema = body_of("{ __schema { queryType { name } } }")
    assert isinstance(front.read(schema, ADMIN), Ready)
    assert isinstance(front.read(schema, BOOKING), Answer)


def test_a_hash_that_one_subaccount_sent_is_unknown_to_another(front: Front) -> None:
    sha256 = hashlib.sha256(VIEWER.encode()).hexdigest()
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": sha256}}
    named = orjson.dumps({"extensions": extensions})
    front.read(body_of(VIEWER, extensions=extensions), ADMIN)
    assert isinstance(front.read(named, ADMIN), Ready)
    other = Actor("key_3", "admin", Role.ADMIN, "sub_2")
    assert isinstance(front.read(named, other), Answer)


def test_a_body_that_asks_for_much_is_not_kept(front: Front) -> None:
    long = body_of(VIEWER, operationName=None, variables={"unused": "x" * 5000})
    found = front.read(long, ADMIN)
    assert isinstance(found, Ready)
    assert front.read(long, ADMIN) is not found
