"""Availability: free windows, bookable starts, and why time is closed."""

from functools import cached_property
from typing import Annotated, Self

import strawberry

from resolvers.availability import AvailabilityQuestion
from resolvers.views import (
    AvailabilityUpdateView,
    AvailabilityView,
    ClosedReasonView,
    ClosedSpanView,
    FreshnessView,
)
from schema.appointments import Appointment
from schema.blocked import BlockedSlot
from schema.calendars import Calendar
from schema.enums import Match, ReasonCode, StalePolicy
from schema.fields import shown
from schema.inputs import given, instant
from schema.refusals import Forbidden, InvalidInput, NotFound, RateLimited
from schema.scalars import Cursor, DateTime, TimeZone
from schema.times import Slot, Window, moment


@strawberry.input(
    description="Exactly one of bookingPage, userIds. A page brings its user and all its type's rules:"
    " BOOKING, and an OWNER on another's page, may give only it, with from, to, firstSlots, manageToken and"
    " holdToken; anything else is Forbidden. With userIds, a length comes from appointmentTypeId or"
    " durationMinutes (30 if neither), the step from the same (else the length). `from`–`to` spans at most"
    " 92 days; at most 20 users."
)
class AvailabilityInput:
    booking_page: str | None = strawberry.field(
        default=strawberry.UNSET, description="The slug of the page to book on."
    )
    user_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="At least one; OWNER: only its own."
    )
    from_: DateTime = strawberry.field(name="from", description="The first instant asked for.")
    to: DateTime = strawberry.field(description="The first instant no longer asked for.")
    match: Match | None = strawberry.field(
        default=Match.EVERYONE,
        description="EVERYONE: free when all are. ANYONE: free when at least one is.",
    )
    appointment_type_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET,
        description="Length, step, buffers, notice, horizon and daily maximum of this type; the fields"
        " below override it.",
    )
    duration_minutes: int | None = strawberry.field(
        default=strawberry.UNSET, description="How long what is to be booked takes."
    )
    step_minutes: int | None = strawberry.field(
        default=strawberry.UNSET, description="How far apart starts lie."
    )
    buffer_before_minutes: int | None = strawberry.field(
        default=strawberry.UNSET, description="Time to keep free before."
    )
    buffer_after_minutes: int | None = strawberry.field(
        default=strawberry.UNSET, description="Time to keep free after."
    )
    minimum_notice_minutes: int | None = strawberry.field(
        default=strawberry.UNSET, description="How long from now a start must lie at least."
    )
    grid_time_zone: TimeZone | None = strawberry.field(
        default=strawberry.UNSET,
        description="The zone whose midnight the step's grid is counted from. Null: the page's host's, or"
        " the first user's.",
    )
    first_slots: int | None = strawberry.field(
        default=strawberry.UNSET, description="Only the first N bookable starts, at most 1000."
    )
    manage_token: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="This booking's own time counts as free: for its reschedule.",
    )
    appointment_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="The same by id: OWNER and ADMIN."
    )
    hold_token: str | None = strawberry.field(
        default=strawberry.UNSET, description="This hold's time counts as free."
    )
    max_staleness_seconds: int | None = strawberry.field(
        default=strawberry.UNSET,
        description="How old the calendars' state may be, 1 second to 30 days. Null: the server's own limit.",
    )
    on_stale: StalePolicy | None = strawberry.field(
        default=StalePolicy.CLOSE,
        description="What to do when it is older. A calendar never read closes whatever this says.",
    )

    @cached_property
    def question(self) -> AvailabilityQuestion:
        """Made once: a hot query's arguments are converted once, and asked with many times."""
        users = given(self.user_ids)
        return AvailabilityQuestion(
            booking_page=given(self.booking_page),
            user_ids=None if users is None else tuple(users),
            from_=instant(self.from_),
            to=instant(self.to),
            match=self.match or Match.EVERYONE,
            appointment_type_id=given(self.appointment_type_id),
            duration_minutes=given(self.duration_minutes),
            step_minutes=given(self.step_minutes),
            buffer_before_minutes=given(self.buffer_before_minutes),
            buffer_after_minutes=given(self.buffer_after_minutes),
            minimum_notice_minutes=given(self.minimum_notice_minutes),
            grid_time_zone=given(self.grid_time_zone),
            first_slots=given(self.first_slots),
            manage_token=given(self.manage_token),
            appointment_id=given(self.appointment_id),
            hold_token=given(self.hold_token),
            max_staleness_seconds=given(self.max_staleness_seconds),
            on_stale=self.on_stale or StalePolicy.CLOSE,
        )


@strawberry.type(description="How old the state is that an answer rests on.")
class Freshness:
    as_of: DateTime | None = strawberry.field(
        description="The oldest state that the answer rests on. Null when no calendar takes part, or none"
        " was read yet."
    )
    is_fresh: bool = strawberry.field(description="False when some calendar was older than allowed.")
    applied: StalePolicy | None = strawberry.field(
        description="What was done about it; null where all was fresh by itself."
    )

    @classmethod
    def of(cls, view: FreshnessView) -> Self:
        return cls(
            as_of=moment(view.as_of),
            is_fresh=view.is_fresh,
            applied=None if view.applied is None else StalePolicy(view.applied),
        )


@strawberry.type(description="A position in one user's change log.")
class UserCursor:
    user_id: strawberry.ID = strawberry.field(description="Whose log it is.")
    cursor: Cursor = strawberry.field(description="The position, to subscribe after.")


@strawberry.type(description="Free time, and the starts that can be booked in it.")
class Availability:
    view: strawberry.Private[AvailabilityView]

    @shown(name="from", description="The first instant asked for.")
    def from_(self) -> DateTime:
        return DateTime(self.view.within.start)

    @shown(description="The first instant no longer asked for.")
    def to(self) -> DateTime:
        return DateTime(self.view.within.end)

    @shown(description="How old the state is that this rests on.")
    def freshness(self) -> Freshness:
        return Freshness.of(self.view.freshness)

    @shown(
        description="Maximal free spans, disjoint, by start, clipped to from–to: within working hours (for"
        " ANYONE, the union), less blocked slots, appointments and holds, notice, horizon, full days and"
        " stale time. May be shorter than a slot."
    )
    def windows(self) -> list[Window]:
        return [Window.of(span) for span in self.view.windows]

    @shown(
        description="Bookable starts, by time, on the step's grid, counted from midnight in one zone:"
        " gridTimeZone."
    )
    def slots(self) -> list[Slot]:
        return [Slot.of(opening) for opening in self.view.openings]

    @shown(description="The same starts, as plain instants: the light form for a booking page.")
    def slot_starts(self) -> list[DateTime]:
        return [DateTime(start) for start in self.view.openings.at]

    @shown(
        description="Position of each user's change log that this answer stands for. Empty for a BOOKING"
        " key, and for an OWNER on another's page."
    )
    def cursors(self) -> list[UserCursor]:
        return [
            UserCursor(user_id=strawberry.ID(user), cursor=Cursor(cursor))
            for user, cursor in self.view.cursors
        ]

    @classmethod
    def of(cls, view: AvailabilityView) -> Self:
        return cls(view=view)


AvailabilityResult = Annotated[
    Availability | RateLimited | InvalidInput | NotFound | Forbidden,
    strawberry.union("AvailabilityResult", description="Free time, or why it was not looked up."),
]


@strawberry.type(description="The availability as it is now, and what changed.")
class AvailabilityUpdate:
    is_snapshot: bool = strawberry.field(
        description="True for the first, and whenever the whole must be taken anew."
    )
    availability: Availability = strawberry.field(description="The whole, as it is now.")
    opened: list[Window] = strawberry.field(description="Spans free now that were not. By start.")
    closed: list[Window] = strawberry.field(description="Spans no longer free. By start.")

    @classmethod
    def of(cls, view: AvailabilityUpdateView) -> Self:
        return cls(
            is_snapshot=view.is_snapshot,
            availability=Availability.of(view.availability),
            opened=[Window.of(span) for span in view.opened],
            closed=[Window.of(span) for span in view.closed],
        )


@strawberry.type(description="One reason why a time is closed.")
class ClosedReason:
    code: ReasonCode = strawberry.field(description="Its kind.")
    blocked_slot: BlockedSlot | None = strawberry.field(description="The blocked slot that closes it.")
    appointment: Appointment | None = strawberry.field(description="The appointment that closes it.")
    calendar: Calendar | None = strawberry.field(description="The calendar that is too old.")

    @classmethod
    def of(cls, view: ClosedReasonView) -> Self:
        return cls(
            code=ReasonCode(view.code),
            blocked_slot=None if view.slot is None else BlockedSlot.of(view.slot),
            appointment=None if view.appointment is None else Appointment.of(view.appointment),
            calendar=None if view.calendar is None else Calendar.of(view.calendar),
        )


@strawberry.type(description="A stretch of time that is not free.")
class ClosedSpan:
    start: DateTime = strawberry.field(description="When it begins.")
    end: DateTime = strawberry.field(description="When it ends.")
    reasons: list[ClosedReason] = strawberry.field(
        description="Every reason that holds for all of it, in the order of their codes."
    )

    @classmethod
    def of(cls, view: ClosedSpanView) -> Self:
        return cls(
            start=DateTime(view.span.start),
            end=DateTime(view.span.end),
            reasons=[ClosedReason.of(reason) for reason in view.reasons],
        )
