"""Whom and what a question about free time names, as far as its caller reaches it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from domain.actor import Actor, Role, UserRef
from domain.availability import Rules
from domain.ids import Kind, is_id
from models.booking import Appointment, AppointmentType
from models.sql import Db
from resolvers import reach, scope
from resolvers.context import Services
from resolvers.kept import key_of_type
from resolvers.outcomes import Forbidden, InvalidInput, NotFound
from resolvers.question import (
    GUESTS_ONLY_ASK,
    AvailabilityQuestion,
    check_question,
    is_for_guests,
    overridden,
    usual_rules,
)
from resolvers.types import as_booked, rules_of
from resolvers.user_time import Person, read_people_whole

NO_SUCH_PAGE = NotFound("There is no such booking page: ask its host for a link that works.")
NO_SUCH_BOOKING = NotFound("There is no such booking: use the link that came with it.")
NO_SUCH_TYPE = NotFound(scope.NO_SUCH_TYPE)
NO_SUCH_APPOINTMENT = NotFound(scope.NO_SUCH_APPOINTMENT)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question the caller may ask, and the rows it names. A guest is shown neither users nor cursors."""

    question: AvailabilityQuestion
    users: tuple[UserRef, ...]
    is_guest: bool
    type: AppointmentType | None = None
    own: Appointment | None = None
    own_hold: str | None = None

    @property
    def key_of_type(self) -> Hashable:
        return type_asked(self.users[0].subaccount, self.question)

    @property
    def lenders(self) -> tuple[UserRef, ...]:
        """Who is not asked about, but whose type's rules are asked for."""
        if self.type is None:
            return ()
        owner = UserRef(self.type.subaccount_id, self.type.user_id)
        return () if owner in self.users else (owner,)

    @property
    def everyone(self) -> tuple[UserRef, ...]:
        return (*self.users, *self.lenders)


def type_asked(subaccount: str, question: AvailabilityQuestion) -> Hashable:
    """What the type that a question is by is kept under."""
    return key_of_type(subaccount, page=question.booking_page, type_id=question.appointment_type_id)


@dataclass(frozen=True, slots=True)
class Concerned:
    """In one snapshot: the users asked about, in their order, and who lends them rules."""

    people: tuple[Person, ...]
    lenders: tuple[Person, ...]

    @property
    def everyone(self) -> tuple[Person, ...]:
        return (*self.people, *self.lenders)


async def resolve(
    db: Db, actor: Actor, question: AvailabilityQuestion, *, identity_key: bytes, now: float
) -> Asked | InvalidInput | NotFound | Forbidden:
    """Whom and what the question names, as far as the caller reaches it."""
    if actor.role is Role.BOOKING and not is_for_guests(question):
        return GUESTS_ONLY_ASK
    if refusal := check_question(question):
        return refusal
    found = await (_page(db, actor, question) if question.booking_page else _users(db, actor, question))
    if not isinstance(found, Asked):
        return found
    return await _with_own(db, actor, found, identity_key=identity_key, now=now)


async def _page(db: Db, actor: Actor, question: AvailabilityQuestion) -> Asked | NotFound | Forbidden:
    type_ = await reach.page_type(db, actor, question.booking_page or "")
    return NO_SUCH_PAGE if type_ is None else of_page(actor, question, type_)


def of_page(actor: Actor, question: AvailabilityQuestion, type_: AppointmentType) -> Asked | Forbidden:
    """A question about the page that is found by its slug."""
    host = UserRef(type_.subaccount_id, type_.user_id)
    is_guest = not actor.may_manage(host)
    if is_guest and not is_for_guests(question):
        return GUESTS_ONLY_ASK
    return Asked(question, (host,), is_guest, type_)


async def _users(db: Db, actor: Actor, question: AvailabilityQuestion) -> Asked | NotFound:
    type_ = None
    if question.appointment_type_id is not None and is_id(
        question.appointment_type_id, Kind.APPOINTMENT_TYPE
    ):
        named = AppointmentType.filter(id=question.appointment_type_id, **scope.reach(actor))
        type_ = await named.using_db(db).first()
    return of_users(actor, question, type_)


def of_users(actor: Actor, question: AvailabilityQuestion, type_: AppointmentType | None) -> Asked | NotFound:
    """A question about users, by the rules of the type that it names, if it does; `type_` is one that is reached."""
    users = tuple(UserRef(actor.subaccount, user) for user in question.user_ids or ())
    if not all(is_id(user.user, Kind.USER) and actor.may_manage(user) for user in users):
        return scope.NO_SUCH_USER
    if question.appointment_type_id is not None and type_ is None:
        return NO_SUCH_TYPE
    return Asked(question, users, is_guest=False, type=type_)


async def _with_own(
    db: Db, actor: Actor, asked: Asked, *, identity_key: bytes, now: float
) -> Asked | NotFound:
    """With the booking that moves and the hold, whose time counts as free."""
    question = asked.question
    own = None
    if question.manage_token is not None:
        own = await reach.booked(db, actor, question.manage_token, identity_key=identity_key)
        if own is None:
            return NO_SUCH_BOOKING
    if question.appointment_id is not None:
        if is_id(question.appointment_id, Kind.APPOINTMENT):
            named = Appointment.filter(id=question.appointment_id, **scope.reach(actor))
            own = await named.using_db(db).first()
        if own is None:
            return NO_SUCH_APPOINTMENT
    hold = await reach.held(db, actor, question.hold_token, now=now)
    return replace(asked, own=own, own_hold=hold.id if hold else None)


async def read_asked(
    db: Db, services: Services, users: Sequence[UserRef], lenders: Sequence[UserRef], *, now: float
) -> Concerned | None:
    """From a snapshot, what has not moved from memory; None where one of them is gone."""
    everyone = await read_people_whole(
        db, (*users, *lenders), standings=services.standings, timelines=services.timelines, now=now
    )
    return None if everyone is None else concerned_of(everyone, of=len(users))


def concerned_of(everyone: Sequence[Person], *, of: int) -> Concerned:
    """The first `of` are asked about, the others lend them rules."""
    return Concerned(tuple(everyone[:of]), tuple(everyone[of:]))


def rules_asked(asked: Asked, concerned: Concerned, *, now: int) -> Rules:
    """The type's rules where there is one, as booked for a booking that moves, and what overrides them."""
    rules = usual_rules(asked.question)
    if asked.type is not None:
        owner = next(person for person in concerned.everyone if person.ref.user == asked.type.user_id)
        rules = rules_of(asked.type, owner.zone, now=now)
    if asked.own is not None and asked.type is not None and asked.own.user_id == asked.type.user_id:
        rules = as_booked(rules, asked.own)
    return overridden(rules, asked.question, grid_zone=concerned.people[0].zone)
