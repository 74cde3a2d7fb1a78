"""Availability as subscribers follow it: computed once for all who ask the same, and only when it can have changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Hashable
from dataclasses import dataclass, replace
from functools import partial

from domain import edges as sweep
from domain.actor import Actor
from domain.edges import Edges
from domain.interval import Span
from resolvers.answers import Answer, Basis, Moment, already, answer, basis_of
from resolvers.asked import Asked, Concerned, read_asked, resolve
from resolvers.availability import moment_of, refreshed
from resolvers.context import Context, Services
from resolvers.feeds import Lookout, Rings
from resolvers.outcomes import Refusal
from resolvers.question import AvailabilityQuestion, StalePolicy
from resolvers.views import AvailabilityUpdateView


@dataclass(frozen=True, slots=True)
class Sourcing:
    """Which source a subscriber shares, and how the first one makes it."""

    key: Hashable
    source: Callable[[], Source]


async def source_of(ctx: Context, question: AvailabilityQuestion) -> Sourcing | Refusal:
    """Each subscriber is checked for itself; those who may see the same share one source."""
    services, actor = ctx.services, ctx.actor
    asked = await resolve(await ctx.db(), actor, question, identity_key=services.identity_key, now=ctx.now)
    if isinstance(asked, Refusal):
        return asked
    key = (actor.subaccount, asked.is_guest, asked.users, question)
    return Sourcing(key, lambda: Source(services, actor, asked))


class Source:
    """`version` counts the answers that differ from the one before."""

    def __init__(self, services: Services, actor: Actor, asked: Asked) -> None:
        self._services = services
        self._actor = actor
        self._question = asked.question
        self._users = asked.users
        self._lenders = asked.lenders
        topics = tuple(user.user for user in (*asked.users, *asked.lenders))
        self._rings = Rings(services.bell, topics, every=services.settings.look_every)
        self._lookout = Lookout()
        self._computing = asyncio.Lock()
        self._current: Answer | Refusal | None = None
        self._version = 0
        self._snapshot: AvailabilityUpdateView | None = None
        self._update: tuple[Answer, Answer, AvailabilityUpdateView] | None = None

    def close(self) -> None:
        self._rings.close()

    async def follow(self) -> AsyncGenerator[AvailabilityUpdateView | Refusal, None]:
        """The availability now, then each that differs from the last one shown. A refusal is the last."""
        await self._services.watch(self._users)
        seen = await self._compute(is_first=True)
        if isinstance(seen, Refusal):
            yield seen
            return
        version = self._version
        yield self._begun(seen)
        while True:
            await self._lookout.until(partial(self._is_past, version), self._look)
            version, current = self._version, self._current
            if isinstance(current, Refusal):
                yield current
                return
            # What came and went while this subscriber was slow is nothing to tell.
            if current is not None and differ(seen, current):
                yield self._told(seen, current)
                seen = current

    def _begun(self, seen: Answer) -> AvailabilityUpdateView:
        """One value for all who begin with the same."""
        if self._snapshot is None or self._snapshot.availability is not seen.view:
            self._snapshot = AvailabilityUpdateView(
                is_snapshot=True, availability=seen.view, opened=(), closed=()
            )
        return self._snapshot

    def _is_past(self, version: int) -> bool:
        return self._version > version

    def _told(self, seen: Answer, current: Answer) -> AvailabilityUpdateView:
        """One value for all who saw the same before."""
        if self._update is None or self._update[0] is not seen or self._update[1] is not current:
            self._update = (seen, current, update_of(seen, current))
        return self._update[2]

    async def _look(self) -> None:
        current = self._current
        until = current.next_at - self._services.clock() if isinstance(current, Answer) else 0.0
        await self._rings.wait(at_most=until)
        await self._services.watch(self._users)
        await self._compute(is_first=False)

    async def _compute(self, *, is_first: bool) -> Answer | Refusal:
        async with self._computing:
            with self._rings.heard():
                found = await self._found(is_first=is_first)
            before, self._current = self._current, found
            if before is not None and before is not found and differ(before, found):
                self._version += 1
            return found

    async def _found(self, *, is_first: bool) -> Answer | Refusal:
        """The current one while it stands; for who sees its first, of this minute at that."""
        services, now = self._services, self._services.clock()
        moment = self._moment(now, refreshed_at=None)
        async with services.database.reading() as db:
            concerned = await read_asked(db, services, self._users, self._lenders, now=now) or Concerned(
                (), ()
            )
        basis, current = basis_of(concerned, moment.since), self._current
        if isinstance(current, Answer) and current.stands(basis, moment, of_this_minute=is_first):
            return current
        if self._is_to_refresh(basis):
            stale = [person.ref for person in concerned.people if person.sync.older_than(moment.since)]
            await refreshed(services, stale)
            moment = self._moment(services.clock(), refreshed_at=now)
        async with services.database.reading() as db:
            key = services.identity_key
            asked = await resolve(db, self._actor, self._question, identity_key=key, now=moment.now)
            if not isinstance(asked, Asked):
                return asked
            return await answer(already(db), services, asked, moment)

    def _is_to_refresh(self, basis: Basis) -> bool:
        """Once each time that it has become too old."""
        was_fresh = not isinstance(self._current, Answer) or self._current.basis.is_fresh
        return self._question.on_stale == StalePolicy.REFRESH and was_fresh and not basis.is_fresh

    def _moment(self, now: float, *, refreshed_at: float | None) -> Moment:
        """Rules go by the whole minute: so that all who ask the same see the same."""
        minute = int(now) // 60 * 60
        moment = moment_of(
            self._question, self._services, now=now, rules_now=minute, refreshed_at=refreshed_at
        )
        return replace(moment, is_followed=True)


def differ(one: Answer | Refusal, other: Answer | Refusal) -> bool:
    """Whether a subscriber is to be told: time alone cuts windows shorter without that being a change."""
    if isinstance(one, Refusal) or isinstance(other, Refusal):
        return one != other
    if (
        one.view.freshness.is_fresh != other.view.freshness.is_fresh
        or one.view.openings != other.view.openings
    ):
        return True
    if one.basis == other.basis:
        return False
    both = one.cut.clipped(other.cut)
    return _edges(one, both) != _edges(other, both)


def update_of(seen: Answer, current: Answer) -> AvailabilityUpdateView:
    before, after = _edges(seen), _edges(current)
    return AvailabilityUpdateView(
        is_snapshot=False,
        availability=current.view,
        opened=tuple(sweep.spans(sweep.subtract(after, before))),
        closed=tuple(sweep.spans(sweep.subtract(before, after))),
    )


def _edges(found: Answer, within: Span | None = None) -> Edges:
    edges = list(found.view.free)
    return edges if within is None else sweep.clip(edges, within.start, within.end)
