"""The machine: Hypothesis chooses what happens next to one user's time; when it ends, every promise is looked at.

Each rule takes small numbers alone, so that the failing run which Hypothesis prints is code that can be kept.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.machine import guests, owner, promises
from tests.machine.cloud import ERRORS, Lie
from tests.machine.ground import Ground
from tests.machine.phone import Rules
from tests.machine.subscriber import Subscriber
from tests.memory import memory

WHICH = st.integers(0, 11)
PLACE = st.integers(0, 71)
HALVES = st.integers(1, 6)
DAYS = st.sampled_from((1, 1, 2, 3, 5))
YES = st.booleans()
POINTS = st.integers(0, 24)
DOES = st.sampled_from(("poll", "push", "both"))
MOST_SUBSCRIBERS = 2


class Machine(RuleBasedStateMachine):
    ground: ClassVar[Ground | None] = None
    postgres: ClassVar[str | None] = None
    "The URL of a server, in place of SQLite in memory."

    def __init__(self) -> None:
        super().__init__()
        self.life = self._ground().begin()
        for number, (days, manner) in enumerate(((1, 0), (5, 0), (3, 2), (1, 3))):
            owner.create(self.life, number, 20 * number, 2, days, manner)

    @classmethod
    def _ground(cls) -> Ground:
        if Machine.ground is None:
            folder = Path(tempfile.mkdtemp(prefix="slotwire-machine-", dir=memory()))
            Machine.ground = Ground(folder, Machine.postgres)
        return Machine.ground

    @classmethod
    def close(cls) -> None:
        """After the last run of a process."""
        if Machine.ground is not None:
            Machine.ground.close()
            shutil.rmtree(Machine.ground.folder)
            Machine.ground = None

    def do(self, act: Coroutine[Any, Any, object]) -> None:
        """Against a process that lives: one can have ended in a task that nobody waited for."""
        if self.life.process.doom.is_dead:
            self._ground().run(self.life.restart())
        self._ground().run(act)

    # --- The owner's phone

    @rule(which=WHICH, place=PLACE, halves=HALVES, days=DAYS, manner=st.integers(0, 6))
    def iphone_create(self, which: int, place: int, halves: int, days: int, manner: int) -> None:
        owner.create(self.life, which, place, halves, days, manner)

    @rule(which=WHICH, place=PLACE, halves=HALVES)
    def iphone_edit(self, which: int, place: int, halves: int) -> None:
        owner.edit(self.life, which, place, halves)

    @rule(which=WHICH, number=WHICH, place=PLACE)
    def iphone_move_occurrence(self, which: int, number: int, place: int) -> None:
        owner.move_occurrence(self.life, which, number, place)

    @rule(which=WHICH, number=WHICH)
    def iphone_delete_occurrence(self, which: int, number: int) -> None:
        owner.delete_occurrence(self.life, which, number)

    @rule(which=WHICH, number=WHICH, place=PLACE)
    def iphone_this_and_future(self, which: int, number: int, place: int) -> None:
        owner.this_and_future(self.life, which, number, place)

    @rule(which=WHICH)
    def iphone_delete(self, which: int) -> None:
        owner.delete(self.life, which)

    @rule(which=WHICH, declined=YES, free=YES)
    def iphone_answer(self, which: int, declined: bool, free: bool) -> None:
        owner.decline(self.life, which, is_declined=declined)
        owner.switch(self.life, which, is_free=free)

    @rule(which=WHICH, to=WHICH)
    def iphone_move_to_calendar(self, which: int, to: int) -> None:
        owner.move_to_calendar(self.life, which, to)

    @rule(which=WHICH, place=PLACE)
    def iphone_move_copy(self, which: int, place: int) -> None:
        owner.move_copy(self.life, which, place)

    @rule(which=WHICH, to=WHICH)
    def iphone_carry_copy(self, which: int, to: int) -> None:
        owner.carry_copy(self.life, which, to)

    @rule(which=WHICH)
    def iphone_delete_copy(self, which: int) -> None:
        owner.delete_copy(self.life, which)

    @rule(which=WHICH)
    def iphone_rename(self, which: int) -> None:
        owner.rename(self.life, which)

    @rule(which=WHICH)
    def iphone_share(self, which: int) -> None:
        owner.share(self.life, which)

    @rule()
    def iphone_add_calendar(self) -> None:
        owner.add_calendar(self.life)

    @rule(which=WHICH)
    def iphone_delete_calendar(self, which: int) -> None:
        owner.delete_calendar(self.life, which)

    # --- The dashboard

    @rule(mask=st.integers(0, 31))
    def choose(self, mask: int) -> None:
        self.do(owner.choose(self.life, mask))

    @rule(which=WHICH)
    def link(self, which: int) -> None:
        self.do(owner.link(self.life, which))

    @rule(which=WHICH, all_day=YES, declined=YES, travel=YES)
    def change_policy(self, which: int, all_day: bool, declined: bool, travel: bool) -> None:
        self.do(owner.change_policy(self.life, which, Rules(all_day, declined, travel)))

    @rule(zone=st.sampled_from(owner.LIVES_IN))
    def move_zone(self, zone: str) -> None:
        self.do(owner.move_zone(self.life, zone))

    @rule(place=PLACE)
    def block(self, place: int) -> None:
        self.do(owner.block(self.life, place))

    @rule(which=WHICH)
    def unblock(self, which: int) -> None:
        self.do(owner.unblock(self.life, which))

    # --- Guests

    @rule(place=PLACE, halves=HALVES)
    def book(self, place: int, halves: int) -> None:
        self.do(guests.book(self.life, place, halves))

    @rule(place=PLACE, uses_hold=YES)
    def book_page(self, place: int, uses_hold: bool) -> None:
        self.do(guests.book_page(self.life, place, uses_hold=uses_hold))

    @rule(place=PLACE)
    def hold(self, place: int) -> None:
        self.do(guests.hold(self.life, place))

    @rule(which=WHICH, place=PLACE)
    def reschedule(self, which: int, place: int) -> None:
        self.do(guests.reschedule(self.life, which, place))

    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        self.do(guests.cancel(self.life, which))

    # --- The engine, and time

    @rule()
    def sync(self) -> None:
        self.do(self._sync())

    @rule()
    def write(self) -> None:
        self.do(self._write())

    @rule(seconds=st.sampled_from((1, 20, 61, 301, 901, 10_800)))
    def wait(self, seconds: int) -> None:
        self.life.clock.now += seconds
        self.do(self._sync())

    @rule(seconds=st.sampled_from((-3600, -61, 3600)))
    def clock_jump(self, seconds: int) -> None:
        self.life.clock.now += seconds
        self.do(self._sync())

    @rule(seed=st.integers(0, 10_000), place=PLACE, halves=HALVES, which=WHICH)
    def at_once(self, seed: int, place: int, halves: int, which: int) -> None:
        """A poll, a write, two bookings of one place and an edit on the phone, in the seed's order."""
        self.do(self._at_once(random.Random(seed), place, halves, which))

    # --- Trouble

    @rule(points=POINTS, does=DOES)
    def crash(self, points: int, does: str) -> None:
        """The process ends so many commits, requests or named steps from now."""
        self.life.process.doom.points_left = points
        self.do(self._trouble(does))

    @rule(does=DOES)
    def drop_answer(self, does: str) -> None:
        self.life.cloud.lost += 1
        self.do(self._trouble(does))

    @rule(kind=st.integers(0, len(ERRORS) - 1), does=DOES)
    def error(self, kind: int, does: str) -> None:
        """Throttled, unreachable, refused: the next call meets it."""
        self.life.cloud.errors.append(ERRORS[kind]())
        self.do(self._trouble(does))

    @rule(lies=st.lists(st.sampled_from([each.name for each in Lie]), min_size=1, max_size=3))
    def lying_answer(self, lies: list[str]) -> None:
        """The next calls that list or give something."""
        self.life.cloud.lies += [Lie[name] for name in lies]
        self.do(self._sync())

    @rule(which=WHICH)
    def hide(self, which: int) -> None:
        """Listed, and not given."""
        if (found := self.life.event(which)) is not None:
            self.life.cloud.hidden.add(found[0])
            self.life.settled.discard(found[0])

    @rule(which=WHICH, place=PLACE)
    def lag(self, which: int, place: int) -> None:
        """Edited, and given as it was before for a while."""
        if (found := self.life.event(which)) is not None:
            calendar = self.life.cloud.calendar_of(found[0])
            self.life.cloud.lagging[found[0]] = calendar.texts[found[0]]
            owner.edit(self.life, which, place, 2)
            self.do(self._sync())

    @rule(tells=YES)
    def tell_etags(self, tells: bool) -> None:
        """Whether a PUT's answer names one."""
        self.life.cloud.tells_etags = tells

    @rule()
    def revoke(self) -> None:
        owner.revoke(self.life)

    @rule()
    def renew(self) -> None:
        self.do(owner.renew(self.life))

    @rule(number=st.integers(1, 3))
    def partition_move(self, number: int) -> None:
        self.life.cloud.home_url = f"https://p{number:02}.fake.test/1/calendars/"

    @rule(which=WHICH)
    def token_purge(self, which: int) -> None:
        self.life.cloud.purge_tokens(self.life.calendar(which))

    # --- Subscribers

    @rule()
    def subscribe(self) -> None:
        if len(self.life.subscribers) < MOST_SUBSCRIBERS:
            self.do(self._subscribe())

    @rule(which=WHICH)
    def drop_socket(self, which: int) -> None:
        if self.life.subscribers:
            self.do(self.life.subscribers[which % len(self.life.subscribers)].drop())

    @rule(which=WHICH)
    def resume(self, which: int) -> None:
        if self.life.subscribers:
            self.do(self._resume(self.life.subscribers[which % len(self.life.subscribers)]))

    # --- What is promised

    def teardown(self) -> None:
        self._ground().turns.chance = None
        try:
            self.do(self._end())
        finally:
            self._ground().end()

    async def _end(self) -> None:
        try:
            await promises.check_all(self.life, self._ground().slots_of_a_fresh_sync)
        finally:
            await self.life.end()

    async def _sync(self) -> None:
        await promises.sync(self.life)

    async def _write(self) -> None:
        await self.life.survive(self.life.push)

    async def _trouble(self, does: str) -> None:
        if does != "push":
            await self._sync()
        if does != "poll":
            await self._write()

    async def _at_once(self, chance: random.Random, place: int, halves: int, which: int) -> None:
        life = self.life
        calls = [guests.book_call(life, place, halves), guests.book_call(life, place + 1, halves)]

        async def edit() -> None:
            for _ in range(chance.randrange(40)):
                await asyncio.sleep(0)
            owner.edit(life, which, place, halves)

        acts = [life.poll(), life.push(), edit(), *(call() for call in calls)]
        chance.shuffle(acts)
        self._ground().turns.chance = chance
        try:
            await asyncio.gather(*acts, return_exceptions=True)
        finally:
            self._ground().turns.chance = None
        if life.process.doom.is_dead:
            await life.restart()
        for call in calls:
            guests.note(life, await life.insist(call))
        await promises.check_bookings(life)

    async def _subscribe(self) -> None:
        await self._resume(await self.life.subscribe())

    async def _resume(self, one: Subscriber) -> None:
        one.connect(self.life.process.services)
        for _ in range(3):
            await asyncio.sleep(0)
