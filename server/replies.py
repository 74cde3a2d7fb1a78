"""What HTTP is answered with: JSON in the media type that was accepted, and errors with their code and status."""

from __future__ import annotations

import time

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from schema.errors import Code
from server.access import Denied
from server.engine import Answer, refused_by
from server.framing import FRAMINGS, whole
from server.negotiation import GRAPHQL_JSON, JSON
from server.wire import cut, has_begun, send_whole

RETRY_AFTER = 5
"""Seconds, where nobody knows when waiting will have helped."""


def answered(answer: Answer, media_type: str) -> Response:
    """A request error has a status of its own only in GraphQL's media type; in JSON's, proxies speak by status too."""
    is_bad = not answer.began and media_type == GRAPHQL_JSON
    return _Whole(answer.as_bytes(), 400 if is_bad else 200, media_type)


def streamed(answer: Answer, media_type: str) -> Response:
    """For those who take streams alone, or like them best."""
    framing = FRAMINGS[media_type]
    return Response(whole(answer, framing), headers={"content-type": framing.content_type})


def refused(status: int, media_type: str, code: Code, message: str, **headers: str) -> Response:
    reply = _errors(status, media_type, {"message": message, "extensions": {"code": str(code)}})
    reply.headers.update(headers)
    return reply


def denied(denied: Denied, media_type: str) -> Response:
    reply = _errors(denied.status, media_type, {"message": denied.message, "extensions": denied.extensions()})
    if denied.status == 401:
        reply.headers["www-authenticate"] = "Bearer"
    if denied.retry_at is not None:
        reply.headers["retry-after"] = str(max(1, round(denied.retry_at - time.time())))
    return reply


async def give_up(scope: Scope, receive: Receive, send: Send) -> None:
    """Whoever asked may ask another process."""
    if has_begun(scope):
        cut(scope)
        return
    message = "This process ends: ask again."
    reply = refused(503, JSON, Code.UNAVAILABLE, message, connection="close", **{"retry-after": "1"})
    await reply(scope, receive, send)


def fault(problem: Exception) -> Response:
    """Whatever was raised where no operation runs: the database, mostly, when a key is looked at."""
    [error] = refused_by(problem).errors
    if (error.extensions or {})["code"] != Code.UNAVAILABLE:
        return _errors(500, JSON, error.formatted)
    reply = _errors(503, JSON, error.formatted)
    reply.headers["retry-after"] = str(RETRY_AFTER)
    return reply


def _errors(status: int, media_type: str, error: object) -> Response:
    return _Whole(orjson.dumps({"errors": [error]}), status, media_type)


class _Whole(Response):
    """With the two headers that every reply of JSON has, written straight."""

    def __init__(self, body: bytes, status: int, media_type: str) -> None:
        self.status_code = status
        self.background = None
        self.body = body
        self.raw_headers = [
            (b"content-length", b"%d" % len(body)),
            (b"content-type", f"{media_type}; charset=utf-8".encode()),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's.
        await send_whole(self, scope, send)
