"""Blocked slots: time closed by a busy event, or by hand."""

from typing import Self

import strawberry

from domain.actor import UserRef
from resolvers.views import SlotView
from schema.enums import BlockedSlotSource
from schema.events import CalendarEvent
from schema.fields import shown
from schema.nodes import Node
from schema.operation import Info
from schema.scalars import DateTime


@strawberry.type(description="Time closed by a busy event in iCloud, or by hand.")
class BlockedSlot(Node):
    id: strawberry.ID = strawberry.field(
        description="Stays for the same calendar, UID and original start: an occurrence moved or edited is"
        " CHANGED; a series whose starts all shift is REMOVED and ADDED."
    )
    user_ref: strawberry.Private[UserRef]
    event_id: strawberry.Private[str | None]
    start: DateTime = strawberry.field(description="When the closed time begins.")
    end: DateTime = strawberry.field(description="When it ends.")
    is_all_day: bool = strawberry.field(description="Whether an all-day event closes it.")
    source: BlockedSlotSource = strawberry.field(description="Where it comes from.")
    title: str | None = strawberry.field(description="The event's title, or what was given by hand.")

    @shown(description="Set when the source is ICLOUD.")
    async def event(self, info: Info) -> CalendarEvent | None:
        if self.event_id is None:
            return None
        view = await info.context.load.event.load(self.event_id)
        return None if view is None else CalendarEvent.of(view)

    @classmethod
    def of(cls, view: SlotView) -> Self:
        slot = view.slot
        return cls(
            id=strawberry.ID(slot.id),
            user_ref=view.user,
            event_id=slot.event_id,
            start=DateTime(slot.start),
            end=DateTime(slot.end),
            is_all_day=slot.is_all_day,
            source=slot.source,
            title=slot.title,
        )
