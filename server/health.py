"""What a load balancer, an orchestrator and a Prometheus ask: /healthz, /readyz, /metrics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from ipaddress import ip_address

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from resolvers.context import Services
from server.access import Gate
from server.config import Network
from server.database import is_current
from server.metrics import CONTENT_TYPE, Metrics

log = logging.getLogger(__name__)

_WITHIN = 2.0
_NO_STORE = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class Health:
    """`is_draining` is set when the process was told to end: it serves what comes, and asks for no more."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.is_draining = False

    def routes(self) -> list[Route]:
        return [Route("/healthz", self._is_alive), Route("/readyz", self._is_ready)]

    async def _is_alive(self, _: Request) -> Response:
        return _text("ok\n")

    async def _is_ready(self, _: Request) -> Response:
        problem = "This process is about to end." if self.is_draining else await self._problem()
        return _text("ready\n") if problem is None else _text(f"{problem}\n", 503)

    async def _problem(self) -> str | None:
        try:
            async with asyncio.timeout(_WITHIN):
                is_right = await is_current(self._services.database)
        except Exception as error:  # noqa: BLE001 - whatever keeps the database away keeps callers away.
            log.warning("Not ready: %s", type(error).__name__)
            return "The database can't be reached."
        return None if is_right else "The database was migrated for another version."


def metrics_routes(
    metrics: Metrics | None, services: Services, gate: Gate, allowed: Iterable[Network]
) -> list[Route]:
    """None where they are not kept; and to whom they are not for, there is no such page."""
    if metrics is None:
        return []
    networks = tuple(allowed)

    async def read(request: Request) -> Response:
        if not _is_in(gate.caller(request).address, networks):
            return _text("Not Found", 404)
        try:
            async with asyncio.timeout(_WITHIN):
                text = await metrics.text(services)
        except Exception as error:  # noqa: BLE001 - a scrape that fails is what tells of it.
            log.warning("No metrics: %s", type(error).__name__)
            return _text("The database can't be reached.\n", 503)
        return Response(text, headers=_NO_STORE | {"content-type": CONTENT_TYPE})

    return [Route("/metrics", read)]


def _is_in(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def _text(text: str, status: int = 200) -> Response:
    return PlainTextResponse(text, status, headers=_NO_STORE)
