"""What every field gets as `info.context`: one operation's snapshot, and its loaders."""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from functools import cached_property
from typing import TypeAlias, TypeVar

import strawberry
from strawberry.dataloader import DataLoader

from domain.actor import UserRef
from resolvers import availability, batches, calendars, events, listings, types
from resolvers.availability import Closed
from resolvers.context import Context
from resolvers.listings import Listing
from resolvers.outcomes import InvalidInput
from resolvers.views import (
    AccountView,
    AppointmentTypeView,
    AppointmentView,
    CalendarView,
    ClosedSpanView,
    EventProblemView,
    EventView,
    Page,
    SlotView,
    UserView,
)

K = TypeVar("K")
V = TypeVar("V")
L = TypeVar("L", bound=Hashable)

Problems: TypeAlias = tuple[EventProblemView, ...] | InvalidInput


class Loaders:
    """Each asks once for all that one level of an answer needs; good for one snapshot, and made when it is needed."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    @cached_property
    def account(self) -> DataLoader[UserRef, AccountView | None]:
        return _all(self._ctx, batches.accounts_by_user)

    @cached_property
    def calendars(self) -> DataLoader[UserRef, tuple[CalendarView, ...] | None]:
        return _all(self._ctx, calendars.calendars_by_user)

    @cached_property
    def types(self) -> DataLoader[UserRef, tuple[AppointmentTypeView, ...] | None]:
        return _all(self._ctx, types.types_by_user)

    @cached_property
    def position(self) -> DataLoader[UserRef, str | None]:
        return _all(self._ctx, batches.positions_by_user)

    @cached_property
    def event_count(self) -> DataLoader[str, int | None]:
        return _all(self._ctx, calendars.event_counts)

    @cached_property
    def problems(self) -> DataLoader[tuple[str, int], Problems]:
        return DataLoader(load_fn=_problems(self._ctx))

    @cached_property
    def event(self) -> DataLoader[str, EventView | None]:
        return _all(self._ctx, events.events_by_id)

    @cached_property
    def appointment(self) -> DataLoader[str, AppointmentView | None]:
        return _all(self._ctx, batches.appointments_by_id)

    @cached_property
    def conflicts(self) -> DataLoader[str, tuple[SlotView, ...] | None]:
        return _all(self._ctx, batches.conflicts)

    @cached_property
    def events(self) -> DataLoader[tuple[UserRef, Listing], Page[EventView] | InvalidInput]:
        return DataLoader(load_fn=_pages(self._ctx, listings.events_by_user))

    @cached_property
    def blocked_slots(self) -> DataLoader[tuple[UserRef, Listing], Page[SlotView] | InvalidInput]:
        return DataLoader(load_fn=_pages(self._ctx, listings.blocked_slots_by_user))

    @cached_property
    def appointments(self) -> DataLoader[tuple[UserRef, Listing], Page[AppointmentView] | InvalidInput]:
        return DataLoader(load_fn=_pages(self._ctx, listings.appointments_by_user))

    @cached_property
    def closed_spans(self) -> DataLoader[tuple[UserRef, Closed], tuple[ClosedSpanView, ...] | InvalidInput]:
        return DataLoader(load_fn=_pages(self._ctx, availability.closed_spans_by_user))

    @cached_property
    def user(self) -> DataLoader[str, UserView | None]:
        return _all(self._ctx, batches.users_by_id)


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


def _pages(
    ctx: Context,
    find: Callable[[Context, Sequence[UserRef], L], Awaitable[Mapping[UserRef, V] | InvalidInput]],
) -> Callable[[list[tuple[UserRef, L]]], Awaitable[list[V | InvalidInput]]]:
    """By user and what of its list is asked for: an answer mostly asks the same of each."""

    async def load_all(keys: list[tuple[UserRef, L]]) -> list[V | InvalidInput]:
        found = {
            listing: await find(ctx, [user for user, of in keys if of == listing], listing)
            for listing in dict.fromkeys(of for _, of in keys)
        }
        answers = ((user, found[listing]) for user, listing in keys)
        return [it if isinstance(it, InvalidInput) else it[user] for user, it in answers]

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
