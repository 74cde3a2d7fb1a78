"""What use cases answer: plain values, as the caller may see them. Instants are epoch seconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from domain.accounts import AccountStatus
from domain.actor import Role, UserRef
from domain.busy import BusyPolicy, EventStatus, Participation, ShowAs
from domain.calendars import CalendarKind, NotSelectableReason
from domain.changes import Slot
from domain.hours import WorkingHours
from domain.interval import Span

T = TypeVar("T")

_EACH = 100


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A keyset page; each cursor stands for its item."""

    items: tuple[T, ...]
    cursors: tuple[str, ...]
    has_next: bool
    has_previous: bool


@dataclass(frozen=True, slots=True)
class SubaccountView:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class UserView:
    ref: UserRef
    name: str
    email: str | None
    time_zone: str
    hours: WorkingHours


@dataclass(frozen=True, slots=True)
class ViewerView:
    role: Role
    subaccount: SubaccountView
    user: UserView | None


@dataclass(frozen=True, slots=True)
class AccountProblem:
    code: str
    message: str
    since: float
    retry_at: float | None


@dataclass(frozen=True, slots=True)
class Progress:
    done: int
    total: int | None


@dataclass(frozen=True, slots=True)
class AccountView:
    id: str
    user: UserRef
    apple_id: str
    status: AccountStatus
    problem: AccountProblem | None
    connected_at: float
    last_synced_at: float | None
    next_sync_at: float | None
    progress: Progress | None


@dataclass(frozen=True, slots=True)
class CalendarView:
    """`why_not_*` is None where the calendar can be chosen."""

    id: str
    user: UserRef
    name: str
    color: str | None
    kind: CalendarKind
    can_write: bool
    why_not_linked: NotSelectableReason | None
    why_not_conflict: NotSelectableReason | None
    is_linked: bool
    is_conflict: bool
    policy: BusyPolicy
    last_synced_at: float | None


@dataclass(frozen=True, slots=True)
class EventProblemView:
    uid: str | None
    code: str
    message: str
    blocked: Span | None


@dataclass(frozen=True, slots=True)
class EventView:
    id: str
    user: UserRef
    calendar_id: str
    uid: str
    title: str | None
    start: int
    end: int
    is_all_day: bool
    start_date: str | None
    end_date: str | None
    is_recurring: bool
    show_as: ShowAs
    status: EventStatus
    participation: Participation | None
    blocks: bool
    appointment_id: str | None


@dataclass(frozen=True, slots=True)
class SlotView:
    """A blocked slot and whose it is."""

    user: UserRef
    slot: Slot


@dataclass(frozen=True, slots=True)
class AppointmentTypeView:
    id: str
    user: UserRef
    name: str
    slug: str
    duration_minutes: int
    step_minutes: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    minimum_notice_minutes: int
    horizon_days: int
    maximum_per_day: int | None
    is_archived: bool


@dataclass(frozen=True, slots=True)
class BookingPageView:
    slug: str
    name: str
    host_name: str
    host_time_zone: str
    duration_minutes: int
    bookable_from: float
    bookable_until: float


@dataclass(frozen=True, slots=True)
class GuestView:
    name: str
    email: str
    phone: str | None


@dataclass(frozen=True, slots=True)
class CancellationView:
    at: float
    by: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class WrittenView:
    """The appointment's copy in iCloud."""

    state: str
    calendar_id: str | None
    written_at: float | None
    attempts: int
    problem: str | None


@dataclass(frozen=True, slots=True)
class AppointmentView:
    id: str
    user: UserRef
    type_id: str | None
    title: str
    start: int
    end: int
    status: str
    guest: GuestView
    notes: str | None
    cancellation: CancellationView | None
    created_at: float
    written: WrittenView
    has_conflict: bool


@dataclass(frozen=True, slots=True)
class BookingView:
    """An appointment as its guest may see it."""

    id: str
    manage_token: str
    page: BookingPageView | None
    host_name: str
    host_time_zone: str
    title: str
    start: int
    end: int
    status: str
    is_changeable: bool
    guest: GuestView
    notes: str | None
    cancellation: CancellationView | None


@dataclass(frozen=True, slots=True)
class HoldView:
    token: str
    start: int
    end: int
    expires_at: float


@dataclass(frozen=True, slots=True)
class KeyView:
    id: str
    label: str
    role: Role
    user: UserRef | None
    allowed_origins: tuple[str, ...] | None
    created_at: float
    last_used_at: float | None
    revoked_at: float | None


@dataclass(frozen=True, slots=True)
class AuditView:
    id: str
    at: float
    actor: str
    action: str
    subject_id: str | None


@dataclass(frozen=True, slots=True)
class SyncHealthView:
    accounts: int
    by_status: Sequence[tuple[AccountStatus, int]]
    lag_p50: float
    lag_p99: float
    pending_writes: int
    oldest_pending_write_at: float | None


@dataclass(frozen=True, slots=True)
class FreshnessView:
    as_of: float | None
    is_fresh: bool
    applied: str | None


@dataclass(frozen=True, slots=True)
class OpenStart:
    """A bookable start. `user_ids` is None for a BOOKING key."""

    start: int
    end: int
    user_ids: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Openings:
    """Bookable starts by time, each as long as the others; `users` are None for a BOOKING key, else one for each."""

    at: tuple[int, ...]
    length: int
    users: tuple[tuple[str, ...], ...] | None

    def __iter__(self) -> Iterator[OpenStart]:
        users = self.users or (None,) * len(self.at)
        return (OpenStart(at, at + self.length, who) for at, who in zip(self.at, users, strict=True))


@dataclass(frozen=True, slots=True)
class AvailabilityView:
    """`free` are the windows as edges. `shown` holds what was made of this one answer to be sent: made once for all."""

    within: Span
    free: tuple[int, ...]
    openings: Openings
    freshness: FreshnessView
    cursors: tuple[tuple[str, str], ...]
    """User id and cursor, in the order asked."""
    shown: dict[object, bytes] = field(default_factory=dict, compare=False, repr=False)

    @property
    def weight(self) -> int:
        """In instants, with what an answer takes beside its own."""
        return len(self.free) + len(self.openings.at) + _EACH

    @property
    def windows(self) -> tuple[Span, ...]:
        edges = iter(self.free)
        return tuple(Span(start, end) for start, end in zip(edges, edges, strict=True))

    @property
    def starts(self) -> tuple[OpenStart, ...]:
        return tuple(self.openings)


@dataclass(frozen=True, slots=True)
class AvailabilityUpdateView:
    is_snapshot: bool
    availability: AvailabilityView
    opened: tuple[Span, ...]
    closed: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class ClosedReasonView:
    code: str
    slot: SlotView | None
    appointment: AppointmentView | None
    calendar: CalendarView | None


@dataclass(frozen=True, slots=True)
class ClosedSpanView:
    span: Span
    reasons: tuple[ClosedReasonView, ...]


@dataclass(frozen=True, slots=True)
class SlotChangeView:
    cursor: str
    kind: str
    user: UserRef
    slot: Slot | None
    previous: Slot | None
    detected_at: float


@dataclass(frozen=True, slots=True)
class AppointmentChangeView:
    cursor: str
    kind: str
    appointment: AppointmentView | None
    detected_at: float
