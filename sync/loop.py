"""The loop: polls the accounts that are due and writes what is to be written, beside the other processes that do so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from domain.work import Work
from models.bell import SYNC
from models.outbox import TakenWrite, give_back, take_due
from models.polling import Lease, Places, Stamp
from models.unavailable import is_unavailable
from sync.clocks import WallClock
from sync.context import SyncContext
from sync.faults import Faults
from sync.housekeeping import keep_house
from sync.leases import Leases
from sync.poll import begin
from sync.pull import PullOutcome, pull
from sync.push import push, put_off
from sync.quiet import look
from sync.record import finish, give_up
from sync.remote import Broken
from sync.room import Place, Room
from sync.settings import SyncSettings
from sync.waiting import Queue, Waiting
from sync.write import GivenUp, Later, Result

log = logging.getLogger(__name__)

_GRAIN = 0.01
"""Seconds: what falls due within so long begins together. A wake of the loop for each would cost as much as a poll."""
_GIVEN_BACK_WITHIN = 2.0
"""Seconds. Of a database that says nothing no more can be had, and a process that ends has ten for all."""

_QUIET = PullOutcome(is_complete=True)


@dataclass(frozen=True, slots=True)
class RunningPoll:
    began: float
    "By the event loop's clock, which is never set back."
    task: asyncio.Task[PullOutcome]
    place: Place


class Loop:
    """Polls and writes under way in this process. `run` starts what falls due, `poll_now` what is asked for."""

    def __init__(self, context: SyncContext) -> None:
        self.context = context
        self._wall = WallClock(context)
        self._leases = Leases(context)
        self._faults = Faults()
        self._polls: dict[str, RunningPoll] = {}
        self._failing: set[str] = set()
        self._room = Room(context.settings, context.settings.concurrent_polls)
        self._first_reads = Room(context.settings, context.settings.first_reads_at_once)
        self._waiting = Waiting()
        self._begun = 0
        self._takes_turns = False
        self._keeping: asyncio.Task[None] | None = None
        self._asking = asyncio.Lock()
        self._is_ending = False
        self._may_begin = asyncio.Event()
        self._writes: dict[asyncio.Task[None], TakenWrite] = {}
        self._may_write = asyncio.Event()
        self._desks = Room(context.settings, context.settings.concurrent_pushes, left=self._look_for_writes)
        "Where writes are made."

    async def run(self) -> None:
        """Until cancelled; then what is under way may end, for as long as the drain allows."""
        with self.context.bell.listen(SYNC) as for_polls, self.context.bell.listen(SYNC) as for_writes:
            self._may_write, self._takes_turns = for_writes, True
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._again_and_again(for_polls, self._take_turn))
                    group.create_task(self._begin_in_time(for_polls))
                    group.create_task(self._again_and_again(for_writes, self._start_writes))
                    group.create_task(self._keep_house())
            finally:
                self._takes_turns = False
                await self.drain()

    async def drain(self) -> None:
        """Waits for what is under way, then ends it. Leases are freed, so that others go on at once."""
        self._is_ending = True
        try:
            await self._end_all()
        finally:
            self._is_ending = False

    async def _end_all(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
        tasks: set[asyncio.Task[PullOutcome] | asyncio.Task[None]] = {
            *(running.task for running in self._polls.values()),
            *self._writes,
        }
        cut_off: list[TakenWrite] = []
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=self.context.settings.drain)
            cut_off = [write for task, write in self._writes.items() if task in left]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        for running in self._polls.values():
            running.place.leave()  # One that was cancelled before it began has not ended itself.
        self._polls.clear()
        self._failing.clear()
        self._waiting.clear()
        try:
            async with asyncio.timeout(_GIVEN_BACK_WITHIN):
                await self._leases.give_back_all()
                await self._give_back(cut_off)
        except TimeoutError:
            log.warning("leases end by themselves: the database is silent")
        except Exception as error:  # noqa: BLE001 - the process ends, whatever it is.
            self._faults.tell(error, "leases end by themselves")

    async def _give_back(self, writes: Sequence[TakenWrite]) -> None:
        """Safe to do again at once, whatever came of them: by `If-None-Match` and the stored ETag."""
        if writes:
            async with self.context.database.whole.writing() as db:
                await give_back(db, writes)

    def running(self, account_id: str) -> RunningPoll | None:
        return self._polls.get(account_id)

    async def poll_now(self, account_id: str) -> RunningPoll | None:
        """Starts a poll, due or not; None where another process has the account, or is to have it: this one drains."""
        async with self._asking:
            if account_id in self._polls:
                return self._polls[account_id]  # Of those who ask at once, all but the first find it begun.
            lease = None if self._is_ending else await self._leases.take(account_id)
            if lease is None or self._is_ending:
                return None
            self._waiting.drop(account_id)
            return self._start_poll(lease, self.context.clock(), is_awaited=True)

    async def tell_at_once(self) -> None:
        """Who waits for a poll reads its stamp. Where the database takes none now, the next turn tells it."""
        try:
            await self._leases.trade()
        except Exception as error:  # noqa: BLE001 - the next turn tells it.
            self._faults.tell(error, "a poll went well, and could not be put on record yet")

    # --- What is due

    async def _again_and_again(self, rung: asyncio.Event, start: Callable[[], Awaitable[None]]) -> None:
        """At every ring, and every now and then, however long a turn takes. The end of a write rings too."""
        loop = asyncio.get_running_loop()
        while True:
            rung.clear()
            began = loop.time()
            try:
                await start()
            except Exception as error:  # noqa: BLE001 - the database restarts, or a disk is full: the loop outlives it.
                self._faults.tell(error, "the sync loop could not look for what is due")
            rest = began + self.context.settings.look_every - loop.time()
            await _ring_or(rung, max(rest, _GRAIN))

    async def _take_turn(self) -> None:
        """Tells what was polled, and takes what is due before the next turn: as much as is likely to begin by then."""
        await self._wall.heed()
        settings = self.context.settings
        most = settings.concurrent_polls + 2 * self._begun
        self._begun = 0
        places = Places(
            healthy=max(most - len(self._waiting.healthy), 0),
            failing=max(_share_of_failing(settings) - len(self._waiting.failing), 0),
        )
        taken = await self._leases.trade(places, ahead=settings.look_every)
        self._waiting.add(lease for lease in taken if lease.account_id not in self._polls)
        self._waiting.has_more = sum(not lease.is_failing for lease in taken) >= places.healthy > 0
        self._may_begin.set()

    async def _begin_in_time(self, rung: asyncio.Event) -> None:
        while True:
            self._may_begin.clear()
            now = self.context.clock()
            while (lease := self._next(now)) is not None:
                self._start_poll(lease, now)
            if self._waiting.has_more and not self._waiting.healthy:
                self._waiting.has_more = False
                rung.set()
            soonest, most = self._soonest(), self.context.settings.look_every
            if self._is_full():
                most = min(most, self.context.settings.word_within)
            await _ring_or(
                self._may_begin, most if soonest is None else min(max(soonest - now, _GRAIN), most)
            )

    def _next(self, now: float) -> Lease | None:
        """Accounts that fail have a quarter of the places: they never fill those of the others."""
        for queue in self._open_queues():
            if lease := queue.due(now, ahead=self.context.settings.look_every):
                return lease
        return None

    def _soonest(self) -> float | None:
        found = [at for queue in self._open_queues() if (at := queue.soonest()) is not None]
        return min(found, default=None)

    def _open_queues(self) -> tuple[Queue, ...]:
        """Those from which another poll may begin now."""
        if self._is_full():
            return ()
        if len(self._failing) >= _share_of_failing(self.context.settings):
            return (self._waiting.healthy,)
        return self._waiting.failing, self._waiting.healthy

    def _is_full(self) -> bool:
        return len(self._polls) >= self.context.settings.most_polls or self._room.is_full_of_new

    def _start_poll(self, lease: Lease, now: float, *, is_awaited: bool = False) -> RunningPoll:
        account_id = lease.account_id
        if (running := self._polls.get(account_id)) is not None:
            # Its lease could not be renewed for a time, and was ours for the taking: one poll of it is enough.
            return running
        # Who is waited for takes no turn behind others.
        place = Place() if is_awaited else self._room.begin()
        task = asyncio.create_task(self._watched_poll(lease, now, place))
        running = self._polls[account_id] = RunningPoll(asyncio.get_running_loop().time(), task, place)
        self._begun += 1
        if lease.is_failing:
            self._failing.add(account_id)
        if not self._takes_turns and (self._keeping is None or self._keeping.done()):
            self._keeping = asyncio.create_task(self._keep_leases())
        return running

    def _end_poll(self, account_id: str) -> None:
        """Rings where somebody may have waited for it: not at each poll's end."""
        if account_id in self._failing or self._is_full():
            self._may_begin.set()
        self._failing.discard(account_id)
        if (running := self._polls.pop(account_id, None)) is not None:
            running.place.leave()

    async def _keep_leases(self) -> None:
        """Where no turn does it: of a process that polls only what it is asked for."""
        while self._polls or self._leases.has_stamps:
            await asyncio.sleep(self.context.settings.lease / 3)
            try:
                await self._leases.trade()
            except Exception as error:  # noqa: BLE001 - they are tried for again.
                self._faults.tell(error, "leases could not be renewed")

    async def _watched_poll(self, lease: Lease, now: float, place: Place) -> PullOutcome:
        late = None if lease.due_at is None else max(now - lease.due_at, 0.0)
        work = Work("poll", facts={"account": lease.account_id}, late=late)
        try:
            with self.context.watch(work):
                outcome = await self._poll(lease, work, place)
                work.facts["changes"] = outcome.changes
                return outcome
        finally:
            # Here, and not when the task is done: that would be another turn of the event loop for each poll.
            self._end_poll(lease.account_id)

    async def _poll(self, lease: Lease, work: Work, place: Place) -> PullOutcome:
        try:
            found = await look(self.context, lease)
            if isinstance(found, Stamp):
                self._leases.stamp(found)
                return _QUIET
            outcome = await pull(self.context, lease, found, place=place, first_reads=self._first_reads)
            work.outcome = _outcome_of_poll(outcome)
        except Exception as error:  # noqa: BLE001 - whatever it is, the loop goes on.
            outcome = await self._broken_off(lease, work, error)
        self._leases.forget(lease.account_id)
        return outcome

    async def _broken_off(self, lease: Lease, work: Work, error: Exception) -> PullOutcome:
        """Where the database is to blame, nothing is known of the account, and it is polled again soon."""
        if is_unavailable(error):
            self._faults.tell(error, f"the poll of account {lease.account_id} could not be put on record")
            work.outcome = "unavailable"
            await self._let_go(lease, wait=self.context.settings.watched_every)
            return PullOutcome(is_complete=False)
        self._faults.tell(error, f"the poll of account {lease.account_id} failed")
        work.outcome = "broken"
        await self._set_aside(lease)
        return PullOutcome(is_complete=True, error=Broken("the poll broke"))

    async def _set_aside(self, lease: Lease) -> None:
        context = self.context
        try:
            poll = await begin(context, lease)
            if poll is not None:
                await finish(poll, Broken("the poll broke"))
        except Exception as error:  # noqa: BLE001 - the same.
            self._faults.tell(error, f"what broke the poll of account {lease.account_id} can't be told")
            await self._let_go(lease, wait=context.settings.longest_outage_retry)

    async def _let_go(self, lease: Lease, *, wait: float) -> None:
        context = self.context
        try:
            await give_up(context, lease, due_at=context.clock() + wait)
        except Exception as error:  # noqa: BLE001 - the same.
            self._faults.tell(error, f"account {lease.account_id} waits for its lease to end")

    async def _start_writes(self) -> None:
        context = self.context
        if (free := self._desks.free) <= 0:
            return
        async with context.database.whole.writing() as db:
            taken = await take_due(db, now=context.clock(), lease=context.settings.lease, limit=free)
        for write in taken:
            task = asyncio.create_task(self._push(write))
            self._writes[task] = write
            task.add_done_callback(self._end_write)

    async def _push(self, write: TakenWrite) -> None:
        place, work = Place(self._desks), Work("write", facts={"appointment": write.appointment_id})
        with self.context.watch(work):
            try:
                await place.take()
                work.outcome = _outcome_of_write(await push(self.context, write, place))
            except Exception as error:  # noqa: BLE001 - whatever it is, the loop goes on.
                if is_unavailable(error):
                    self._faults.tell(error, "a write failed, and its lease ends by itself")
                    work.outcome = "unavailable"
                    return
                self._faults.tell(error, f"the write of appointment {write.appointment_id} failed")
                work.outcome = "broken"
                await put_off(self.context, write)
            finally:
                place.leave()

    def _end_write(self, task: asyncio.Task[None]) -> None:
        self._writes.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._faults.tell(error, "a write failed, and its lease ends by itself")
        # The account's next one may have waited for this one's end.
        self._look_for_writes()

    def _look_for_writes(self) -> None:
        self._may_write.set()

    # --- Housekeeping

    async def _keep_house(self) -> None:
        while True:
            try:
                await keep_house(self.context)
            except Exception as error:  # noqa: BLE001 - it is kept again.
                self._faults.tell(error, "housekeeping failed")
            await asyncio.sleep(
                self.context.settings.housekeeping_every * (0.9 + 0.2 * self.context.chance())
            )


def _outcome_of_poll(outcome: PullOutcome) -> str:
    if outcome.error is not None:
        return type(outcome.error).__name__
    return "ok" if outcome.is_complete else "incomplete"


def _outcome_of_write(result: Result | None) -> str:
    match result:
        case Later(error):
            return type(error).__name__
        case GivenUp():
            return "given up"
        case _:
            return "ok"


def _share_of_failing(settings: SyncSettings) -> int:
    return max(settings.concurrent_polls // 4, 1)


async def _ring_or(rung: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await rung.wait()
    except TimeoutError:
        return
