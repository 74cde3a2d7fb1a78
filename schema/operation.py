"""What every field gets as `info.context`: one operation's snapshot, and its loaders."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias, TypeVar

import strawberry
from strawberry.dataloader import DataLoader

from domain.actor import UserRef
from resolvers import accounts, batches, calendars, events, types
from resolvers.context import Context
from resolvers.views import (
    AccountView,
    AppointmentTypeView,
    AppointmentView,
    CalendarView,
    EventView,
    UserView,
)

K = TypeVar("K")
V = TypeVar("V")


class Loaders:
    """Each asks once for all that one level of an answer needs; good for one snapshot."""

    def __init__(self, ctx: Context) -> None:
        async def calendars_of(user: UserRef) -> dict[str, CalendarView]:
            return {calendar.id: calendar for calendar in await calendars.calendars(ctx, user)}

        async def types_of(user: UserRef) -> dict[str, AppointmentTypeView]:
            return {kind.id: kind for kind in await types.types_of(ctx, user, include_archived=True)}

        async def account_of(user: UserRef) -> AccountView | None:
            return await accounts.account(ctx, user)

        async def all_counts(calendar_ids: list[str]) -> list[int]:
            counts = await calendars.event_counts(ctx, calendar_ids)
            return [counts.get(calendar_id, 0) for calendar_id in calendar_ids]

        self.calendars: DataLoader[UserRef, dict[str, CalendarView]] = _each(calendars_of)
        self.types: DataLoader[UserRef, dict[str, AppointmentTypeView]] = _each(types_of)
        self.account: DataLoader[UserRef, AccountView | None] = _each(account_of)
        self.event_count: DataLoader[str, int] = DataLoader(load_fn=all_counts)
        self.event: DataLoader[str, EventView | None] = _all(ctx, events.events_by_id)
        self.appointment: DataLoader[str, AppointmentView | None] = _all(ctx, batches.appointments_by_id)
        self.user: DataLoader[str, UserView | None] = _all(ctx, batches.users_by_id)


def _each(load: Callable[[K], Awaitable[V]]) -> DataLoader[K, V]:
    """For keys of which an answer has few: users, mostly one."""

    async def load_all(keys: list[K]) -> list[V]:
        return [await load(key) for key in keys]

    return DataLoader(load_fn=load_all)


def _all(
    ctx: Context, find: Callable[[Context, Sequence[str]], Awaitable[dict[str, V]]]
) -> DataLoader[str, V | None]:
    """For rows by their id, all of them in one query."""

    async def load_all(ids: list[str]) -> list[V | None]:
        found = await find(ctx, ids)
        return [found.get(id_) for id_ in ids]

    return DataLoader(load_fn=load_all)


class Operation:
    """One query, one mutation, or one event of a subscription, at a time."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.load = Loaders(ctx)

    async def renew(self) -> None:
        """Before and after a mutation, and after each event of a subscription: nothing old is read again."""
        await self.ctx.renew()
        self.load = Loaders(self.ctx)


Info: TypeAlias = strawberry.Info[Operation, None]
