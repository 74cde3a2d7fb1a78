"""An iCloud that knows some people by Apple ID and password, and fails when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from domain.actor import UserRef
from domain.calendars import CalendarKind, ListedCalendar
from models.seal import Secret
from sync.remote import PasswordRefused, RemoteError
from sync.service import Discovered, RefreshOutcome

PASSWORD = "abcd-efgh-ijkl-mnop"
OTHER_PASSWORD = "qrst-uvwx-yzab-cdef"
HOME = "https://p01-caldav.icloud.com/1/calendars/"


def listed(name: str, kind: CalendarKind = CalendarKind.EVENTS, *, can_write: bool = True) -> ListedCalendar:
    return ListedCalendar(f"/1/calendars/{name.lower()}/", name, "#FF2968", kind, can_write, "t1")


CALENDARS = (
    listed("Home"),
    listed("Work"),
    listed("Family"),
    listed("Team", can_write=False),
    listed("Holidays", CalendarKind.SUBSCRIPTION, can_write=False),
    listed("Reminders", CalendarKind.REMINDERS),
)


@dataclass
class FakeICloud:
    """`people`: principals by the Apple IDs that name them.

    `asked` counts sign-ins, `polled` refreshes, `forgotten` accounts that were disconnected.
    """

    people: dict[str, str] = field(
        default_factory=lambda: {"a@icloud.com": "/1/principal/", "alias@icloud.com": "/1/principal/"}
    )
    passwords: frozenset[str] = frozenset({PASSWORD, OTHER_PASSWORD})
    calendars: tuple[ListedCalendar, ...] = CALENDARS
    error: RemoteError | None = None
    outcome: RefreshOutcome = field(default_factory=lambda: RefreshOutcome(True, 0, None))
    barrier: asyncio.Barrier | None = None
    meanwhile: Callable[[], Awaitable[object]] | None = None
    asked: list[str] = field(default_factory=list)
    polled: list[UserRef] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)

    async def connect(self, apple_id: str, password: Secret) -> Discovered:
        self.asked.append(password.reveal())
        if self.barrier is not None:
            await self.barrier.wait()
        if self.meanwhile is not None:
            await self.meanwhile()
        if self.error is not None:
            raise self.error
        if password.reveal() not in self.passwords or apple_id not in self.people:
            raise PasswordRefused
        return Discovered(
            principal_path=self.people[apple_id],
            home_url=HOME,
            addresses=frozenset({apple_id.lower()}),
            calendars=self.calendars,
        )

    async def refresh(self, user: UserRef, *, wait: float) -> RefreshOutcome:
        self.polled.append(user)
        return self.outcome

    def forget(self, account_id: str) -> None:
        self.forgotten.append(account_id)
