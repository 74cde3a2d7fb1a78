"""What was written just now and is not known everywhere yet: sync tells of it, multiget does not."""

from dataclasses import dataclass

from standin.catalog import Resource
from standin.faults import Lag


@dataclass(frozen=True, slots=True)
class Old:
    """A resource as it was before the write that is not known yet."""

    resource: Resource
    text: str


@dataclass(slots=True)
class Unknown:
    """One write, and for how long it is not known: so many polls, and until then."""

    polls: int
    until: float
    on_get: bool
    old: Old | None


class Unsettled:
    """One account's writes that lag, by calendar and name."""

    def __init__(self) -> None:
        self._writes: dict[tuple[str, str], Unknown] = {}

    def note(self, calendar: str, name: str, lag: Lag, *, now: float, old: Old | None) -> None:
        self._writes[calendar, name] = Unknown(lag.polls, now + lag.seconds, lag.on_get, old)

    def forget(self, calendar: str, name: str) -> None:
        self._writes.pop((calendar, name), None)

    def polled(self, calendar: str, name: str, *, now: float) -> Unknown | None:
        """What a multiget does not know yet; each one asked uses a poll up."""
        unknown = self._writes.get((calendar, name))
        if unknown is None:
            return None
        if unknown.polls <= 0 and unknown.until <= now:
            self.forget(calendar, name)
            return None
        unknown.polls -= 1
        return unknown

    def read(self, calendar: str, name: str, *, now: float) -> Unknown | None:
        """Likewise for a GET, where it lags too."""
        unknown = self._writes.get((calendar, name))
        return self.polled(calendar, name, now=now) if unknown is not None and unknown.on_get else None
