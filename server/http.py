"""GraphQL over HTTP: one operation a POST, by the GraphQL-over-HTTP specification."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

import orjson
from graphql import OperationType
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response

from domain.actor import Actor
from resolvers.context import Context, Services
from schema.errors import Code, error
from schema.operation import Operation
from server.access import Caller, Denied, Gate
from server.engine import Answer, Engine, Request, refused_by

log = logging.getLogger("server.requests")

MOST_BYTES = 64 * 1024
JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
_PREFLIGHT_FOR = "600"
_ALWAYS = {"cache-control": "no-store", "x-content-type-options": "nosniff", "vary": "Origin, Accept"}
_METHODS = "POST, OPTIONS"


class GraphQLOverHTTP:
    def __init__(self, services: Services, gate: Gate, engine: Engine) -> None:
        self._services = services
        self._gate = gate
        self._engine = engine

    async def __call__(self, request: HTTPRequest) -> Response:
        began = time.perf_counter()
        caller = self._gate.caller(request)
        said: dict[str, object] = {"address": caller.address}
        try:
            response = await self._answer(request, caller, said)
        except Exception as fault:  # noqa: BLE001 - the database, mostly: keys can't be looked at.
            response = _fault(fault)
        response.headers.update(_ALWAYS)
        if caller.origin is not None and response.status_code != 403:
            # No cookies are involved: what a page may read is decided by the key that it holds.
            response.headers["access-control-allow-origin"] = caller.origin
        said |= {"status": response.status_code, "ms": round((time.perf_counter() - began) * 1000, 1)}
        log.info("request", extra={"said": said})
        return response

    async def _answer(self, request: HTTPRequest, caller: Caller, said: dict[str, object]) -> Response:
        if request.method == "OPTIONS":
            return _preflight()
        if request.method != "POST":
            return _error(405, JSON, Code.BAD_REQUEST, "Send operations by POST.", allow=_METHODS)
        media_type = accepted(request.headers.get("accept"))
        if media_type is None:
            return _error(
                406, JSON, Code.BAD_REQUEST, f"Answers are {GRAPHQL_JSON} or {JSON}: accept one of them."
            )
        admitted = await self._gate.admit(request.headers.get("authorization"), caller)
        if isinstance(admitted, Denied):
            return _denied(admitted, media_type)
        said |= {"key": admitted.key, "role": str(admitted.role)}
        asked = await _read(request, media_type)
        if isinstance(asked, Response):
            return asked
        answer = await self._run(asked, admitted, caller, said)
        if codes := [problem.extensions["code"] for problem in answer.errors if problem.extensions]:
            said["codes"] = codes
        is_bad = not answer.began and media_type == GRAPHQL_JSON
        return _bytes(answer.as_bytes(), 400 if is_bad else 200, media_type)

    async def _run(self, asked: Request, actor: Actor, caller: Caller, said: dict[str, object]) -> Answer:
        prepared = self._engine.prepare(asked, actor.role)
        if isinstance(prepared, Answer):
            return prepared
        said["operation"] = f"{prepared.kind.value} {prepared.name or ''}".strip()
        if prepared.kind is OperationType.SUBSCRIPTION:
            return Answer(None, (error(Code.BAD_REQUEST, "Subscriptions are for websockets."),), began=False)
        operation = Operation(Context(self._services, actor, address=caller.address))
        return await self._engine.execute(prepared, asked, operation)


def accepted(header: str | None) -> str | None:
    """The media type to answer in (RFC 9110 12.5.1); None where neither is accepted."""
    if not header:
        return JSON
    weights = dict(_weighed(choice) for choice in header.split(","))
    best, best_weight = None, 0.0
    for media_type in (JSON, GRAPHQL_JSON):
        weight = next(
            (weights[pattern] for pattern in (media_type, "application/*", "*/*") if pattern in weights), 0.0
        )
        is_named = media_type in weights
        if weight > best_weight or (weight == best_weight > 0 and is_named and media_type == GRAPHQL_JSON):
            best, best_weight = media_type, weight
    return best


def _weighed(choice: str) -> tuple[str, float]:
    media_type, *parameters = (part.strip().lower() for part in choice.split(";"))
    quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
    try:
        return media_type, min(max(float(quality), 0.0), 1.0)
    except ValueError:
        return media_type, 0.0


async def _read(request: HTTPRequest, media_type: str) -> Request | Response:
    content_type, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"')
    if content_type.strip() != JSON or charset not in {"", "utf-8", "utf8"}:
        return _error(415, media_type, Code.BAD_REQUEST, f"Send {JSON}, in UTF-8.")
    body = await _body(request)
    if body is None:
        message = f"Send at most {MOST_BYTES // 1024} KiB."
        return _error(413, media_type, Code.PAYLOAD_TOO_LARGE, message)
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _error(400, media_type, Code.BAD_REQUEST, "The body is not JSON.")
    asked = read_request(found)
    return _error(400, media_type, Code.BAD_REQUEST, asked) if isinstance(asked, str) else asked


async def _body(request: HTTPRequest) -> bytes | None:
    """None where it is too long, by its own word or in fact."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or len(declared) > 9 or int(declared) > MOST_BYTES:
        return None
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                return None
    except ClientDisconnect:
        return b""  # No one is there to read what is said of it.
    return bytes(body)


def read_request(found: object) -> Request | str:
    """The operation in a body or in a frame's payload, or what is wrong with it."""
    if isinstance(found, list):
        return "Send one operation at a time: there is no batching."
    if not isinstance(found, dict):
        return "Send an object with `query`."
    query, name = found.get("query"), found.get("operationName")
    if not isinstance(query, str) or not query.strip():
        return "Give the document as a text in `query`."
    if name is not None and not isinstance(name, str):
        return "Give `operationName` as a text."
    for field in ("variables", "extensions"):
        if not isinstance(found.get(field), dict | None):
            return f"Give `{field}` as an object."
    return Request(query, name, found.get("variables") or {})


def _preflight() -> Response:
    """For any page: the request that follows is held to the origins of its key, which a preflight does not carry."""
    return Response(
        status_code=204,
        headers={
            "access-control-allow-methods": "POST",
            "access-control-allow-headers": "authorization, content-type",
            "access-control-max-age": _PREFLIGHT_FOR,
        },
    )


def _fault(fault: Exception) -> Response:
    [problem] = refused_by(fault).errors
    code = (problem.extensions or {})["code"]
    return _json({"errors": [problem.formatted]}, 503 if code == Code.UNAVAILABLE else 500, JSON)


def _denied(denied: Denied, media_type: str) -> Response:
    shown = {"errors": [{"message": denied.message, "extensions": denied.extensions()}]}
    response = _json(shown, denied.status, media_type)
    if denied.status == 401:
        response.headers["www-authenticate"] = "Bearer"
    if denied.retry_at is not None:
        response.headers["retry-after"] = str(max(1, round(denied.retry_at - time.time())))
    return response


def _error(status: int, media_type: str, code: Code, message: str, **headers: str) -> Response:
    shown = {"errors": [{"message": message, "extensions": {"code": str(code)}}]}
    response = _json(shown, status, media_type)
    response.headers.update(headers)
    return response


def _json(shown: Mapping[str, Any], status: int, media_type: str) -> Response:
    return _bytes(orjson.dumps(shown), status, media_type)


def _bytes(body: bytes, status: int, media_type: str) -> Response:
    return Response(body, status, media_type=f"{media_type}; charset=utf-8")
