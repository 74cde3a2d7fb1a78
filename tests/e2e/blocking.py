"""Time that an owner blocks by hand, on a server of its own process."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from benchmarks.world import World

_BLOCK = """mutation($input: CreateBlockedSlotInput!) { createBlockedSlot(input: $input) {
    ... on BlockedSlotCreated { blockedSlot { id } } } }"""


async def block(running: World, number: int, *, title: str | None = None) -> str:
    """Half an hour, so many hours after now in 30 days; its id."""
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30, hours=number)
    given = {
        "userId": running.people.user_id,
        "start": start.isoformat(),
        "end": (start + timedelta(minutes=30)).isoformat(),
        "title": title,
    }
    async with running.owner() as owner:
        made: str = (await owner.call(_BLOCK, input=given))["createBlockedSlot"]["blockedSlot"]["id"]
    return made
