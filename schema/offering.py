"""Appointment types: what can be booked, and by what rules."""

from typing import Annotated

import strawberry

from resolvers import types
from resolvers.outcomes import Refusal
from resolvers.views import AppointmentTypeView
from schema.appointments import AppointmentType
from schema.fields import done
from schema.inputs import Input, change, given, otherwise
from schema.operation import Info
from schema.refusals import Forbidden, InvalidInput, NotFound, SlugTaken

HORIZON_DAYS = 60


@strawberry.input(description="Something new to book with a user.")
class CreateAppointmentTypeInput:
    user_id: strawberry.ID = strawberry.field(description="With whom it is booked.")
    name: str = strawberry.field(description="What guests read; at most 200 characters.")
    slug: str = strawberry.field(
        description="The booking page's address: small letters, digits and single hyphens between them, at"
        " most 80; unique in the subaccount, and kept once archived."
    )
    duration_minutes: int = strawberry.field(description="How long it takes, in minutes.")
    step_minutes: int | None = strawberry.field(
        default=strawberry.UNSET, description="How far apart its starts lie; null for its length."
    )
    buffer_before_minutes: int | None = strawberry.field(
        default=0, description="Time to keep free before it."
    )
    buffer_after_minutes: int | None = strawberry.field(default=0, description="Time to keep free after it.")
    minimum_notice_minutes: int | None = strawberry.field(
        default=0, description="How long before its start it must be booked at the latest."
    )
    horizon_days: int | None = strawberry.field(
        default=HORIZON_DAYS, description="How many days ahead it can be booked."
    )
    maximum_per_day: int | None = strawberry.field(
        default=strawberry.UNSET, description="How many of it a day takes; null for no maximum."
    )


@strawberry.input(description="What to change of an appointment type; absent fields stay as they are.")
class UpdateAppointmentTypeInput:
    appointment_type_id: strawberry.ID = strawberry.field(
        description="The type to change; what was booked with it stays as booked."
    )
    name: str | None = strawberry.field(default=strawberry.UNSET, description="What guests read.")
    slug: str | None = strawberry.field(
        default=strawberry.UNSET, description="The booking page's address; the old one leads nowhere."
    )
    duration_minutes: int | None = strawberry.field(
        default=strawberry.UNSET, description="How long it takes; booked ones keep their length."
    )
    step_minutes: int | None = strawberry.field(
        default=strawberry.UNSET, description="How far apart its starts lie."
    )
    buffer_before_minutes: int | None = strawberry.field(
        default=strawberry.UNSET, description="Time to keep free before it."
    )
    buffer_after_minutes: int | None = strawberry.field(
        default=strawberry.UNSET, description="Time to keep free after it."
    )
    minimum_notice_minutes: int | None = strawberry.field(
        default=strawberry.UNSET, description="How long before its start it must be booked at the latest."
    )
    horizon_days: int | None = strawberry.field(
        default=strawberry.UNSET, description="How many days ahead it can be booked."
    )
    maximum_per_day: int | None = strawberry.field(
        default=strawberry.UNSET, description="How many of it a day takes; null takes the maximum away."
    )


@strawberry.input(description="What to offer no longer.")
class ArchiveAppointmentTypeInput:
    appointment_type_id: strawberry.ID = strawberry.field(
        description="The type to take off offer; what was booked with it stays."
    )


@strawberry.type(description="The appointment type is stored.")
class AppointmentTypeSaved:
    appointment_type: AppointmentType = strawberry.field(description="As it is offered from now on.")


AppointmentTypeResult = Annotated[
    AppointmentTypeSaved | SlugTaken | InvalidInput | NotFound | Forbidden,
    strawberry.union("AppointmentTypeResult", description="The type, or why it was not stored."),
]


@strawberry.type
class Offering:
    @done(description="Offers something new to book.", as_type=AppointmentTypeResult)
    async def create_appointment_type(
        self, info: Info, new: Input[CreateAppointmentTypeInput]
    ) -> AppointmentTypeSaved | Refusal:
        return _saved(
            await types.create_type(
                info.context.ctx,
                user_id=new.user_id,
                name=new.name,
                slug=new.slug,
                duration_minutes=new.duration_minutes,
                step_minutes=given(new.step_minutes),
                buffer_before_minutes=otherwise(new.buffer_before_minutes, 0),
                buffer_after_minutes=otherwise(new.buffer_after_minutes, 0),
                minimum_notice_minutes=otherwise(new.minimum_notice_minutes, 0),
                horizon_days=otherwise(new.horizon_days, HORIZON_DAYS),
                maximum_per_day=given(new.maximum_per_day),
            )
        )

    @done(
        description="Changes what is offered; what is booked stays as it was booked.",
        as_type=AppointmentTypeResult,
    )
    async def update_appointment_type(
        self, info: Info, changes: Input[UpdateAppointmentTypeInput]
    ) -> AppointmentTypeSaved | Refusal:
        return _saved(
            await types.update_type(
                info.context.ctx,
                type_id=changes.appointment_type_id,
                name=change(changes.name),
                slug=change(changes.slug),
                duration_minutes=change(changes.duration_minutes),
                step_minutes=change(changes.step_minutes),
                buffer_before_minutes=change(changes.buffer_before_minutes),
                buffer_after_minutes=change(changes.buffer_after_minutes),
                minimum_notice_minutes=change(changes.minimum_notice_minutes),
                horizon_days=change(changes.horizon_days),
                maximum_per_day=change(changes.maximum_per_day),
            )
        )

    @done(
        description="Offers it no longer: its page is null, its appointments stay, its slug stays taken.",
        as_type=AppointmentTypeResult,
    )
    async def archive_appointment_type(
        self, info: Info, old: Input[ArchiveAppointmentTypeInput]
    ) -> AppointmentTypeSaved | Refusal:
        return _saved(await types.archive_type(info.context.ctx, type_id=old.appointment_type_id))


def _saved(answer: AppointmentTypeView | Refusal) -> AppointmentTypeSaved | Refusal:
    if isinstance(answer, Refusal):
        return answer
    return AppointmentTypeSaved(appointment_type=AppointmentType.of(answer))
