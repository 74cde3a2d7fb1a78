"""Keys: shown once, found by their hash, refused soon after they are revoked."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from tortoise.exceptions import OperationalError

from domain.actor import Actor, Role
from models.database import Database
from models.sql import Db, execute
from resolvers import keys, people
from resolvers.keyring import TRUSTED_FOR, Keyring
from resolvers.origins import check_origins
from resolvers.outcomes import InvalidInput, NotFound
from resolvers.views import KeyView, Page
from tests.integration.world import NOW, World


async def make(world: World, role: Role = Role.ADMIN, **given: object) -> tuple[KeyView, str]:
    answer = await world.admin(keys.create_key, **{"label": "k", "role": role, **given})  # type: ignore[arg-type]
    assert isinstance(answer, tuple), answer
    return answer


@pytest.mark.parametrize("role", list(Role))
async def test_a_secret_tells_its_role_and_only_its_hash_is_kept(world: World, role: Role) -> None:
    user = {"user_id": world.anna.user} if role is Role.OWNER else {}
    view, secret = await make(world, role, label=" Site ", **user)
    assert re.fullmatch(rf"sw_{role.lower()}_[A-Za-z0-9_-]{{43}}", secret)
    assert view.label == "Site"
    assert view.user == (world.anna if role is Role.OWNER else None)
    [row] = await world.rows("SELECT * FROM api_key")
    assert secret not in str(row)
    actor = await keys.authenticate(world.services, secret)
    assert actor == Actor(view.id, "Site", role, world.subaccount, user.get("user_id"))
    assert await world.audited("key.created") == [view.id]


async def test_what_is_no_key_lets_nobody_in(world: World) -> None:
    _, secret = await make(world)
    for wrong in (
        "",
        "sw_admin_",
        secret[:-1],
        secret + "x",
        secret[:-1] + "~",
        "sw_admin_" + "a" * 43,
        "\0",
        "ü" * 52,
    ):
        assert await keys.authenticate(world.services, wrong) is None


async def test_a_revoked_key_is_refused_at_once_here_and_soon_elsewhere(world: World) -> None:
    elsewhere = dataclasses.replace(world.services, keyring=Keyring())
    view, secret = await make(world)
    assert await keys.authenticate(world.services, secret)
    assert await keys.authenticate(elsewhere, secret)
    assert await world.admin(keys.revoke_key, key_id=view.id) == view.id
    assert await keys.authenticate(world.services, secret) is None
    world.clock.now += TRUSTED_FOR
    assert await keys.authenticate(elsewhere, secret) is None


async def test_a_key_is_read_again_after_two_seconds_and_not_before(world: World) -> None:
    _, secret = await make(world)
    await keys.authenticate(world.services, secret)
    await world.write("UPDATE api_key SET revoked_at = $1", NOW)
    world.clock.now += TRUSTED_FOR - 0.1
    assert await keys.authenticate(world.services, secret)
    world.clock.now += 0.1
    assert await keys.authenticate(world.services, secret) is None


async def test_revoking_twice_answers_alike_and_is_noted_once(world: World) -> None:
    view, _ = await make(world)
    assert await world.admin(keys.revoke_key, key_id=view.id) == view.id
    world.clock.now += 10
    assert await world.admin(keys.revoke_key, key_id=view.id) == view.id
    assert await world.audited("key.revoked") == [view.id]
    page = await world.admin(keys.keys, 10, None)
    assert isinstance(page, Page)
    assert [each.revoked_at for each in page.items] == [NOW]


async def test_the_use_of_a_key_is_noted_at_most_once_a_minute(world: World) -> None:
    _, secret = await make(world)

    async def used_at(moment: float) -> float | None:
        world.clock.now = NOW + moment
        await keys.authenticate(world.services, secret)
        [row] = await world.rows("SELECT last_used_at FROM api_key")
        used: float | None = row["last_used_at"]
        return None if used is None else used - NOW

    assert [await used_at(moment) for moment in (0, 30, 58, 60, 90)] == [0, 0, 0, 60, 60]


async def test_many_keys_are_looked_at_together(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_LOOKED_AT_ONCE", 2)
    made = [await make(world) for _ in range(5)]
    _, owners = await make(world, Role.OWNER, user_id=world.anna.user)
    unknown = "sw_admin_" + "x" * 43
    secrets = [*(secret for _, secret in made), owners]
    assert await keys.no_longer_good(world.services, secrets) == frozenset()
    rows = await world.rows("SELECT last_used_at FROM api_key")
    assert [row["last_used_at"] for row in rows] == [NOW] * 6
    await world.admin(keys.revoke_key, key_id=made[1][0].id)
    await world.admin(people.remove_user, user_id=world.anna.user)
    gone = await keys.no_longer_good(world.services, [*secrets, unknown])
    assert gone == {made[1][1], owners, unknown}


async def test_a_key_found_gone_lets_nobody_in_at_once(world: World) -> None:
    _, secret = await make(world)
    assert await keys.authenticate(world.services, secret)
    await world.write("UPDATE api_key SET revoked_at = $1", NOW)
    await keys.no_longer_good(world.services, [secret])
    assert await keys.authenticate(world.services, secret) is None


class ReadOnly(Database):
    """Takes no writes: as one whose disk is full, that another process holds, or that stands by for the one that does.

    Where nothing else says so first, it is `error` at the end.
    """

    error: Exception

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Db]:
        async with super().writing() as db:
            if isinstance(self.error, asyncpg.ReadOnlySQLTransactionError) and self.is_postgres:
                await execute(db, "SET TRANSACTION READ ONLY")
            yield db
            raise self.error


NO_WRITES = [
    OperationalError("database is locked"),
    asyncpg.DiskFullError("could not extend file"),
    asyncpg.CannotConnectNowError("the database system is starting up"),
    asyncpg.ReadOnlySQLTransactionError("cannot execute UPDATE in a read-only transaction"),
    TimeoutError(),
]


def read_only(world: World, error: Exception) -> ReadOnly:
    database = world.services.database
    made = ReadOnly(database._writer)
    made._readers, made.error = database._readers, error
    return made


@pytest.mark.parametrize("error", NO_WRITES, ids=lambda error: type(error).__name__)
async def test_a_key_lets_in_though_its_use_cannot_be_noted(world: World, error: Exception) -> None:
    _, secret = await make(world)
    services = dataclasses.replace(world.services, database=read_only(world, error))
    assert await keys.authenticate(services, secret)
    assert await world.rows("SELECT last_used_at FROM api_key") == [{"last_used_at": None}]


async def test_what_is_our_own_fault_is_no_want_of_a_database(world: World) -> None:
    _, secret = await make(world)
    services = dataclasses.replace(world.services, database=read_only(world, ValueError()))
    with pytest.raises(ValueError):
        await keys.authenticate(services, secret)


async def test_the_key_of_a_removed_user_lets_nobody_in(world: World) -> None:
    _, secret = await make(world, Role.OWNER, user_id=world.anna.user)
    assert await keys.authenticate(world.services, secret)
    await world.admin(people.remove_user, user_id=world.anna.user)
    assert await keys.authenticate(world.services, secret) is None


async def test_no_key_outlives_a_user_removed_meanwhile(world: World) -> None:
    for number in range(10):
        user = await world.add_user(world.subaccount, f"U{number}")
        await asyncio.gather(
            world.admin(keys.create_key, label="k", role=Role.OWNER, user_id=user.user),
            world.admin(people.remove_user, user_id=user.user),
        )
        assert await world.rows("SELECT id FROM api_key WHERE user_id = $1", user.user) == []


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("label", {"label": ""}),
        ("label", {"label": "x" * 201}),
        ("userId", {"role": Role.OWNER}),
        ("userId", {"role": Role.ADMIN, "user_id": "usr_1"}),
        ("allowedOrigins", {"role": Role.ADMIN, "allowed_origins": ["https://a.example"]}),
        ("allowedOrigins", {"role": Role.BOOKING, "allowed_origins": ["https://a.example"] * 51}),
    ],
)
async def test_a_key_that_contradicts_itself_is_refused(
    world: World, field: str, given: dict[str, object]
) -> None:
    refused = await world.admin(keys.create_key, **{"label": "k", "role": Role.ADMIN, **given})  # type: ignore[arg-type]
    assert isinstance(refused, InvalidInput)
    assert refused.field == field


async def test_no_key_is_made_for_another_subaccounts_user(world: World) -> None:
    _, otto = await world.other_subaccount()
    refused = await world.admin(keys.create_key, label="k", role=Role.OWNER, user_id=otto.user)
    assert isinstance(refused, NotFound)


async def test_another_subaccounts_keys_are_out_of_reach(world: World) -> None:
    other_admin, _ = await world.other_subaccount()
    view, secret = await make(world)
    assert isinstance(await world.run(other_admin, keys.revoke_key, key_id=view.id), NotFound)
    assert await world.run(other_admin, keys.key, view.id) is None
    page = await world.run(other_admin, keys.keys, 10, None)
    assert isinstance(page, Page)
    assert page.items == ()
    assert await keys.authenticate(world.services, secret)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://book.example.com", "https://book.example.com"),
        (" HTTPS://Book.Example.com ", "https://book.example.com"),
        ("https://a.example:443", "https://a.example"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("https://[::1]:8443", "https://[::1]:8443"),
    ],
)
def test_an_origin_is_kept_as_browsers_send_it(given: str, kept: str) -> None:
    assert check_origins([given, given]) == [kept]


@pytest.mark.parametrize(
    "given",
    [
        "",
        "*",
        "null",
        "example.com",
        "https://",
        "https://a.example/",
        "https://a.example/path",
        "https://a.example?x",
        "https://u:p@a.example",
        "ftp://a.example",
        "https://a.example:99999",
        "https://a.example:",
        "https://a.example:x",
        "https://*.example",
        "https://bücher.example",
        "https://[::1",
        "https://a b.example",
        "https://" + "a" * 300,
    ],
)
def test_what_is_no_origin_is_refused_by_its_place(given: str) -> None:
    refused = check_origins(["https://a.example", given])
    assert isinstance(refused, InvalidInput)
    assert refused.field == "allowedOrigins.1"


async def test_a_booking_keys_origins_come_back_with_it(world: World) -> None:
    view, secret = await make(world, Role.BOOKING, allowed_origins=["https://a.example"])
    assert view.allowed_origins == ("https://a.example",)
    actor = await keys.authenticate(world.services, secret)
    assert actor is not None
    assert actor.allowed_origins == ("https://a.example",)


async def test_keys_are_issued_without_a_key_for_subaccounts_that_exist(world: World) -> None:
    issued = await keys.issue_key(world.services, subaccount=world.subaccount, label="first", role=Role.ADMIN)
    assert isinstance(issued, tuple)
    assert await keys.authenticate(world.services, issued[1])
    missing = await keys.issue_key(world.services, subaccount="sub_x", label="x", role=Role.ADMIN)
    assert isinstance(missing, NotFound)
    nobody = await keys.issue_key(
        world.services, subaccount=world.subaccount, label="x", role=Role.OWNER, user_id="usr_x"
    )
    assert isinstance(nobody, NotFound)


def test_the_keyring_forgets_the_oldest_and_a_clock_set_back_trusts_nothing() -> None:
    ring, actor = Keyring(), Actor("k", "k", Role.ADMIN, "s")
    for number in range(10_001):
        ring.keep(str(number), actor, now=NOW)
    assert ring.find("0", now=NOW) is None
    assert ring.find("10000", now=NOW) == actor
    assert ring.find("10000", now=NOW - 1) is None
