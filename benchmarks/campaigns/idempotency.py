"""One idempotency key, its first answer lost with the connection, then sent ten times at once: one appointment."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import uuid4

from benchmarks.campaigns.tally import Tally
from benchmarks.client import Client, Json
from benchmarks.world import World
from tests.e2e import queries as q

CALLS = 10


async def idempotency(running: World, *, rounds: int, where: str) -> Tally:
    tally = Tally("idempotency", where)
    async with AsyncExitStack() as stack:
        owners = [await stack.enter_async_context(running.owner(n)) for n in range(len(running.ports))]
        first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=200)
        for number in range(rounds):
            start = first + timedelta(minutes=30 * number)
            value = {
                "idempotencyKey": str(uuid4()),
                "userId": running.people.user_id,
                "start": start.isoformat(),
                "end": (start + timedelta(minutes=30)).isoformat(),
                "guest": {"name": "Twice", "email": "twice@example.org"},
            }
            await _lost(owners[number % len(owners)], value, 0.002 * (number % 8))
            answers = await asyncio.gather(
                *(
                    owners[call % len(owners)].mutate(
                        "createAppointment", q.SAVED, "CreateAppointmentInput!", value
                    )
                    for call in range(CALLS)
                )
            )
            tally.trials += 1
            ids = {answer.get("appointment", {}).get("id") for answer in answers}
            tally.hold(len(ids) == 1 and None not in ids, f"round {number}: {answers}"[:400])
            other = await owners[0].mutate(
                "createAppointment", q.SAVED, "CreateAppointmentInput!", {**value, "title": "Another"}
            )
            tally.hold(other["__typename"] == "IdempotencyConflict", f"round {number}: {other}")
    return tally


async def _lost(owner: Client, value: Json, seconds: float) -> None:
    """Sent, and the connection cut a moment later: nobody knows whether it was done."""
    asked = f"createAppointment(input: $input) {{ __typename {q.SAVED} }}"
    query = f"mutation ($input: CreateAppointmentInput!) {{ {asked} }}"
    body = json.dumps({"query": query, "variables": {"input": value}}).encode()
    where = urlsplit(owner.url)
    _, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(
        f"POST {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: Bearer {owner.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    await asyncio.sleep(seconds)
    writer.transport.abort()
    with suppress(ConnectionError):
        await writer.wait_closed()
