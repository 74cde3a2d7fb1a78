"""What subscriptions show: changes of blocked slots, appointments and the iCloud account."""

from typing import Self

import strawberry

from resolvers.views import AccountView, AppointmentChangeView, SlotChangeView, SlotView
from schema.appointments import Appointment
from schema.blocked import BlockedSlot
from schema.enums import AppointmentChangeKind, BlockedSlotChangeKind
from schema.icloud import ICloudAccount
from schema.scalars import Cursor, DateTime


@strawberry.type(description="One change of a user's blocked slots.")
class BlockedSlotChange:
    cursor: Cursor = strawberry.field(description="The position to go on from after it.")
    kind: BlockedSlotChangeKind = strawberry.field(description="What happened.")
    slot: BlockedSlot | None = strawberry.field(
        description="As this change left it; null when REMOVED or RESET. Its `event` is null where that"
        " event is gone since."
    )
    previous: BlockedSlot | None = strawberry.field(description="As it was; null when ADDED or RESET.")
    detected_at: DateTime = strawberry.field(description="When the server learned of it.")

    @classmethod
    def of(cls, view: SlotChangeView) -> Self:
        user = view.user
        return cls(
            cursor=Cursor(view.cursor),
            kind=BlockedSlotChangeKind(view.kind),
            slot=None if view.slot is None else BlockedSlot.of(SlotView(user, view.slot)),
            previous=None if view.previous is None else BlockedSlot.of(SlotView(user, view.previous)),
            detected_at=DateTime(float(view.detected_at)),
        )


@strawberry.type(description="One change of a user's appointments.")
class AppointmentChange:
    cursor: Cursor = strawberry.field(description="The position to go on from after it.")
    kind: AppointmentChangeKind = strawberry.field(description="What happened.")
    appointment: Appointment | None = strawberry.field(
        description="As it is when delivered; null when RESET, or erased since."
    )
    detected_at: DateTime = strawberry.field(description="When the server learned of it.")

    @classmethod
    def of(cls, view: AppointmentChangeView) -> Self:
        return cls(
            cursor=Cursor(view.cursor),
            kind=AppointmentChangeKind(view.kind),
            appointment=None if view.appointment is None else Appointment.of(view.appointment),
            detected_at=DateTime(float(view.detected_at)),
        )


@strawberry.type(name="ICloudAccountChange", description="The account as it is now.")
class ICloudAccountChange:
    account: ICloudAccount | None = strawberry.field(
        description="Null while nothing is connected, and when it was disconnected."
    )

    @classmethod
    def of(cls, view: AccountView | None) -> Self:
        return cls(account=None if view is None else ICloudAccount.of(view))
