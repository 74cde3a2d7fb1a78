"""What happens to us, and when: guests book, polls and pushes meet faults, others act amid them, we die."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace

from benchmarks.faults import beside, honest
from benchmarks.faults.beside import BESIDE, Happening, Life
from standin.faults import KINDS, Failing, Lie
from standin.messages import Request
from standin.owner import PhoneError
from sync.context import SyncContext
from tests.fakes.calendar_server import APPLE_ID
from tests.machine.doom import Doom, Killed

_LEFT_OUT = {
    *(Failing.SLOW, Failing.DRIP, Failing.SILENCE, Lie.GZIP_BOMB, Lie.HUGE_TEXT),
    *(Lie.NO_CHANGE, Lie.STALE, Lie.LEFT_OUT),
}
"""What takes its time, and what only a night's comparison finds out: `network`, `lies` and `left-out` try those."""
_FAULTS = tuple(kind for kind in KINDS if kind not in _LEFT_OUT)
_AMOUNTS: dict[str, tuple[int, ...]] = {
    Failing.STATUS: (304, 400, 403, 404, 409, 410, 412, 421, 500, 502, 504, 507, 599),
    Failing.RESET: (0, 1, 50, 300),
}
_QUESTIONS = ("", "PROPFIND", "sync-collection", "calendar-multiget", "PUT", "DELETE")
"""Which request meets a fault; the empty one is whatever comes next."""
_REQUESTS = 6
_STEPS = 4
_STEPS_OF_A_WRITE = ("outbox taken", "write sent", "write answered", "write marked")
_MOST_BOOKED = 8
Act = Callable[[SyncContext], Awaitable[object]]

# --- Guests


async def book(life: Life) -> str | None:
    """Whose copy is to be written now, as of the next two."""
    before = len(life.known.booked)
    await life.known.book()
    return life.known.booked[-1] if len(life.known.booked) > before else None


async def reschedule(life: Life) -> str | None:
    name = await _one_of_ours(life)
    return name if name is None or await _move(life, name) else None


async def cancel(life: Life) -> str | None:
    name = await _one_of_ours(life)
    if name is not None:
        await life.known.engine.change(name, status="CANCELLED")
    return name


async def _move(life: Life, name: str) -> bool:
    span = await life.known.open_span()
    if span is not None:
        await life.known.engine.change(name, starts=span[0], ends=span[1])
    return span is not None


async def _one_of_ours(life: Life) -> str | None:
    ours = sorted(own.id for own in await honest.appointments(life.known) if own.status == "CONFIRMED")
    return life.chance.choice(ours) if ours else None


async def _order(life: Life) -> str:
    """Something to write."""
    while True:
        booked = sum(own.status == "CONFIRMED" for own in await honest.appointments(life.known))
        # Neither none of them nor hundreds.
        few, many = (book, book, reschedule), (book, reschedule, cancel, cancel)
        order = life.chance.choice(few if booked < _MOST_BOOKED else many)
        life.told.append(order.__name__)
        name = await order(life)
        if name is not None:
            return name


async def _change_again(life: Life, name: str) -> None:
    """Another word of the guest's on the same appointment."""
    own = await life.known.engine.appointment(name)
    if own.status == "CONFIRMED" and life.chance.random() < 0.7:
        life.told.append(f"{name} moves")
        await _move(life, name)
    elif own.status == "CONFIRMED":
        life.told.append(f"{name} is cancelled")
        await life.known.engine.change(name, status="CANCELLED")


# --- We


async def poll(life: Life) -> None:
    await held(life, life.known.engine.poll)


async def push(life: Life) -> None:
    await held(life, life.known.engine.push)


async def _edit(life: Life) -> None:
    """Something to read."""
    await life.happen_beside(life.chance.choice((beside.add, beside.move, beside.delete, beside.change_ours)))


async def poll_in_trouble(life: Life) -> None:
    await _edit(life)
    await _in_trouble(life, life.known.engine.poll, (*_QUESTIONS, "GET"))


async def push_in_trouble(life: Life) -> None:
    await _order(life)
    await _in_trouble(life, life.known.engine.push, ("", "PUT", "PUT", "PUT", "DELETE", "GET", "PROPFIND"))


async def push_after_a_move(life: Life) -> None:
    """A write is the first to find that the account has gone to another host."""
    await _order(life)
    await life.happen(beside.move_host)
    await push(life)


async def poll_amid(life: Life) -> None:
    await _edit(life)
    await _amid(life, life.known.engine.poll)


async def push_amid(life: Life) -> None:
    await _order(life)
    await _amid(life, life.known.engine.push)


async def poll_without_one(life: Life) -> None:
    """A calendar is made anew only after a poll that missed it."""
    async with beside.without_one(life):
        await poll(life)


# --- Lies where they hurt


async def poll_told_gone(life: Life) -> None:
    """A delta that has something to tell says that one of the owner's events is gone, or the event is not given."""
    life.known.faults.clear()  # What is told as gone, and not given because it lags, is gone for all that we can know.
    path = await _told_of(life)
    lie, on = life.chance.choice(
        [(Lie.ALL_GONE, "sync-collection")] * 2
        + [(Lie.ALL_GONE, "calendar-multiget"), (Lie.LEFT_OUT, "calendar-multiget")]
    )
    life.told.append(f"{lie} on {on}")
    life.known.faults.inject(f"{lie}:{path}", on=on)
    await poll(life)
    life.known.faults.clear()
    await poll(life)


async def poll_told_a_part(life: Life) -> None:
    """A full listing leaves one event out, and so does the plain one that is to prove that it is gone."""
    path = await _one_held(life)
    life.known.faults.purge_tokens()
    for on in ("sync-collection", "PROPFIND"):
        life.known.faults.inject(f"{Lie.LEFT_OUT}:{path}", 9, on=on)
    await poll(life)
    life.known.faults.clear()
    await poll(life)


async def poll_told_by_halves(life: Life) -> None:
    """A delta of several changes comes in parts."""
    for _ in range(4):
        await life.happen_beside(beside.add)
    life.known.faults.inject(Lie.CUT_507, 2, on="sync-collection")
    await poll(life)
    life.known.faults.clear()


async def _one_held(life: Life) -> str:
    """The path of an event that we hold as it is: what is said of one that we never read, only a night finds out."""
    held_ones = {row.href: row.body.split() for row in await life.known.engine.resources()}
    texts = (await honest.look(life.known)).texts
    paths = [path for path, text in texts.items() if held_ones.get(path) == text.split()]
    return life.chance.choice(paths) if paths else "/"


async def _told_of(life: Life) -> str:
    """The path of one that the next delta tells of."""
    known, chance, path = life.known, life.chance, await _one_held(life)
    if path in known.events and chance.random() < 0.5:
        with suppress(PhoneError):  # Its calendar may be read-only now.
            await known.phone.move(path, *known.span())
            life.series.pop(path, None)
    else:
        _touch(life, path)
    return path


def _touch(life: Life, path: str) -> None:
    folder, _, name = path.rpartition("/")
    if name:
        life.known.faults.touch(folder.rpartition("/")[2], [name])


async def poll_unlisted(life: Life) -> None:
    """The home leaves a calendar out, of which it may be said itself that it is not there: for less than a minute."""
    known, chance = life.known, life.chance
    path = known.icloud.cloud.member(APPLE_ID).calendar(chance.choice(known.calendars)).path
    is_missing = chance.random() < 0.5
    for _ in range(chance.randint(1, 3)):
        known.faults.inject(f"{Lie.LEFT_OUT}:{path}", on="PROPFIND")
        if is_missing:
            known.faults.inject("status:404", 9, on=path)
        await poll(life)
        known.faults.clear()
    await poll(life)


# --- A write, and who comes in between


async def push_overtaken(life: Life) -> None:
    """While it is written a guest changes the appointment again, or the owner its copy."""
    name, on = await _order(life), life.chance.choice(("PUT", "PUT", "GET", "DELETE"))
    if life.chance.random() < 0.4:
        life.known.faults.inject(life.chance.choice(("lost", "html", "empty-200", "status:412")), on="PUT")

    async def come_between() -> None:
        if life.chance.random() < 0.6:
            await _change_again(life, name)
        else:
            life.told.append(f"the owner changes {name}")
            await beside.change_copy(life, name)

    await _between(life, life.known.engine.push, come_between, on=on)
    life.known.faults.clear()
    await push(life)


async def push_denied(life: Life) -> None:
    """What was written, or is to be removed, is said once not to be there."""
    known = life.known
    name = await _order(life)
    is_cancelled = (await known.engine.appointment(name)).status == "CANCELLED"
    for fault, on in (
        (("status:404", "DELETE"),) if is_cancelled else (("lost", "PUT"), ("status:404", "GET"))
    ):
        known.faults.inject(fault, on=on)
    for _ in range(2):
        await push(life)
        await known.hasten()
    known.faults.clear()
    life.told.append(f"{name} was denied")
    await push(life)


async def poll_before_a_write(life: Life) -> None:
    """The copy that is to be changed is read once more as it was."""
    own = await life.known.engine.appointment(await _order(life))
    if own.href:
        with suppress(KeyError, LookupError):  # The owner may have deleted it.
            _touch(life, own.href)
    await poll(life)
    await push(life)


async def poll_beside_a_write(life: Life) -> None:
    """Between what a poll is told and what it is given, what it is about to read is written anew, and that lags."""
    known, name = life.known, await _order(life)
    await push(life)

    async def write() -> None:
        known.faults.lag(polls=1, shows_old=True)
        known.engine.now += 1
        await _change_again(life, name)
        await known.engine.push(known.context)

    await _between(life, known.engine.poll, write, on="REPORT", number=2)
    known.faults.clear()


async def push_dies(life: Life) -> None:
    """At one of a write's steps; it may be changed again before another process finds it."""
    name, engine = await _order(life), life.known.engine
    step = life.chance.choice(_STEPS_OF_A_WRITE)
    life.told.append(f"dies at {step!r}")

    def reach(reached: str) -> None:
        if reached == step:
            raise Killed

    await held(life, engine.push, engine.context(f"doomed at {engine.now}", reach))
    if life.chance.random() < 0.6:
        await _change_again(life, name)
    await push(life)


async def poll_taken_over(life: Life) -> None:
    await _edit(life)
    await _taken_over(life, life.known.engine.poll)


async def push_taken_over(life: Life) -> None:
    await _order(life)
    await _taken_over(life, life.known.engine.push)


async def _taken_over(life: Life, act: Act) -> None:
    """The lease ends amid a request, the account goes on elsewhere, and we, who knew nothing, go on too.

    But for another try at a write: its own deadline, by the clock of the machine, is shorter than the lease.
    """
    known, engine = life.known, life.known.engine
    seen: list[honest.Look] = []

    async def take_over() -> None:
        await _edit(life)
        if life.chance.random() < 0.5:
            await _order(life)
        engine.now += engine.settings.lease
        other = engine.context(f"taken over at {engine.now}")
        await engine.push(other)
        seen.append(await honest.look(known))
        await engine.poll(other)

    def reach(step: str) -> None:
        if seen and step == "write sent":
            raise TimeoutError

    async def go_on(context: SyncContext) -> object:
        return await act(replace(context, at=reach))

    await _between(life, go_on, take_over, number=life.chance.randint(1, 4))
    for each in seen:
        await honest.hold(life, each)


# --- How it is done


async def _in_trouble(life: Life, act: Act, questions: tuple[str, ...]) -> None:
    chance, faults = life.chance, life.known.faults
    inject(life, questions)
    for what, rate in ((beside.purge, 0.3), (beside.move_host, 0.3)):
        if chance.random() < rate:
            await life.happen(what)
    await _carry_out(life, act, death_rate=0.2)
    await honest.hold_as_told(life)
    faults.clear()


async def _amid(life: Life, act: Act) -> None:
    """Twice something happens beside us before one of its requests is answered."""

    async def happen_twice() -> None:
        for _ in range(2):
            await life.happen_beside(life.chance.choice((*BESIDE, book, reschedule, cancel)))

    await _between(life, act, happen_twice, number=life.chance.randint(1, _REQUESTS), death_rate=0.4)


async def _between(
    life: Life,
    act: Act,
    come: Callable[[], Coroutine[None, None, None]],
    *,
    on: str = "",
    number: int = 1,
    death_rate: float = 0.0,
) -> None:
    """Before the request of that number is answered; `on`: of those with this method."""
    front, asked = life.known.icloud.front, 0
    ours = copy_context()  # The stand-in's own tasks know no database.
    coming: list[asyncio.Task[None]] = []

    async def on_request(request: Request) -> None:
        nonlocal asked
        if request.by_owner or on not in {"", request.method}:
            return
        asked += 1
        if asked == number:
            coming.append(asyncio.create_task(come(), context=ours))
            await asyncio.wait(coming)

    front.asked = on_request
    try:
        await _carry_out(life, act, death_rate=death_rate)
    finally:
        front.asked = None
        for each in coming:
            with suppress(PhoneError, LookupError):
                await each


async def _carry_out(life: Life, act: Act, *, death_rate: float) -> None:
    context = None
    if life.chance.random() < death_rate:
        steps = life.chance.randrange(_STEPS)
        life.told.append(f"dies after {steps} steps")
        engine = life.known.engine
        context = engine.context(f"doomed at {engine.now}", Doom(steps).reach)
    await held(life, act, context)


async def held(life: Life, act: Act, context: SyncContext | None = None) -> None:
    """Where the process dies, another goes on, which remembers nothing. What must hold, holds either way."""
    known, engine = life.known, life.known.engine
    engine.now += 1
    before = await honest.look(known)
    try:
        await act(context or known.context)
    except Killed:
        engine.now += engine.settings.lease
        known.context = engine.context(f"born at {engine.now}")
    await honest.hold(life, before)


def inject(life: Life, questions: Sequence[str], *, waiting: Callable[[str], str] = str) -> None:
    """Up to three faults wait for whoever asks. `waiting`: a fault as it says how long to wait."""
    chance = life.chance
    for _ in range(chance.randint(1, 3)):
        fault, on = _drawn(life), chance.choice(questions)
        fault = waiting(fault)
        life.told.append(f"{fault} on {on or 'any'}")
        life.known.faults.inject(fault, chance.choice([1, 1, 2, 4]), on=on, skip=chance.choice([0, 0, 1, 2]))


def _drawn(life: Life) -> str:
    """One that a request can meet, and that its answer gives away."""
    kind = life.chance.choice(_FAULTS)
    amounts = _AMOUNTS.get(kind)
    return f"{kind}:{life.chance.choice(amounts)}" if amounts else kind


_WE: tuple[Happening, ...] = (
    *(poll, push, poll_without_one, push_after_a_move, poll_told_gone, poll_told_gone, poll_unlisted),
    *(poll_told_a_part, poll_told_by_halves, push_denied, poll_before_a_write, poll_beside_a_write),
    *(poll_amid, poll_amid, push_amid, push_amid, poll_taken_over, push_taken_over),
    *(push_overtaken, push_overtaken, push_dies, push_dies),
    *(poll_in_trouble, poll_in_trouble, push_in_trouble, push_in_trouble, push_in_trouble),
)


async def something(life: Life) -> None:
    if life.chance.random() < 0.3:
        await life.happen_beside(life.chance.choice(BESIDE))
    else:
        await life.happen(life.chance.choice(_WE))
