"""All that can be followed."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated

import strawberry

from resolvers import live
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
    " ends the"
    " subscription; so does the revocation of the key."
)
class Subscription:
    @followed(
        description="OWNER or ADMIN. Every change of a user's blocked slots, in order, each once, as the"
        " sync loop or a manual"
        " block makes it (a booking closes time as an appointment: appointmentChanges). With `after`, first"
        " all that came"
        " since that cursor: a client that reconnects with the last cursor it saw misses nothing and sees"
        " nothing twice."
    )
    async def blocked_slot_changes(
        self, info: Info, user_id: UserId, after: AfterCursor = strawberry.UNSET
    ) -> AsyncIterator[BlockedSlotChange]:
        async with aclosing(live.blocked_slot_changes(info.context.ctx, user_id, after or None)) as views:
            async for view in views:
                yield BlockedSlotChange.of(view)

    @followed(
        description="Any key. The availability now, and again whenever its windows, its slots or"
        " freshness.isFresh change, be"
        " it by someone's time, by settings or because time passes; nothing otherwise. Now is taken at the"
        " whole minute, and"
        " the passing of time alone counts only when a bookable start comes or goes. What availability"
        " answers as a typed"
        " error, this answers as a GraphQL error whose extensions carry code and field."
    )
    async def availability_changes(
        self,
        info: Info,
        asked: Annotated[
            AvailabilityInput,
            strawberry.argument(name="input", description="Whose time, and for what."),
        ],
    ) -> AsyncIterator[AvailabilityUpdate]:
        async with aclosing(live.availability_changes(info.context.ctx, asked.question())) as views:
            async for view in views:
                yield AvailabilityUpdate.of(view)

    @followed(
        name="iCloudAccountChanges",
        description="OWNER or ADMIN. The account's state now, and at each change; the first sync's progress"
        " among them.",
    )
    async def icloud_account_changes(self, info: Info, user_id: UserId) -> AsyncIterator[ICloudAccountChange]:
        async with aclosing(live.account_changes(info.context.ctx, user_id)) as views:
            async for view in views:
                yield ICloudAccountChange.of(view)

    @followed(
        description="OWNER or ADMIN. Booked, moved, cancelled, written to iCloud, changed there, newly in"
        " conflict."
    )
    async def appointment_changes(
        self, info: Info, user_id: UserId, after: AfterCursor = strawberry.UNSET
    ) -> AsyncIterator[AppointmentChange]:
        async with aclosing(live.appointment_changes(info.context.ctx, user_id, after or None)) as views:
            async for view in views:
                yield AppointmentChange.of(view)
