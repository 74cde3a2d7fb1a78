"""What a test, or a person at the admin API, can do to one account."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Annotated

from standin.arguments import Form, Range
from standin.catalog import Kind, digest
from standin.cloud import Cloud, Member
from standin.faults import (
    FOREVER,
    KINDS,
    Bucket,
    Count,
    Failing,
    Fault,
    Faults,
    Lag,
    Lie,
    Planned,
    Schedule,
    Seconds,
    Times,
)
from standin.lagging import Unsettled
from standin.partitions import OLD_HOSTS, Partitions

__all__ = ["FOREVER", "AccountFaults"]

AppPasswords = Sequence[Annotated[str, Form(r".{1,200}", "1 to 200 characters")]]
Rate = Annotated[float, Range(0, 1e9)]


class AccountFaults:
    """Calendars are named by id or by display name. A count of -1 lasts until `clear`."""

    def __init__(self, cloud: Cloud, member: Member, partitions: Partitions) -> None:
        self._cloud = cloud
        self._member = member
        self._partitions = partitions

    @property
    def mails(self) -> int:
        """Invitations that iCloud would have sent for what was written."""
        return self._member.mails

    @property
    def pending(self) -> list[str]:
        """What waits for a request, in the order in which it will meet one."""
        return [str(planned.fault) for planned in self._member.faults.queue]

    def clear(self) -> None:
        """Nothing goes wrong any more. What was done to calendars, passwords and the partition stays."""
        self._member.faults = Faults(remembers=self._member.faults.remembers)
        self._member.unsettled = Unsettled()

    # --- One request, or some

    def inject(self, fault: str, times: Times = 1, *, on: str = "", skip: Count = 0) -> None:
        """`fault` is one of `standin.faults.KINDS`, with an amount where it takes one: `status:502`, `reset:120`.

        `on` is a method, a REPORT's name or the beginning of a path; `skip` lets so many of those through first.
        """
        self._member.faults.plan(Planned(Fault.parse(fault), times, on, skip))

    def lie(self, lie: str, times: Times = 1, *, on: str = "", skip: Count = 0) -> None:
        if not Fault.parse(lie).is_lie:
            raise ValueError(f"{lie} is no lie; there are {', '.join(Lie)}")
        self.inject(lie, times, on=on, skip=skip)

    def throttle(self, times: Times = FOREVER, *, retry_after: int | str = 1, on: str = "") -> None:
        """503 with Retry-After: seconds, or any text at all."""
        self._replace(Fault(Failing.THROTTLE, str(retry_after)), times, on)

    def unauthorized(self, times: Times = 1, *, on: str = "") -> None:
        """401s with the right password; -1 for good."""
        self._replace(Fault(Failing.UNAUTHORIZED), times, on)

    def fail(self, times: Times = 1, *, status: int = 500, on: str = "") -> None:
        self._replace(Fault(Failing.STATUS, str(status)), times, on)

    def drop_put_answers(self, times: Times = 1) -> None:
        """Store the next PUTs, and end their connections without an answer."""
        self._replace(Fault(Failing.LOST), times, "PUT")

    def lose_answers(self, times: Times = 1, *, on: str = "") -> None:
        """Do what the next requests ask for, and end their connections without an answer."""
        self.inject(Failing.LOST, times, on=on)

    def reset(self, at: int = 0, times: Times = 1, *, on: str = "") -> None:
        """The connection is reset after so many bytes of the body."""
        self.inject(f"{Failing.RESET}:{at}", times, on=on)

    def drip(self, bytes_a_second: int = 1024, times: Times = 1, *, on: str = "") -> None:
        self.inject(f"{Failing.DRIP}:{bytes_a_second}", times, on=on)

    def silence(self, seconds: Seconds = 30, times: Times = 1, *, on: str = "") -> None:
        self.inject(f"{Failing.SILENCE}:{seconds}", times, on=on)

    def keep_none(self, times: Count = 1) -> None:
        """Tell the next PUTs as done, with an ETag where there is one to be told, and do nothing."""
        self._member.faults.unkept = times

    # --- Every request, until cleared

    def slow(self, seconds: Seconds) -> None:
        self._member.faults.slow = seconds

    def bucket(self, per_minute: Rate, *, burst: Rate = 10, retry_after: int | str = 1) -> None:
        """A token bucket: past it 503, with a Retry-After that is shorter than the wait, as iCloud's is."""
        self._member.faults.bucket = Bucket(per_minute, burst, str(retry_after))

    def lag(
        self, *, seconds: Seconds = 0, polls: Count = 0, shows_old: bool = False, on_get: bool = False
    ) -> None:
        """What is written from now on is told by sync at once, and by multiget later."""
        self._member.faults.lag = Lag(seconds, polls, shows_old, on_get)

    def draw(
        self,
        seed: int,
        *,
        requests: Count,
        rate: Annotated[float, Range(0, 1)] = 0.2,
        kinds: Sequence[str] = KINDS,
    ) -> dict[int, str]:
        """Faults for some of the next requests, the same from the same seed. Gives the schedule, to be replayed."""
        schedule = Schedule.drawn(seed, requests=requests, rate=rate, kinds=kinds)
        self._schedule(schedule)
        return schedule.texts

    def replay(self, schedule: Mapping[int | str, str]) -> None:
        """A schedule as `draw` gives it: the fault of the first request from now on under 0, and so on."""
        odd = [number for number in schedule if not str(number).isdecimal()]
        if odd:
            raise ValueError(f"schedule has a fault by the number of a request, not by {odd[0]!a}")
        self._schedule(Schedule({int(number): Fault.parse(text) for number, text in schedule.items()}))

    # --- The account and its calendars

    def allow(self, *app_passwords: str) -> None:
        self._cloud.allow(self._member, *app_passwords)

    def revoke(self, *app_passwords: str) -> None:
        """Revoke those app-specific passwords, or all."""
        self._cloud.revoke(self._member, *app_passwords)

    def move_partition(self, to: int | None = None, *, old_host: str = "serves") -> int:
        """To another host. The old one `serves` on, `redirects`, `refuses` (401), `resets` or is `missing` (404)."""
        if old_host not in OLD_HOSTS:
            raise ValueError(f"the old host {' or '.join(OLD_HOSTS)}; not {old_host!r}")
        partition = self._partitions.another_than(self._member.account.partition) if to is None else to
        self._partitions.url(partition)  # A LookupError where there is none.
        self._cloud.move_partition(self._member, partition)
        self._member.old_host = old_host
        return partition

    def touch(self, calendar: str, names: Iterable[str] = ()) -> None:
        """New ETags, the same content."""
        self._cloud.touch(self._member.calendar(calendar), names)

    async def housekeep(self, calendar: str, names: Iterable[str] = ()) -> None:
        """New ETags, and the lines that iCloud adds: X-APPLE-CREATOR-IDENTITY and a second DTSTAMP."""
        await self._cloud.housekeep(self._member.calendar(calendar), names)

    def read_only(self, calendar: str, *, read_only: bool = True) -> None:
        self._cloud.describe(self._member.calendar(calendar), writable=not read_only)

    def rename(self, calendar: str, name: str) -> None:
        self._cloud.describe(self._member.calendar(calendar), name=name)

    def recolour(self, calendar: str, color: str | None) -> None:
        self._cloud.describe(self._member.calendar(calendar), color=color)

    def share(self, calendar: str) -> None:
        self._cloud.describe(self._member.calendar(calendar), kind=Kind.SHARED_OUT)

    async def unshare(self, calendar: str) -> None:
        """The owner's own calendar is theirs alone again; one shared with them is taken away."""
        found = self._member.calendar(calendar)
        if found.facts.kind is Kind.SHARED:
            await self._cloud.delete_calendar(self._member, found)
        else:
            self._cloud.describe(found, kind=Kind.OWN)

    def purge_tokens(self, calendar: str = "") -> None:
        """Forget the history of one calendar, or of all: every token issued so far is refused."""
        wanted = [self._member.calendar(calendar)] if calendar else list(self._member.calendars.values())
        for known in wanted:
            self._cloud.purge_tokens(known)

    async def delete_calendar(self, calendar: str) -> None:
        await self._cloud.delete_calendar(self._member, self._member.calendar(calendar))

    def commands(self) -> dict[str, Callable[..., Awaitable[object] | object]]:
        """What the admin API offers by name."""
        return {
            "clear": self.clear,
            "inject": self.inject,
            "lie": self.lie,
            "throttle": self.throttle,
            "unauthorized": self.unauthorized,
            "fail": self.fail,
            "drop-put-answers": self.drop_put_answers,
            "lose-answers": self.lose_answers,
            "reset": self.reset,
            "drip": self.drip,
            "silence": self.silence,
            "keep-none": self.keep_none,
            "slow": self.slow,
            "bucket": self.bucket,
            "lag": self.lag,
            "draw": self.draw,
            "replay": self.replay,
            "allow": self._allow_these,
            "revoke": self._revoke_these,
            "move-partition": self.move_partition,
            "touch": self.touch,
            "housekeep": self.housekeep,
            "read-only": self.read_only,
            "rename": self.rename,
            "recolour": self.recolour,
            "share": self.share,
            "unshare": self.unshare,
            "purge-tokens": self.purge_tokens,
            "delete-calendar": self.delete_calendar,
        }

    def _allow_these(self, passwords: AppPasswords) -> None:
        self.allow(*passwords)

    def _revoke_these(self, passwords: AppPasswords | None = None) -> None:
        """All where none is said; one that opens nothing is a mistake, and no test of a revocation."""
        if passwords == []:
            raise ValueError("passwords names none; without it all are revoked")
        odd = [number for number, one in enumerate(passwords or ()) if not self._opens(one)]
        if odd:
            raise LookupError(f"passwords[{odd[0]}] is none of {self._member.account.apple_id}'s")
        self.revoke(*passwords or ())

    def _opens(self, app_password: str) -> bool:
        return digest(app_password) in self._member.app_passwords

    def _replace(self, fault: Fault, times: int, on: str) -> None:
        self._member.faults.plan(Planned(fault, times, on), in_place_of=(fault.kind,))

    def _schedule(self, schedule: Schedule) -> None:
        self._member.faults.schedule = schedule
        self._member.faults.met = 0
        self._member.faults.remembers = True
