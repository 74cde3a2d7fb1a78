"""Who is calling, and whose time they may reach."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    ADMIN = "ADMIN"
    OWNER = "OWNER"
    BOOKING = "BOOKING"


@dataclass(frozen=True, slots=True)
class UserRef:
    """One user in its subaccount: what every query of the user's rows is held to."""

    subaccount: str
    user: str


@dataclass(frozen=True, slots=True)
class Actor:
    """The holder of a key. `user` is set for an OWNER."""

    key: str
    label: str
    role: Role
    subaccount: str
    user: str | None = None
    allowed_origins: tuple[str, ...] | None = None

    def may_manage(self, user: UserRef) -> bool:
        """ADMIN: any user of its subaccount; OWNER: itself; BOOKING: none."""
        if user.subaccount != self.subaccount:
            return False
        return self.role is Role.ADMIN or (self.role is Role.OWNER and self.user == user.user)
