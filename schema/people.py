"""Subaccounts and their users: whose time it is, and everything that hangs on a user."""

from typing import Annotated, Self

import strawberry

from domain.actor import UserRef
from resolvers.availability import Closed
from resolvers.listings import Listing
from resolvers.views import SubaccountView, UserView, ViewerView
from schema.appointments import Appointment, AppointmentType
from schema.availability import ClosedSpan
from schema.blocked import BlockedSlot
from schema.calendars import Calendar
from schema.enums import AppointmentStatus, Role
from schema.errors import granted
from schema.events import CalendarEvent
from schema.fields import shown
from schema.hours import WorkingHours
from schema.icloud import ICloudAccount
from schema.inputs import instant, otherwise
from schema.nodes import After, Connection, First, Node
from schema.operation import Info
from schema.scalars import Cursor, DateTime, TimeZone

PAGE = 100

From = Annotated[DateTime, strawberry.argument(name="from", description="The first instant asked for.")]
To = Annotated[DateTime, strawberry.argument(description="The first instant no longer asked for.")]


@strawberry.type(description="A tenant: one business, with its users and keys.")
class Subaccount(Node):
    name: str = strawberry.field(description="What the business is called.")

    @classmethod
    def of(cls, view: SubaccountView) -> Self:
        return cls(id=strawberry.ID(view.id), name=view.name)


@strawberry.type(description="One person whose time can be booked.")
class User(Node):
    ref: strawberry.Private[UserRef]
    name: str = strawberry.field(description="What guests and colleagues read.")
    email: str | None = strawberry.field(description="Where to reach the person.")
    time_zone: TimeZone = strawberry.field(
        description="The zone of the working hours, and of all-day and floating events."
    )
    working_hours: WorkingHours = strawberry.field(
        description="Monday to Friday, 09:00 to 17:00, until set; in the user's zone."
    )

    @shown(name="iCloudAccount", description="Null until connected, and again after disconnecting.")
    async def icloud_account(self, info: Info) -> ICloudAccount | None:
        view = await info.context.load.account.load(self.ref)
        return None if view is None else ICloudAccount.of(view)

    @shown(description="The calendar that appointments are written to.")
    async def linked_calendar(self, info: Info) -> Calendar | None:
        views = await info.context.load.calendars.load(self.ref)
        return next((Calendar.of(view) for view in views or () if view.is_linked), None)

    @shown(description="By name, then id; the linked calendar among them.")
    async def conflict_calendars(self, info: Info) -> list[Calendar]:
        views = await info.context.load.calendars.load(self.ref)
        return [Calendar.of(view) for view in views or () if view.is_conflict]

    @shown(
        description="All that was fetched, busy and free alike, one node an occurrence. By start, then id."
    )
    async def events(
        self, info: Info, *, from_: From, to: To, first: First = PAGE, after: After = strawberry.UNSET
    ) -> Connection[CalendarEvent]:
        asked = _listing(from_, to, first, after)
        page = await info.context.load.events.load((self.ref, asked))
        return Connection.of(granted(page), CalendarEvent.of)

    @shown(
        description="Time closed by busy iCloud events and by hand; appointments close time too, and are"
        " listed by themselves. By start, then id."
    )
    async def blocked_slots(
        self, info: Info, *, from_: From, to: To, first: First = PAGE, after: After = strawberry.UNSET
    ) -> Connection[BlockedSlot]:
        asked = _listing(from_, to, first, after)
        page = await info.context.load.blocked_slots.load((self.ref, asked))
        return Connection.of(granted(page), BlockedSlot.of)

    @shown(description="What was booked with the user. By start, then id.")
    async def appointments(
        self,
        info: Info,
        *,
        from_: From,
        to: To,
        status: Annotated[
            AppointmentStatus | None, strawberry.argument(description="Only these; null for all.")
        ] = strawberry.UNSET,
        first: First = PAGE,
        after: After = strawberry.UNSET,
    ) -> Connection[Appointment]:
        asked = _listing(from_, to, first, after, status=status or None)
        page = await info.context.load.appointments.load((self.ref, asked))
        return Connection.of(granted(page), Appointment.of)

    @shown(description="What can be booked with the user. By name, then id.")
    async def appointment_types(
        self,
        info: Info,
        *,
        include_archived: Annotated[
            bool | None, strawberry.argument(description="Those too that are no longer offered.")
        ] = False,
    ) -> list[AppointmentType]:
        views = await info.context.load.types.load(self.ref)
        return [AppointmentType.of(view) for view in views or () if include_archived or not view.is_archived]

    @shown(
        description="The change log's newest position in the same snapshot as the rest of this answer. Over"
        " several pages: keep the first page's cursor, subscribe after it, apply changes by id."
    )
    async def cursor(self, info: Info) -> Cursor:
        position = await info.context.load.position.load(self.ref)
        assert position is not None, "Every user has a change log."
        return Cursor(position)

    @shown(
        description="Why time is closed: spans that cover all of from–to that is not free, each with every"
        " reason. By start."
    )
    async def closed_spans(
        self,
        info: Info,
        *,
        from_: From,
        to: To,
        appointment_type_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="By the rules of this type; null for none."),
        ] = strawberry.UNSET,
    ) -> list[ClosedSpan]:
        asked = Closed(instant(from_), instant(to), appointment_type_id or None)
        found = await info.context.load.closed_spans.load((self.ref, asked))
        return [ClosedSpan.of(span) for span in granted(found)]

    @classmethod
    def of(cls, view: UserView) -> Self:
        return cls(
            id=strawberry.ID(view.ref.user),
            ref=view.ref,
            name=view.name,
            email=view.email,
            time_zone=TimeZone(view.time_zone),
            working_hours=WorkingHours.of(view.hours),
        )


def _listing(
    from_: DateTime, to: DateTime, first: int | None, after: str | None, *, status: str | None = None
) -> Listing:
    return Listing(instant(from_), instant(to), otherwise(first, PAGE), after or None, status)


@strawberry.type(description="Who a key speaks for.")
class Viewer:
    role: Role = strawberry.field(description="What the key may do.")
    subaccount: Subaccount = strawberry.field(description="The business that the key belongs to.")
    user: User | None = strawberry.field(description="The user that an OWNER key speaks for.")

    @classmethod
    def of(cls, view: ViewerView) -> Self:
        return cls(
            role=view.role,
            subaccount=Subaccount.of(view.subaccount),
            user=None if view.user is None else User.of(view.user),
        )
