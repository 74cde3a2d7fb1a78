"""A call that is made twice has one effect and one answer, which is stored with the effect."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from domain.actor import Actor, UserRef
from models.booking import IdempotentCall
from models.sql import Db
from resolvers.outcomes import IdempotencyConflict

CONFLICT = IdempotencyConflict(
    "This idempotency key was used with another input: make a new key for each booking."
)


@dataclass(frozen=True, slots=True)
class Call:
    """One operation of one API key, by the key that its caller made for it."""

    id: str
    input_hash: str


@dataclass(frozen=True, slots=True)
class Done:
    """What the first call did: the answer holds ids, never secrets."""

    appointment_id: str


def call_of(actor: Actor, operation: str, key: str, given: Mapping[str, object]) -> Call:
    canonical = json.dumps(given, sort_keys=True, separators=(",", ":"))
    return Call(f"{actor.key}:{operation}:{key}", hashlib.sha256(canonical.encode()).hexdigest())


async def recall(db: Db, call: Call) -> Done | IdempotencyConflict | None:
    """What came of this call before, if it was made before."""
    stored = await IdempotentCall.filter(id=call.id).using_db(db).first()
    if stored is None:
        return None
    return Done(stored.appointment_id) if stored.input_hash == call.input_hash else CONFLICT


async def remember(db: Db, call: Call, user: UserRef, appointment_id: str, *, now: float) -> None:
    """In the transaction of the effect. A second one at the same moment fails here, and is undone."""
    await IdempotentCall.create(
        using_db=db,
        id=call.id,
        subaccount_id=user.subaccount,
        user_id=user.user,
        input_hash=call.input_hash,
        appointment_id=appointment_id,
        created_at=now,
    )
