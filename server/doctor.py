"""`python -m server doctor`: what is right and wrong with a deployment, a line each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from resolvers import people
from server.app import WEB_ROOT
from server.config import ConfigError, Settings
from server.database import DatabaseUnusableError
from server.services import open_parts
from sync.icloud.trust import verifying

_WITHIN = 10.0


async def examine(settings: Settings, environment: Mapping[str, str]) -> tuple[list[str], bool]:
    """The lines, and whether all is well."""

    async def database_and_keys() -> str:
        async with open_parts(settings, environment) as parts:
            count = len(await people.list_subaccounts(parts.services))
        return f"the database is migrated, the keys are its own; subaccounts: {count}"

    async def calendar_server() -> str:
        parts = urlsplit(settings.caldav_url)
        host = parts.hostname or ""
        secure = verifying(settings.caldav_ca_file) if parts.scheme == "https" else None
        port = parts.port or (443 if secure else 80)
        _, writer = await asyncio.open_connection(host, port, ssl=secure)
        writer.close()
        return f"the calendar server answers at {host}:{port}"

    async def graphiql() -> str:
        if not settings.graphiql:
            return "GraphiQL is off"
        if not await asyncio.to_thread((WEB_ROOT / "graphiql/dist/index.html").is_file):
            raise ConfigError("GraphiQL is on, but not built: run `make web`, or set SLOTWIRE_GRAPHIQL=off")
        return "GraphiQL is built"

    found = [await _look(look) for look in (database_and_keys, calendar_server, graphiql)]
    return [line for line, _ in found], all(is_well for _, is_well in found)


async def _look(look: Callable[[], Awaitable[str]]) -> tuple[str, bool]:
    try:
        async with asyncio.timeout(_WITHIN):
            return f"ok    {await look()}", True
    except (ConfigError, DatabaseUnusableError) as error:
        return f"WRONG {error}", False
    except (OSError, TimeoutError) as error:
        return f"WRONG the calendar server can't be reached: {type(error).__name__}", False
