"""What a test, or a person at the admin API, can do to one account."""

from collections.abc import Awaitable, Callable, Iterable

from standin.cloud import Cloud, Faults, Member

FOREVER = -1


class AccountFaults:
    """Calendars are named by id or by display name. A count of -1 lasts until `clear`."""

    def __init__(self, cloud: Cloud, member: Member) -> None:
        self._cloud = cloud
        self._member = member

    @property
    def mails(self) -> int:
        """Invitations that iCloud would have sent for what was written."""
        return self._member.mails

    def clear(self) -> None:
        self._member.faults = Faults()

    def allow(self, *app_passwords: str) -> None:
        self._cloud.allow(self._member, *app_passwords)

    def revoke(self, *app_passwords: str) -> None:
        """Revoke those app-specific passwords, or all."""
        self._cloud.revoke(self._member, *app_passwords)

    def throttle(self, times: int = FOREVER, *, retry_after: int = 1) -> None:
        self._member.faults.throttled = times
        self._member.faults.retry_after = retry_after

    def unauthorized(self, times: int = 1) -> None:
        self._member.faults.unauthorized = times

    def fail(self, times: int = 1, *, status: int = 500) -> None:
        self._member.faults.failing = times
        self._member.faults.failing_status = status

    def slow(self, seconds: float) -> None:
        self._member.faults.slow = seconds

    def drop_put_answers(self, times: int = 1) -> None:
        """Store the next PUTs, and end their connections without an answer."""
        self._member.faults.dropped_puts = times

    def touch(self, calendar: str, names: Iterable[str] = ()) -> None:
        self._cloud.touch(self._member.calendar(calendar), names)

    def read_only(self, calendar: str, *, read_only: bool = True) -> None:
        self._cloud.describe(self._member.calendar(calendar), writable=not read_only)

    def rename(self, calendar: str, name: str) -> None:
        self._cloud.describe(self._member.calendar(calendar), name=name)

    def purge_tokens(self, calendar: str) -> None:
        self._cloud.purge_tokens(self._member.calendar(calendar))

    async def delete_calendar(self, calendar: str) -> None:
        await self._cloud.delete_calendar(self._member, self._member.calendar(calendar))

    def commands(self) -> dict[str, Callable[..., Awaitable[None] | None]]:
        """What the admin API offers by name."""
        return {
            "clear": self.clear,
            "allow": lambda passwords: self.allow(*passwords),
            "revoke": lambda passwords=(): self.revoke(*passwords),
            "throttle": self.throttle,
            "unauthorized": self.unauthorized,
            "fail": self.fail,
            "slow": self.slow,
            "drop-put-answers": self.drop_put_answers,
            "touch": self.touch,
            "read-only": self.read_only,
            "rename": self.rename,
            "purge-tokens": self.purge_tokens,
            "delete-calendar": self.delete_calendar,
        }
