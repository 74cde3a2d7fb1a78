"""Time that is closed by hand: never written to iCloud."""

from typing import Annotated

import strawberry

from resolvers import events
from resolvers.outcomes import Refusal
from schema.blocked import BlockedSlot
from schema.fields import done
from schema.inputs import Input, given, instant
from schema.operation import Info
from schema.refusals import Forbidden, InvalidInput, NotFound
from schema.scalars import DateTime


@strawberry.input(description="Time to close by hand.")
class CreateBlockedSlotInput:
    user_id: strawberry.ID = strawberry.field(description="Whose time.")
    start: DateTime = strawberry.field(description="When it begins.")
    end: DateTime = strawberry.field(description="When it ends, after its start.")
    title: str | None = strawberry.field(
        default=strawberry.UNSET, description="What for; guests never see it."
    )


@strawberry.input(description="Time to open again.")
class DeleteBlockedSlotInput:
    blocked_slot_id: strawberry.ID = strawberry.field(
        description="A MANUAL one: those from iCloud go with their event."
    )


@strawberry.type(description="The time is closed.")
class BlockedSlotCreated:
    blocked_slot: BlockedSlot = strawberry.field(description="What closes it.")


@strawberry.type(description="The time is open again.")
class BlockedSlotDeleted:
    blocked_slot_id: strawberry.ID = strawberry.field(description="What closed it.")


CreateBlockedSlotResult = Annotated[
    BlockedSlotCreated | InvalidInput | NotFound | Forbidden,
    strawberry.union("CreateBlockedSlotResult", description="The blocked slot, or why there is none."),
]
DeleteBlockedSlotResult = Annotated[
    BlockedSlotDeleted | InvalidInput | NotFound | Forbidden,
    strawberry.union("DeleteBlockedSlotResult", description="What was deleted, or why nothing was."),
]


@strawberry.type
class Blocking:
    @done(
        description="Closes time by hand. Appointments that lie in it stay.",
        as_type=CreateBlockedSlotResult,
    )
    async def create_blocked_slot(
        self, info: Info, slot: Input[CreateBlockedSlotInput]
    ) -> BlockedSlotCreated | Refusal:
        answer = await events.create_blocked_slot(
            info.context.ctx,
            user_id=slot.user_id,
            start=instant(slot.start),
            end=instant(slot.end),
            title=given(slot.title),
        )
        if isinstance(answer, Refusal):
            return answer
        return BlockedSlotCreated(blocked_slot=BlockedSlot.of(answer))

    @done(description="Opens time that was closed by hand.", as_type=DeleteBlockedSlotResult)
    async def delete_blocked_slot(
        self, info: Info, slot: Input[DeleteBlockedSlotInput]
    ) -> BlockedSlotDeleted | Refusal:
        answer = await events.delete_blocked_slot(info.context.ctx, slot_id=slot.blocked_slot_id)
        if isinstance(answer, Refusal):
            return answer
        return BlockedSlotDeleted(blocked_slot_id=strawberry.ID(answer))
