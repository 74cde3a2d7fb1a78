"""All that can be asked."""

from typing import Annotated

import strawberry

from resolvers import appointments, audit, availability, health, keys, people, types
from resolvers.nodes import node
from resolvers.outcomes import Refusal
from resolvers.views import (
    AccountView,
    AppointmentTypeView,
    AppointmentView,
    AuditView,
    CalendarView,
    EventView,
    KeyView,
    SlotView,
    SubaccountView,
    UserView,
)
from schema.appointments import Appointment, AppointmentType
from schema.availability import Availability, AvailabilityInput, AvailabilityResult
from schema.blocked import BlockedSlot
from schema.calendars import Calendar
from schema.errors import granted
from schema.events import CalendarEvent
from schema.fields import shown
from schema.guests import Booking, BookingPage
from schema.icloud import ICloudAccount
from schema.inputs import otherwise
from schema.keys import AuditEntry, Key, SyncHealth
from schema.nodes import After, Connection, First, Node
from schema.operation import Info
from schema.people import Subaccount, User, Viewer

PAGE = 50

Id = Annotated[
    strawberry.ID,
    strawberry.argument(
        description="An id that an answer gave; of anything that the key may not see, null comes back."
    ),
]


@strawberry.type(
    description="All that can be asked. One query reads one state of the database, whatever changes"
    " meanwhile. A field that finds nothing the key may see is null; one that the key's role may never reach"
    " is null with code FORBIDDEN."
)
class Query:
    @shown(description="Who the key speaks for, and what it may do.")
    async def viewer(self, info: Info) -> Viewer:
        return Viewer.of(await people.viewer(info.context.ctx))

    @shown(description="ADMIN, or the OWNER itself.")
    async def user(self, info: Info, id: Id) -> User | None:  # noqa: A002
        view = await people.user(info.context.ctx, id)
        return None if view is None else User.of(view)

    @shown(description="ADMIN. By name, then id.")
    async def users(
        self, info: Info, first: First = PAGE, after: After = strawberry.UNSET
    ) -> Connection[User] | None:
        page = await people.users(info.context.ctx, first=otherwise(first, PAGE), after=after or None)
        return Connection.of(granted(page), User.of)

    @shown(
        description="Any key. Free windows and bookable starts of one or many users, computed from the same"
        " busy time.",
        as_type=AvailabilityResult,
    )
    async def availability(
        self,
        info: Info,
        asked: Annotated[
            AvailabilityInput,
            strawberry.argument(name="input", description="Whose time, and for what."),
        ],
    ) -> Availability | Refusal:
        answer = await availability.availability(info.context.ctx, asked.question)
        return answer if isinstance(answer, Refusal) else Availability.of(answer)

    @shown(
        description="Any key. What a guest may know of a bookable type; null where there is none, or it is archived."
    )
    async def booking_page(
        self,
        info: Info,
        slug: Annotated[
            str, strawberry.argument(description="The page's address, as its appointment type has it.")
        ],
    ) -> BookingPage | None:
        view = await types.page(info.context.ctx, slug)
        return None if view is None else BookingPage.of(view)

    @shown(
        description="Any key. A guest's booking, by the token that came with it; null where there is none."
    )
    async def booking(
        self,
        info: Info,
        manage_token: Annotated[
            str,
            strawberry.argument(
                description="The token that came with the booking; in a link to the guest, mostly."
            ),
        ],
    ) -> Booking | None:
        view = await appointments.booking(info.context.ctx, manage_token)
        return None if view is None else Booking.of(view)

    @shown(description="ADMIN. What was done in the subaccount, newest first.")
    async def audit_log(
        self, info: Info, first: First = PAGE, after: After = strawberry.UNSET
    ) -> Connection[AuditEntry] | None:
        page = await audit.audit_log(info.context.ctx, first=otherwise(first, PAGE), after=after or None)
        return Connection.of(granted(page), AuditEntry.of)

    @shown(description="ADMIN. By label, then id; revoked ones too.")
    async def keys(
        self, info: Info, first: First = PAGE, after: After = strawberry.UNSET
    ) -> Connection[Key] | None:
        page = await keys.keys(info.context.ctx, first=otherwise(first, PAGE), after=after or None)
        return Connection.of(granted(page), Key.of)

    @shown(description="Any node the key may see; null for every other.")
    async def node(self, info: Info, id: Id) -> Node | None:  # noqa: A002
        return _node(await node(info.context.ctx, id))

    @shown(description="ADMIN. How well the sync loop keeps up with this subaccount's accounts.")
    async def sync_health(self, info: Info) -> SyncHealth | None:
        return SyncHealth.of(granted(await health.sync_health(info.context.ctx)))


def _node(view: object) -> Node | None:
    match view:
        case UserView():
            return User.of(view)
        case SubaccountView():
            return Subaccount.of(view)
        case AccountView():
            return ICloudAccount.of(view)
        case CalendarView():
            return Calendar.of(view)
        case EventView():
            return CalendarEvent.of(view)
        case SlotView():
            return BlockedSlot.of(view)
        case AppointmentTypeView():
            return AppointmentType.of(view)
        case AppointmentView():
            return Appointment.of(view)
        case KeyView():
            return Key.of(view)
        case AuditView():
            return AuditEntry.of(view)
    return None
