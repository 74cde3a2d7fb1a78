"""What a guest sees: pages, its own booking, holds. Nothing here can lead to a calendar or another guest."""

from typing import Self

import strawberry

from resolvers.views import (
    BookingPageView,
    BookingView,
    CancellationView,
    GuestView,
    HoldView,
)
from schema.enums import AppointmentStatus, CancelledBy
from schema.inputs import given
from schema.scalars import DateTime, TimeZone


@strawberry.type(description="Who an appointment is with.")
class Guest:
    name: str = strawberry.field(description="As the guest gave it.")
    email: str = strawberry.field(description="Where to reach the guest.")
    phone: str | None = strawberry.field(description="As the guest gave it.")

    @classmethod
    def of(cls, view: GuestView) -> Self:
        return cls(name=view.name, email=view.email, phone=view.phone)


@strawberry.input(description="Who an appointment is with.")
class GuestInput:
    name: str = strawberry.field(description="What the host reads; at most 200 characters.")
    email: str = strawberry.field(description="Where to reach the guest.")
    phone: str | None = strawberry.field(
        default=strawberry.UNSET, description="Where to call the guest, in any form; at most 50 characters."
    )

    def view(self) -> GuestView:
        return GuestView(name=self.name, email=self.email, phone=given(self.phone))


@strawberry.type(description="How an appointment was cancelled.")
class Cancellation:
    at: DateTime = strawberry.field(description="The moment from which the time was open again.")
    by: CancelledBy = strawberry.field(description="Which side called it off.")
    reason: str | None = strawberry.field(description="What was given as the reason.")

    @classmethod
    def of(cls, view: CancellationView) -> Self:
        return cls(at=DateTime(float(view.at)), by=CancelledBy(view.by), reason=view.reason)


@strawberry.type(description="An appointment type as a guest may see it.")
class BookingPage:
    slug: str = strawberry.field(
        description="What names the page in a URL, and in holdSlot and bookAppointment."
    )
    name: str = strawberry.field(description="What a guest books here, such as an intro call.")
    host_name: str = strawberry.field(description="The person who will be met.")
    host_time_zone: TimeZone = strawberry.field(description="The zone that the host works in.")
    duration_minutes: int = strawberry.field(description="How long a booking of this page lasts.")
    bookable_from: DateTime = strawberry.field(
        description="The first instant at which a start can lie, now: where a date picker begins."
    )
    bookable_until: DateTime = strawberry.field(
        description="The last instant at which a start can lie, now: how far a date picker goes."
    )

    @classmethod
    def of(cls, view: BookingPageView) -> Self:
        return cls(
            slug=view.slug,
            name=view.name,
            host_name=view.host_name,
            host_time_zone=TimeZone(view.host_time_zone),
            duration_minutes=view.duration_minutes,
            bookable_from=DateTime(int(view.bookable_from)),
            bookable_until=DateTime(int(view.bookable_until)),
        )


@strawberry.type(description="An appointment as its guest may see it.")
class Booking:
    id: strawberry.ID = strawberry.field(description="The appointment's id.")
    manage_token: str = strawberry.field(
        description="The key to this booking: whoever has it can move and cancel it."
    )
    page: BookingPage | None = strawberry.field(
        description="Null when it was made without a page, or the page is archived."
    )
    host_name: str = strawberry.field(description="The person who will be met.")
    host_time_zone: TimeZone = strawberry.field(description="The zone that the host works in.")
    title: str = strawberry.field(description="What stands in the host's calendar.")
    start: DateTime = strawberry.field(description="When guest and host meet.")
    end: DateTime = strawberry.field(description="When it is over, buffers left out.")
    status: AppointmentStatus = strawberry.field(description="Whether it stands, or was cancelled.")
    is_changeable: bool = strawberry.field(description="False once it is cancelled or has begun.")
    guest: Guest = strawberry.field(description="Who booked, as given then.")
    notes: str | None = strawberry.field(description="What was noted with it.")
    cancellation: Cancellation | None = strawberry.field(
        description="How it was cancelled; null while it stands."
    )

    @classmethod
    def of(cls, view: BookingView) -> Self:
        return cls(
            id=strawberry.ID(view.id),
            manage_token=view.manage_token,
            page=None if view.page is None else BookingPage.of(view.page),
            host_name=view.host_name,
            host_time_zone=TimeZone(view.host_time_zone),
            title=view.title,
            start=DateTime(view.start),
            end=DateTime(view.end),
            status=AppointmentStatus(view.status),
            is_changeable=view.is_changeable,
            guest=Guest.of(view.guest),
            notes=view.notes,
            cancellation=None if view.cancellation is None else Cancellation.of(view.cancellation),
        )


@strawberry.type(description="A start that is kept for one guest for a while.")
class Hold:
    token: str = strawberry.field(description="The key to this hold, to give when booking.")
    start: DateTime = strawberry.field(description="The start that is kept.")
    end: DateTime = strawberry.field(description="When what is booked would end.")
    expires_at: DateTime = strawberry.field(description="When it ends by itself; never prolonged.")

    @classmethod
    def of(cls, view: HoldView) -> Self:
        return cls(
            token=view.token,
            start=DateTime(view.start),
            end=DateTime(view.end),
            expires_at=DateTime(float(view.expires_at)),
        )
