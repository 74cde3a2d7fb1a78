"""A server on loopback over a test's own services, and clients that speak to it as the world would."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from domain.actor import Role
from resolvers import keys
from resolvers.context import Services
from server.app import make_app
from server.config import Settings, read_settings
from server.run import Server, config_of
from server.sockets import Sockets
from server.telemetry import Telemetry
from tests.integration.world import World

PROTOCOL = Subprotocol("graphql-transport-ws")
REFUSED = 400_000
"""Lines that a request may take which is refused, its client's among them: three times what the worst takes."""
Json = dict[str, Any]


@dataclass(frozen=True)
class Served:
    world: World
    server: Server
    port: int
    admin: str
    owner: str
    booking: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def services(self) -> Services:
        return self.world.services

    @property
    def sockets(self) -> Sockets:
        app = self.server.config.app
        assert isinstance(app, Starlette)
        found: Sockets = app.state.sockets
        return found

    @asynccontextmanager
    async def client(self, key: str | None = None, **headers: str) -> AsyncIterator[httpx2.AsyncClient]:
        bearer = {} if key is None else {"authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(base_url=self.url, headers=bearer | headers, timeout=60) as client:
            yield client

    async def post(self, key: str | None, body: object, **headers: str) -> httpx2.Response:
        async with self.client(
            key, **{name.replace("_", "-"): value for name, value in headers.items()}
        ) as client:
            return await client.post("/graphql", json=body)

    async def ask(self, key: str, query: str, /, **variables: object) -> Json:
        answer = await self.post(key, {"query": query, "variables": variables})
        assert answer.status_code == 200, answer.text
        shown: Json = answer.json()
        return shown

    @asynccontextmanager
    async def raw_socket(self, **headers: str) -> AsyncIterator[ClientConnection]:
        address = f"ws://127.0.0.1:{self.port}/graphql"
        async with connect(address, subprotocols=[PROTOCOL], additional_headers=headers) as opened:
            yield opened

    @asynccontextmanager
    async def socket(self, key: str, **headers: str) -> AsyncIterator[ClientConnection]:
        """One that was let in."""
        async with self.raw_socket(**headers) as opened:
            await send(opened, type="connection_init", payload={"authorization": f"Bearer {key}"})
            assert await receive(opened) == {"type": "connection_ack"}
            yield opened


async def send(opened: ClientConnection, **frame: object) -> None:
    await opened.send(json.dumps(frame))


async def receive(opened: ClientConnection, *, within: float = 60) -> Json:
    async with asyncio.timeout(within):
        frame: Json = {"type": "ping"}
        while frame == {"type": "ping"}:
            frame = json.loads(await opened.recv())
    return frame


async def issue(
    world: World, role: Role, *, user: str | None = None, origins: list[str] | None = None
) -> str:
    made = await keys.issue_key(
        world.services,
        subaccount=world.subaccount,
        label=f"{role} key",
        role=role,
        user_id=user,
        origins=origins,
    )
    assert isinstance(made, tuple), made
    return made[1]


def settings_with(**environment: str) -> Settings:
    return read_settings({f"SLOTWIRE_{name}": value for name, value in environment.items()})


@asynccontextmanager
async def serving(
    world: World, settings: Settings | None = None, telemetry: Telemetry | None = None
) -> AsyncIterator[Served]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app = make_app(world.services, settings or settings_with(), telemetry)
        server = Server(config_of(app, most=10_000))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started:
                await asyncio.sleep(0.01)
            yield Served(
                world,
                server,
                listener.getsockname()[1],
                admin=await issue(world, Role.ADMIN),
                owner=await issue(world, Role.OWNER, user=world.anna.user),
                booking=await issue(world, Role.BOOKING),
            )
        finally:
            server.should_exit = True
            await running
