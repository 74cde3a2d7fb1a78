"""Every field of the schema, for every role and whoever's it is, against a table: `access.txt`.

`python -m tests.integration.test_access_walk` writes the table anew: read the difference before you commit it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from graphql import GraphQLObjectType

from domain.actor import Role
from models.bell import Bell
from models.database import Database
from resolvers.limits import Limits, Rate, Rule
from schema import rules
from schema.build import build
from tests.e2e.serving import Json, Served, receive, send, serving
from tests.integration.access_walk import (
    EMPTY,
    FORBIDDEN,
    MEANING,
    NOT_THERE,
    SHOWN,
    Ask,
    Cell,
    ask_all_at_once,
    asks,
    cells,
    filled,
    furthest,
    without,
)
from tests.integration.doors import MUTATIONS, NODES, QUERIES, SUBSCRIPTIONS
from tests.integration.subjects import RELATIONS, Relation, Subject, Subjects, subjects_of
from tests.integration.world import world_on

TABLE = Path(__file__).with_name("access.txt")
SCHEMA = build()[0]
ROLES = (Role.ADMIN, Role.OWNER, Role.BOOKING)
ALIKE_FOR_ALL = {"Mutation.createUser", "UserCreated.user", "Mutation.releaseHold", "HoldReleased.token"}
"""Asked for with nothing of anyone's, or answered alike whether there is such a thing or not."""

KEPT = {"Query.auditLog", "AuditEntry", "AuditEntryConnection", "AuditEntryEdge", "PageInfo"}
"""The audit log goes on telling its ADMIN what was done with those who were removed."""

SENTENCES = {
    "AppointmentNotChangeable",
    "AvailabilityUnknown",
    "DifferentICloudAccount",
    "Forbidden",
    "ICloudAccountInUse",
    "ICloudUnavailable",
    "IdempotencyConflict",
    "NotFound",
    "RateLimited",
    "SyncProgress",
}
"""Not provoked by the walk: they hold a sentence, a time or a number, and nothing that is anyone's."""

Seen = defaultdict[tuple[str, Role, Relation], list[Cell]]


class Walk:
    def __init__(self, served: Served, subjects: Subjects) -> None:
        self.seen: Seen = defaultdict(list)
        self.differences: list[tuple[str, str]] = []
        self._served = served
        self._subjects = subjects
        self._keys = {Role.ADMIN: served.admin, Role.OWNER: served.owner, Role.BOOKING: served.booking}
        self._clients: dict[Role, httpx2.AsyncClient] = {}

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Walk]:
        async with AsyncExitStack() as stack:
            for role, key in self._keys.items():
                self._clients[role] = await stack.enter_async_context(self._served.client(key))
            yield self

    async def _ask(self, role: Role, document: str) -> Json:
        answer = await self._clients[role].post("/graphql", json={"query": document})
        assert answer.status_code == 200, answer.text
        shown: Json = answer.json()
        return shown

    async def queries(self) -> None:
        subjects = {relation: await self._subjects.make(relation) for relation in RELATIONS}
        for door in QUERIES:
            for ask in asks(SCHEMA, door):
                for role in ROLES:
                    await self._compare(ask, role, subjects)
        for door in NODES:
            for role in ROLES:
                await self._compare(ask_all_at_once(SCHEMA, door), role, subjects)

    async def mutations(self) -> None:
        for door in MUTATIONS:
            ask = ask_all_at_once(SCHEMA, door)
            subjects = {relation: await self._subjects.make(relation) for relation in RELATIONS}
            for role in reversed(ROLES):
                # Its own last: what an ADMIN does to it may leave nothing to ask for.
                await self._compare(
                    ask, role, {relation: subjects[relation] for relation in reversed(RELATIONS)}
                )
                if role in rules.ROOT_FIELDS[door.path] and role is not Role.ADMIN:
                    subjects |= {relation: await self._subjects.make(relation) for relation in RELATIONS[:2]}

    async def subscriptions(self) -> None:
        subjects = {relation: await self._subjects.make(relation) for relation in RELATIONS}
        for role in ROLES:
            async with self._served.socket(self._keys[role]) as opened:
                for door in SUBSCRIPTIONS:
                    for ask in (each for each in asks(SCHEMA, door) if each.is_direct):
                        for relation, subject in subjects.items():
                            query = filled(ask.document, subject)
                            id_ = f"{relation} {ask.kind} {door.call}"
                            await send(opened, type="subscribe", id=id_, payload={"query": query})
                            frame = await receive(opened)
                            while frame["id"] != id_:
                                frame = await receive(opened)
                            await send(opened, type="complete", id=id_)
                            is_error = frame["type"] == "error"
                            shown = {"errors": frame["payload"]} if is_error else frame["payload"]
                            self._note(ask, role, relation, subject, shown)

    async def _compare(self, ask: Ask, role: Role, subjects: dict[Relation, Subject]) -> None:
        answers: dict[Relation, str] = {}
        for relation, subject in subjects.items():
            shown = await self._ask(role, filled(ask.document, subject))
            self._note(ask, role, relation, subject, shown)
            answers[relation] = without(shown, subject)
        # Lists show the caller's own: they are alike because they never hold anything of another.
        if ask.door.path != "Mutation.createUser" and not ask.door.marker:
            self.differences += [(answers["other"], answers["removed"])]

    def _note(self, ask: Ask, role: Role, relation: Relation, subject: Subject, shown: Json) -> None:
        for path, cell in cells(ask, shown, SCHEMA, subject):
            self.seen[path, role, relation].append(cell)

    def table(self) -> str:
        paths = [
            f"{name}.{field}"
            for name, kind in SCHEMA.type_map.items()
            if isinstance(kind, GraphQLObjectType) and not name.startswith("__") and name not in SENTENCES
            for field in kind.fields
        ]
        rows = [
            f"{path:<48}"
            + "  ".join("".join(self._cell(path, role, relation) for relation in RELATIONS) for role in ROLES)
            for path in sorted(paths)
        ]
        head = (
            "# Columns: ADMIN, OWNER and BOOKING keys; of each: the key's own user, another user of its subaccount,",
            "# a user of another subaccount, a user that was removed. In a cell the furthest that any way leads:",
            f"# {MEANING}",
        )
        return "\n".join((*head, *rows, ""))

    def _cell(self, path: str, role: Role, relation: Relation) -> Cell:
        return furthest(self.seen[path, role, relation] or [NOT_THERE])


@asynccontextmanager
async def walking(database: Database, bell: Bell) -> AsyncIterator[Walk]:
    world = await world_on(database, bell)
    plenty = dict.fromkeys(Rule, Rate(1_000_000, 1))
    world.services = replace(world.services, limits=Limits(world.clock, plenty))
    async with serving(world) as served, Walk(served, await subjects_of(world)).connected() as walk:
        yield walk


async def walk_all(database: Database, bell: Bell) -> Walk:
    async with walking(database, bell) as walk:
        await walk.queries()
        await walk.subscriptions()
        await walk.mutations()
    return walk


def rows() -> Iterator[tuple[str, list[str]]]:
    for row in TABLE.read_text().splitlines():
        if not row.startswith("#"):
            path, *columns = row.split()
            yield path, columns


def test_the_table_shows_no_one_anything_of_another_subaccount_or_of_who_was_removed() -> None:
    for path, columns in rows():
        if not {path, path.partition(".")[0]} & (ALIKE_FOR_ALL | KEPT):
            assert all(set(cell[2:]) <= {NOT_THERE, FORBIDDEN} for cell in columns), path


def test_the_table_shows_a_booking_key_what_its_rules_say_and_no_more() -> None:
    for path, (_, _, booking) in rows():
        is_narrower = EMPTY in booking and path in rules.NARROWER_FIELDS  # Null, and shown to be.
        if SHOWN in booking or (EMPTY in booking and not is_narrower):
            assert Role.BOOKING in {**rules.ROOT_FIELDS, **rules.FIELDS}[path], path


def test_every_root_field_has_a_door() -> None:
    doors = (*QUERIES, *NODES, *MUTATIONS, *SUBSCRIPTIONS)
    assert {door.path for door in doors} == set(rules.ROOT_FIELDS)


@pytest.mark.slow
async def test_every_field_shows_what_the_table_says_and_nothing_of_another_subaccounts(
    database: Database, bell: Bell
) -> None:
    walk = await walk_all(database, bell)
    assert walk.table() == TABLE.read_text(), (
        "Read the difference; `python -m tests.integration.test_access_walk`"
    )
    for others, removed in walk.differences:
        assert others == removed


async def _write_table() -> None:
    import tempfile

    from server.database import migrate, open_database

    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/walk.sqlite3"
        await migrate(url)
        async with open_database(url) as database:
            TABLE.write_text((await walk_all(database, Bell())).table())


if __name__ == "__main__":
    asyncio.run(_write_table())
