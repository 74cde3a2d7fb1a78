"""All that can be followed."""

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Annotated, Any

import strawberry

from resolvers import live
from resolvers.views import AccountView, AppointmentChangeView, AvailabilityUpdateView, SlotChangeView
from schema.availability import AvailabilityInput, AvailabilityUpdate
from schema.fields import followed
from schema.live import AppointmentChange, BlockedSlotChange, ICloudAccountChange
from schema.operation import Info
from schema.scalars import Cursor

UserId = Annotated[
    strawberry.ID,
    strawberry.argument(
        description="Whose changes to follow: an OWNER's own id, or any user of an ADMIN's subaccount."
    ),
]
AfterCursor = Annotated[
    Cursor | None,
    strawberry.argument(
        description="First all that came since this position; null for what comes from now on."
    ),
]


@strawberry.type(
    description="All that can be followed. A refusal is an error whose extensions carry code and field, and"
    " ends the subscription; so does the revocation of the key."
)
class Subscription:
    @followed(
        as_type=BlockedSlotChange,
        description="OWNER or ADMIN. Every change of a user's blocked slots, in order, each once, as the"
        " sync loop or a manual block makes it (a booking closes time as an appointment:"
        " appointmentChanges). With `after`, first all that came since that cursor: a client that reconnects"
        " with the last cursor it saw misses nothing and sees nothing twice.",
    )
    def blocked_slot_changes(
        self, info: Info, user_id: UserId, after: AfterCursor = strawberry.UNSET
    ) -> AsyncGenerator[SlotChangeView, None]:
        return live.blocked_slot_changes(info.context.ctx, user_id, after or None)

    @followed(
        as_type=AvailabilityUpdate,
        description="Any key. The availability now, and again whenever its windows, its slots or"
        " freshness.isFresh change, be it by someone's time, by settings or because time passes; nothing"
        " otherwise. Now is taken at the whole minute, and the passing of time alone counts only when a"
        " bookable start comes or goes. What availability answers as a typed error, this answers as a"
        " GraphQL error whose extensions carry code and field.",
    )
    def availability_changes(
        self,
        info: Info,
        asked: Annotated[
            AvailabilityInput,
            strawberry.argument(name="input", description="Whose time, and for what."),
        ],
    ) -> AsyncGenerator[AvailabilityUpdateView, None]:
        return live.availability_changes(info.context.ctx, asked.question)

    @followed(
        as_type=ICloudAccountChange,
        name="iCloudAccountChanges",
        description="OWNER or ADMIN. The account's state now, and at each change; the first sync's progress"
        " among them.",
    )
    def icloud_account_changes(self, info: Info, user_id: UserId) -> AsyncGenerator[AccountView | None, None]:
        return live.account_changes(info.context.ctx, user_id)

    @followed(
        as_type=AppointmentChange,
        description="OWNER or ADMIN. Booked, moved, cancelled, written to iCloud, changed there, newly in"
        " conflict.",
    )
    def appointment_changes(
        self, info: Info, user_id: UserId, after: AfterCursor = strawberry.UNSET
    ) -> AsyncGenerator[AppointmentChangeView, None]:
        return live.appointment_changes(info.context.ctx, user_id, after or None)


TOLD: Mapping[str, Callable[[Any], object]] = {
    "blockedSlotChanges": BlockedSlotChange.of,
    "availabilityChanges": AvailabilityUpdate.of,
    "iCloudAccountChanges": ICloudAccountChange.of,
    "appointmentChanges": AppointmentChange.of,
}
"""How each event is told. The views themselves are what sockets share: who follows the same gets the same one."""
