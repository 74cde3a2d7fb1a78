"""The loop: polls the accounts that are due and writes what is to be written, beside the other processes that do so."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from models.bell import SYNC
from models.changelog import trim
from models.database import execute
from models.outbox import take_due
from models.polling import Lease, lease_account, lease_due, release, renew_leases
from sync.context import SyncContext
from sync.poll import begin
from sync.pull import PullOutcome, pull
from sync.push import push
from sync.record import finish
from sync.remote import UnexpectedAnswer

log = logging.getLogger(__name__)

_LAGS_KEPT = 300.0


@dataclass(frozen=True, slots=True)
class RunningPoll:
    began: float
    task: asyncio.Task[PullOutcome]


class Loop:
    """Polls and writes under way in this process. `run` starts what falls due, `poll_now` what is asked for."""

    def __init__(self, context: SyncContext) -> None:
        self.context = context
        self._polls: dict[str, RunningPoll] = {}
        self._writes: set[asyncio.Task[None]] = set()
        self._failing: set[str] = set()
        self._lags: deque[tuple[float, float]] = deque()
        self._has_backlog = False
        self._may_write = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled; then what is under way may end, for as long as the drain allows."""
        with self.context.bell.listen(SYNC) as for_polls, self.context.bell.listen(SYNC) as for_writes:
            self._may_write = for_writes
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._again_and_again(for_polls, self._start_polls))
                    group.create_task(self._again_and_again(for_writes, self._start_writes))
                    group.create_task(self._keep_house())
            finally:
                await self.drain()

    async def drain(self) -> None:
        """Waits for what is under way, then ends it. Leases are freed, so that others go on at once."""
        tasks: set[asyncio.Task[PullOutcome] | asyncio.Task[None]] = {
            *(running.task for running in self._polls.values()),
            *self._writes,
        }
        if not tasks:
            return
        _, left = await asyncio.wait(tasks, timeout=self.context.settings.drain)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def running(self, account_id: str) -> RunningPoll | None:
        return self._polls.get(account_id)

    async def poll_now(self, account_id: str) -> bool:
        """Starts a poll, due or not; False where another process has the account."""
        context = self.context
        async with context.database.writing() as db:
            lease = await lease_account(
                db, account_id, owner=context.owner, now=context.clock(), lease=context.settings.lease
            )
        if lease is not None:
            self._start_poll(lease)
        return lease is not None

    def lags(self) -> list[float]:
        """Seconds from due to begun, of the last five minutes' polls."""
        self._forget_lags()
        return [lag for _, lag in self._lags]

    # --- What is due

    async def _again_and_again(self, rung: asyncio.Event, start: Callable[[], Awaitable[None]]) -> None:
        """At every ring, and every now and then. The end of a write rings too, and with a backlog that of a poll."""
        while True:
            rung.clear()
            try:
                await start()
            except Exception:
                # The database restarts, or a disk is full: the loop outlives it.
                log.exception("the sync loop could not look for what is due")
            await _ring_or(rung, self.context.settings.look_every)

    async def _start_polls(self) -> None:
        """Accounts that fail have a quarter of the places: they never fill those of the others."""
        most = self.context.settings.concurrent_polls
        failing = len(self._failing & self._polls.keys())
        free = most - len(self._polls)
        count = 0
        for is_failing, places in ((False, free), (True, min(free, max(most // 4, 1) - failing))):
            leases = await self._lease_due(min(places, most - len(self._polls)), failing=is_failing)
            for lease in leases:
                self._start_poll(lease, is_failing=is_failing)
            count += len(leases)
        self._has_backlog = count >= free

    async def _lease_due(self, places: int, *, failing: bool) -> list[Lease]:
        context = self.context
        if places <= 0:
            return []
        now = context.clock()
        async with context.database.writing() as db:
            leases = await lease_due(
                db, owner=context.owner, now=now, lease=context.settings.lease, limit=places, failing=failing
            )
        self._forget_lags()
        self._lags.extend((now, max(now - (lease.due_at or now), 0.0)) for lease in leases)
        return leases

    def _start_poll(self, lease: Lease, *, is_failing: bool = False) -> None:
        if lease.account_id in self._polls:
            # Its lease could not be renewed for a time, and was ours for the taking: one poll of it is enough.
            return
        task = asyncio.create_task(self._poll(lease))
        self._polls[lease.account_id] = RunningPoll(self.context.clock(), task)
        if is_failing:
            self._failing.add(lease.account_id)
        task.add_done_callback(lambda _: self._end_poll(lease.account_id))

    def _end_poll(self, account_id: str) -> None:
        self._polls.pop(account_id, None)
        self._failing.discard(account_id)
        if self._has_backlog:
            self.context.bell.ring_here(SYNC)

    async def _poll(self, lease: Lease) -> PullOutcome:
        """One poll, with its lease renewed for as long as it lasts."""
        context = self.context
        task = asyncio.create_task(pull(context, lease))
        try:
            while not (await asyncio.wait({task}, timeout=context.settings.lease / 3))[0]:
                await self._renew(lease)
            return task.result()
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            async with context.database.writing() as db:
                await release(db, lease.account_id, owner=context.owner)
            raise
        except Exception:
            log.exception("the poll of account %s failed", lease.account_id)
            await self._set_aside(lease)
            return PullOutcome(is_complete=True)

    async def _renew(self, lease: Lease) -> None:
        context = self.context
        try:
            async with context.database.writing() as db:
                until = context.clock() + context.settings.lease
                await renew_leases(db, [lease.account_id], owner=context.owner, until=until)
        except Exception:
            log.exception("the lease of account %s could not be renewed", lease.account_id)

    async def _set_aside(self, lease: Lease) -> None:
        context = self.context
        try:
            poll = await begin(context, lease)
            if poll is not None:
                await finish(poll, UnexpectedAnswer("the poll broke"))
        except Exception:
            log.exception("account %s waits for its lease to end", lease.account_id)

    async def _start_writes(self) -> None:
        context = self.context
        free = context.settings.concurrent_pushes - len(self._writes)
        if free <= 0:
            return
        async with context.database.writing() as db:
            taken = await take_due(db, now=context.clock(), lease=context.settings.lease, limit=free)
        for write in taken:
            task = asyncio.create_task(push(context, write))
            self._writes.add(task)
            task.add_done_callback(self._end_write)

    def _end_write(self, task: asyncio.Task[None]) -> None:
        self._writes.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a write failed; its lease ends by itself", exc_info=error)
        # The account's next one may have waited for this one's end.
        self._may_write.set()

    # --- Housekeeping

    async def _keep_house(self) -> None:
        while True:
            try:
                await keep_house(self.context)
            except Exception:
                log.exception("housekeeping failed")
            await asyncio.sleep(
                self.context.settings.housekeeping_every * (0.9 + 0.2 * self.context.chance())
            )

    def _forget_lags(self) -> None:
        oldest = self.context.clock() - _LAGS_KEPT
        while self._lags and self._lags[0][0] < oldest:
            self._lags.popleft()


async def keep_house(context: SyncContext) -> None:
    """Drops what is kept for a time only: old changes, holds that ended, answers to idempotent calls."""
    now, settings = context.clock(), context.settings
    async with context.database.writing() as db:
        await trim(db, before=now - settings.keep_changes, most_rows=settings.most_changes)
    async with context.database.writing() as db:
        await execute(db, "DELETE FROM hold WHERE expires_at < $1", now - settings.keep_holds)
        await execute(db, "DELETE FROM idempotent_call WHERE created_at < $1", now - settings.keep_calls)


async def _ring_or(rung: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await rung.wait()
    except TimeoutError:
        return
