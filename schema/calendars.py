"""Calendars, as iCloud lists them and as the user chose and set them."""

from typing import Annotated, Self

import strawberry

from domain import busy as domain
from domain.actor import UserRef
from resolvers.views import CalendarView, EventProblemView
from schema.enums import BusyRule, CalendarKind, EventProblemCode, NotSelectableReason
from schema.errors import granted
from schema.fields import shown
from schema.inputs import otherwise
from schema.nodes import Node
from schema.operation import Info
from schema.scalars import DateTime
from schema.times import moment

FIRST_PROBLEMS = 50


@strawberry.type(description="Whether a calendar can be chosen.")
class Selectable:
    yes: bool = strawberry.field(description="Whether it can.")
    reason: NotSelectableReason | None = strawberry.field(description="Why it can't.")

    @classmethod
    def of(cls, why_not: NotSelectableReason | None) -> Self:
        return cls(yes=why_not is None, reason=why_not)


@strawberry.type(description="An event that could not be read whole.")
class EventProblem:
    uid: str | None = strawberry.field(description="The event's UID, where it could be read.")
    code: EventProblemCode = strawberry.field(description="What was wrong with it.")
    message: str = strawberry.field(description="The same in a sentence, for the owner.")
    blocked_from: DateTime | None = strawberry.field(description="The time that is blocked because of it.")
    blocked_to: DateTime | None = strawberry.field(description="The end of that time.")

    @classmethod
    def of(cls, view: EventProblemView) -> Self:
        return cls(
            uid=view.uid,
            code=EventProblemCode(view.code),
            message=view.message,
            blocked_from=None if view.blocked is None else DateTime(view.blocked.start),
            blocked_to=None if view.blocked is None else DateTime(view.blocked.end),
        )


@strawberry.type(
    description="What counts as busy. By default BUSY blocks and FREE does not. Where several rules apply to"
    " an event, one IGNORE is enough to open it."
)
class BusyPolicy:
    declined: BusyRule = strawberry.field(description="Invitations the owner declined. Default IGNORE.")
    unanswered: BusyRule = strawberry.field(
        description="Invitations the owner has not answered. Default BLOCK."
    )
    tentative: BusyRule = strawberry.field(
        description="Invitations the owner answered with Maybe, and events marked tentative. Default BLOCK."
    )
    all_day_busy: BusyRule = strawberry.field(
        description="All-day events that are marked BUSY. Default BLOCK."
    )
    all_day_free: BusyRule = strawberry.field(
        description="All-day events that are marked FREE. Default IGNORE."
    )
    travel_time: BusyRule = strawberry.field(
        description="Travel time before an event, and the way back after it. Default BLOCK."
    )

    @classmethod
    def of(cls, policy: domain.BusyPolicy) -> Self:
        return cls(
            declined=policy.declined,
            unanswered=policy.unanswered,
            tentative=policy.tentative,
            all_day_busy=policy.all_day_busy,
            all_day_free=policy.all_day_free,
            travel_time=policy.travel_time,
        )


@strawberry.type(description="A calendar that the iCloud account shows.")
class Calendar(Node):
    user_ref: strawberry.Private[UserRef]
    name: str = strawberry.field(description="As the owner named it.")
    color: str | None = strawberry.field(description="`#RRGGBB`, as the owner sees it in Apple Calendar.")
    kind: CalendarKind = strawberry.field(description="What it holds.")
    can_write: bool = strawberry.field(description="Whether the owner may write to it.")
    linkable: Selectable = strawberry.field(
        description="Whether it can be the linked calendar, and if not, why."
    )
    conflict_selectable: Selectable = strawberry.field(
        description="Whether it can be a conflict calendar, and if not, why."
    )
    is_linked: bool = strawberry.field(description="Whether appointments are written to it.")
    is_conflict: bool = strawberry.field(description="Whether its busy events close time.")
    busy_policy: BusyPolicy = strawberry.field(description="What counts as busy in it.")
    last_synced_at: DateTime | None = strawberry.field(
        description="The start of the last poll that left it as it is in iCloud."
    )

    @shown(
        description="How many occurrences of events are kept of it. 0 for a calendar that is neither linked"
        " nor conflict: only those are read."
    )
    async def event_count(self, info: Info) -> int:
        return await info.context.load.event_count.load(self.id) or 0

    @shown(
        description="Events that could not be read whole; each blocks the time that could be made out. By UID."
    )
    async def problems(
        self,
        info: Info,
        first: Annotated[
            int | None, strawberry.argument(description="How many at most, 1 to 200.")
        ] = FIRST_PROBLEMS,
    ) -> list[EventProblem]:
        found = await info.context.load.problems.load((self.id, otherwise(first, FIRST_PROBLEMS)))
        return [EventProblem.of(problem) for problem in granted(found)]

    @classmethod
    def of(cls, view: CalendarView) -> Self:
        return cls(
            id=strawberry.ID(view.id),
            user_ref=view.user,
            name=view.name,
            color=view.color,
            kind=view.kind,
            can_write=view.can_write,
            linkable=Selectable.of(view.why_not_linked),
            conflict_selectable=Selectable.of(view.why_not_conflict),
            is_linked=view.is_linked,
            is_conflict=view.is_conflict,
            busy_policy=BusyPolicy.of(view.policy),
            last_synced_at=moment(view.last_synced_at),
        )
