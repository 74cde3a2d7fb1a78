"""What whoever runs the server sets up from its command line: subaccounts, users, keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from domain.actor import Role
from domain.ids import Kind, is_id
from models.people import Key
from resolvers import keys, people
from resolvers.context import Context, Services
from resolvers.outcomes import InvalidInput, Refusal
from resolvers.paging import MOST_AT_ONCE
from resolvers.views import KeyView, Page
from server.config import Settings
from server.database import of_its_statements
from server.errors import CommandError
from server.services import open_parts, operator

T = TypeVar("T")


class Desk:
    """One command's work on an open deployment. Each answers with lines to print."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def create_subaccount(self, name: str) -> list[str]:
        return [_granted(await people.create_subaccount(self._services, name)).id]

    async def list_subaccounts(self) -> list[str]:
        return [f"{it.id}  {it.name}" for it in await people.list_subaccounts(self._services)]

    async def create_user(
        self, subaccount: str, *, name: str, email: str | None, time_zone: str
    ) -> list[str]:
        async with self._acting(subaccount) as ctx:
            made = _granted(await people.create_user(ctx, name=name, email=email, time_zone=time_zone))
        return [made.ref.user]

    async def list_users(self, subaccount: str) -> list[str]:
        async with self._acting(subaccount) as ctx:
            return [
                f"{it.ref.user}  {it.name}  {it.time_zone}"
                async for it in _all(lambda after: people.users(ctx, first=MOST_AT_ONCE, after=after))
            ]

    async def create_key(
        self,
        subaccount: str,
        *,
        role: str,
        label: str,
        user: str | None,
        origins: Sequence[str] | None,
    ) -> list[str]:
        """The secret alone: so that it can be taken straight to where it is kept."""
        made = await keys.issue_key(
            self._services, subaccount=subaccount, label=label, role=Role(role), user_id=user, origins=origins
        )
        return [_granted(made)[1]]

    async def list_keys(self, subaccount: str) -> list[str]:
        async with self._acting(subaccount) as ctx:
            return [
                _key_line(it)
                async for it in _all(lambda after: keys.keys(ctx, first=MOST_AT_ONCE, after=after))
            ]

    async def revoke_key(self, key_id: str) -> list[str]:
        row = None
        if is_id(key_id, Kind.KEY):  # Of a secret that is given in its place, nothing is asked or told.
            async with self._services.database.reading() as db:
                row = await Key.filter(id=key_id).using_db(db).first()
        if row is None:
            raise CommandError("There is no key of this id: list them with `python -m server keys list`.")
        async with self._acting(row.subaccount_id) as ctx:
            return [_granted(await keys.revoke_key(ctx, key_id=key_id))]

    @asynccontextmanager
    async def _acting(self, subaccount: str) -> AsyncIterator[Context]:
        known = await people.list_subaccounts(self._services)
        if subaccount not in {it.id for it in known}:
            raise CommandError(
                "There is no such subaccount: list them with `python -m server subaccounts list`."
            )
        ctx = operator(self._services, subaccount)
        try:
            yield ctx
        finally:
            await ctx.close()


async def at_the_desk(
    settings: Settings, environment: Mapping[str, str], work: Callable[[Desk], Awaitable[list[str]]]
) -> list[str]:
    """Raises CommandError."""
    async with open_parts(settings, environment) as parts:
        with of_its_statements():
            return await work(Desk(parts.services))


_OPTIONS = {
    "userId": "--user",
    "timeZone": "--time-zone",
    "allowedOrigins": "--origin",
    "email": "--email",
    "label": "--label",
}
"""What a use case calls by its field, as it is called here where that is another name."""


def _granted(answer: T | Refusal) -> T:
    if isinstance(answer, InvalidInput):
        field = answer.field.partition(".")[0]
        raise CommandError(f"{_OPTIONS.get(field, field)}: {answer.message}")
    if isinstance(answer, Refusal):
        raise CommandError(answer.message)
    return answer


async def _all(
    read: Callable[[str | None], Awaitable[Page[T] | Refusal]],
) -> AsyncIterator[T]:
    """Page by page, to the end."""
    after: str | None = None
    while True:
        page = _granted(await read(after))
        for item in page.items:
            yield item
        if not page.has_next:
            return
        after = page.cursors[-1]


def _key_line(key: KeyView) -> str:
    state = "revoked" if key.revoked_at is not None else "good"
    of_user = "" if key.user is None else f"  {key.user.user}"
    return f"{key.id}  {key.role:<7}  {state:<7}  {key.label}{of_user}"
