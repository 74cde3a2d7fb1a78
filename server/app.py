"""The web application: GraphQL over HTTP and websockets, the pages, and what a load balancer asks."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from resolvers.context import Services
from schema.build import build
from server.access import Gate
from server.config import ConfigError, Settings
from server.engine import Engine
from server.front import Front
from server.http import GraphQLOverHTTP
from server.pages import page_routes
from server.persisted import Documents
from server.sockets import Caps, Sockets
from server.websocket import GraphQLOverWebSocket

log = logging.getLogger(__name__)

WEB_ROOT = Path(__file__).resolve().parents[1] / "web"
_READY_WITHIN = 2.0
_NO_STORE = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def make_app(services: Services, settings: Settings) -> Starlette:
    gate = Gate(services, allowed_origins=settings.allowed_origins, trusted_proxies=settings.trusted_proxies)
    engine = Engine(build()[0], booking_introspection=settings.booking_introspection)
    sockets = Sockets(services, caps_of(settings))
    front = Front(services, gate, engine, Documents(), sockets)
    over_http = GraphQLOverHTTP(front)
    over_websocket = GraphQLOverWebSocket(front)

    # A plain function: Starlette hands a class instance every method and no way to answer by itself.
    async def graphql(request: Request) -> Response:
        return await over_http(request)

    async def graphql_socket(websocket: WebSocket) -> None:
        await over_websocket(websocket)

    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    routes: list[BaseRoute] = [
        Route("/graphql", graphql, methods=methods),
        WebSocketRoute("/graphql", graphql_socket),
        Route("/healthz", _is_alive),
        Route("/readyz", _ready(services)),
        *page_routes(web_root=WEB_ROOT, demo=_demo(settings), graphiql=settings.graphiql),
    ]
    app = Starlette(routes=routes, lifespan=_watching(sockets))
    app.state.sockets = sockets
    return app


def caps_of(settings: Settings) -> Caps:
    return Caps(
        process=settings.connections,
        address=settings.connections_per_address,
        key=settings.connections_per_key,
    )


def _watching(sockets: Sockets) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        watching = asyncio.create_task(sockets.watch())
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    return lifespan


async def _is_alive(_: Request) -> Response:
    return PlainTextResponse("ok\n", headers=_NO_STORE)


def _ready(services: Services) -> Callable[[Request], Awaitable[Response]]:
    async def is_ready(_: Request) -> Response:
        try:
            async with asyncio.timeout(_READY_WITHIN), services.database.reading():
                return PlainTextResponse("ready\n", headers=_NO_STORE)
        except Exception as error:  # noqa: BLE001 - whatever keeps the database away keeps callers away.
            log.warning("Not ready: %s", type(error).__name__)
            return PlainTextResponse("The database can't be reached.\n", 503, headers=_NO_STORE)

    return is_ready


def _demo(settings: Settings) -> Mapping[str, str] | None:
    if settings.demo_file is None:
        return None
    try:
        facts: dict[str, str] = json.loads(settings.demo_file.read_text())
    except (OSError, ValueError):
        raise ConfigError("SLOTWIRE_DEMO_FILE can't be used: it can't be read.") from None
    return facts
