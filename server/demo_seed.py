"""The demo's people: a subaccount, its one owner, a key of each role, a booking page."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TypeVar

from domain.actor import Role
from resolvers import keys, people, types
from resolvers.context import Services
from resolvers.outcomes import Refusal
from resolvers.views import AppointmentTypeView, KeyView, SubaccountView, UserView
from server.config import read_settings
from server.database import migrate
from server.services import open_parts, operator

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class People:
    """What was made, for `demo.json`; the keys are shown nowhere else."""

    admin_key: str
    owner_key: str
    booking_key: str
    user_id: str
    booking_page: str

    def as_json(self) -> dict[str, str]:
        return asdict(self)


def seed(environment: Mapping[str, str], *, name: str, zone: str) -> People:
    """Migrates the database that `environment` names and fills it. Raises what the server's own start raises."""
    return asyncio.run(seed_in_loop(environment, name=name, zone=zone))


async def seed_in_loop(environment: Mapping[str, str], *, name: str, zone: str) -> People:
    settings = read_settings(environment)
    await migrate(settings.database_url)
    async with open_parts(settings, environment) as parts:
        return await _fill(parts.services, name=name, zone=zone)


async def _fill(services: Services, *, name: str, zone: str) -> People:
    subaccount: SubaccountView = _made(await people.create_subaccount(services, "Demo"))
    context = operator(services, subaccount.id)
    try:
        user: UserView = _made(await people.create_user(context, name=name, email=None, time_zone=zone))
        page: AppointmentTypeView = _made(
            await types.create_type(
                context,
                user_id=user.ref.user,
                name="Intro call",
                slug="intro-call",
                duration_minutes=30,
            )
        )
    finally:
        await context.close()
    secrets = {
        role: await _key(services, subaccount.id, role, user.ref.user if role is Role.OWNER else None)
        for role in Role
    }
    return People(
        admin_key=secrets[Role.ADMIN],
        owner_key=secrets[Role.OWNER],
        booking_key=secrets[Role.BOOKING],
        user_id=user.ref.user,
        booking_page=page.slug,
    )


async def _key(services: Services, subaccount: str, role: Role, user_id: str | None) -> str:
    issued: tuple[KeyView, str] = _made(
        await keys.issue_key(
            services, subaccount=subaccount, label=f"demo, {role.lower()}", role=role, user_id=user_id
        )
    )
    return issued[1]


def _made(outcome: T | Refusal) -> T:
    assert not isinstance(outcome, Refusal), outcome.message
    return outcome
