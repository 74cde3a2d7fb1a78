"""Which calendars count, what in them is busy, and when the user works."""

from typing import Annotated

import strawberry

from resolvers import calendars, hours
from resolvers.outcomes import Refusal
from resolvers.views import CalendarView, UserView
from schema.calendars import Calendar
from schema.enums import BusyRule
from schema.fields import done
from schema.hours import DateOverrideInput, WeeklyHoursInput
from schema.inputs import Input, change
from schema.operation import Info
from schema.people import User
from schema.refusals import CalendarNotSelectable, Forbidden, InvalidInput, NotFound


@strawberry.input(description="The calendar that appointments are written to.")
class SetLinkedCalendarInput:
    user_id: strawberry.ID = strawberry.field(description="The owner of the connection.")
    calendar_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Null unlinks it; absent is InvalidInput."
    )


@strawberry.input(description="The calendars whose busy events close time.")
class SetConflictCalendarsInput:
    user_id: strawberry.ID = strawberry.field(description="The owner of the connection.")
    calendar_ids: list[strawberry.ID] = strawberry.field(
        description="The whole new set, in place of the one before; the linked calendar need not be named."
    )


@strawberry.input(description="What counts as busy in one calendar; absent rules stay as they are.")
class SetBusyPolicyInput:
    calendar_id: strawberry.ID = strawberry.field(description="The calendar that it is for.")
    declined: BusyRule | None = strawberry.field(
        default=strawberry.UNSET, description="Invitations the owner declined."
    )
    unanswered: BusyRule | None = strawberry.field(
        default=strawberry.UNSET, description="Invitations the owner has not answered."
    )
    tentative: BusyRule | None = strawberry.field(
        default=strawberry.UNSET,
        description="Invitations the owner answered with Maybe, and events marked tentative.",
    )
    all_day_busy: BusyRule | None = strawberry.field(
        default=strawberry.UNSET, description="All-day events that are marked BUSY."
    )
    all_day_free: BusyRule | None = strawberry.field(
        default=strawberry.UNSET, description="All-day events that are marked FREE."
    )
    travel_time: BusyRule | None = strawberry.field(
        default=strawberry.UNSET, description="Travel time before an event, and the way back after it."
    )


@strawberry.input(description="When a user works: the whole, in place of what was.")
class SetWorkingHoursInput:
    user_id: strawberry.ID = strawberry.field(description="Who works then.")
    weekly: list[WeeklyHoursInput] = strawberry.field(
        description="Each week, in the user's own zone; at most 50 spans."
    )
    overrides: list[DateOverrideInput] | None = strawberry.field(
        default_factory=list, description="Whole-day exceptions, at most 400, one a date."
    )


@strawberry.type(
    description="The choice holds; what is read for the first time closes all time until it was read."
)
class CalendarsConfigured:
    user: User = strawberry.field(description="The user, with the choice as it is now.")


@strawberry.type(description="The policy holds, for what was read already too.")
class BusyPolicySet:
    calendar: Calendar = strawberry.field(description="The calendar, with its policy.")


@strawberry.type(description="The working hours hold from now on.")
class WorkingHoursSet:
    user: User = strawberry.field(description="The user, with the new hours.")


SetLinkedCalendarResult = Annotated[
    CalendarsConfigured | CalendarNotSelectable | InvalidInput | NotFound | Forbidden,
    strawberry.union("SetLinkedCalendarResult", description="The choice, or why it can't be made."),
]
SetConflictCalendarsResult = Annotated[
    CalendarsConfigured | CalendarNotSelectable | InvalidInput | NotFound | Forbidden,
    strawberry.union("SetConflictCalendarsResult", description="The choice, or why it can't be made."),
]
SetBusyPolicyResult = Annotated[
    BusyPolicySet | InvalidInput | NotFound | Forbidden,
    strawberry.union("SetBusyPolicyResult", description="The policy, or why it was not set."),
]
SetWorkingHoursResult = Annotated[
    WorkingHoursSet | InvalidInput | NotFound | Forbidden,
    strawberry.union("SetWorkingHoursResult", description="The hours, or why they were not set."),
]


@strawberry.type
class Configuring:
    @done(
        description="The calendar that appointments are written to; it becomes a conflict calendar too."
        " Null unlinks it; absent is InvalidInput.",
        as_type=SetLinkedCalendarResult,
    )
    async def set_linked_calendar(
        self, info: Info, given: Input[SetLinkedCalendarInput]
    ) -> CalendarsConfigured | Refusal:
        answer = await calendars.set_linked(
            info.context.ctx, user_id=given.user_id, calendar_id=change(given.calendar_id)
        )
        return _configured(answer)

    @done(
        description="The whole new set. The linked calendar is always in it.",
        as_type=SetConflictCalendarsResult,
    )
    async def set_conflict_calendars(
        self, info: Info, given: Input[SetConflictCalendarsInput]
    ) -> CalendarsConfigured | Refusal:
        answer = await calendars.set_conflict(
            info.context.ctx, user_id=given.user_id, calendar_ids=given.calendar_ids
        )
        return _configured(answer)

    @done(description="What counts as busy in one calendar.", as_type=SetBusyPolicyResult)
    async def set_busy_policy(self, info: Info, given: Input[SetBusyPolicyInput]) -> BusyPolicySet | Refusal:
        answer = await calendars.set_policy(
            info.context.ctx,
            calendar_id=given.calendar_id,
            declined=change(given.declined),
            unanswered=change(given.unanswered),
            tentative=change(given.tentative),
            all_day_busy=change(given.all_day_busy),
            all_day_free=change(given.all_day_free),
            travel_time=change(given.travel_time),
        )
        return BusyPolicySet(calendar=Calendar.of(answer)) if isinstance(answer, CalendarView) else answer

    @done(description="When the user works, in the user's own zone.", as_type=SetWorkingHoursResult)
    async def set_working_hours(
        self, info: Info, given: Input[SetWorkingHoursInput]
    ) -> WorkingHoursSet | Refusal:
        answer = await hours.set_working_hours(
            info.context.ctx,
            user_id=given.user_id,
            weekly=[span.value() for span in given.weekly],
            overrides=[override.value() for override in given.overrides or ()],
        )
        return WorkingHoursSet(user=User.of(answer)) if isinstance(answer, UserView) else answer


def _configured(answer: UserView | Refusal) -> CalendarsConfigured | Refusal:
    return answer if isinstance(answer, Refusal) else CalendarsConfigured(user=User.of(answer))
