"""GraphQL over HTTP, by its specification: one operation a POST, and queries that are known by their hash by GET."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from graphql import OperationType
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from domain.actor import Actor
from domain.work import Work
from schema.errors import Code
from schema.operation import Operation
from server import caching, replies
from server.access import Caller, Denied, bearer
from server.coding import SMALLEST, coded
from server.engine import Answer
from server.framing import FRAMINGS
from server.front import Front, Ready, wrong
from server.logs import tell
from server.negotiation import EVENT_STREAM, GRAPHQL_JSON, JSON, MULTIPART, Accepted, accepted
from server.request import MOST_BYTES, Asked, read_parameters
from server.sockets import TooManyError
from server.stream import Stream
from server.telemetry import GONE, NOT_RUN, outcome_of
from server.wire import GoneError, body_here, of_head
from server.within import within

log = logging.getLogger("server.requests")

# A client that is still sending then is let go: what it asks is 64 KiB at most.
BODY_WITHIN = 10.0
# The process itself may have stood still for as long: what came meanwhile is read after that.
_AND_A_MOMENT = 1.0
# Two hours are the most that browsers keep.
_PREFLIGHT_FOR = "7200"
_TAKEN_HEADERS = "authorization, content-type, if-none-match, traceparent"
# What a page may read beside the few that every page may.
_SHOWN_HEADERS = "etag, retry-after"
_METHODS = "GET, HEAD, POST, OPTIONS"
_SAFE_METHODS = frozenset({"GET", "HEAD"})
_ONLY_POST = "POST, OPTIONS"
_NOT_KEPT = (b"cache-control", caching.NEVER.encode())
_OF_EACH = ((b"x-content-type-options", b"nosniff"), (b"vary", caching.VARY.encode()))
_HOW_TO_FOLLOW = (
    f"Follow subscriptions over a websocket, or accept {EVENT_STREAM}, or {MULTIPART};subscriptionSpec=1.0."
)


@dataclass(frozen=True, slots=True)
class _Head:
    """What a request's headers say: the first of each name."""

    caller: Caller
    headers: Mapping[str, str]
    accepts: Accepted
    is_json: bool


@dataclass(slots=True)
class _Exchange:
    """One request on its way to its response, and what its log line will hold."""

    scope: Scope
    receive: Receive
    head: _Head
    said: dict[str, object]
    method: str
    is_safe: bool

    @property
    def caller(self) -> Caller:
        return self.head.caller

    @property
    def headers(self) -> Mapping[str, str]:
        return self.head.headers


class GraphQLOverHTTP:
    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head, method = of_head(scope, self._read_head), scope["method"]
        said: dict[str, object] = {"address": head.caller.address}
        exchange = _Exchange(scope, receive, head, said, method, method in _SAFE_METHODS)
        work = Work(NOT_RUN, facts={"transport": "http"}, came_with=exchange.headers)
        with self._front.watch(work):
            response = await self._respond(exchange, work)
            if isinstance(response, Stream):  # How it ends is known once it has.
                await response(scope, receive, send)
                work.outcome = response.outcome
                return
        await response(scope, receive, send)

    def _read_head(self, scope: Scope) -> _Head:
        headers = _headers(scope)
        return _Head(
            caller=self._front.gate.caller(HTTPConnection(scope)),
            headers=headers,
            accepts=accepted(headers.get("accept")),
            is_json=_is_json(headers.get("content-type", "")),
        )

    async def _respond(self, exchange: _Exchange, work: Work) -> Response:
        began = time.perf_counter()
        try:
            response = await self._answer(exchange)
        except Exception as problem:  # noqa: BLE001 - the database, mostly: keys can't be looked at.
            response = replies.fault(problem)
        if len(response.body) >= SMALLEST:
            response = await coded(response, exchange.headers.get("accept-encoding"))
        _complete(response, exchange)
        work.kind = str(exchange.said.get("operation", NOT_RUN)).partition(" ")[0]
        work.outcome = outcome_of(exchange.said.get("codes"), status=response.status_code)
        work.facts["status"] = response.status_code
        ms = round((time.perf_counter() - began) * 1000, 1)
        exchange.said.update(status=response.status_code, ms=ms)
        tell(log, "request", exchange.said)
        return response

    async def _answer(self, exchange: _Exchange) -> Response:
        if exchange.method == "OPTIONS":
            return _preflight()
        if exchange.method != "POST" and not exchange.is_safe:
            return replies.refused(
                405, JSON, Code.BAD_REQUEST, "Send operations by POST, or by GET.", allow=_METHODS
            )
        accepts = exchange.head.accepts
        if accepts.is_nothing:
            message = f"Answers are {GRAPHQL_JSON} or {JSON}: accept one of them."
            return replies.refused(406, JSON, Code.BAD_REQUEST, message)
        admitted = await self._front.gate.admit(exchange.headers.get("authorization"), exchange.caller)
        if isinstance(admitted, Denied):
            return replies.denied(admitted, accepts.told)
        exchange.said.update(key=admitted.key, role=str(admitted.role))
        ready = await self._read(exchange, accepts.told, admitted)
        if isinstance(ready, Response):
            return ready
        if isinstance(ready, Answer):
            return _answered(ready, accepts, exchange)
        exchange.said["operation"] = ready.told
        if ready.kind is OperationType.SUBSCRIPTION:
            return self._follow(ready, admitted, exchange, accepts)
        return await self._run(ready, admitted, exchange, accepts)

    async def _read(self, exchange: _Exchange, media_type: str, actor: Actor) -> Ready | Answer | Response:
        if exchange.is_safe:
            asked = _read_query(exchange, media_type)
            return asked if isinstance(asked, Response) else self._front.made_ready(asked, actor)
        body = await _read_post(exchange, media_type)
        if isinstance(body, Response):
            return body
        ready = self._front.read(body, actor)
        return replies.refused(400, media_type, Code.BAD_REQUEST, ready) if isinstance(ready, str) else ready

    async def _run(self, ready: Ready, actor: Actor, exchange: _Exchange, accepts: Accepted) -> Response:
        if exchange.is_safe and ready.kind is OperationType.MUTATION:
            return replies.refused(
                405, accepts.told, Code.BAD_REQUEST, "Send mutations by POST.", allow=_ONLY_POST
            )
        operation = self._front.operation(actor, address=exchange.caller.address)
        answer = await self._front.engine.execute(ready.prepared, ready.request, operation)
        response = _answered(answer, accepts, exchange)
        return _cacheable(response, answer, ready, operation, exchange) if exchange.is_safe else response

    def _follow(self, ready: Ready, actor: Actor, exchange: _Exchange, accepts: Accepted) -> Response:
        media_type = accepts.streams(is_subscription=True)
        if media_type is None:
            return _answered(wrong(_HOW_TO_FOLLOW), accepts, exchange)
        if exchange.method == "HEAD":
            # What has no body has no end either, and would keep the connection.
            message = "Follow subscriptions by POST, or by GET."
            return replies.refused(405, accepts.told, Code.BAD_REQUEST, message, allow="GET, POST, OPTIONS")
        operation = self._front.operation(actor, address=exchange.caller.address)
        answers = self._front.engine.subscribe(ready.prepared, ready.request, operation)
        with ExitStack() as held:
            stream = Stream(answers, FRAMINGS[media_type], said=exchange.said)
            secret = bearer(exchange.headers.get("authorization")) or ""
            try:
                held.enter_context(self._front.sockets.place(exchange.caller.address))
                held.enter_context(self._front.sockets.holding(secret, stream.end))
            except TooManyError as problem:
                return replies.denied(_full(problem), accepts.told)
            # From here on the stream lets it go.
            stream.held = held.pop_all()
        return stream


def _headers(scope: Scope) -> dict[str, str]:
    pairs = reversed(scope["headers"])
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs}


def _answered(answer: Answer, accepts: Accepted, exchange: _Exchange) -> Response:
    if codes := answer.codes:
        exchange.said["codes"] = codes
    media_type = accepts.streams(is_subscription=False)
    return (
        replies.answered(answer, accepts.told) if media_type is None else replies.streamed(answer, media_type)
    )


def _full(problem: TooManyError) -> Denied:
    if problem.is_ours:
        return Denied(503, Code.UNAVAILABLE, str(problem), time.time() + replies.RETRY_AFTER)
    return Denied(429, Code.RATE_LIMITED, str(problem), time.time() + replies.RETRY_AFTER)


def _cacheable(
    response: Response, answer: Answer, ready: Ready, operation: Operation, exchange: _Exchange
) -> Response:
    role = operation.ctx.actor.role
    kept = caching.cache_control(answer, ready.prepared, ready.request, operation, role=role)
    if kept != caching.NEVER:
        tag = caching.entity_tag(bytes(response.body))
        if caching.holds(exchange.headers.get("if-none-match"), tag):
            response = caching.not_modified(tag)
        response.headers["etag"] = tag
    response.headers["cache-control"] = kept
    return response


def _complete(response: Response, exchange: _Exchange) -> None:
    if not exchange.is_safe or not any(name == b"cache-control" for name, _ in response.raw_headers):
        response.raw_headers.append(_NOT_KEPT)
    response.raw_headers += _OF_EACH
    if (origin := exchange.caller.origin) is not None and response.status_code != 403:
        # No cookies are involved: what a page may read is decided by the key that it holds.
        response.headers["access-control-allow-origin"] = origin
        response.headers["access-control-expose-headers"] = _SHOWN_HEADERS


def _read_query(exchange: _Exchange, media_type: str) -> Asked | Response:
    """Documents stand in no URL, and so in no log or history, unless their client means to go on by hash."""
    asked = read_parameters(HTTPConnection(exchange.scope).query_params.multi_items())
    if isinstance(asked, str):
        return replies.refused(400, media_type, Code.BAD_REQUEST, asked)
    if asked.sha256 is None:
        message = "Send documents by POST; by GET those with `extensions.persistedQuery`."
        return replies.refused(405, media_type, Code.BAD_REQUEST, message, allow=_ONLY_POST)
    return asked


async def _read_post(exchange: _Exchange, media_type: str) -> bytes | Response:
    headers = exchange.headers
    if not exchange.head.is_json:
        return replies.refused(415, media_type, Code.BAD_REQUEST, f"Send {JSON}, in UTF-8.")
    if headers.get("content-encoding", "identity").lower() != "identity":
        told = {"accept-encoding": "identity"}
        return replies.refused(415, media_type, Code.BAD_REQUEST, "Send the body uncompressed.", **told)
    try:
        body = here if (here := body_here(exchange.scope)) is not None else await _whole_body(exchange)
    except GoneError:
        return Response(status_code=GONE)
    except TimeoutError:
        message = f"The body took over {BODY_WITHIN:.0f} s."
        return replies.refused(408, media_type, Code.BAD_REQUEST, message, connection="close")
    if body is None or len(body) > MOST_BYTES:
        message = f"Send at most {MOST_BYTES // 1024} KiB."
        return replies.refused(413, media_type, Code.PAYLOAD_TOO_LARGE, message)
    return body


def _is_json(content_type: str) -> bool:
    media_type, _, parameters = content_type.lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"')
    return media_type.strip() == JSON and charset in {"", "utf-8", "utf8"}


async def _whole_body(exchange: _Exchange) -> bytes | None:
    """Raises TimeoutError, and GoneError where no one is there to read what is said of it."""
    body = bytearray()
    with suppress(TimeoutError):
        return await within(BODY_WITHIN, _body(exchange, body))
    return await within(_AND_A_MOMENT, _body(exchange, body))


async def _body(exchange: _Exchange, body: bytearray) -> bytes | None:
    """What is there of it already, and the rest. None where it is too long, by its own word or in fact."""
    declared = exchange.headers.get("content-length", "0")
    if not declared.isdigit() or len(declared) > 9 or int(declared) > MOST_BYTES:
        return None
    while True:
        message = await exchange.receive()
        if message["type"] == "http.disconnect":
            raise GoneError
        body += message.get("body", b"")
        if len(body) > MOST_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _preflight() -> Response:
    """For any page: the request that follows is held to the origins of its key, which a preflight does not carry."""
    return Response(
        status_code=204,
        headers={
            "access-control-allow-methods": "GET, POST",
            "access-control-allow-headers": _TAKEN_HEADERS,
            "access-control-max-age": _PREFLIGHT_FOR,
        },
    )
