"""Answers from memory: while no stamp has moved and no instant was passed at which time changes them.

What the caller may ask is decided by the same functions as ever, from the same rows, each time; only where those rows
come from differs. Whatever is not plain (a booking's own time, a refusal, a row not in memory) is left to the slow way.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import partial

from domain.actor import Actor, Role, UserRef
from models.booking import AppointmentType
from models.glances import GlanceError
from models.sql import fetch
from resolvers.answers import Answer, Moment, answer_for
from resolvers.asked import Asked, Concerned, concerned_of, of_page, of_users, type_asked
from resolvers.context import Context, Services
from resolvers.outcomes import Refusal
from resolvers.question import AvailabilityQuestion, StalePolicy, check_question, is_for_guests
from resolvers.stamps import Stamp, read_stamps
from resolvers.user_time import people_of
from resolvers.views import AvailabilityView


@dataclass(frozen=True, slots=True)
class Remembered:
    """An answer, and the stamps that it stands on. While the database's version is the same they need no look."""

    asked: Asked
    stamps: tuple[Stamp, ...]
    answer: Answer
    version: int | None

    def stands(self, moment: Moment) -> bool:
        return self.answer.moment.now <= moment.now < self.answer.next_at


async def remembered(ctx: Context, question: AvailabilityQuestion, moment: Moment) -> AvailabilityView | None:
    services, key = ctx.services, _key(ctx.actor, question)
    kept = services.answers.find(key)
    assert isinstance(kept, Remembered | None)
    # Before the stamps are read: what is committed meanwhile is another version.
    version = services.database.version() if ctx.asks_once else None
    stamps = None
    if kept is not None:
        is_untouched = version is not None and kept.version == version
        stamps = kept.stamps if is_untouched else await _stamps(ctx, kept.asked)
        if kept.stamps == stamps and kept.stands(moment):
            if not is_untouched and version is not None:
                services.answers.keep(key, replace(kept, version=version), weight=kept.answer.view.weight)
            ctx.looks_at(kept.asked.users)
            return kept.answer.view
    asked = _asked(ctx.actor, services, question)
    if asked is None:
        return None
    if kept is None or kept.asked.everyone != asked.everyone:
        stamps = await _stamps(ctx, asked)
    concerned = None if stamps is None else _concerned(services, asked, stamps, now=moment.now)
    if stamps is None or concerned is None or _is_to_refresh(question, concerned, moment):
        return None
    answer = await answer_for(ctx.db, services, asked, concerned, moment)
    services.answers.keep(key, Remembered(asked, stamps, answer, version), weight=answer.view.weight)
    ctx.looks_at(asked.users)
    return answer.view


def _key(actor: Actor, question: AvailabilityQuestion) -> Hashable:
    """Who may see the same shares one; by the question as it was asked."""
    return (actor.subaccount, actor.role, actor.user, question)


def _asked(actor: Actor, services: Services, question: AvailabilityQuestion) -> Asked | None:
    """As `asked.resolve` finds it; None where that would refuse, or must read."""
    if question.manage_token or question.appointment_id or question.hold_token:
        return None
    if (actor.role is Role.BOOKING and not is_for_guests(question)) or check_question(question) is not None:
        return None
    type_ = _type(actor, services, question)
    if question.booking_page is None:
        found: Asked | Refusal = of_users(actor, question, type_)
    elif type_ is None:
        return None
    else:
        found = of_page(actor, question, type_)
    return found if isinstance(found, Asked) else None


def _type(actor: Actor, services: Services, question: AvailabilityQuestion) -> AppointmentType | None:
    if question.booking_page is None and question.appointment_type_id is None:
        return None
    known = services.types.find(type_asked(actor.subaccount, question))
    if known is None:
        return None
    owner = UserRef(known.type.subaccount_id, known.type.user_id)
    # A page is anyone's of the subaccount; by its id a type is its owner's alone.
    return known.type if question.booking_page is not None or actor.may_manage(owner) else None


async def _stamps(ctx: Context, asked: Asked) -> tuple[Stamp, ...] | None:
    reads = ctx.services.database.glance if ctx.asks_once else partial(fetch, await ctx.db())
    try:
        return await read_stamps(reads, asked.everyone)
    except GlanceError:
        return None


def _concerned(
    services: Services, asked: Asked, stamps: tuple[Stamp, ...], *, now: float
) -> Concerned | None:
    """None where something has moved that must be read again."""
    people = people_of(asked.everyone, stamps, services.standings, now=now)
    if people is None:
        return None
    if asked.type is not None:
        known = services.types.find(asked.key_of_type)
        position = next(person.position for person in people if person.ref.user == asked.type.user_id)
        if known is None or known.position != position:
            return None
    return concerned_of(people, of=len(asked.users))


def _is_to_refresh(question: AvailabilityQuestion, concerned: Concerned, moment: Moment) -> bool:
    return question.on_stale == StalePolicy.REFRESH and any(
        person.sync.older_than(moment.since) for person in concerned.people
    )
