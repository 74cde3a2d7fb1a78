"""The web application: GraphQL over HTTP and websockets, the pages, and what a load balancer asks."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from resolvers.context import Services
from schema.build import build
from server.access import Gate
from server.config import ConfigError, Settings
from server.engine import Engine
from server.front import Front
from server.health import Health, metrics_routes
from server.http import GraphQLOverHTTP
from server.pages import page_routes
from server.persisted import Documents
from server.replies import give_up
from server.sockets import Caps, Sockets
from server.telemetry import Telemetry
from server.websocket import GraphQLOverWebSocket

log = logging.getLogger(__name__)

Looks = Sequence[Callable[[], Coroutine[Any, Any, None]]]

_GRAPHQL = "/graphql"
WEB_ROOT = Path(__file__).resolve().parents[1] / "web"


def make_app(services: Services, settings: Settings, telemetry: Telemetry | None = None) -> Starlette:
    told = telemetry or Telemetry()
    gate = gate_of(services, settings)
    engine = Engine(build()[0], booking_introspection=settings.booking_introspection)
    sockets = Sockets(services, caps_of(settings))
    front = Front(services, gate, engine, Documents(), sockets, told.watch)
    health = Health(services)
    over_http = GraphQLOverHTTP(front)
    over_websocket = GraphQLOverWebSocket(front)

    async def graphql_socket(websocket: WebSocket) -> None:
        await over_websocket(websocket)

    routes: list[BaseRoute] = [
        Route(_GRAPHQL, over_http),
        WebSocketRoute(_GRAPHQL, graphql_socket),
        *health.routes(),
        *metrics_routes(told.metrics, services, gate, settings.metrics_from),
        *page_routes(web_root=WEB_ROOT, demo=_demo(settings), graphiql=settings.graphiql),
    ]
    looking = [sockets.watch]
    if told.metrics is not None:
        told.metrics.follow(
            "slotwire_connections", "Websockets and streams that are open.", lambda: len(sockets)
        )
        told.metrics.follow(
            "slotwire_waiting_bytes", "Bytes that wait for slow readers.", lambda: sockets.waiting
        )
        looking.append(told.metrics.look_at_the_loop)
    app = _app(routes, looking, sockets, health, straight=over_http)
    app.state.engine = engine
    return app


def make_watch_app(services: Services, settings: Settings, telemetry: Telemetry) -> Starlette:
    """For a process that answers no operations: how it is, and what it counted."""
    sockets, health = Sockets(services, caps_of(settings)), Health(services)
    gate, metrics = gate_of(services, settings), telemetry.metrics
    routes = [*health.routes(), *metrics_routes(metrics, services, gate, settings.metrics_from)]
    return _app(routes, [] if metrics is None else [metrics.look_at_the_loop], sockets, health)


class _App(Starlette):
    """Operations go straight to what answers them: a route and its wrapping cost a good part of what a hot one does.

    The route stands all the same: it is what `/graphql/` is sent to.
    """

    straight: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if self.straight is not None and scope["type"] == "http" and scope["path"] == _GRAPHQL:
                await self.straight(scope, receive, send)
            else:
                await super().__call__(scope, receive, send)
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise
            # By the process's end, which waited as long as it may. Uvicorn would tell of a fault, with its trace.
            log.warning("A request was given up: the process ends.")
            await give_up(scope, receive, send)


def _app(
    routes: Sequence[BaseRoute],
    looking: Looks,
    sockets: Sockets,
    health: Health,
    *,
    straight: ASGIApp | None = None,
) -> Starlette:
    app = _App(routes=routes, lifespan=_looking(looking))
    app.straight = straight
    app.state.sockets = sockets
    app.state.health = health
    return app


def gate_of(services: Services, settings: Settings) -> Gate:
    return Gate(services, allowed_origins=settings.allowed_origins, trusted_proxies=settings.trusted_proxies)


def caps_of(settings: Settings) -> Caps:
    return Caps(
        process=settings.connections,
        address=settings.connections_per_address,
        key=settings.connections_per_key,
    )


def _looking(looks: Looks) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """What goes on beside the requests, for as long as the application lives."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(look()) for look in looks]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    return lifespan


def _demo(settings: Settings) -> Mapping[str, str] | None:
    if settings.demo_file is None:
        return None
    try:
        facts: dict[str, str] = json.loads(settings.demo_file.read_text())
    except (OSError, ValueError):
        raise ConfigError("SLOTWIRE_DEMO_FILE can't be used: it can't be read.") from None
    return facts
