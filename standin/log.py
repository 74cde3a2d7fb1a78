"""The log of requests: what was asked of whom and how it ended, to assert on. Never credentials."""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass

from standin.messages import Request, Response

_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request."""

    at: float
    listener: str
    method: str
    host: str
    path: str
    depth: str | None
    report: str | None  # The REPORT's name, as `sync-collection`.
    hrefs: int  # How many it names.
    user_agent: str | None
    authorized: bool  # The request carried an Authorization header.
    account: str | None  # The dsid of who signed in.
    by_owner: bool  # From the owner's own device, which no count below counts.
    status: int
    sent: int  # Bytes of the answer's body.
    fault: str | None  # What was done to this request on purpose.
    felt: bool  # Whether that changed anything: half of an empty body is all of it.
    seconds: float

    @classmethod
    def of(
        cls,
        request: Request,
        response: Response,
        *,
        at: float,
        seconds: float,
        account: str | None,
        fault: str | None,
        felt: bool,
    ) -> "Seen":
        return cls(
            at=at,
            listener=request.listener,
            method=request.method,
            host=request.headers.get("host", ""),
            path=request.path,
            depth=request.depth,
            report=request.report,
            hrefs=request.hrefs,
            user_agent=request.headers.get("user-agent"),
            authorized="authorization" in request.headers,
            account=account,
            by_owner=request.by_owner,
            status=response.status,
            sent=len(response.body),
            fault=fault,
            felt=felt,
            seconds=seconds,
        )


class Log(deque[Seen]):
    """The last requests, oldest first."""

    def __init__(self) -> None:
        super().__init__(maxlen=_REMEMBERED)

    def of(self, account: str) -> Iterator[Seen]:
        """A client's requests to an account."""
        return (seen for seen in self if seen.account == account and not seen.by_owner)

    def most_in_a_minute(self, account: str) -> int:
        """The most requests of an account within any 60 seconds: what a budget is held to."""
        times = [seen.at for seen in self.of(account)]
        first, most = 0, 0
        for number, at in enumerate(times):
            while times[first] <= at - 60:
                first += 1
            most = max(most, number - first + 1)
        return most

    def by_question(self, account: str) -> Counter[str]:
        """How often each method or REPORT was asked."""
        return Counter(seen.report or seen.method for seen in self.of(account))
