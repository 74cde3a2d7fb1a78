"""What happens to us, and when: guests book, polls and pushes meet faults, the owner acts amid them, we die."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from benchmarks.faults import beside
from benchmarks.faults.beside import BESIDE, Happening, Life
from benchmarks.faults.icloud import QUESTIONS
from domain.accounts import AccountStatus
from models.booking import Appointment
from standin.faults import KINDS, Failing, Lie
from standin.messages import Request
from sync.context import SyncContext
from sync.plan import ProblemCode
from tests.machine.process import Doom, Killed

_LEFT_OUT = {
    *(Failing.SLOW, Failing.DRIP, Failing.SILENCE, Lie.GZIP_BOMB, Lie.HUGE_TEXT),
    *(Lie.NO_CHANGE, Lie.STALE),
}
"""What takes its time, and what only a night's comparison finds out: `network`, `lies` and `left-out` try those."""
_FAULTS = tuple(kind for kind in KINDS if kind not in _LEFT_OUT)
_AMOUNTS: dict[str, tuple[int, ...]] = {
    Failing.STATUS: (304, 400, 403, 404, 409, 410, 412, 421, 500, 502, 504, 507, 599),
    Failing.RESET: (0, 1, 50, 300),
}
_REQUESTS = 6
_STEPS = 4
Act = Callable[[SyncContext], Awaitable[object]]

# --- Guests


async def book(life: Life) -> None:
    await life.known.book()


async def reschedule(life: Life) -> None:
    own, span = await _one_of_ours(life), await life.known.open_span()
    if own is not None and span is not None:
        await life.known.engine.change(own.id, starts=span[0], ends=span[1])


async def cancel(life: Life) -> None:
    own = await _one_of_ours(life)
    if own is not None:
        await life.known.engine.change(own.id, status="CANCELLED")


async def _one_of_ours(life: Life) -> Appointment | None:
    async with life.known.engine.database.reading() as db:
        ours = await Appointment.filter(status="CONFIRMED").using_db(db).order_by("id")
    return life.chance.choice(ours) if ours else None


# --- We


async def poll(life: Life) -> None:
    await life.known.engine.poll(life.known.context)


async def push(life: Life) -> None:
    await life.known.engine.push(life.known.context)


async def _edit(life: Life) -> None:
    """Something to read."""
    await life.happen_beside(life.chance.choice((beside.add, beside.move, beside.delete, beside.change_ours)))


async def _order(life: Life) -> None:
    """Something to write."""
    await life.happen(life.chance.choice((book, reschedule, cancel)))


async def poll_in_trouble(life: Life) -> None:
    await _edit(life)
    await _in_trouble(life, life.known.engine.poll)


async def push_in_trouble(life: Life) -> None:
    await _order(life)
    await _in_trouble(life, life.known.engine.push)


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


async def _in_trouble(life: Life, act: Act) -> None:
    """Up to three faults wait for its requests."""
    chance, faults = life.chance, life.known.faults
    for _ in range(chance.randint(1, 3)):
        fault, on = _drawn(life), chance.choice((*QUESTIONS, "GET"))
        life.told.append(f"{fault} on {on or 'any'}")
        faults.inject(fault, chance.choice([1, 1, 2, 4]), on=on, skip=chance.choice([0, 0, 1, 2]))
    for what, rate in ((beside.purge, 0.3), (beside.move_host, 0.3)):
        if chance.random() < rate:
            await life.happen(what)
    await _carry_out(life, act, death_rate=0.2)
    await _is_told(life)
    faults.clear()


async def _amid(life: Life, act: Act) -> None:
    """Twice something happens beside us before one of its requests is answered."""
    front, number, asked = life.known.icloud.front, life.chance.randint(1, _REQUESTS), 0

    async def on_request(request: Request) -> None:
        nonlocal asked
        if request.by_owner:
            return
        asked += 1
        if asked == number:
            for _ in range(2):
                await life.happen_beside(life.chance.choice(BESIDE))

    front.asked = on_request
    try:
        await _carry_out(life, act, death_rate=0.4)
    finally:
        front.asked = None


async def _carry_out(life: Life, act: Act, *, death_rate: float) -> None:
    """Where the process dies, another goes on: leases end, and nothing is remembered."""
    known = life.known
    engine, context = known.engine, known.context
    if life.chance.random() < death_rate:
        steps = life.chance.randrange(_STEPS)
        life.told.append(f"dies after {steps} steps")
        context = engine.context(f"doomed at {engine.now}", Doom(steps).reach)
    try:
        await act(context)
    except Killed:
        engine.now += engine.settings.lease
        known.context = engine.context(f"born at {engine.now}")
    engine.now += 1


def _drawn(life: Life) -> str:
    kind = life.chance.choice(_FAULTS)
    amounts = _AMOUNTS.get(kind)
    return f"{kind}:{life.chance.choice(amounts)}" if amounts else kind


async def _is_told(life: Life) -> None:
    """What the account says of itself is so, whatever it met."""
    account = await life.known.engine.account()
    match account.status:
        case AccountStatus.CONNECTED:
            assert account.problem_code in {None, ProblemCode.LINKED_CALENDAR_UNUSABLE}, account.problem_code
        case AccountStatus.UNREACHABLE:
            assert account.problem_code, "unreachable, and it is not said why"
            assert account.next_poll_at, "unreachable, and never asked again"
        case AccountStatus.NEEDS_NEW_PASSWORD:
            assert account.next_poll_at is None, "asked again with a password that is refused"


_WE: tuple[Happening, ...] = (
    *(book, book, reschedule, cancel, poll, push, poll_without_one, push_after_a_move, push_after_a_move),
    *(poll_amid, poll_amid, poll_amid, push_amid, push_amid),
    *(poll_in_trouble, poll_in_trouble, poll_in_trouble, push_in_trouble, push_in_trouble, push_in_trouble),
)


async def something(life: Life) -> None:
    if life.chance.random() < 0.5:
        await life.happen_beside(life.chance.choice(BESIDE))
    else:
        await life.happen(life.chance.choice(_WE))
