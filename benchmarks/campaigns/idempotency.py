"""One idempotency key, sent ten times at once: one appointment, one answer."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from benchmarks.campaigns.tally import Tally
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
