"""Appointments as their host sees them, and the types that they are booked by."""

from typing import TYPE_CHECKING, Annotated, Self

import strawberry

from domain.actor import UserRef
from resolvers.views import AppointmentTypeView, AppointmentView, WrittenView
from schema.blocked import BlockedSlot
from schema.calendars import Calendar
from schema.enums import AppointmentStatus, WriteState
from schema.fields import shown
from schema.guests import Cancellation, Guest
from schema.nodes import Node
from schema.operation import Info
from schema.scalars import DateTime
from schema.times import moment

if TYPE_CHECKING:
    from schema.people import User

LazyUser = Annotated["User", strawberry.lazy("schema.people")]


async def user_of(info: Info, ref: UserRef) -> "User":
    from schema.people import User

    view = await info.context.load.user.load(ref.user)
    assert view is not None, "What belongs to a user goes with it."
    return User.of(view)


@strawberry.type(description="What can be booked with one user: length, grid, buffers, limits.")
class AppointmentType(Node):
    user_ref: strawberry.Private[UserRef]
    name: str = strawberry.field(description="What guests read.")
    slug: str = strawberry.field(description="Unique in the subaccount; the booking page's address.")
    duration_minutes: int = strawberry.field(description="How long it takes.")
    step_minutes: int = strawberry.field(description="How far apart its starts lie.")
    buffer_before_minutes: int = strawberry.field(description="Time kept free before it.")
    buffer_after_minutes: int = strawberry.field(description="Time kept free after it.")
    minimum_notice_minutes: int = strawberry.field(
        description="How long before its start it must be booked at the latest."
    )
    horizon_days: int = strawberry.field(
        description="How many days ahead it can be booked: to the end of that day in the user's zone."
    )
    maximum_per_day: int | None = strawberry.field(
        description="How many of it a day of the user's zone takes; null for no maximum."
    )
    is_archived: bool = strawberry.field(
        description="Whether it is no longer offered; its appointments stay."
    )

    @shown(description="With whom it is booked.")
    async def user(self, info: Info) -> LazyUser:
        return await user_of(info, self.user_ref)

    @classmethod
    def of(cls, view: AppointmentTypeView) -> Self:
        return cls(
            id=strawberry.ID(view.id),
            user_ref=view.user,
            name=view.name,
            slug=view.slug,
            duration_minutes=view.duration_minutes,
            step_minutes=view.step_minutes,
            buffer_before_minutes=view.buffer_before_minutes,
            buffer_after_minutes=view.buffer_after_minutes,
            minimum_notice_minutes=view.minimum_notice_minutes,
            horizon_days=view.horizon_days,
            maximum_per_day=view.maximum_per_day,
            is_archived=view.is_archived,
        )


@strawberry.type(description="How an appointment's copy in iCloud fares.")
class AppointmentInICloud:
    user_ref: strawberry.Private[UserRef]
    calendar_id: strawberry.Private[str | None]
    state: WriteState = strawberry.field(description="Where it stands.")
    written_at: DateTime | None = strawberry.field(description="When it was last written.")
    attempts: int = strawberry.field(description="How often writing was tried, since it was last written.")
    problem: str | None = strawberry.field(description="What keeps it from being written, for the owner.")

    @shown(description="The calendar that it is in, or is to be written to.")
    async def calendar(self, info: Info) -> Calendar | None:
        if self.calendar_id is None:
            return None
        views = await info.context.load.calendars.load(self.user_ref)
        return next((Calendar.of(view) for view in views or () if view.id == self.calendar_id), None)

    @classmethod
    def of(cls, user: UserRef, view: WrittenView) -> Self:
        return cls(
            user_ref=user,
            calendar_id=view.calendar_id,
            state=WriteState(view.state),
            written_at=moment(view.written_at),
            attempts=view.attempts,
            problem=view.problem,
        )


@strawberry.type(description="What was booked with a user.")
class Appointment(Node):
    view: strawberry.Private[AppointmentView]
    title: str = strawberry.field(description="What it is called, in iCloud too.")
    start: DateTime = strawberry.field(description="When it begins.")
    end: DateTime = strawberry.field(description="When it ends.")
    status: AppointmentStatus = strawberry.field(description="Whether it stands.")
    guest: Guest = strawberry.field(description="Who booked it, or for whom it was booked.")
    notes: str | None = strawberry.field(description="What the guest, or the host, noted with it.")
    cancellation: Cancellation | None = strawberry.field(
        description="How it was cancelled; null while it stands."
    )
    created_at: DateTime = strawberry.field(description="When it was booked.")
    i_cloud: AppointmentInICloud = strawberry.field(
        name="iCloud", description="How its copy in iCloud fares."
    )

    @shown(description="With whom it is booked.")
    async def user(self, info: Info) -> LazyUser:
        return await user_of(info, self.view.user)

    @shown(description="The type that it was booked by; null where it was booked without one.")
    async def type(self, info: Info) -> AppointmentType | None:
        if self.view.type_id is None:
            return None
        views = await info.context.load.types.load(self.view.user)
        return next((AppointmentType.of(view) for view in views or () if view.id == self.view.type_id), None)

    @shown(description="Blocked slots that came to overlap it after it was booked. By start.")
    async def conflicts(self, info: Info) -> list[BlockedSlot]:
        if not self.view.has_conflict:
            return []
        return [BlockedSlot.of(view) for view in await info.context.load.conflicts.load(self.view.id) or ()]

    @classmethod
    def of(cls, view: AppointmentView) -> Self:
        return cls(
            id=strawberry.ID(view.id),
            view=view,
            title=view.title,
            start=DateTime(view.start),
            end=DateTime(view.end),
            status=AppointmentStatus(view.status),
            guest=Guest.of(view.guest),
            notes=view.notes,
            cancellation=None if view.cancellation is None else Cancellation.of(view.cancellation),
            created_at=DateTime(float(view.created_at)),
            i_cloud=AppointmentInICloud.of(view.user, view.written),
        )
