"""GraphQL over websockets, by the graphql-transport-ws protocol (enisdenjo/graphql-ws, PROTOCOL.md)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from contextlib import ExitStack, aclosing
from typing import Any

import orjson
from graphql import OperationType
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from domain.actor import Actor
from schema.errors import Code, error
from schema.operation import Operation
from server.access import Caller, Denied, authorization_of, bearer
from server.engine import Answer
from server.front import Front, Ready, codes_of
from server.request import read_request

log = logging.getLogger("server.requests")

PROTOCOL = "graphql-transport-ws"
INIT_WITHIN = 10.0
MOST_OPERATIONS = 100
# A reader that takes nothing for so long is let go; it resumes from its cursor.
SEND_WITHIN = 10.0
CLOSE_WITHIN = 2.0
_LONGEST_ID = 200

AGAIN_LATER = 1013
INVALID = 4400
UNAUTHORIZED = 4401
FORBIDDEN = 4403
NO_PROTOCOL = 4406
TOO_LATE = 4408
DUPLICATE = 4409
TOO_SLOW = 4410
ASKED_TWICE = 4429


class _ClosedError(Exception):
    """The socket is to be closed with this code and reason, which is ours alone and short."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class GraphQLOverWebSocket:
    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, websocket: WebSocket) -> None:
        if PROTOCOL not in websocket.scope.get("subprotocols", ()):
            # Accepted first: a browser can't read the code of a handshake that was refused.
            await websocket.accept()
            await websocket.close(NO_PROTOCOL, "Subprotocol not acceptable")
            return
        await websocket.accept(PROTOCOL)
        await _Connection(websocket, self._front.gate.caller(websocket), self._front).serve()


class _Connection:
    def __init__(self, websocket: WebSocket, caller: Caller, front: Front) -> None:
        self._websocket = websocket
        self._caller = caller
        self._front = front
        self._sending = asyncio.Lock()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._actor: Actor | None = None  # Set once the client was let in.
        self._held = ExitStack()
        self._began = time.monotonic()
        self._code: int | None = None  # Set once either side has closed it.

    async def serve(self) -> None:
        try:
            await self._listen()
        except _ClosedError as closed:
            await self._close(closed.code, closed.reason)
        except WebSocketDisconnect as gone:
            self._code = self._code or gone.code
        finally:
            self._held.close()
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)
            self._say("websocket closed", code=self._code, seconds=round(time.monotonic() - self._began, 1))

    async def _listen(self) -> None:
        try:
            async with asyncio.timeout(INIT_WITHIN):
                while self._actor is None:
                    await self._take(await self._receive())
        except TimeoutError:
            raise _ClosedError(TOO_LATE, "Connection initialisation timeout") from None
        while True:
            await self._take(await self._receive())

    async def _receive(self) -> dict[str, Any]:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code") or 1005, message.get("reason"))
        text = message.get("text")
        if text is None:
            raise _ClosedError(INVALID, "Frames are text")
        try:
            frame = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise _ClosedError(INVALID, "Frames are JSON") from None
        if not isinstance(frame, dict):
            raise _ClosedError(INVALID, "Frames are JSON objects")
        return frame

    async def _take(self, frame: dict[str, Any]) -> None:
        match frame.get("type"):
            case "connection_init":
                await self._let_in(frame.get("payload"))
            case "ping":
                await self._send({"type": "pong"})
            case "pong":
                pass
            case "subscribe":
                await self._begin(frame)
            case "complete":
                if (task := self._running.pop(_id_of(frame), None)) is not None:
                    task.cancel()
            case _:
                raise _ClosedError(INVALID, "Unknown type of frame")

    async def _let_in(self, payload: object) -> None:
        if self._actor is not None:
            raise _ClosedError(ASKED_TWICE, "Too many initialisation requests")
        if not isinstance(payload, dict | None):
            raise _ClosedError(INVALID, "The payload of connection_init is an object")
        authorization = authorization_of(payload or {})
        try:
            admitted = await self._front.gate.admit(authorization, self._caller)
        except Exception:
            # The database, mostly: the key may be good.
            log.exception("A key can't be looked at.")
            raise _ClosedError(AGAIN_LATER, "Try again later") from None
        if isinstance(admitted, Denied):
            raise _ClosedError(FORBIDDEN, admitted.message)
        self._actor = admitted
        self._held.enter_context(self._front.sockets.holding(bearer(authorization) or "", self._revoked))
        self._say("websocket opened")
        await self._send({"type": "connection_ack"})

    async def _revoked(self) -> None:
        await self._close(FORBIDDEN, "This key was revoked")

    async def _begin(self, frame: dict[str, Any]) -> None:
        if self._actor is None:
            raise _ClosedError(UNAUTHORIZED, "Unauthorized")
        name = _id_of(frame)
        if name in self._running:
            raise _ClosedError(DUPLICATE, "There is an operation of this id already")
        asked = read_request(frame.get("payload"))
        if isinstance(asked, str):
            raise _ClosedError(INVALID, asked)
        if len(self._running) >= MOST_OPERATIONS:
            too_many = error(Code.RATE_LIMITED, f"At most {MOST_OPERATIONS} operations run on one socket.")
            await self._send(_error(name, Answer(None, (too_many,), began=False)))
            return
        ready = self._front.made_ready(asked, self._actor)
        if isinstance(ready, Answer):
            self._say("websocket operation", codes=codes_of(ready))
            await self._send(_error(name, ready))
            return
        self._running[name] = asyncio.create_task(self._run(name, ready, self._actor))

    async def _run(self, name: str, ready: Ready, actor: Actor) -> None:
        operation = self._front.operation(actor, address=self._caller.address)
        self._say("websocket operation", operation=ready.told)
        try:
            if ready.kind is OperationType.SUBSCRIPTION:
                await self._follow(name, ready, operation)
            else:
                await self._tell(
                    name, await self._front.engine.execute(ready.prepared, ready.request, operation)
                )
        except _ClosedError as closed:
            await self._close(closed.code, closed.reason)
        except (WebSocketDisconnect, RuntimeError):
            # Gone while we sent: what receives ends the rest.
            pass

    async def _follow(self, name: str, ready: Ready, operation: Operation) -> None:
        async with aclosing(
            self._front.engine.subscribe(ready.prepared, ready.request, operation)
        ) as answers:
            async for answer in answers:
                if not answer.began:
                    self._forget(name)
                    await self._send(_error(name, answer))
                    return
                await self._send_text(_next(name, answer))
        self._forget(name)
        await self._send({"id": name, "type": "complete"})

    async def _tell(self, name: str, answer: Answer) -> None:
        """A query's or a mutation's one answer. The id is free again before the client learns of the end."""
        if not answer.began:
            self._forget(name)
            await self._send(_error(name, answer))
            return
        await self._send_text(_next(name, answer))
        self._forget(name)
        await self._send({"id": name, "type": "complete"})

    def _forget(self, name: str) -> None:
        # Only its own: the id may be another operation's, where the client completed this one meanwhile.
        if self._running.get(name) is asyncio.current_task():
            del self._running[name]

    async def _send(self, frame: dict[str, Any]) -> None:
        await self._send_text(orjson.dumps(frame).decode())  # As bytes it would be a binary frame.

    async def _send_text(self, text: str) -> None:
        try:
            async with asyncio.timeout(SEND_WITHIN), self._sending:
                await self._websocket.send_text(text)
        except TimeoutError:
            raise _ClosedError(TOO_SLOW, "Too slow: connect anew and go on from the last cursor") from None

    def _say(self, what: str, **said: object) -> None:
        who = {} if self._actor is None else {"key": self._actor.key, "role": str(self._actor.role)}
        log.info(what, extra={"said": {"address": self._caller.address, **who, **said}})

    async def _close(self, code: int, reason: str) -> None:
        self._code = self._code or code
        if self._websocket.application_state is WebSocketState.CONNECTED:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
                async with asyncio.timeout(CLOSE_WITHIN):
                    await self._websocket.close(code, reason)


def _id_of(frame: dict[str, Any]) -> str:
    found = frame.get("id")
    if not isinstance(found, str) or not 0 < len(found) <= _LONGEST_ID:
        raise _ClosedError(INVALID, "The id is a text")
    return found


def _next(name: str, answer: Answer) -> str:
    """Around a payload that may have been serialised once for many sockets."""
    return f'{{"id":{orjson.dumps(name).decode()},"type":"next","payload":{answer.as_bytes().decode()}}}'


def _error(name: str, answer: Answer) -> dict[str, Any]:
    return {"id": name, "type": "error", "payload": [problem.formatted for problem in answer.errors]}
