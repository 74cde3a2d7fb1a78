"""GraphQL over websockets, by the graphql-transport-ws protocol (enisdenjo/graphql-ws, PROTOCOL.md)."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import ExitStack, aclosing, suppress
from typing import Any

import orjson
from graphql import OperationType
from starlette.websockets import WebSocket

from domain.actor import Actor
from domain.work import Work
from models.unavailable import is_unavailable
from schema.errors import Code, error
from schema.operation import Operation
from server import closing
from server.access import Caller, Denied, authorization_of, bearer
from server.closing import ClosedError
from server.engine import Answer, refused_by
from server.faults import tell
from server.front import Front, Ready
from server.outgoing import Outgoing
from server.request import read_request
from server.sockets import Ending, TooManyError
from server.telemetry import NOT_RUN, outcome_of
from server.wire import PART_WITHIN, GoneError, wire_of

log = logging.getLogger("server.requests")

PROTOCOL = "graphql-transport-ws"
INIT_WITHIN = 10.0
# After so long a silence; browsers answer no ping of RFC 6455 that a page could see.
PING_EVERY = 15.0
MOST_OPERATIONS = 100
# Queries and mutations that run on one socket at a time; what comes after waits, and for the reader too.
MOST_ANSWERING = 4
# Long enough for a slow reader to come by what was sent and learn why it was let go.
LINGER = 30.0
_LONGEST_ID = 200
_LATER = "Try again later"
_PING = b'{"type":"ping"}'
_PONG = b'{"type":"pong"}'
_ACK = b'{"type":"connection_ack"}'


class GraphQLOverWebSocket:
    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, websocket: WebSocket) -> None:
        offered: list[str] = websocket.scope["subprotocols"]
        is_spoken = PROTOCOL in offered
        # Accepted either way, and with a name that was offered: a client reads no code of a handshake that failed.
        await websocket.accept(PROTOCOL if is_spoken else next(iter(offered), None))
        connection = _Connection(websocket, self._front.gate.caller(websocket), self._front)
        await connection.serve(is_spoken=is_spoken)


class _Connection:
    def __init__(self, websocket: WebSocket, caller: Caller, front: Front) -> None:
        self._websocket = websocket
        self._wire = wire_of(websocket)
        self._caller = caller
        self._front = front
        self._out = Outgoing(self._wire, front.sockets)
        self._answering = asyncio.Semaphore(MOST_ANSWERING)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._actor: Actor | None = None  # Set once the client was let in.
        self._held = ExitStack()
        self._began = time.monotonic()
        self._ended: tuple[int, str] | None = None  # Set once either side has closed it.

    async def serve(self, *, is_spoken: bool) -> None:
        try:
            await self._listen(is_spoken=is_spoken)
        except ClosedError as closed:
            self._close(closed.code, closed.reason)
        except GoneError:
            pass
        except Exception:
            log.exception("A websocket broke.")
            # graphql-ws never comes back after 1011, and one frame's fault would end a dashboard for good.
            self._close(closing.AGAIN_LATER, "Something went wrong on our side: try again later")
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)
            # What was told to go counts until it has gone: it still holds what it did not read.
            self._wire.call_at_end(self._held.close)
            code, reason = self._ended or (1006, "")
            seconds = round(time.monotonic() - self._began, 1)
            self._say(
                "websocket closed", code=code, **({"reason": reason} if reason else {}), seconds=seconds
            )

    async def _listen(self, *, is_spoken: bool) -> None:
        try:
            self._held.enter_context(self._front.sockets.place(self._caller.address))
        except TooManyError as full:
            raise ClosedError(closing.AGAIN_LATER, str(full)) from None
        if not is_spoken:
            raise ClosedError(closing.NO_PROTOCOL, "Subprotocol not acceptable")
        try:
            async with asyncio.timeout(INIT_WITHIN):
                while self._actor is None:
                    await self._take(await self._receive())
        except TimeoutError:
            raise ClosedError(closing.TOO_LATE, "Connection initialisation timeout") from None
        while True:
            try:
                async with asyncio.timeout(PING_EVERY):
                    frame = await self._receive()
            except TimeoutError:
                await self._out.send(_PING)
                continue
            await self._take(frame)

    async def _receive(self) -> dict[str, Any]:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            self._ended = self._ended or (message.get("code") or 1005, "")
            raise GoneError
        text = message.get("text")
        if text is None:
            raise ClosedError(closing.INVALID, "Frames are text")
        try:
            frame = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise ClosedError(closing.INVALID, "Frames are JSON") from None
        if not isinstance(frame, dict):
            raise ClosedError(closing.INVALID, "Frames are JSON objects")
        return frame

    async def _take(self, frame: dict[str, Any]) -> None:
        match frame.get("type"):
            case "connection_init":
                await self._let_in(frame.get("payload"))
            case "ping":
                await self._out.send(_PONG)
            case "pong":
                pass
            case "subscribe":
                await self._begin(frame)
            case "complete":
                if (task := self._running.pop(_id_of(frame), None)) is not None:
                    task.cancel()
            case _:
                raise ClosedError(closing.INVALID, "Unknown type of frame")

    async def _let_in(self, payload: object) -> None:
        if self._actor is not None:
            raise ClosedError(closing.ASKED_TWICE, "Too many initialisation requests")
        if not isinstance(payload, dict | None):
            raise ClosedError(closing.INVALID, "The payload of connection_init is an object")
        authorization = authorization_of(payload or {})
        try:
            admitted = await self._front.gate.admit(authorization, self._caller)
        except Exception as problem:  # noqa: BLE001 - the database, mostly: the key may be good.
            tell("A key can't be looked at", problem)
            self._count("unavailable" if is_unavailable(problem) else "fault")
            raise ClosedError(closing.AGAIN_LATER, _LATER) from None
        if isinstance(admitted, Denied):
            self._count(outcome_of(None, status=admitted.status))
            raise ClosedError(closing.FORBIDDEN, admitted.message)
        try:
            self._held.enter_context(self._front.sockets.holding(bearer(authorization) or "", self._end))
        except TooManyError as full:
            raise ClosedError(closing.AGAIN_LATER, str(full)) from None
        self._actor = admitted
        self._say("websocket opened")
        await self._out.send(_ACK)

    def _end(self, ending: Ending) -> None:
        if ending is Ending.REVOKED:
            self._close(closing.FORBIDDEN, "This key was revoked")
        else:
            self._close(closing.RESTARTING, "The server restarts: connect again")

    async def _begin(self, frame: dict[str, Any]) -> None:
        if self._actor is None:
            raise ClosedError(closing.UNAUTHORIZED, "Unauthorized")
        name = _id_of(frame)
        if name in self._running:
            raise ClosedError(closing.DUPLICATE, "There is an operation of this id already")
        asked = read_request(frame.get("payload"))
        if isinstance(asked, str):
            raise ClosedError(closing.INVALID, asked)
        if len(self._running) >= MOST_OPERATIONS:
            too_many = error(Code.RATE_LIMITED, f"At most {MOST_OPERATIONS} operations run on one socket.")
            await self._turn_down(name, Answer(None, (too_many,), began=False))
            return
        ready = self._front.made_ready(asked, self._actor)
        if isinstance(ready, Answer):
            await self._turn_down(name, ready)
            return
        self._say("websocket operation", operation=ready.told)
        self._running[name] = asyncio.create_task(self._run(name, ready, self._actor))

    async def _run(self, name: str, ready: Ready, actor: Actor) -> None:
        operation = self._front.operation(actor, address=self._caller.address)
        work = Work(ready.kind.value, facts={"transport": "websocket"})
        try:
            if ready.kind is OperationType.SUBSCRIPTION:
                with self._front.watch(work):
                    await self._follow(name, ready, operation, work)
            else:
                async with self._answering:
                    await self._out.calm()
                    with self._front.watch(work):
                        answer = await self._front.engine.execute(ready.prepared, ready.request, operation)
                        work.outcome = outcome_of(answer.codes)
                    await self._tell(name, answer)
        except ClosedError as closed:
            self._close(closed.code, closed.reason)
        except GoneError:
            # What receives ends the rest.
            pass
        except Exception as problem:  # noqa: BLE001 - whatever broke ends its operation alone.
            self._forget(name)
            with suppress(ClosedError, GoneError):
                await self._refuse(name, refused_by(problem))

    async def _follow(self, name: str, ready: Ready, operation: Operation, work: Work) -> None:
        answers, head = self._front.engine.subscribe(ready.prepared, ready.request, operation), _head(name)
        async with aclosing(answers):
            async for answer in answers:
                self._heed(answer, work)
                if answer.is_for_later:
                    # An error would end it for good: clients come back to what is lost.
                    self._close(closing.AGAIN_LATER, _LATER)
                    return
                if not answer.began:
                    self._forget(name)
                    await self._refuse(name, answer)
                    return
                text = head + answer.as_bytes() + b"}"
                # A thousand sockets come through here for one change.
                if not self._out.send_at_once(text):
                    await self._out.send(text)
        self._forget(name)
        await self._out.send(_complete(name))

    def _heed(self, answer: Answer, work: Work) -> None:
        """One event that broke is a fault, whatever comes after it. Said once: those that follow break alike."""
        if not (codes := answer.codes) or work.outcome == "fault":
            return
        found = outcome_of(codes)
        if answer.began and found == "fault":
            self._say("websocket operation", codes=codes)
        if found == "fault" or not answer.began or answer.is_for_later:
            work.outcome = found

    async def _tell(self, name: str, answer: Answer) -> None:
        """A query's or a mutation's one answer. The id is free again before the client learns of the end."""
        if not answer.began:
            self._forget(name)
            await self._refuse(name, answer)
            return
        if answer.codes:
            self._say("websocket operation", codes=answer.codes)
        await self._out.send(_head(name) + answer.as_bytes() + b"}")
        self._forget(name)
        await self._out.send(_complete(name))

    async def _turn_down(self, name: str, answer: Answer) -> None:
        self._count(outcome_of(answer.codes))
        await self._refuse(name, answer)

    def _count(self, outcome: str) -> None:
        """What never became an operation."""
        with self._front.watch(Work(NOT_RUN, outcome, {"transport": "websocket"})):
            pass

    async def _refuse(self, name: str, answer: Answer) -> None:
        """One operation's end, and no other's: clients take a socket that is closed for it as one that is lost."""
        self._say("websocket operation", codes=answer.codes)
        await self._out.send(_error(name, answer))

    def _forget(self, name: str) -> None:
        # Only its own: the id may be another operation's, where the client completed this one meanwhile.
        if self._running.get(name) is asyncio.current_task():
            del self._running[name]

    def _say(self, what: str, **said: object) -> None:
        who = {} if self._actor is None else {"key": self._actor.key, "role": str(self._actor.role)}
        log.info(what, extra={"said": {"address": self._caller.address, **who, **said}})

    def _close(self, code: int, reason: str) -> None:
        self._ended = self._ended or (code, reason)
        within = LINGER if code == closing.TOO_SLOW else PART_WITHIN
        self._wire.part(code, reason, within=within)


def _id_of(frame: dict[str, Any]) -> str:
    found = frame.get("id")
    if not isinstance(found, str) or not 0 < len(found) <= _LONGEST_ID:
        raise ClosedError(closing.INVALID, "The id is a text")
    return found


def _head(name: str) -> bytes:
    """What comes before a payload, which may have been serialised once for many sockets."""
    return b'{"id":' + orjson.dumps(name) + b',"type":"next","payload":'


def _complete(name: str) -> bytes:
    return b'{"id":' + orjson.dumps(name) + b',"type":"complete"}'


def _error(name: str, answer: Answer) -> bytes:
    payload = [problem.formatted for problem in answer.errors]
    return orjson.dumps({"id": name, "type": "error", "payload": payload})
