"""What a host does with appointments: held to the overlap alone, never to the page's rules."""

from typing import Annotated

import strawberry

from resolvers import booking
from resolvers.booking import Saved
from resolvers.outcomes import Refusal
from schema.appointments import Appointment
from schema.booking import IDEMPOTENCY_KEY
from schema.fields import done
from schema.guests import Booking, GuestInput
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


@strawberry.input(description="What to book with a user, for a guest.")
class CreateAppointmentInput:
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY_KEY)
    user_id: strawberry.ID = strawberry.field(description="The host: whose time it takes.")
    appointment_type_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Gives it its length, its buffers and its title."
    )
    start: DateTime = strawberry.field(
        description="When it begins; any instant of the years 1970 to 2199 that is not taken."
    )
    end: DateTime | None = strawberry.field(
        default=strawberry.UNSET,
        description="At most 31 days after start. Null: the type's length after start; one of the two is needed.",
    )
    title: str | None = strawberry.field(
        default=strawberry.UNSET, description="What it is called; null for the type's name and the guest's."
    )
    guest: GuestInput = strawberry.field(description="Who comes.")
    notes: str | None = strawberry.field(
        default=strawberry.UNSET, description="For the host to read, in iCloud too; at most 5,000 characters."
    )


@strawberry.input(description="Where to move an appointment.")
class RescheduleAppointmentInput:
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY_KEY)
    appointment_id: strawberry.ID = strawberry.field(description="One that stands and has not begun.")
    start: DateTime = strawberry.field(description="When it is to begin; its length stays.")


@strawberry.input(description="An appointment to call off, and why.")
class CancelAppointmentInput:
    appointment_id: strawberry.ID = strawberry.field(description="One that has not begun.")
    reason: str | None = strawberry.field(default=strawberry.UNSET, description="Why, for the guest to read.")


@strawberry.type(description="The appointment as the call left it: made, moved or cancelled.")
class AppointmentSaved:
    appointment: Appointment = strawberry.field(description="As the host sees it, after the change.")
    booking: Booking = strawberry.field(description="With the token to hand to the guest.")


AppointmentResult = Annotated[
    AppointmentSaved
    | SlotUnavailable
    | AvailabilityUnknown
    | AppointmentNotChangeable
    | IdempotencyConflict
    | RateLimited
    | InvalidInput
    | NotFound
    | Forbidden,
    strawberry.union("AppointmentResult", description="The appointment, or why it does not stand so."),
]


@strawberry.type
class Appointing:
    @done(
        description="OWNER, ADMIN. Held to blocked slots, appointments and holds only: working hours,"
        " notice, horizon, grid, buffers and the daily maximum are not asked. The same for"
        " rescheduleAppointment.",
        as_type=AppointmentResult,
    )
    async def create_appointment(
        self, info: Info, new: Input[CreateAppointmentInput]
    ) -> AppointmentSaved | Refusal:
        end = given(new.end)
        return _saved(
            await booking.create_appointment(
                info.context.ctx,
                idempotency_key=new.idempotency_key,
                user_id=new.user_id,
                type_id=given(new.appointment_type_id),
                start=instant(new.start),
                end=None if end is None else instant(end),
                title=given(new.title),
                guest=new.guest.view(),
                notes=given(new.notes),
            )
        )

    @done(description="Moves an appointment; it keeps its length and buffers.", as_type=AppointmentResult)
    async def reschedule_appointment(
        self, info: Info, asked: Input[RescheduleAppointmentInput]
    ) -> AppointmentSaved | Refusal:
        return _saved(
            await booking.reschedule_appointment(
                info.context.ctx,
                idempotency_key=asked.idempotency_key,
                appointment_id=asked.appointment_id,
                start=instant(asked.start),
            )
        )

    @done(
        description="Cancels an appointment. Cancelling twice answers twice alike.",
        as_type=AppointmentResult,
    )
    async def cancel_appointment(
        self, info: Info, asked: Input[CancelAppointmentInput]
    ) -> AppointmentSaved | Refusal:
        return _saved(
            await booking.cancel_appointment(
                info.context.ctx, appointment_id=asked.appointment_id, reason=given(asked.reason)
            )
        )


def _saved(answer: Saved | Refusal) -> AppointmentSaved | Refusal:
    if isinstance(answer, Refusal):
        return answer
    return AppointmentSaved(
        appointment=Appointment.of(answer.appointment), booking=Booking.of(answer.booking)
    )
