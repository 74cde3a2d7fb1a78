"""What happens to both loops: people act, iCloud fails, calendars and passwords change, a process dies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

from benchmarks.faults import beside, happenings
from benchmarks.faults.beside import Happening, Life
from benchmarks.faults.honest import appointments
from benchmarks.faults.loops.run import Run
from benchmarks.faults.questions import NIGHT
from domain.copies import WriteState
from standin.faults import Failing, Lie
from tests.fakes.calendar_server import APPLE_ID, PASSWORD
from tests.fakes.icloud import OTHER_PASSWORD

_WAITS = ("1", "2", "soon")
"""What a Retry-After says."""
_QUESTIONS = ("", "", "PROPFIND", "sync-collection", "calendar-multiget", "PUT", "DELETE", "GET")
_POINTS = (0, 0, 1, 2, 4, 8, 16)
"""Commits, and named steps of a poll or a write."""


async def something(run: Run) -> None:
    run.set_time()
    [act] = run.life.chance.choices([act for _, act in _KINDS], [weight for weight, _ in _KINDS])
    await act(run)
    await run.watched.note(run.clock())


# --- The owner, and guests


async def _act_beside(run: Run) -> None:
    await _happen(run, run.life.chance.choice(_BESIDE))


async def _act_as_guest(run: Run) -> None:
    await _happen(run, run.life.chance.choice(_GUESTS))


async def _happen(run: Run, what: Happening) -> None:
    with suppress(KeyError):  # The phone finds the calendar gone.
        await run.life.happen_beside(what)


async def carry(life: Life) -> None:
    """One of the owner's own to another calendar."""
    known = life.known
    if known.events:
        path = life.chance.choice(known.events)
        known.events.append(await known.phone.carry(path, life.chance.choice(known.calendars)))
        known.events.remove(path)
        life.series.pop(path, None)


_BESIDE: tuple[Happening, ...] = (*(each for each in beside.BESIDE if each is not beside.recreate), carry)
_GUESTS: tuple[Happening, ...] = (
    happenings.book,
    happenings.book,
    happenings.reschedule,
    happenings.cancel,
)


async def _lose_or_return(run: Run) -> None:
    """A calendar goes with all that stands in it, or is made anew in the same place."""
    if run.lost:
        return_one(run)
        return
    life = run.life
    name = life.chance.choice(life.known.calendars)
    life.told.append(f"{name} goes")
    # Of what is under way nobody knows whether it comes before.
    life.touched |= {
        own.id for own in await appointments(life.known) if own.write_state == WriteState.PENDING
    }
    run.lost.append(await beside.lose(life, name))


def return_one(run: Run) -> None:
    facts = run.lost.pop()
    run.life.told.append(f"{facts.name} is made anew")
    run.life.known.icloud.add_calendar(APPLE_ID, facts)


# --- iCloud


async def _fail(run: Run) -> None:
    def waiting(fault: str) -> str:
        waits = fault in {Failing.THROTTLE, Failing.TOO_MANY}
        return f"{fault}:{run.life.chance.choice(_WAITS)}" if waits else fault

    happenings.inject(run.life, _QUESTIONS, waiting=waiting)


async def _leave_out(run: Run) -> None:
    """The home shows one of the calendars for a moment no more: no proof that it is gone, while it is there itself."""
    life = run.life
    known, name = life.known, life.chance.choice(life.known.calendars)
    with suppress(LookupError):  # It is gone just now.
        path = known.icloud.cloud.member(APPLE_ID).calendar(name).path
        known.faults.inject(f"{Lie.LEFT_OUT}:{path}", life.chance.randint(1, 2), on="PROPFIND")
        life.told.append(f"{name} is left out")


async def _calm_down(run: Run) -> None:
    run.life.told.append("calm")
    run.life.known.faults.clear()


async def _change_password(run: Run) -> None:
    """It is revoked; the next time another one is made, and given to us."""
    if run.is_refused:
        await give_password(run)
        return
    run.life.told.append("the password is revoked")
    run.life.known.faults.revoke(run.password)
    run.watched.refused_since = run.clock()
    run.password = OTHER_PASSWORD if run.password == PASSWORD else PASSWORD


async def give_password(run: Run) -> None:
    run.life.told.append("another password")
    run.watched.refused_since, run.watched.awake_since = None, run.clock()
    await run.life.known.enter_password(run.password)


# --- We


async def _die(run: Run) -> None:
    """One of both, now, or at a commit or a step to come."""
    number, points = run.life.chance.randrange(len(run.processes)), run.life.chance.choice(_POINTS)
    run.life.told.append(f"{'AB'[number]} dies after {points} points")
    run.processes[number].doom.points_left = points


async def _sleep(run: Run) -> None:
    """The machine, for a night: calendars are compared, and windows move on."""
    if run.skip(NIGHT):
        run.life.told.append("a night")


_KINDS: tuple[tuple[int, Callable[[Run], Awaitable[None]]], ...] = (
    (8, _act_beside),
    (6, _act_as_guest),
    (5, _fail),
    (2, _leave_out),
    (3, _calm_down),
    (2, _lose_or_return),
    (2, _change_password),
    (3, _die),
    (1, _sleep),
)
