"""What a guest does: hold a start, book it, move it, cancel it."""

from typing import Annotated

import strawberry

from resolvers import booking
from resolvers.outcomes import Refusal
from resolvers.views import BookingView
from schema.fields import done
from schema.guests import Booking, GuestInput, Hold
from schema.inputs import Input, given, instant
from schema.operation import Info
from schema.refusals import (
    AppointmentNotChangeable,
    AvailabilityUnknown,
    Forbidden,
    IdempotencyConflict,
    InvalidInput,
    NotFound,
    RateLimited,
    SlotUnavailable,
)
from schema.scalars import DateTime

IDEMPOTENCY_KEY = (
    "16 to 200 characters, made anew for each booking (a UUID). Counts within the calling key and the mutation, for"
    " a day at least. Same key and input: the same booking, as it is by then; what was refused is tried anew."
)
HELD = "The hold on this start, used up. One that has expired is ignored: the start is booked if it is still open."


@strawberry.input(description="A start to keep while the guest fills in the form.")
class HoldSlotInput:
    booking_page: str = strawberry.field(description="The page to book on, by its slug.")
    start: DateTime = strawberry.field(description="One of the page's open starts.")
    replaces: str | None = strawberry.field(
        default=strawberry.UNSET, description="A hold that this one takes the place of."
    )
    manage_token: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="For a reschedule: that booking's own time counts as free.",
    )


@strawberry.input(description="A hold that is no longer needed.")
class ReleaseHoldInput:
    token: str = strawberry.field(description="The token that holdSlot gave.")


@strawberry.input(description="Who books what, and when.")
class BookAppointmentInput:
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY_KEY)
    booking_page: str = strawberry.field(description="The page to book on, by its slug.")
    start: DateTime = strawberry.field(description="One of the page's open starts.")
    guest: GuestInput = strawberry.field(description="Whom the host meets, and how to reach that person.")
    notes: str | None = strawberry.field(
        default=strawberry.UNSET, description="What the host should know; at most 5,000 characters."
    )
    hold_token: str | None = strawberry.field(default=strawberry.UNSET, description=HELD)


@strawberry.input(description="Where to move a booking.")
class RescheduleBookingInput:
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY_KEY)
    manage_token: str = strawberry.field(description="The token that came with the booking.")
    start: DateTime = strawberry.field(description="One of the page's open starts.")
    hold_token: str | None = strawberry.field(default=strawberry.UNSET, description=HELD)


@strawberry.input(description="A booking that its guest calls off.")
class CancelBookingInput:
    manage_token: str = strawberry.field(description="The token that came with the booking.")
    reason: str | None = strawberry.field(default=strawberry.UNSET, description="Why, for the host to read.")


@strawberry.type(description="The start is kept for this guest until the hold expires.")
class SlotHeld:
    hold: Hold = strawberry.field(description="For how long, and by what token.")


@strawberry.type(description="The hold is ended, or there was none any more.")
class HoldReleased:
    token: str = strawberry.field(description="The token that holdSlot gave.")


@strawberry.type(
    description="The time is taken for this guest, and will be written to the host's linked calendar, where"
    " there is one."
)
class AppointmentBooked:
    booking: Booking = strawberry.field(description="What was booked, with the token to manage it.")


@strawberry.type(
    description="The booking closes no time any more, and its event will be removed from iCloud."
)
class BookingCancelled:
    booking: Booking = strawberry.field(description="The booking, with how it was cancelled.")


HoldSlotResult = Annotated[
    SlotHeld | SlotUnavailable | AvailabilityUnknown | RateLimited | InvalidInput | NotFound | Forbidden,
    strawberry.union("HoldSlotResult", description="The hold, or why there is none."),
]
ReleaseHoldResult = Annotated[
    HoldReleased | InvalidInput | NotFound | Forbidden,
    strawberry.union("ReleaseHoldResult", description="What was released, or why nothing was."),
]
BookAppointmentResult = Annotated[
    AppointmentBooked
    | SlotUnavailable
    | AvailabilityUnknown
    | AppointmentNotChangeable
    | IdempotencyConflict
    | RateLimited
    | InvalidInput
    | NotFound
    | Forbidden,
    strawberry.union("BookAppointmentResult", description="The booking, or why it does not stand so."),
]
CancelBookingResult = Annotated[
    BookingCancelled | AppointmentNotChangeable | RateLimited | InvalidInput | NotFound | Forbidden,
    strawberry.union("CancelBookingResult", description="The cancelled booking, or why it stands."),
]


@strawberry.type
class GuestBooking:
    @done(
        description="Any key. Keeps one start for one guest for 5 minutes (a setting) while it fills in the form;"
        " never prolonged.",
        as_type=HoldSlotResult,
    )
    async def hold_slot(self, info: Info, asked: Input[HoldSlotInput]) -> SlotHeld | Refusal:
        answer = await booking.hold(
            info.context.ctx,
            page_slug=asked.booking_page,
            start=instant(asked.start),
            replaces=given(asked.replaces),
            manage_token=given(asked.manage_token),
        )
        return answer if isinstance(answer, Refusal) else SlotHeld(hold=Hold.of(answer))

    @done(description="Any key. Ends a hold before its time.", as_type=ReleaseHoldResult)
    async def release_hold(self, info: Info, asked: Input[ReleaseHoldInput]) -> HoldReleased | Refusal:
        answer = await booking.release(info.context.ctx, token=asked.token)
        return answer if isinstance(answer, Refusal) else HoldReleased(token=answer)

    @done(
        description="Any key. A guest's booking, under all the page's rules.",
        as_type=BookAppointmentResult,
    )
    async def book_appointment(
        self, info: Info, asked: Input[BookAppointmentInput]
    ) -> AppointmentBooked | Refusal:
        return _booked(
            await booking.book(
                info.context.ctx,
                idempotency_key=asked.idempotency_key,
                page_slug=asked.booking_page,
                start=instant(asked.start),
                guest=asked.guest.view(),
                notes=given(asked.notes),
                hold_token=given(asked.hold_token),
            )
        )

    @done(
        description="Any key. To a start that the page's rules allow; keeps its length and buffers.",
        as_type=BookAppointmentResult,
    )
    async def reschedule_booking(
        self, info: Info, asked: Input[RescheduleBookingInput]
    ) -> AppointmentBooked | Refusal:
        return _booked(
            await booking.reschedule_booking(
                info.context.ctx,
                idempotency_key=asked.idempotency_key,
                manage_token=asked.manage_token,
                start=instant(asked.start),
                hold_token=given(asked.hold_token),
            )
        )

    @done(description="Any key. Cancelling twice answers twice alike.", as_type=CancelBookingResult)
    async def cancel_booking(
        self, info: Info, asked: Input[CancelBookingInput]
    ) -> BookingCancelled | Refusal:
        answer = await booking.cancel_booking(
            info.context.ctx, manage_token=asked.manage_token, reason=given(asked.reason)
        )
        return answer if isinstance(answer, Refusal) else BookingCancelled(booking=Booking.of(answer))


def _booked(answer: BookingView | Refusal) -> AppointmentBooked | Refusal:
    return answer if isinstance(answer, Refusal) else AppointmentBooked(booking=Booking.of(answer))
