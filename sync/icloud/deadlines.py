"""Deadlines of many waits that may all last as long. They end in the order in which they began: one timer is enough.

Where this process stood still, as on a machine that sleeps, they begin anew: that was nobody's silence. But once each:
where it is late all the time, a wait for who is silent would never end.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

_STOOD_STILL = 1.0
"""Seconds that a timer is late by: nothing that came meanwhile was read yet."""


class Deadlines:
    """Like `asyncio.timeout(seconds)` for each, without a timer made and cancelled for each."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._open: dict[Deadline, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> Deadline:
        """To be entered at once, in the task that is to be interrupted."""
        return Deadline(self)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _add(self, deadline: Deadline) -> None:
        loop = asyncio.get_running_loop()
        at = self._open[deadline] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_at(at, self._end_those_due)

    def _end_those_due(self) -> None:
        loop = asyncio.get_running_loop()
        assert self._timer is not None
        late = loop.time() - self._timer.when()
        self._timer = None
        if late > _STOOD_STILL:
            self._begin_anew(loop.time() + self._seconds)
        while self._open:
            deadline, at = next(iter(self._open.items()))
            if at > loop.time():
                self._timer = loop.call_at(at, self._end_those_due)
                return
            del self._open[deadline]
            deadline.end()

    def _begin_anew(self, at: float) -> None:
        """Those that did before are the first of them, and stay so."""
        for deadline in self._open:
            if not deadline.has_begun_anew:
                deadline.has_begun_anew = True
                self._open[deadline] = at

    def _drop(self, deadline: Deadline) -> None:
        self._open.pop(deadline, None)


class Deadline:
    """One wait. Raises TimeoutError in place of the cancellation by which it was ended."""

    __slots__ = ("_all", "_before", "_has_ended", "_task", "has_begun_anew")

    def __init__(self, of: Deadlines) -> None:
        self._all = of
        self._task: asyncio.Task[object] | None = None
        self._has_ended = False
        self._before = 0
        self.has_begun_anew = False

    def end(self) -> None:
        assert self._task is not None
        self._has_ended = True
        self._task.cancel()

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._before = task, task.cancelling()
        self._all._add(self)  # noqa: SLF001 - one thing in two classes.

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._all._drop(self)  # noqa: SLF001
        if not self._has_ended:
            return
        assert self._task is not None
        # Somebody else may have cancelled the task as well: then it is cancelled (as in asyncio.timeout).
        if self._task.uncancel() <= self._before and kind is asyncio.CancelledError:
            raise TimeoutError from error
