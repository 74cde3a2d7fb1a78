"""As much of the API as the pages ask for, over a list of blocked slots in memory: what the pages are tried against."""

# ruff: noqa: A002, N818 -- arguments and types are called what the contract calls them.
import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Annotated, Any, NewType
from uuid import uuid4

import strawberry
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.schema.config import StrawberryConfig
from strawberry.types.scalar import ScalarDefinition

ROLES = {"sw_owner_": "OWNER", "sw_admin_": "ADMIN"}
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


Cursor = NewType("Cursor", str)


@strawberry.interface
class UserError:
    message: str


@strawberry.type
class NotFound(UserError):
    pass


@strawberry.type
class BlockedSlot:
    id: strawberry.ID
    start: datetime
    end: datetime
    title: str | None
    source: str = "MANUAL"


@strawberry.type
class BlockedSlotEdge:
    node: BlockedSlot


@strawberry.type
class BlockedSlotConnection:
    edges: list[BlockedSlotEdge]


@strawberry.type
class ICloudProblem:
    message: str


@strawberry.type
class SyncProgress:
    done: int
    total: int | None


@strawberry.type(name="ICloudAccount")
class Account:
    status: str = "CONNECTED"
    last_synced_at: datetime | None = None
    problem: ICloudProblem | None = None
    progress: SyncProgress | None = None


@strawberry.type
class AccountChange:
    account: Account | None


@strawberry.enum
class AppointmentStatus(Enum):
    CONFIRMED = "CONFIRMED"
    CANCELLED = "CANCELLED"


@strawberry.type
class Window:
    start: datetime
    end: datetime


@strawberry.type
class Availability:
    windows: list[Window]


@strawberry.type
class BlockedSlotChange:
    cursor: Cursor
    kind: str
    detected_at: datetime
    slot: BlockedSlot | None = None
    previous: BlockedSlot | None = None


@strawberry.type
class AppointmentChange:
    cursor: Cursor
    kind: str
    detected_at: datetime
    appointment: BlockedSlot | None = None


@strawberry.type
class BlockedSlotCreated:
    blocked_slot: BlockedSlot


@strawberry.type
class BlockedSlotDeleted:
    blocked_slot_id: strawberry.ID


@strawberry.input
class AvailabilityInput:
    user_ids: list[strawberry.ID]
    start: datetime = strawberry.field(name="from")
    end: datetime = strawberry.field(name="to")
    duration_minutes: int = 30


@strawberry.input
class CreateBlockedSlotInput:
    user_id: strawberry.ID
    start: datetime
    end: datetime
    title: str | None = None


@strawberry.input
class DeleteBlockedSlotInput:
    blocked_slot_id: strawberry.ID


AvailabilityResult = Annotated[Availability | NotFound, strawberry.union("AvailabilityResult")]
CreateResult = Annotated[BlockedSlotCreated | NotFound, strawberry.union("CreateBlockedSlotResult")]
DeleteResult = Annotated[BlockedSlotDeleted | NotFound, strawberry.union("DeleteBlockedSlotResult")]
From = Annotated[datetime, strawberry.argument(name="from")]


class Calendar:
    """The one user's blocked slots, and the log of what became of them."""

    def __init__(self) -> None:
        self.slots = [slot_at(day, hour) for day in range(7) for hour in (day % 3 + 9, day % 2 + 13)]
        self.log: list[BlockedSlotChange] = []
        self.changed = asyncio.Event()

    def note(
        self, kind: str, *, slot: BlockedSlot | None = None, previous: BlockedSlot | None = None
    ) -> None:
        cursor = Cursor(str(len(self.log) + 1))
        self.log.append(
            BlockedSlotChange(
                cursor=cursor, kind=kind, detected_at=datetime.now(UTC), slot=slot, previous=previous
            )
        )
        self.changed.set()
        self.changed = asyncio.Event()

    def free(self, start: datetime, end: datetime) -> list[Window]:
        """Nine to five, less what is blocked."""
        windows = []
        for day in range(8):
            edge, close = MIDNIGHT + timedelta(days=day, hours=9), MIDNIGHT + timedelta(days=day, hours=17)
            edge = max(edge, start)
            for slot in sorted(
                (slot for slot in self.slots if slot.start < close), key=lambda slot: slot.start
            ):
                windows.append(Window(start=edge, end=slot.start))
                edge = max(edge, slot.end)
            windows.append(Window(start=edge, end=min(close, end)))
        return [window for window in windows if window.start < window.end]


def slot_at(day: int, hour: int) -> BlockedSlot:
    start = MIDNIGHT + timedelta(days=day, hours=hour)
    return BlockedSlot(
        id=strawberry.ID(uuid4().hex), start=start, end=start + timedelta(hours=1), title="Meeting"
    )


def calendar_of(info: strawberry.Info[Any, None]) -> Calendar:
    calendar = info.context["calendar"]
    assert isinstance(calendar, Calendar)
    return calendar


@strawberry.type
class User:
    id: strawberry.ID
    name: str
    time_zone: str = "Europe/Paris"
    i_cloud_account: Account | None = strawberry.field(name="iCloudAccount", default_factory=Account)

    @strawberry.field
    def cursor(self, info: strawberry.Info[Any, None]) -> Cursor:
        return Cursor(str(len(calendar_of(info).log)))

    @strawberry.field
    def blocked_slots(
        self, info: strawberry.Info[Any, None], start: From, to: datetime, first: int = 100
    ) -> BlockedSlotConnection:
        found = [slot for slot in calendar_of(info).slots if slot.start < to and slot.end > start]
        return BlockedSlotConnection(edges=[BlockedSlotEdge(node=slot) for slot in found[:first]])

    @strawberry.field
    def appointments(
        self, start: From, to: datetime, status: AppointmentStatus, first: int = 100
    ) -> BlockedSlotConnection:
        return BlockedSlotConnection(edges=[])


@strawberry.type
class Subaccount:
    id: strawberry.ID
    name: str


@strawberry.type
class Viewer:
    role: str
    subaccount: Subaccount
    user: User


THE_USER = User(id=strawberry.ID("user-1"), name="Maya Okafor")


@strawberry.type
class Query:
    @strawberry.field
    def viewer(self, info: strawberry.Info[Any, None]) -> Viewer:
        """Who the key speaks for, and what it may do."""
        role = role_of(info.context["request"].headers.get("authorization", ""))
        if role is None:
            raise PermissionError("Give a key that is known here.")
        return Viewer(
            role=role, subaccount=Subaccount(id=strawberry.ID("sub-1"), name="Studio North"), user=THE_USER
        )

    @strawberry.field
    def user(self, id: strawberry.ID) -> User | None:
        return THE_USER if id == THE_USER.id else None

    @strawberry.field
    def availability(self, info: strawberry.Info[Any, None], input: AvailabilityInput) -> AvailabilityResult:
        return Availability(windows=calendar_of(info).free(input.start, input.end))


@strawberry.type
class Mutation:
    @strawberry.mutation
    def create_blocked_slot(
        self, info: strawberry.Info[Any, None], input: CreateBlockedSlotInput
    ) -> CreateResult:
        slot = BlockedSlot(id=strawberry.ID(uuid4().hex), start=input.start, end=input.end, title=input.title)
        calendar_of(info).slots.append(slot)
        calendar_of(info).note("ADDED", slot=slot)
        return BlockedSlotCreated(blocked_slot=slot)

    @strawberry.mutation
    def delete_blocked_slot(
        self, info: strawberry.Info[Any, None], input: DeleteBlockedSlotInput
    ) -> DeleteResult:
        calendar = calendar_of(info)
        gone = next(slot for slot in calendar.slots if slot.id == input.blocked_slot_id)
        calendar.slots.remove(gone)
        calendar.note("REMOVED", previous=gone)
        return BlockedSlotDeleted(blocked_slot_id=gone.id)


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def blocked_slot_changes(
        self, info: strawberry.Info[Any, None], user_id: strawberry.ID, after: Cursor | None = None
    ) -> AsyncIterator[BlockedSlotChange]:
        calendar = calendar_of(info)
        seen = len(calendar.log) if after is None else int(after)
        while True:
            changed = calendar.changed
            for change in calendar.log[seen:]:
                seen += 1
                yield change
            await changed.wait()

    @strawberry.subscription
    async def appointment_changes(
        self, user_id: strawberry.ID, after: Cursor | None = None
    ) -> AsyncIterator[AppointmentChange]:
        await asyncio.Event().wait()
        yield AppointmentChange(cursor=Cursor("0"), kind="RESET", detected_at=datetime.now(UTC))

    @strawberry.subscription
    async def i_cloud_account_changes(self, user_id: strawberry.ID) -> AsyncIterator[AccountChange]:
        yield AccountChange(account=Account())
        await asyncio.Event().wait()


def role_of(authorization: str) -> str | None:
    key = authorization.removeprefix("Bearer ")
    return next((role for prefix, role in ROLES.items() if key.startswith(prefix)), None)


class SmallApi(GraphQL[dict[str, Any], None]):
    def __init__(self) -> None:
        scalars: dict[object, ScalarDefinition] = {Cursor: strawberry.scalar(name="Cursor")}
        schema = strawberry.Schema(Query, Mutation, Subscription, config=StrawberryConfig(scalar_map=scalars))
        super().__init__(schema, graphql_ide=None, subscription_protocols=("graphql-transport-ws",))
        self.calendar = Calendar()

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> dict[str, Any]:
        return {"request": request, "response": response, "calendar": self.calendar}

    async def on_ws_connect(self, context: dict[str, Any]) -> dict[str, object] | None:
        params = context["connection_params"] or {}
        if role_of(params.get("authorization", "")) is None:
            raise ConnectionRejectionError
        return None
