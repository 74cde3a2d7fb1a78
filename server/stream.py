"""An answer over HTTP that goes on: each event as it comes, signs of life between, until either side has had enough."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from enum import StrEnum
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from schema.errors import Code, error
from server.engine import Answer
from server.framing import Framing
from server.sockets import Ending
from server.telemetry import outcome_of
from server.wire import cut, keep_little

log = logging.getLogger("server.requests")

# A reader that takes nothing for so long is let go; it resumes from its cursor.
SEND_WITHIN = 10.0
_REVOKED = error(Code.UNAUTHENTICATED, "This key was revoked: send another.")


class End(StrEnum):
    """Why a stream is over, for the log."""

    COMPLETE = "complete"
    GONE = "gone"
    TOO_SLOW = "too slow"
    UNAVAILABLE = "unavailable"
    REVOKED = "revoked"
    RESTART = "restart"


class Stream(Response):
    """`held` is let go at the end: its place among the open connections."""

    def __init__(
        self, answers: AsyncGenerator[Answer, None], framing: Framing, *, said: dict[str, object]
    ) -> None:
        self.status_code = 200
        self.background = None
        self.body = b""
        # nginx keeps back what it is not told to let through.
        self.init_headers({"content-type": framing.content_type, "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._answers = answers
        self._framing = framing
        self.held = ExitStack()
        self._said = said
        # Each that an event had, once.
        self._codes: dict[object, None] = {}
        self._began = self._sent_at = time.monotonic()
        self._sending = asyncio.Lock()
        self._ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self._events = 0
        self.outcome = "left"
        "As metrics have it, once it is over."

    def end(self, ending: Ending) -> None:
        if not self._ended.done():
            self._ended.set_result(End.REVOKED if ending is Ending.REVOKED else End.RESTART)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._send = send
        why = End.GONE
        try:
            with self.held:
                keep_little(scope)
                why = await self._go_on(receive)
                if why in {End.RESTART, End.TOO_SLOW, End.UNAVAILABLE}:
                    # Cut short, and seen to be: clients come back from what broke, not from what was completed.
                    cut(scope)
                    await _gone(receive)
        finally:
            seconds = round(time.monotonic() - self._began, 1)
            codes = [*self._codes]
            self.outcome = _outcome(why, codes)
            said = self._said | ({"codes": codes} if codes else {})
            said |= {"why": str(why), "events": self._events, "seconds": seconds}
            log.info("stream closed", extra={"said": said})

    async def _go_on(self, receive: Receive) -> End:
        await self._send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        telling = asyncio.create_task(self._tell())
        leaving = asyncio.create_task(_gone(receive))
        try:
            why = await self._first_of(telling, leaving)
        except TimeoutError:
            why = End.TOO_SLOW
        finally:
            telling.cancel()
            leaving.cancel()
            await asyncio.gather(telling, leaving, return_exceptions=True)
        return await self._last_word() if why is End.REVOKED else why

    async def _first_of(self, telling: asyncio.Task[End], leaving: asyncio.Task[None]) -> End:
        every = self._framing.beat_every
        ends: tuple[asyncio.Future[Any], ...] = (telling, leaving, self._ended)
        while True:
            wait = max(self._sent_at + every - time.monotonic(), 0.0)
            await asyncio.wait(ends, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            if telling.done():  # Before the rest: once all was told, the request counts as gone.
                return telling.result()
            if leaving.done():
                return End.GONE
            if self._ended.done():
                return self._ended.result()
            if time.monotonic() - self._sent_at >= every:
                await self._write(self._framing.beat)

    async def _tell(self) -> End:
        await self._write(self._framing.opening)
        async with aclosing(self._answers):
            async for answer in self._answers:
                self._codes |= dict.fromkeys(answer.codes)
                if answer.is_for_later:
                    return End.UNAVAILABLE
                await self._write(self._framing.event(answer))
                self._events += 1
        await self._write(self._framing.ending, is_last=True)
        return End.COMPLETE

    async def _last_word(self) -> End:
        """The client is told, and told not to come back with the same key."""
        try:
            await self._write(self._framing.last_word(_REVOKED) + self._framing.ending, is_last=True)
        except TimeoutError:
            return End.TOO_SLOW
        return End.REVOKED

    async def _write(self, body: bytes, *, is_last: bool = False) -> None:
        """Raises TimeoutError where the reader takes nothing."""
        async with asyncio.timeout(SEND_WITHIN), self._sending:
            await self._send({"type": "http.response.body", "body": body, "more_body": not is_last})
            self._sent_at = time.monotonic()


def _outcome(why: End, codes: object) -> str:
    told = outcome_of(codes)
    return told if told == "fault" or why in {End.COMPLETE, End.UNAVAILABLE} else "left"


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
