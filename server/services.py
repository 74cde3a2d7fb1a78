"""Puts the process together: database, keys, sync engine, and what use cases ask for."""

from __future__ import annotations

import base64
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from tortoise.exceptions import IntegrityError

from domain.actor import Actor, Role
from domain.work import Watch, unwatched
from models.bell import Bell
from models.database import Database
from models.deployment import keep_fact, read_fact
from models.seal import Sealer, Secret, UnsealError, derive
from resolvers.context import Context, Services
from resolvers.limits import Limits
from resolvers.settings import ResolverSettings
from resolvers.timelines import Timelines
from server.bell_postgres import PostgresWire
from server.clock import keep_clock
from server.config import ConfigError, Settings
from server.database import of_its_statements, open_database
from server.same_database import epoch_on, identity_of, until_another
from server.secret_keys import SecretKeys, load_keys
from server.takeover import taking_over
from sync.service import Sync
from sync.settings import SyncSettings

_EPOCH = "epoch"
_PROBE = "sealing-probe"
_IDENTITY = "identity"
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Parts:
    """What a process runs on, until it ends."""

    services: Services
    sync: Sync
    until_another_database: Callable[[], Coroutine[Any, Any, None]]
    """Ends where the database is another one than that which the process began with."""


@asynccontextmanager
async def open_parts(
    settings: Settings, environment: Mapping[str, str], *, watch: Watch = unwatched
) -> AsyncIterator[Parts]:
    """Raises ConfigError or DatabaseUnusableError, with one line for the operator."""
    async with open_database(settings.database_url, pool_size=settings.database_pool) as database:
        with of_its_statements():
            is_first_start = await _fact(database, _PROBE) is None
        keys = load_keys(settings.sealing_key_file, environment, is_first_start=is_first_start)
        sealer = keys.sealer()
        with of_its_statements():
            identity = await identity_of(database, settings.database_url)
            epoch = epoch_on(database, identity, await _facts(database, keys, sealer))
        bell = Bell()
        async with (
            _wire(database, bell, settings),
            taking_over(database, settings.database_url),
            keep_clock(database) as clock,
        ):
            sync = Sync(
                # The other half is for requests, and to lease by: a process full of first reads answers as any.
                database=database.part(max(settings.database_pool // 2, 1)),
                bell=bell,
                sealer=sealer,
                settings=sync_settings(settings),
                clock=clock,
                watch=watch,
            )
            try:
                yield Parts(
                    _services(settings, keys, epoch, sync),
                    sync,
                    partial(until_another, database, settings.database_url, identity),
                )
            finally:
                await sync.close()


def sync_settings(settings: Settings) -> SyncSettings:
    return SyncSettings(
        caldav_url=settings.caldav_url,
        caldav_hosts=settings.caldav_hosts,
        caldav_ca_file=settings.caldav_ca_file,
        allows_china=settings.icloud_china,
        horizon_days=settings.horizon_days,
        watched_every=settings.poll_watched,
        usual_every=settings.poll_usual,
        quiet_every=settings.poll_quiet,
        requests_per_minute=settings.requests_per_minute,
        hold_for=settings.hold_for,
        keep_changes=settings.keep_changes_days * 86_400,
    )


def resolver_settings(settings: Settings) -> ResolverSettings:
    return ResolverSettings(
        staleness_limit=settings.staleness_limit,
        look_again_after=settings.look_again_after,
        hold_for=settings.hold_for,
        horizon_ahead_days=settings.horizon_days,
        watched_poll_every=settings.poll_watched,
        app_specific_passwords_only=settings.caldav_is_icloud,
    )


def _services(settings: Settings, keys: SecretKeys, epoch: str, sync: Sync) -> Services:
    shared = sync.context
    return Services(
        database=shared.database.whole,
        bell=shared.bell,
        sealer=shared.sealer,
        identity_key=keys.identity,
        epoch=epoch,
        icloud=sync,
        limits=Limits(time.time),  # Of this process alone.
        timelines=Timelines(),
        settings=resolver_settings(settings),
        clock=shared.clock,
    )


@asynccontextmanager
async def _wire(database: Database, bell: Bell, settings: Settings) -> AsyncIterator[None]:
    """Carries rings between processes, where there can be several."""
    if not database.is_postgres:
        yield
        return
    async with PostgresWire(settings.database_url, bell).open():
        yield


def operator(services: Services, subaccount: str) -> Context:
    """Whoever runs the server acts as the subaccount's administrator; close it at the end."""
    actor = Actor(key="", label="command line", role=Role.ADMIN, subaccount=subaccount)
    return Context(services, actor, address="")


async def renew_epoch(database: Database) -> None:
    """After a backup was restored: no position given out since then is mistaken for one of now."""
    async with database.writing() as db:
        await keep_fact(db, _EPOCH, secrets.token_hex(8))


async def _fact(database: Database, name: str) -> str | None:
    async with database.reading() as db:
        return await read_fact(db, name)


async def _facts(database: Database, keys: SecretKeys, sealer: Sealer) -> str:
    """The epoch; raises ConfigError where these are not the keys that the database was filled with."""
    for _ in range(_TRIES):
        # Two processes may both be the first: one of them finds the other's facts at the second try.
        with contextlib.suppress(IntegrityError):
            return await _read_or_make_facts(database, keys, sealer)
    raise ConfigError("The deployment's facts can't be stored: is another process making them?")


async def _read_or_make_facts(database: Database, keys: SecretKeys, sealer: Sealer) -> str:
    async with database.reading() as db:
        epoch = await read_fact(db, _EPOCH)
        probe = await read_fact(db, _PROBE)
        identity = await read_fact(db, _IDENTITY)
    ours = derive(keys.identity, "probe", "")
    if epoch is None or probe is None or identity is None:
        epoch = secrets.token_hex(8)
        async with database.writing() as db:
            await keep_fact(db, _EPOCH, epoch)
            await keep_fact(db, _PROBE, seal_probe(sealer))
            await keep_fact(db, _IDENTITY, ours)
        return epoch
    if not secrets.compare_digest(identity, ours) or not opens_probe(sealer, probe):
        raise ConfigError(
            "The sealing key is not the one that this database was filled with: bring back its key file, or set"
            " SLOTWIRE_SEALING_KEY_FILE to where it is."
        )
    return epoch


def seal_probe(sealer: Sealer) -> str:
    return base64.b64encode(sealer.seal(Secret("slotwire"), row=_PROBE)).decode()


def opens_probe(sealer: Sealer, probe: str) -> bool:
    try:
        sealer.unseal(base64.b64decode(probe), row=_PROBE)
    except UnsealError:
        return False
    return True


async def keep_probe(database: Database, sealer: Sealer) -> None:
    async with database.writing() as db:
        await keep_fact(db, _PROBE, seal_probe(sealer))
