"""What goes wrong for one account: single faults in a queue, standing ones, and a schedule drawn from a seed."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from standin.arguments import Range
from standin.messages import METHODS, REPORTS, Request, Response

FOREVER = -1
Times = Annotated[int, Range(FOREVER, 1_000_000)]
Count = Annotated[int, Range(0, 1_000_000)]
Seconds = Annotated[float, Range(0, 3600)]


class Failing(StrEnum):
    """Answers that say that something is wrong, and connections that end or crawl."""

    THROTTLE = "throttle"  # 503 with Retry-After as `amount` says.
    TOO_MANY = "too-many"  # 429, likewise.
    UNAUTHORIZED = "unauthorized"
    STATUS = "status"  # The status is `amount`.
    SLOW = "slow"  # `amount` seconds before the answer.
    DRIP = "drip"  # `amount` bytes a second.
    SILENCE = "silence"  # Not a byte for `amount` seconds, then the connection ends.
    HALF = "half"  # Half of the body, then the connection ends.
    RESET = "reset"  # The connection is reset after `amount` bytes of the body.
    LOST = "lost"  # What was asked is done, and its answer never comes.
    TWICE = "twice"  # The same answer, head and all, comes twice.


class Lie(StrEnum):
    """Answers with a 2xx that are not what was asked for."""

    HTML = "html"
    EMPTY_200 = "empty-200"
    EMPTY_204 = "empty-204"
    BLANK_207 = "blank-207"  # 207 with no body at all.
    EMPTY_207 = "empty-207"  # A multistatus that names nothing.
    WRONG_ROOT = "wrong-root"
    OTHER_CALENDAR = "other-calendar"  # What was asked, said of another calendar.
    NO_ETAGS = "no-etags"
    ALL_GONE = "all-gone"  # Every href that begins with `amount`, with a 404.
    LEFT_OUT = "left-out"  # Every href that begins with `amount` is not in the answer; the rest is as it was.
    TRUNCATED = "truncated"  # XML that ends in the middle, with the Content-Length to match.
    GZIP_BOMB = "gzip-bomb"  # `amount` MiB in some kilobytes.
    ENTITY_BOMB = "entity-bomb"
    HUGE_TEXT = "huge-text"  # A text node of `amount` MiB.
    CUT_507 = "cut-507"  # RFC 6578 3.6: the first half, a 507, and the token of that half.
    NO_CHANGE = "no-change"  # No member, and the newest token: whatever changed is never told of.
    STALE = "stale"  # The answer before this one to the same question.
    DUPLICATED = "duplicated"  # Each member twice.
    REORDERED = "reordered"  # The members from last to first.
    FOREIGN_HREFS = "foreign-hrefs"  # Each href leads to another host.
    BAD_UTF8 = "bad-utf8"


KINDS: tuple[str, ...] = (*Failing, *Lie)
_AMOUNTS: Mapping[str, str] = {
    Failing.THROTTLE: "1",
    Failing.TOO_MANY: "1",
    Failing.STATUS: "500",
    Failing.SLOW: "0.2",
    Failing.DRIP: "1024",
    Failing.SILENCE: "30",
    Failing.RESET: "0",
    Lie.GZIP_BOMB: "100",
    Lie.HUGE_TEXT: "8",
    Lie.FOREIGN_HREFS: "https://foreign.example",
}
# The kinds whose amount is the beginning of a path.
_UNDER = frozenset({Lie.ALL_GONE, Lie.LEFT_OUT})
# What a fault can wait for: COPY and MKCOL too, which are only ever refused.
_QUESTIONS = (*METHODS, "COPY", "MKCOL", *REPORTS)

# The kinds whose amount is a number: from, to, and whether it is whole.
_NUMBERS: Mapping[str, tuple[float, float, bool]] = {
    Failing.STATUS: (100, 599, True),
    Failing.SLOW: (0, 3600, False),
    Failing.DRIP: (1, 1e9, True),
    Failing.SILENCE: (0, 3600, False),
    Failing.RESET: (0, 1e9, True),
    Lie.GZIP_BOMB: (1, 4000, True),
    Lie.HUGE_TEXT: (1, 1000, True),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong with one request. Its text is `kind` or `kind:amount`, as `status:502`."""

    kind: str
    amount: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault is called {self.kind!r}; there are {', '.join(KINDS)}")
        if not self.amount:
            object.__setattr__(self, "amount", _AMOUNTS.get(self.kind, ""))
        if self.kind in _NUMBERS:
            _require_number(self, *_NUMBERS[self.kind])
        if self.kind in {Failing.THROTTLE, Failing.TOO_MANY}:
            require_header(self.amount)
        if self.amount and self.kind not in {*_AMOUNTS, *_UNDER}:
            raise ValueError(f"{self.kind} takes no amount, and not {self.amount!a}")
        if self.amount and self.kind in _UNDER and not self.amount.startswith("/"):
            raise ValueError(f"{self.kind} takes the beginning of a path, not {self.amount!a}")

    @classmethod
    def parse(cls, text: str) -> "Fault":
        kind, _, amount = text.partition(":")
        return cls(kind, amount)

    def __str__(self) -> str:
        return f"{self.kind}:{self.amount}" if self.amount else self.kind

    @property
    def is_lie(self) -> bool:
        return self.kind in tuple(Lie)


def _require_number(fault: Fault, least: float, most: float, whole: bool) -> None:  # noqa: FBT001 - a row's column.
    try:
        number = int(fault.amount) if whole else float(fault.amount)
    except ValueError:
        number = -1
    if not least <= number <= most:
        kind = "a whole number" if whole else "a number"
        raise ValueError(f"{fault.kind} takes {kind} from {least:g} to {most:g}, not {fault.amount!r}")


def require_header(retry_after: str) -> None:
    if not (retry_after.isascii() and retry_after.isprintable()):
        raise ValueError(f"Retry-After is printable ASCII, not {retry_after!a}")


@dataclass(slots=True)
class Planned:
    """A fault and the requests that it waits for. A negative count never ends."""

    fault: Fault
    times: int = 1
    on: str = ""  # A method, a REPORT's name or the beginning of a path; empty for any.
    skip: int = 0  # So many requests that it could meet are let through first.

    def __post_init__(self) -> None:
        """One that could meet nothing would let a test pass that was to see it."""
        if self.on and not self.on.startswith("/") and self.on not in _QUESTIONS:
            known = ", ".join(_QUESTIONS)
            raise ValueError(f"on is the beginning of a path or one of {known}, not {self.on!a}")

    def meets(self, request: Request) -> bool:
        if not self.on:
            return True
        return self.on in {request.method, request.report} or (
            self.on.startswith("/") and request.path.startswith(self.on)
        )


@dataclass(frozen=True, slots=True)
class Schedule:
    """A fault for some of the next requests, by how many came before. The same from the same seed."""

    faults: Mapping[int, Fault]

    @classmethod
    def drawn(cls, seed: int, *, requests: int, rate: float, kinds: Sequence[str]) -> "Schedule":
        """Over the next `requests`, each goes wrong with probability `rate`, in one of the ways in `kinds`."""
        if not kinds:
            raise ValueError("kinds names no fault to draw")
        faults = [Fault.parse(kind) for kind in kinds]
        chances = random.Random(seed)  # noqa: S311 - a plan that can be replayed, not a secret.
        return cls({number: chances.choice(faults) for number in range(requests) if chances.random() < rate})

    @property
    def texts(self) -> dict[int, str]:
        return {number: str(fault) for number, fault in self.faults.items()}


@dataclass(slots=True)
class Bucket:
    """A token bucket: `burst` requests at once, filled up again at `per_minute`."""

    per_minute: float
    burst: float
    retry_after: str = "1"
    left: float = field(init=False)
    filled_at: float | None = None

    def __post_init__(self) -> None:
        if self.per_minute <= 0 or self.burst < 1:
            raise ValueError("a bucket is filled at over 0 a minute and holds at least 1")
        require_header(self.retry_after)
        self.left = self.burst

    def takes(self, now: float) -> bool:
        since = 0.0 if self.filled_at is None else max(now - self.filled_at, 0.0)
        self.left = min(self.left + since * self.per_minute / 60, self.burst)
        self.filled_at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


@dataclass(slots=True)
class Lag:
    """How long multiget does not know yet of what sync reported."""

    seconds: float = 0.0
    polls: int = 0
    shows_old: bool = False
    on_get: bool = False  # A GET does not know either.


@dataclass(slots=True)
class Faults:
    """All that goes wrong for one account."""

    queue: list[Planned] = field(default_factory=list)
    slow: float = 0.0
    bucket: Bucket | None = None
    lag: Lag | None = None
    unkept: int = 0  # So many PUTs to come are told as done and are not.
    schedule: Schedule | None = None
    met: int = 0  # Requests since the schedule began.
    remembers: bool = False  # Answers are kept for the `stale` lie, once anything was planned.
    answers: dict[tuple[str, ...], Response] = field(default_factory=dict)  # By question.

    def plan(self, planned: Planned, *, in_place_of: Iterable[str] = ()) -> None:
        replaced = set(in_place_of)
        self.queue = [waiting for waiting in self.queue if waiting.fault.kind not in replaced]
        if planned.times:
            self.queue.append(planned)
        self.remembers = True

    def next_for(self, request: Request) -> Fault | None:
        """At most one fault meets a request, the first that waits for it; each one met uses one up."""
        number, self.met = self.met, self.met + 1
        for planned in self.queue:
            if not planned.meets(request):
                continue
            if planned.skip:
                planned.skip -= 1
                continue
            planned.times -= 1
            self.queue = [waiting for waiting in self.queue if waiting.times]
            return planned.fault
        return None if self.schedule is None else self.schedule.faults.get(number)
