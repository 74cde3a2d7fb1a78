"""Spans of time: windows, slots, and how instants of the use cases become scalars."""

from typing import Self

import strawberry

from domain.interval import Span
from resolvers.views import OpenStart
from schema.scalars import DateTime


def moment(at: float | None) -> DateTime | None:
    """A bookkeeping moment, shown in milliseconds whatever number it came as."""
    return None if at is None else DateTime(float(at))


@strawberry.type(description="A stretch of time.")
class Window:
    start: DateTime = strawberry.field(description="The first instant of it.")
    end: DateTime = strawberry.field(description="The first instant after it.")

    @classmethod
    def of(cls, span: Span) -> Self:
        return cls(start=DateTime(span.start), end=DateTime(span.end))


@strawberry.type(description="A start that can be booked, and the time that it would take.")
class Slot:
    start: DateTime = strawberry.field(description="When it begins.")
    end: DateTime = strawberry.field(description="When it ends: the start and the asked length.")
    user_ids: list[strawberry.ID] | None = strawberry.field(
        description="The users who are free then: all of them with EVERYONE. Null for a BOOKING key, for an OWNER"
        " on another's page, and in nextSlots."
    )

    @classmethod
    def of(cls, opening: OpenStart) -> Self:
        users = opening.user_ids
        return cls(
            start=DateTime(opening.start),
            end=DateTime(opening.end),
            user_ids=None if users is None else [strawberry.ID(user) for user in users],
        )

    @classmethod
    def at(cls, span: Span) -> Self:
        """A start offered in place of another: whose it is, the caller knows."""
        return cls(start=DateTime(span.start), end=DateTime(span.end), user_ids=None)
