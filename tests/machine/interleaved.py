"""Two processes, and in the middle of what one does, at a request, an answer or a transaction, something else.

What comes there is run to its end before the first goes on: so orders come about that no case written by hand has.
Faults are few and told as such: what iCloud itself leaves out or gives as it was is the machine's part.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial

from sync.remote import RemoteError, Throttled, Unreachable
from sync.settings import SyncSettings
from tests.machine import guests, owner, promises
from tests.machine.doom import Killed
from tests.machine.ground import Ground
from tests.machine.life import LEASE_ENDS, PLACES, Life
from tests.machine.phone import Rules
from tests.machine.process import Process, started

SETTINGS = SyncSettings(batch=3, requests_in_flight=1, answers_stored_at_once=1, listing_lasts=0)
"""So that a reading has several pages, one after the other; and no time is too short for the owner."""

STEPS = 14
A_NIGHT = 25 * 3600
MOST_NIGHTS = 2
MOST_AT_ONCE = 3
RATES = (0.0, 0.04, 0.1, 0.25)
"""How likely something happens at each point."""
OFTEN = 0.25
WRITES_MEET_OWN = 0.7
"""How often a write is met by what has to do with it alone."""
ERRORS: tuple[Callable[[], RemoteError], ...] = (Unreachable, lambda: Throttled(2.0))

Act = Callable[["Interleaved"], Awaitable[object]]

_DOES = ContextVar("_DOES", default=True)
"""Not a subscriber's socket, which goes on beside all this: nothing happens in its midst."""


@dataclass(slots=True)
class Interleaved:
    """One run. `told` is what was done, and in the middle of what."""

    life: Life
    chance: random.Random
    told: list[str] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    acts: int = 0
    "Which of the processes does something now."
    depth: int = 0
    rate: float = 0.0
    happens: Sequence[str] = ()
    "In the middle of what is done now."
    may_die: bool = False
    nights: int = 0
    broken: BaseException | None = None
    "Found in the middle, where the engine takes it for a fault of its own and goes on."

    # --- A run

    async def begin(self) -> None:
        life = self.life
        for number in range(2):
            between = partial(self._between, number)
            settings = life.process.sync.context.settings
            self.processes.append(
                started(life.world.services, life.database, life.cloud, life.clock, settings, between)
            )
        life.process = self.processes[0]
        for number in range(self.chance.randrange(3, 9)):
            owner.create(life, number, self.number(72), self.number(1, 5), self.number(1, 4), self.number(7))
        await self.follow()

    async def step(self) -> None:
        name = self.chance.choices(list(STEPS_OF), [weight for weight, _ in STEPS_OF.values()])[0]
        self.rate, self.may_die = self.chance.choice(RATES), True
        if name == "reconnect":
            self.rate = 0.0  # Two owners who do so at once have no order that they know.
        self.happens = self._happenings(name)
        await self._do(self.number(2), name, STEPS_OF[name][1])
        self.rate = 0.0
        if self.broken is not None:
            raise self.broken
        await promises.check_settled(self.life)
        await promises.check_bookings(self.life)

    def _happenings(self, step: str) -> Sequence[str]:
        if step in GUESTS:
            return GUESTS_APART
        if step == "zone":
            return ZONES_APART
        return WRITES_MEET if step == "write" and self.chance.random() < WRITES_MEET_OWN else list(HAPPENINGS)

    async def rest(self, fresh: promises.Fresh) -> None:
        """All comes to rest, and every promise is looked at. What one process still believes is tried at the end."""
        life = self.life
        life.cloud.heal()
        for each in life.subscribers:
            await each.drop()  # It is told what it missed.
        async with self._acting(self.number(2)):
            if not life.is_connected:
                assert await owner.connect(life, chosen=set())
            if life.was_disconnected:
                await owner.choose_these(life, set(await owner.able(life)))
            await promises.heal(life)
        async with self._acting(self.number(2)):
            await promises.check_all(life, fresh)

    # --- What is done

    async def _do(self, number: int, name: str, act: Act) -> None:
        self.told.append(f"{'    ' * self.depth}{'AB'[number]}: {name}")
        async with self._acting(number):
            await act(self)

    async def _between(self, number: int, where: str) -> None:
        """A point of the process with this number."""
        if not _DOES.get() or self.broken is not None or self.chance.random() >= self.rate:
            return
        assert number == self.acts
        self.told.append(f"{'    ' * self.depth}  {where}:")
        self.life.meddled += 1
        try:
            for _ in range(self.number(1, MOST_AT_ONCE) if self.depth == 1 else 1):
                await self._happen(number)
        except Exception as error:
            self.broken = error
            raise

    async def _happen(self, number: int) -> None:
        if self.may_die and self.number(16) == 0:
            self.may_die = False
            self.told.append(f"{'    ' * self.depth}  it dies")
            self.processes[number].doom.is_dead = True
            raise Killed
        names = self.happens if self.depth == 1 else list(ON_THE_PHONE)
        name = self.chance.choices(names, [HAPPENINGS[each][0] for each in names])[0]
        is_here = self.number(3) == 0 and name in HERE_TOO
        await self._do(number if is_here else 1 - number, name, HAPPENINGS[name][1])

    @asynccontextmanager
    async def _acting(self, number: int) -> AsyncIterator[None]:
        """Everything is this process's meanwhile. It may be another one at the end."""
        life, before, may_die = self.life, self.acts, self.may_die
        beside, life.beside = life.beside, frozenset(asyncio.all_tasks())
        if self.depth == 0:
            life.beside = frozenset()
        self.may_die = may_die and (self.depth == 0 or number != before)
        self.acts, life.process, self.depth = number, self.processes[number], self.depth + 1
        try:
            yield
        finally:
            self.processes[number] = life.process
            self.acts, life.process, self.depth = before, self.processes[before], self.depth - 1
            life.beside, self.may_die = beside, self.may_die and may_die

    def number(self, first: int, end: int | None = None) -> int:
        return self.chance.randrange(first) if end is None else self.chance.randrange(first, end)

    # --- The engine

    async def poll(self) -> None:
        await promises.sync(self.life)

    async def write(self) -> None:
        await self.life.survive(self.life.push)

    async def write_anew(self) -> None:
        """Something is due: else a write is hardly ever met by anything."""
        rate, self.rate = self.rate, 0.0
        if self.life.is_connected and self.life.linked is None:
            await owner.link(self.life, self.number(1, 12))
        for _ in range(self.number(1, MOST_AT_ONCE + 1)):
            await self.chance.choice((self.book, self.move))()
        self.rate = max(rate, OFTEN)
        await self.write()

    async def overtake(self) -> None:
        """The other took longer than its lease lasts."""
        self.life.clock.now += LEASE_ENDS
        for act in self.chance.sample((self.poll, self.write, self.edit), 3):
            await act()

    async def wait(self) -> None:
        self.life.clock.now += self.chance.choice((1, 20, 61, 301))

    async def night(self) -> None:
        if self.nights < MOST_NIGHTS:
            self.nights += 1
            self.life.clock.now += A_NIGHT
        await self.poll()

    async def fault(self) -> None:
        self.life.cloud.errors.append(self.chance.choice(ERRORS)())

    async def lose(self) -> None:
        self.life.cloud.lost += 1

    async def purge(self) -> None:
        self.life.cloud.purge_tokens(self.life.calendar(self.number(12)))

    # --- People

    async def follow(self) -> None:
        one = await self.life.subscribe()
        does = _DOES.set(False)
        one.connect(self.life.process.services)
        _DOES.reset(does)

    async def book(self) -> None:
        """In whose midst others may book: not looked at before the end."""
        call = guests.book_call(self.life, self.number(PLACES), self.number(1, 4))
        guests.note(self.life, await self.life.insist(call))

    async def book_at_once(self) -> None:
        await guests.book(self.life, self.number(PLACES), self.number(1, 4))

    async def move(self) -> None:
        await guests.reschedule(self.life, self._which(), self.number(PLACES))

    async def move_amid(self) -> None:
        """As `book`: what comes to its new time in its midst is no move over what was known."""
        if (known := guests.one(self.life, self._which())) is not None:
            call = guests.reschedule_call(self.life, known, self.number(PLACES))
            with guests.changing(known):
                guests.note(self.life, await self.life.insist(call))

    async def cancel(self) -> None:
        await guests.cancel(self.life, self._which())

    def _which(self) -> int:
        """In the middle of something mostly the one that was told of last: it is what is written."""
        return -1 if self.depth > 1 and self.chance.random() < WRITES_MEET_OWN else self.number(12)

    async def choose(self) -> None:
        if self.life.is_connected:
            await owner.choose(self.life, self.number(32))

    async def link(self) -> None:
        if self.life.is_connected:
            await owner.link(self.life, self.number(12))

    async def change_policy(self) -> None:
        if self.life.is_connected:
            rules = Rules(*(self.chance.random() < 0.5 for _ in range(3)))
            await owner.change_policy(self.life, self.number(12), rules)

    async def move_zone(self) -> None:
        await owner.move_zone(self.life, self.chance.choice(owner.LIVES_IN))

    async def block(self) -> None:
        await owner.block(self.life, self.number(PLACES))

    async def renew(self) -> None:
        if self.life.is_connected:
            await owner.renew(self.life)

    async def disconnect(self) -> None:
        if not self.life.is_connected:
            return
        await owner.disconnect(self.life)
        for each in self.life.subscribers:
            await each.drop()
        self.life.subscribers.clear()  # What they were told is no longer in the log: that is promised, too.
        await self.follow()

    async def reconnect(self) -> None:
        """Disconnects, too, where it is connected."""
        await self.disconnect()
        if await owner.connect(self.life, chosen=set()):
            await owner.choose_these(self.life, set(await owner.able(self.life)))
            await owner.link(self.life, self.number(1, 12))

    # --- The phone

    async def create(self) -> None:
        owner.create(
            self.life, self.number(12), self.number(72), self.number(1, 5), self.number(1, 4), self.number(7)
        )

    async def edit(self) -> None:
        owner.edit(self.life, self.number(12), self.number(72), self.number(1, 5))

    async def delete(self) -> None:
        owner.delete(self.life, self.number(12))

    async def move_to_calendar(self) -> None:
        owner.move_to_calendar(self.life, self.number(12), self.number(12))

    async def move_copy(self) -> None:
        owner.move_copy(self.life, self.number(12), self.number(72))

    async def carry_copy(self) -> None:
        owner.carry_copy(self.life, self.number(12), self.number(12))

    async def delete_copy(self) -> None:
        owner.delete_copy(self.life, self.number(12))

    async def share(self) -> None:
        owner.share(self.life, self.number(12))

    async def add_calendar(self) -> None:
        owner.add_calendar(self.life)

    async def delete_calendar(self) -> None:
        owner.delete_calendar(self.life, self.number(12))


ON_THE_PHONE: dict[str, tuple[int, Act]] = {
    "create": (4, Interleaved.create),
    "edit": (6, Interleaved.edit),
    "delete": (3, Interleaved.delete),
    "move_to_calendar": (3, Interleaved.move_to_calendar),
    "move_copy": (3, Interleaved.move_copy),
    "carry_copy": (2, Interleaved.carry_copy),
    "delete_copy": (2, Interleaved.delete_copy),
    "share": (1, Interleaved.share),
    "add_calendar": (1, Interleaved.add_calendar),
    "delete_calendar": (1, Interleaved.delete_calendar),
}
GUESTS: dict[str, tuple[int, Act]] = {
    "move": (4, Interleaved.move),
    "cancel": (3, Interleaved.cancel),
}
HAPPENINGS: dict[str, tuple[int, Act]] = {
    **ON_THE_PHONE,
    **GUESTS,
    "poll": (4, Interleaved.poll),
    "write": (4, Interleaved.write),
    "overtake": (8, Interleaved.overtake),
    "wait": (2, Interleaved.wait),
    "fault": (1, Interleaved.fault),
    "lose": (1, Interleaved.lose),
    "purge": (1, Interleaved.purge),
    "book": (4, Interleaved.book_at_once),
    "block": (1, Interleaved.block),
    "zone": (2, Interleaved.move_zone),
    "choose": (4, Interleaved.choose),
    "link": (3, Interleaved.link),
    "policy": (2, Interleaved.change_policy),
    "renew": (1, Interleaved.renew),
    "disconnect": (1, Interleaved.disconnect),
    "reconnect": (2, Interleaved.reconnect),
}
"""What happens in the middle of something else, by how often."""
HERE_TOO = HAPPENINGS.keys() - {"poll", "overtake"}
"""What the process does in the middle of its own poll."""
GUESTS_APART = sorted(HAPPENINGS.keys() - GUESTS.keys())
"""In the middle of what a guest does to an appointment: what two of them do to it has no order that they know."""
ZONES_APART = sorted(HAPPENINGS.keys() - {"zone"})
WRITES_MEET = (
    "move",
    "cancel",
    "overtake",
    "write",
    "move_copy",
    "carry_copy",
    "delete_copy",
    "lose",
    "link",
)
"""What has to do with the one that is written."""
STEPS_OF: dict[str, tuple[int, Act]] = {
    "poll": (10, Interleaved.poll),
    "write": (8, Interleaved.write_anew),
    "book": (4, Interleaved.book),
    "move": (2, Interleaved.move_amid),
    "wait": (3, Interleaved.wait),
    "night": (1, Interleaved.night),
    "edit": (3, Interleaved.edit),
    "create": (2, Interleaved.create),
    "cancel": (1, Interleaved.cancel),
    "lose": (1, Interleaved.lose),
    "zone": (1, Interleaved.move_zone),
    "reconnect": (1, Interleaved.reconnect),
}


def run(ground: Ground, seed: int, *, steps: int = STEPS) -> None:
    """Raises what it finds, with what was done."""
    one = Interleaved(ground.begin(), random.Random(seed))
    try:
        ground.run(_run(one, ground, steps))
    except BaseException as error:
        error.add_note("\n".join([f"seed {seed}:", *one.told]))
        raise
    finally:
        ground.end()


async def _run(one: Interleaved, ground: Ground, steps: int) -> None:
    try:
        await one.begin()
        for _ in range(steps):
            await one.step()
        await one.rest(ground.slots_of_a_fresh_sync)
    finally:
        await one.life.end()
