"""`python -m server doctor`: what is right and wrong with a deployment, a line each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from models.deployment import write_nothing
from resolvers import people
from server.app import WEB_ROOT
from server.config import ConfigError, Settings
from server.database import of_its_statements
from server.errors import CommandError
from server.services import open_parts
from sync.icloud.trust import verifying

_WITHIN = 10.0


async def examine(settings: Settings, environment: Mapping[str, str]) -> tuple[list[str], bool]:
    """The lines, and whether all is well."""
    parts = urlsplit(settings.caldav_url)
    host, port = parts.hostname or "", parts.port or {"https": 443, "http": 80}[parts.scheme]

    async def database_and_keys() -> str:
        async with open_parts(settings, environment) as parts:
            with of_its_statements():
                count = len(await people.list_subaccounts(parts.services))
                async with parts.services.database.writing() as db:
                    await write_nothing(db)
        return f"the database is migrated, the keys are its own; subaccounts: {count}"

    async def calendar_server() -> str:
        secure = verifying(settings.caldav_ca_file) if parts.scheme == "https" else None
        _, writer = await asyncio.open_connection(host, port, ssl=secure)
        writer.close()
        return f"the calendar server answers at {host}:{port}"

    async def graphiql() -> str:
        if not settings.graphiql:
            return "GraphiQL is off"
        if not await asyncio.to_thread((WEB_ROOT / "graphiql/dist/index.html").is_file):
            raise ConfigError("GraphiQL is on, but not built: run `make web`, or set SLOTWIRE_GRAPHIQL=off")
        return "GraphiQL is built"

    looks = {
        "the database of SLOTWIRE_DATABASE_URL": database_and_keys,
        f"the calendar server of SLOTWIRE_CALDAV_URL, {host}:{port},": calendar_server,
        "GraphiQL": graphiql,
    }
    found = [await _look(what, look) for what, look in looks.items()]
    return [line for line, _ in found], all(is_well for _, is_well in found)


async def _look(what: str, look: Callable[[], Awaitable[str]]) -> tuple[str, bool]:
    try:
        async with asyncio.timeout(_WITHIN):
            return f"ok    {await look()}", True
    except CommandError as error:
        return f"WRONG {error}", False
    except OSError as error:
        reason = error.strerror or str(error) or f"no answer within {_WITHIN:.0f} s"
        return f"WRONG {what} can't be reached: {reason}", False
