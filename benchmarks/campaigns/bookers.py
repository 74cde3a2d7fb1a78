"""20 bookers of one user at once, with random overlapping spans: no overlap, one clear outcome each, never a 500."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

from benchmarks.campaigns.tally import Tally
from benchmarks.client import Client, Json
from benchmarks.world import World
from tests.e2e import queries as q

BOOKERS = 20
FIRST_DAY = 3
STRETCH = timedelta(hours=3)
STRETCHES_A_DAY = 8
PATIENCE = 300.0
"""Seconds that an answer is waited for: a busy machine is slow, and double-books nobody."""
PAGE = "race"


async def bookers(running: World, *, rounds: int, seed: int, where: str) -> Tally:
    """Guests and the owner, mixed, over every process; a round has a stretch of three hours to itself."""
    tally = Tally("bookers", where)
    outcomes: Counter[str] = Counter()
    async with AsyncExitStack() as stack:
        everywhere = range(len(running.ports))
        owners = [await stack.enter_async_context(running.owner(n, timeout=PATIENCE)) for n in everywhere]
        guests = [await stack.enter_async_context(running.guest(n, timeout=PATIENCE)) for n in everywhere]
        await _open_always(owners[0], running)
        for number in range(rounds):
            chance = random.Random(f"{seed}/{number}")
            day, part = divmod(number, STRETCHES_A_DAY)
            opening = _midnight(FIRST_DAY + day) + part * STRETCH
            calls = [
                _own_booking(chance.choice(owners), running, opening, chance)
                if chance.random() < 0.5
                else _guest_booking(chance.choice(guests), opening, chance)
                for _ in range(BOOKERS)
            ]
            answers = await asyncio.gather(*calls)
            tally.trials += 1
            outcomes.update(name for name, _ in answers)
            for name, story in answers:
                tally.hold(
                    name in {"AppointmentSaved", "AppointmentBooked", "SlotUnavailable"},
                    f"round {number}: {story}",
                )
            booked = sum(name in {"AppointmentSaved", "AppointmentBooked"} for name, _ in answers)
            standing = await _standing(owners[0], running, opening)
            tally.hold(booked, f"round {number}: nobody got anything")
            tally.hold(
                len(standing) == booked, f"round {number}: {booked} acknowledged, {len(standing)} stand"
            )
            for (_, end), (start, _) in pairwise(standing):
                tally.hold(end <= start, f"round {number}: {end} and {start} overlap")
    tally.facts |= dict(sorted(outcomes.items()))
    return tally


async def _open_always(owner: Client, running: World) -> None:
    """Every hour of every day, by a page of its own: so that only the race decides."""
    days = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
    hours = {
        "userId": running.people.user_id,
        "weekly": [{"day": day, "start": "00:00", "end": "24:00"} for day in days],
    }
    await owner.mutate("setWorkingHours", "", "SetWorkingHoursInput!", hours)
    page = {
        "userId": running.people.user_id,
        "name": "Race",
        "slug": PAGE,
        "durationMinutes": 30,
        "horizonDays": 400,
    }
    saved = await owner.mutate("createAppointmentType", "", "CreateAppointmentTypeInput!", page)
    assert saved["__typename"] == "AppointmentTypeSaved", saved


async def _own_booking(
    owner: Client, running: World, opening: datetime, chance: random.Random
) -> tuple[str, str]:
    start = opening + timedelta(minutes=5 * chance.randrange(28))
    value = {
        "idempotencyKey": str(UUID(int=chance.getrandbits(128))),
        "userId": running.people.user_id,
        "start": _iso(start),
        "end": _iso(start + timedelta(minutes=5 * chance.randrange(1, 9))),
        "title": "Raced for",
        "guest": {"name": "Owner's guest", "email": "guest@example.org"},
    }
    return await _outcome(owner, "createAppointment", q.SAVED, "CreateAppointmentInput!", value)


async def _guest_booking(guest: Client, opening: datetime, chance: random.Random) -> tuple[str, str]:
    value = {
        "idempotencyKey": str(UUID(int=chance.getrandbits(128))),
        "bookingPage": PAGE,
        "start": _iso(opening + timedelta(minutes=30 * chance.randrange(6))),
        "guest": {"name": "Guest", "email": "guest@example.org"},
    }
    return await _outcome(guest, "bookAppointment", q.BOOKED, "BookAppointmentInput!", value)


async def _outcome(client: Client, field: str, result: str, kind: str, value: Json) -> tuple[str, str]:
    fields = f"__typename ... on UserError {{ message }} {result}"
    query = f"mutation ($input: {kind}) {{ {field}(input: $input) {{ {fields} }} }}"
    response = await client.post(query, input=value)
    if response.status_code >= 500:
        return "5xx", f"{response.status_code} {response.text[:200]}"
    answer = response.json()
    if answer.get("errors"):
        return "errors", str(answer["errors"])[:300]
    return answer["data"][field]["__typename"], str(answer["data"][field])[:300]


async def _standing(owner: Client, running: World, opening: datetime) -> list[tuple[str, str]]:
    spans, after = [], None
    while True:
        page = (
            await owner.call(
                q.APPOINTMENTS,
                user=running.people.user_id,
                **{"from": _iso(opening), "to": _iso(opening + STRETCH), "after": after},
            )
        )["user"]["appointments"]
        spans += [(edge["node"]["start"], edge["node"]["end"]) for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            return sorted(spans)
        after = page["pageInfo"]["endCursor"]


def _midnight(days: int) -> datetime:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=days)


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
