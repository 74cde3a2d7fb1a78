"""What a caller can mend, as GraphQL types: one for each refusal of the use cases."""

from collections.abc import Callable
from typing import Any, TypeVar

import strawberry

from resolvers import outcomes
from resolvers.outcomes import Refusal
from schema.enums import NotSelectableReason
from schema.scalars import DateTime
from schema.times import Slot, moment

R = TypeVar("R", bound=Refusal)


@strawberry.interface(
    name="UserError",
    description="What a caller can mend. Every result union ends in the members that any call can give"
    " (InvalidInput, NotFound, Forbidden), and a client that asks for `... on UserError { message }` reads"
    " every one of them.",
)
class Told:
    message: str = strawberry.field(description="A sentence to show a person: what is wrong, and what to do.")


@strawberry.type(description="A field of the input is out of its range, or two contradict each other.")
class InvalidInput(Told):
    field: str = strawberry.field(description="Path of the field in the input, such as `weekly.2.end`.")


@strawberry.type(description="There is nothing of this name that the key may see.")
class NotFound(Told):
    pass


@strawberry.type(description="The key's role may never do this.")
class Forbidden(Told):
    pass


@strawberry.type(description="Apple refused the Apple ID and password together.")
class ICloudPasswordRefused(Told):
    pass


@strawberry.type(
    description="The password is not of an app-specific password's form: it is likely the Apple ID's own."
)
class AppSpecificPasswordRequired(Told):
    help_url: str = strawberry.field(description="Apple's page on how to make an app-specific password.")


@strawberry.type(description="This user has a connection already: one each.")
class AlreadyConnected(Told):
    pass


@strawberry.type(description="This iCloud account is connected in another subaccount.")
class ICloudAccountInUse(Told):
    pass


@strawberry.type(description="The password is right, but for another Apple account than the one connected.")
class DifferentICloudAccount(Told):
    pass


@strawberry.type(description="iCloud could not be reached, or asked to wait.")
class ICloudUnavailable(Told):
    retry_at: DateTime | None = strawberry.field(description="When another try makes sense, where known.")


@strawberry.type(description="This calendar can't be chosen for that.")
class CalendarNotSelectable(Told):
    calendar_id: strawberry.ID = strawberry.field(description="The calendar that was asked for.")
    reason: NotSelectableReason = strawberry.field(description="Why it can't be chosen.")


@strawberry.type(
    description="Someone has it, or it is not open: the next open starts from there on, or where none follow the last "
    "before, soonest first, at most five."
)
class SlotUnavailable(Told):
    next_slots: list[Slot] = strawberry.field(description="Open starts to offer instead, soonest first.")


@strawberry.type(description="iCloud must be looked at before this can be confirmed, and could not be.")
class AvailabilityUnknown(Told):
    retry_at: DateTime | None = strawberry.field(description="When another try makes sense, where known.")


@strawberry.type(description="The idempotency key was used with another input.")
class IdempotencyConflict(Told):
    pass


@strawberry.type(
    description="Another appointment type of the subaccount has this slug, perhaps an archived one."
)
class SlugTaken(Told):
    pass


@strawberry.type(description="Too many calls: wait, then try again.")
class RateLimited(Told):
    retry_at: DateTime = strawberry.field(description="When the next call will be taken.")


@strawberry.type(description="It is cancelled, or has begun.")
class AppointmentNotChangeable(Told):
    pass


@strawberry.type(description="Give cancelUpcoming, or cancel them first.")
class HasUpcomingAppointments(Told):
    count: int = strawberry.field(description="How many confirmed appointments are to come.")


def told(refusal: Refusal) -> Told:
    """The refusal as the type that stands for it in every result union."""
    return _TELL[type(refusal)](refusal)


def _plain(kind: type[Told]) -> Callable[[Any], Told]:
    return lambda refusal: kind(message=refusal.message)


_TELL: dict[type[Refusal], Callable[[Any], Told]] = {
    outcomes.InvalidInput: lambda it: InvalidInput(message=it.message, field=it.field),
    outcomes.NotFound: _plain(NotFound),
    outcomes.Forbidden: _plain(Forbidden),
    outcomes.ICloudPasswordRefused: _plain(ICloudPasswordRefused),
    outcomes.AppSpecificPasswordRequired: lambda it: AppSpecificPasswordRequired(
        message=it.message, help_url=it.help_url
    ),
    outcomes.AlreadyConnected: _plain(AlreadyConnected),
    outcomes.ICloudAccountInUse: _plain(ICloudAccountInUse),
    outcomes.DifferentICloudAccount: _plain(DifferentICloudAccount),
    outcomes.ICloudUnavailable: lambda it: ICloudUnavailable(
        message=it.message, retry_at=moment(it.retry_at)
    ),
    outcomes.CalendarNotSelectable: lambda it: CalendarNotSelectable(
        message=it.message, calendar_id=it.calendar_id, reason=it.reason
    ),
    outcomes.SlotUnavailable: lambda it: SlotUnavailable(
        message=it.message, next_slots=[Slot.at(span) for span in it.next_slots]
    ),
    outcomes.AvailabilityUnknown: lambda it: AvailabilityUnknown(
        message=it.message, retry_at=moment(it.retry_at)
    ),
    outcomes.IdempotencyConflict: _plain(IdempotencyConflict),
    outcomes.SlugTaken: _plain(SlugTaken),
    outcomes.RateLimited: lambda it: RateLimited(message=it.message, retry_at=DateTime(float(it.retry_at))),
    outcomes.AppointmentNotChangeable: _plain(AppointmentNotChangeable),
    outcomes.HasUpcomingAppointments: lambda it: HasUpcomingAppointments(message=it.message, count=it.count),
}
