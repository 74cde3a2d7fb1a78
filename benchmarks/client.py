"""A GraphQL client over HTTP and graphql-transport-ws, as thin as one can be: what a booking app has."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx2
from websockets.asyncio.client import ClientConnection, connect

Json = dict[str, Any]


class GraphQLError(Exception):
    """The answer carries errors; `codes` are their `extensions.code`."""

    def __init__(self, errors: list[Json]) -> None:
        super().__init__(json.dumps(errors))
        self.codes = [error.get("extensions", {}).get("code") for error in errors]


class Client:
    """One key's calls to one server."""

    def __init__(self, url: str, key: str, *, timeout: float = 30.0) -> None:
        self.url = url
        self.key = key
        limits = httpx2.Limits(max_connections=200, max_keepalive_connections=50)
        self._http = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {key}"}, timeout=timeout, limits=limits, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def post(self, query: str, **variables: object) -> httpx2.Response:
        # Each call as another guest's, seen through a proxy: a race is not a flood from one address.
        address = ".".join(str(random.randrange(1, 255)) for _ in range(4))
        return await self._http.post(
            self.url,
            json={"query": query, "variables": variables},
            headers={"X-Forwarded-For": address},
        )

    async def call(self, query: str, **variables: object) -> Json:
        """The `data` of the answer. Raises GraphQLError where it carries errors."""
        answer = (await self.post(query, **variables)).json()
        if answer.get("errors"):
            raise GraphQLError(answer["errors"])
        data: Json = answer["data"]
        return data

    async def mutate(self, field: str, result: str, input_type: str, value: Json) -> Json:
        """One mutation `field(input: value)`, answering the fields of `result` and any refusal's message."""
        query = (
            f"mutation ($input: {input_type}) {{ {field}(input: $input)"
            f" {{ __typename ... on UserError {{ message }} {result} }} }}"
        )
        answer: Json = (await self.call(query, input=value))[field]
        return answer

    @asynccontextmanager
    async def socket(self, *, within: float | None = 10.0) -> AsyncIterator[Socket]:
        """An acknowledged graphql-transport-ws connection. Raises TimeoutError where a step of it takes so long."""
        url, spoken = self.url.replace("http", "ws", 1), ["graphql-transport-ws"]
        async with connect(url, subprotocols=spoken, proxy=None, open_timeout=within) as connection:  # type: ignore[arg-type]
            await connection.send(
                json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {self.key}"}})
            )
            ack = json.loads(await asyncio.wait_for(connection.recv(), within))
            assert ack["type"] == "connection_ack", ack
            yield Socket(connection)


class Socket:
    """One websocket with one subscription read from it at a time."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self._ids = itertools.count(1)

    async def subscribe(self, query: str, **variables: object) -> AsyncGenerator[Json, None]:
        """The `data` of each frame. Raises GraphQLError; ends when the server completes."""
        number = str(next(self._ids))
        payload = {"query": query, "variables": variables}
        await self.connection.send(json.dumps({"id": number, "type": "subscribe", "payload": payload}))
        async for text in self.connection:
            frame = json.loads(text)
            match frame["type"]:
                case "ping":
                    await self.connection.send(json.dumps({"type": "pong"}))
                case "next" if frame["id"] == number:
                    if frame["payload"].get("errors"):
                        raise GraphQLError(frame["payload"]["errors"])
                    yield frame["payload"]["data"]
                case "error" if frame["id"] == number:
                    raise GraphQLError(frame["payload"])
                case "complete" if frame["id"] == number:
                    return
