"""One server of a benchmark, one process and one event loop: `python -m benchmarks.api.worker KIND PORT [FOLDER]`.

All run under the same uvicorn, configured as our own is. Each line on standard input is answered with one of JSON: the
CPU that the process took so far, the memory that it holds, and how often an operation was executed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import strawberry
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from strawberry.asgi import GraphQL
from strawberry.schema.config import StrawberryConfig

from resolvers.context import Context
from resolvers.keys import authenticate
from schema.operation import Operation
from schema.query import Query
from schema.scalars import SCALARS
from server import logs
from server.app import make_app
from server.config import read_settings
from server.interpreter import settle
from server.run import config_of
from server.run import run as run_loop
from server.services import Parts, open_parts

Count = Callable[[], int]


async def serve(app: Starlette, port: int, count: Count) -> None:
    """Until standard input ends."""
    with socket.create_server(("127.0.0.1", port), backlog=8192) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server = uvicorn.Server(config_of(app, most=100_000))
        loop = asyncio.get_running_loop()

        def answer() -> None:
            for _ in sys.stdin:
                told = {"cpu": time.process_time(), "rss": _resident(), "executions": count()}
                print(json.dumps(told), flush=True)
            loop.call_soon_threadsafe(setattr, server, "should_exit", True)

        threading.Thread(target=answer, daemon=True).start()
        settle()
        await server.serve(sockets=[listener])


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def ours(port: int, folder: Path, environment: Mapping[str, str]) -> None:
    """The whole server, logging as it is set to, without the loop that polls iCloud."""
    settings = read_settings(environment)
    logs.set_up(level="INFO", as_json=False)
    with (folder / "server.log").open("w") as log:
        for handler in logging.getLogger().handlers:
            assert isinstance(handler, logging.StreamHandler)
            handler.setStream(log)
        async with open_parts(settings, environment) as parts:
            app = make_app(parts.services, settings)
            await serve(app, port, lambda: app.state.engine.executed)


async def floor(port: int, folder: Path) -> None:
    """The least there is: a route that returns bytes which are there."""
    found = {path.stem: path.read_bytes() for path in folder.glob("*.json")}

    def route(path: str, body: bytes) -> Route:
        async def answer(_: Request) -> Response:
            return Response(body, media_type="application/json; charset=utf-8")

        return Route(path, answer, methods=["POST"])

    routes = []
    for name, body in found.items():
        routes.append(route(f"/{name}", body))
    await serve(Starlette(routes=routes), port, lambda: 0)


class _Plain(GraphQL[Operation, None]):
    """strawberry's own server, as its documentation has it; the resolvers are ours, the snapshot is let go."""

    def __init__(self, schema: strawberry.Schema, parts: Parts) -> None:
        super().__init__(schema)
        self._parts = parts

    async def get_context(self, request: Any, response: Any) -> Operation:  # noqa: ARG002 - its signature.
        secret = request.headers["authorization"].removeprefix("Bearer ")
        actor = await authenticate(self._parts.services, secret)
        assert actor is not None
        return Operation(Context(self._parts.services, actor, address="127.0.0.1"))

    async def execute_operation(self, *args: Any, **kwargs: Any) -> Any:
        result = await super().execute_operation(*args, **kwargs)
        await kwargs["context"].ctx.close()
        return result


async def plain(port: int, environment: Mapping[str, str]) -> None:
    schema = strawberry.Schema(query=Query, config=StrawberryConfig(scalar_map=SCALARS))
    async with open_parts(read_settings(environment), environment) as parts:
        app = Starlette(routes=[Route("/graphql", _Plain(schema, parts))])
        await serve(app, port, lambda: 0)


async def raw(port: int) -> None:
    """A bare broadcast: whatever a socket sends is sent to all, one after the other."""
    sockets: set[WebSocket] = set()

    async def broadcast(websocket: WebSocket) -> None:
        await websocket.accept("graphql-transport-ws")
        sockets.add(websocket)
        try:
            while True:
                text = await websocket.receive_text()
                for each in sockets:
                    await each.send_text(text)
        except WebSocketDisconnect:
            sockets.discard(websocket)

    await serve(Starlette(routes=[WebSocketRoute("/graphql", broadcast)]), port, lambda: 0)


def main() -> None:
    kind, port = sys.argv[1], int(sys.argv[2])
    folder = Path(sys.argv[3]) if len(sys.argv) > 3 else Path()
    match kind:
        case "ours":
            run_loop(ours(port, folder, os.environ))
        case "floor":
            run_loop(floor(port, folder))
        case "plain":
            run_loop(plain(port, os.environ))
        case "raw":
            run_loop(raw(port))


if __name__ == "__main__":
    main()
