"""Two at once for one user's time, let go by a barrier: the later commit knows of the earlier, or is told of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from benchmarks.campaigns.tally import Tally
from benchmarks.databases import fresh_database
from benchmarks.faults.row import Scene
from domain.hours import WeeklyHours
from models.bell import Bell
from models.database import Database
from models.seal import Secret
from resolvers import accounts, booking, hours
from resolvers.outcomes import ICloudAccountInUse, SlotUnavailable
from resolvers.views import AccountView
from server.database import migrate, open_database
from tests.fakes.icloud import PASSWORD
from tests.integration.pages import DAY, GUEST, MIDNIGHT, created
from tests.integration.whole import Whole, whole_on
from tests.integration.world import admin_of, world_on

HALF_HOUR = 1800
Race = Callable[[Whole, random.Random, int], Awaitable[None]]


@asynccontextmanager
async def opened(scene: Scene) -> AsyncIterator[Database]:
    async with fresh_database(scene.kind, scene.folder, postgres=scene.postgres) as url:
        await migrate(url)
        async with open_database(url, pool_size=8) as database:
            yield database


async def _run(scene: Scene, race: Race) -> Tally:
    tally = Tally(scene.name, scene.where)
    chance = random.Random(scene.seed)
    async with opened(scene) as database:
        whole = await whole_on(database, Bell())
        always = [WeeklyHours(day, 0, 1440) for day in range(7)]
        await whole.world.owner(
            hours.set_working_hours, user_id=whole.world.anna.user, weekly=always, overrides=[]
        )
        try:
            for number in range(scene.count):
                tally.trials += 1
                try:
                    await race(whole, chance, number)
                except AssertionError as error:
                    tally.hold(claim=False, story=f"trial {number}: {error}"[:400])
        finally:
            await whole.sync.close()
    return tally


def _place(number: int) -> int:
    """Each trial has two hours to itself."""
    return MIDNIGHT + 2 * DAY + number * 7200


async def _book(whole: Whole, start: int, key: str) -> booking.Saved | object:
    return await whole.world.owner(
        booking.create_appointment,
        idempotency_key=key,
        user_id=whole.world.anna.user,
        type_id=None,
        start=start,
        end=start + HALF_HOUR,
        title=None,
        guest=GUEST,
        notes=None,
    )


async def _both(chance: random.Random, *acts: Callable[[], Awaitable[object]]) -> list[object]:
    """Let go by one barrier, each after some turns of the loop."""
    barrier = asyncio.Barrier(len(acts))

    async def one(act: Callable[[], Awaitable[object]], turns: int) -> object:
        await barrier.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        return await act()

    return list(await asyncio.gather(*(one(act, chance.randrange(60)) for act in acts)))


# --- Booking against a sync that brings an event there


async def against_a_sync(scene: Scene) -> Tally:
    return await _run(scene, _against_a_sync)


async def _against_a_sync(whole: Whole, chance: random.Random, number: int) -> None:
    start = _place(number)
    since = await whole.world.position()
    whole.put(whole.work, f"event-{number}", start, start + HALF_HOUR)
    saved, _ = await _both(
        chance, lambda: _book(whole, start, f"a-key-against-a-sync-{number:06}"), whole.poll
    )
    log = [(row.kind, row.seq) for row in await whole.world.log(after=since)]
    booked = [seq for kind, seq in log if kind == "appointment.booked"]
    blocked = [seq for kind, seq in log if kind == "slot.added"]
    assert blocked, "the event was not read"
    if not isinstance(saved, booking.Saved):
        assert isinstance(saved, SlotUnavailable), saved
        assert not booked
        return
    assert booked[0] < blocked[0], "booked over a block that was there before"
    rows = await whole.world.rows("SELECT has_conflict FROM appointment WHERE id = $1", saved.appointment.id)
    assert rows[0]["has_conflict"], "a conflict that came after is shown"


# --- Booking against a reschedule to the same place


async def against_a_move(scene: Scene) -> Tally:
    return await _run(scene, _against_a_move)


async def _against_a_move(whole: Whole, chance: random.Random, number: int) -> None:
    start = _place(number)
    known = await created(
        whole.world, start, end=start + HALF_HOUR, idempotency_key=f"the-first-one-{number:06}"
    )
    wanted = start + 3600
    answers = await _both(
        chance,
        lambda: _book(whole, wanted, f"a-key-against-a-move-{number:06}"),
        lambda: whole.world.owner(
            booking.reschedule_appointment,
            idempotency_key=f"a-key-of-the-move-{number:06}",
            appointment_id=known.id,
            start=wanted,
        ),
    )
    won = [answer for answer in answers if isinstance(answer, booking.Saved)]
    assert len(won) == 1, answers
    await _no_overlap(whole, start)


# --- A cancellation, and a booking of what it frees


async def against_a_cancel(scene: Scene) -> Tally:
    return await _run(scene, _against_a_cancel)


async def _against_a_cancel(whole: Whole, chance: random.Random, number: int) -> None:
    start = _place(number)
    known = await created(
        whole.world, start, end=start + HALF_HOUR, idempotency_key=f"to-be-cancelled-{number:06}"
    )
    _, *rivals = await _both(
        chance,
        lambda: whole.world.owner(booking.cancel_appointment, appointment_id=known.id, reason=None),
        *(lambda key=f"a-key-of-rival-{rival}-{number:06}": _book(whole, start, key) for rival in range(2)),
    )
    assert sum(isinstance(answer, booking.Saved) for answer in rivals) <= 1, rivals
    again = await _book(whole, start, f"a-key-of-the-last-{number:06}")
    is_taken = any(isinstance(answer, booking.Saved) for answer in rivals)
    assert isinstance(again, booking.Saved) != is_taken, "what is cancelled is free, once"
    await _no_overlap(whole, start)


async def _no_overlap(whole: Whole, start: int) -> None:
    rows = await whole.world.rows(
        "SELECT a.id FROM appointment a JOIN appointment b ON a.id < b.id AND a.user_id = b.user_id"
        " WHERE a.status = 'CONFIRMED' AND b.status = 'CONFIRMED' AND a.starts < b.ends AND b.starts < a.ends"
        " AND a.starts >= $1 AND a.starts < $2",
        start,
        start + 7200,
    )
    assert not rows, "two at one time"


# --- One Apple account in two subaccounts


async def one_apple_account(scene: Scene) -> Tally:
    tally = Tally(scene.name, scene.where)
    async with opened(scene) as database:
        world = await world_on(database, Bell())
        _, otto = await world.other_subaccount()
        for number in range(scene.count):
            tally.trials += 1
            world.icloud.barrier = asyncio.Barrier(2)
            users = (world.anna, otto)
            answers = await asyncio.gather(
                *(
                    world.run(
                        admin_of(user.subaccount),
                        accounts.connect,
                        user_id=user.user,
                        apple_id="a@icloud.com",
                        password=Secret(PASSWORD),
                    )
                    for user in users
                )
            )
            kinds = sorted(type(answer).__name__ for answer in answers)
            tally.hold(
                kinds == [AccountView.__name__, ICloudAccountInUse.__name__], f"trial {number}: {kinds}"
            )
            for user in users:
                await world.run(admin_of(user.subaccount), accounts.disconnect, user_id=user.user)
    return tally
