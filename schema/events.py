"""Events as they were fetched from iCloud, one an occurrence."""

from datetime import date
from typing import TYPE_CHECKING, Annotated, Self

import strawberry

from domain.actor import UserRef
from resolvers.views import EventView
from schema.calendars import Calendar
from schema.enums import EventStatus, Participation, ShowAs
from schema.fields import shown
from schema.nodes import Node
from schema.operation import Info
from schema.scalars import DateTime

if TYPE_CHECKING:
    from schema.appointments import Appointment


@strawberry.type(description="An occurrence of an event in one of the chosen calendars, busy or free.")
class CalendarEvent(Node):
    user_ref: strawberry.Private[UserRef]
    calendar_id: strawberry.Private[str]
    appointment_id: strawberry.Private[str | None]
    uid: str = strawberry.field(description="The event's UID; all occurrences of a series share it.")
    title: str | None = strawberry.field(description="As the owner named it.")
    start: DateTime = strawberry.field(description="When it begins.")
    end: DateTime = strawberry.field(description="When it ends.")
    is_all_day: bool = strawberry.field(description="Whether it is for whole days.")
    start_date: date | None = strawberry.field(
        description="Set for all-day events: the first date as the owner sees it."
    )
    end_date: date | None = strawberry.field(
        description="Set for all-day events: the date after the last, as the owner sees it."
    )
    is_recurring: bool = strawberry.field(description="Whether it is one of a series.")
    show_as: ShowAs = strawberry.field(description="How the owner marked it.")
    status: EventStatus = strawberry.field(description="Whether it takes place.")
    participation: Participation | None = strawberry.field(
        description="The owner's own answer, where it is an invitation."
    )
    blocks_availability: bool = strawberry.field(description="Whether it closes its time.")

    @shown(description="Where it stands in iCloud.")
    async def calendar(self, info: Info) -> Calendar:
        views = await info.context.load.calendars.load(self.user_ref) or ()
        return next(Calendar.of(view) for view in views if view.id == self.calendar_id)

    @shown(description="The appointment that this event is our copy of.")
    async def appointment(
        self, info: Info
    ) -> Annotated["Appointment", strawberry.lazy("schema.appointments")] | None:
        from schema.appointments import Appointment

        if self.appointment_id is None:
            return None
        view = await info.context.load.appointment.load(self.appointment_id)
        return None if view is None else Appointment.of(view)

    @classmethod
    def of(cls, view: EventView) -> Self:
        return cls(
            id=strawberry.ID(view.id),
            user_ref=view.user,
            calendar_id=view.calendar_id,
            appointment_id=view.appointment_id,
            uid=view.uid,
            title=view.title,
            start=DateTime(view.start),
            end=DateTime(view.end),
            is_all_day=view.is_all_day,
            start_date=_date(view.start_date),
            end_date=_date(view.end_date),
            is_recurring=view.is_recurring,
            show_as=view.show_as,
            status=view.status,
            participation=view.participation,
            blocks_availability=view.blocks,
        )


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
