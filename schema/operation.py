"""What every field gets as `info.context`: one operation's snapshot, and its loaders."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar

import strawberry
from strawberry.dataloader import DataLoader

from domain.actor import UserRef
from resolvers import batches, calendars, events, types
from resolvers.context import Context
from resolvers.outcomes import InvalidInput
from resolvers.views import (
    AccountView,
    AppointmentTypeView,
    AppointmentView,
    CalendarView,
    EventProblemView,
    EventView,
    SlotView,
    UserView,
)

K = TypeVar("K")
V = TypeVar("V")

Problems: TypeAlias = tuple[EventProblemView, ...] | InvalidInput


class Loaders:
    """Each asks once for all that one level of an answer needs; good for one snapshot."""

    def __init__(self, ctx: Context) -> None:
        self.account: DataLoader[UserRef, AccountView | None] = _all(ctx, batches.accounts_by_user)
        self.calendars: DataLoader[UserRef, tuple[CalendarView, ...] | None] = _all(
            ctx, calendars.calendars_by_user
        )
        self.types: DataLoader[UserRef, tuple[AppointmentTypeView, ...] | None] = _all(
            ctx, types.types_by_user
        )
        self.position: DataLoader[UserRef, str | None] = _all(ctx, batches.positions_by_user)
        self.event_count: DataLoader[str, int | None] = _all(ctx, calendars.event_counts)
        self.problems: DataLoader[tuple[str, int], Problems] = DataLoader(load_fn=_problems(ctx))
        self.event: DataLoader[str, EventView | None] = _all(ctx, events.events_by_id)
        self.appointment: DataLoader[str, AppointmentView | None] = _all(ctx, batches.appointments_by_id)
        self.conflicts: DataLoader[str, tuple[SlotView, ...] | None] = _all(ctx, batches.conflicts)
        self.user: DataLoader[str, UserView | None] = _all(ctx, batches.users_by_id)


def _all(
    ctx: Context, find: Callable[[Context, Sequence[K]], Awaitable[Mapping[K, V]]]
) -> DataLoader[K, V | None]:
    """For what is found by its key, all that an answer's level needs in one query."""

    async def load_all(keys: list[K]) -> list[V | None]:
        found = await find(ctx, keys)
        return [found.get(key) for key in keys]

    return DataLoader(load_fn=load_all)


def _problems(ctx: Context) -> Callable[[list[tuple[str, int]]], Awaitable[list[Problems]]]:
    """By calendar and how many of each: a query a number, and an answer mostly has one."""

    async def load_all(keys: list[tuple[str, int]]) -> list[Problems]:
        found = {
            first: await calendars.problems(ctx, [id_ for id_, number in keys if number == first], first)
            for first in {first for _, first in keys}
        }
        answers = ((id_, found[first]) for id_, first in keys)
        return [it if isinstance(it, InvalidInput) else it.get(id_, ()) for id_, it in answers]

    return load_all


class Operation:
    """One query, one mutation, or one event of a subscription, at a time."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.load = Loaders(ctx)
        # Root fields of a query that answered, and not with a refusal.
        self.granted = 0

    async def renew(self) -> None:
        """Before and after a mutation, and after each event of a subscription: nothing old is read again."""
        await self.ctx.renew()
        self.load = Loaders(self.ctx)


Info: TypeAlias = strawberry.Info[Operation, None]
