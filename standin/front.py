"""The front: signs a request in, lets the account's faults act on it, and hands it to the room that answers."""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from standin import listing, reports, writes
from standin.cloud import Cloud, Faults, Member
from standin.manners import Manners
from standin.markup import MalformedError
from standin.messages import RefusedError, Request, Response, bad_request

_DAV = "1, access-control, calendar-access, calendar-schedule, calendar-auto-schedule, calendarserver-sharing"
_ALLOW = "OPTIONS, GET, PUT, DELETE, PROPFIND, REPORT, MKCALENDAR"
_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request, as the log keeps it: never its credentials."""

    at: float
    listener: str
    method: str
    host: str
    path: str
    depth: str | None
    report: str | None  # The REPORT's name, as `sync-collection`.
    user_agent: str | None
    authorized: bool  # The request carried an Authorization header.
    status: int
    seconds: float


class Front:
    def __init__(self, cloud: Cloud, manners: Manners, *, now: Callable[[], float] = time.time) -> None:
        self.log: deque[Seen] = deque(maxlen=_REMEMBERED)
        self.partition_url = ""  # Known once the listeners are bound.
        self._cloud = cloud
        self._manners = manners
        self._now = now

    async def answer(self, request: Request) -> Response:
        started = self._now()
        response = await self._answered(request)
        self.log.append(_seen(request, response, at=started, seconds=self._now() - started))
        return response

    async def _answered(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return self._from_apple(Response(200, headers=(("DAV", _DAV), ("Allow", _ALLOW))), None)
        member = self._signed_in(request)
        if member is None:
            return self._challenge()
        if member.faults.slow:
            await asyncio.sleep(member.faults.slow)
        failure = self._failure(member.faults)
        if failure is not None:
            return failure
        try:
            response = await self._routed(request, member)
        except RefusedError as refused:
            response = refused.response
        except MalformedError:
            response = bad_request()
        return self._from_apple(response, member)

    async def _routed(self, request: Request, member: Member) -> Response:
        match request.path.split("/"):
            case ["", ""] | ["", ".well-known", "caldav"]:
                if request.method != "PROPFIND":
                    return bad_request()
            case ["", dsid, "principal" | "calendars", *_] if dsid == member.account.dsid:
                pass
            case ["", dsid, *_] if dsid.isdigit() and dsid != member.account.dsid:
                return Response(403)
            case _:
                return Response(404)
        match request.method:
            case "PROPFIND":
                home_url = f"{self.partition_url}{member.account.home}"
                return listing.propfind(request, member, home_url=home_url, manners=self._manners)
            case "REPORT":
                return await reports.report(request, member, self._cloud, self._manners)
            case "GET" | "HEAD":
                return await writes.get(request, member, self._cloud)
            case "PUT":
                return await writes.put(request, member, self._cloud, self._manners)
            case "DELETE":
                return await writes.delete(request, member, self._cloud, self._manners)
            case "MKCALENDAR":
                return writes.make_calendar(request, member, self._cloud)
            case "MOVE":
                return Response(412)
            case _:
                return Response(405, headers=(("Allow", _ALLOW),))

    def _signed_in(self, request: Request) -> Member | None:
        credentials = request.credentials
        return None if credentials is None else self._cloud.sign_in(*credentials)

    def _failure(self, faults: Faults) -> Response | None:
        """At most one fault answers a request; each such answer uses one up."""
        if faults.unauthorized:
            faults.unauthorized -= 1
            return self._challenge()
        if faults.throttled:
            faults.throttled -= 1
            return Response(503, headers=(("Retry-After", str(faults.retry_after)),))
        if faults.failing:
            faults.failing -= 1
            return Response(faults.failing_status)
        return None

    def _challenge(self) -> Response:
        """One 401 for whatever is wrong: unknown, revoked, the main password, or none at all."""
        realm = self._manners.realm
        challenges = [f'Basic realm="{realm}"', f'X-MobileMe-AuthToken realm="{realm}"']
        if not self._manners.basic_first:
            challenges.reverse()
        headers = tuple(("WWW-Authenticate", challenge) for challenge in challenges)
        return self._from_apple(Response(401, headers=headers), None)

    def _from_apple(self, response: Response, member: Member | None) -> Response:
        partition = 29 if member is None else member.account.partition
        headers = (
            ("Server", "AppleHttpServer/68565d4f92ea"),
            ("X-Responding-Instance", f"caldavj:3:p{partition}-caldavj-standin"),
            ("x-apple-user-partition", str(partition)),
            ("X-Apple-Request-UUID", secrets.token_hex(16)),
        )
        return Response(
            response.status, response.body, (*response.headers, *headers), dropped=response.dropped
        )


def _seen(request: Request, response: Response, *, at: float, seconds: float) -> Seen:
    return Seen(
        at=at,
        listener=request.listener,
        method=request.method,
        host=request.headers.get("host", ""),
        path=request.path,
        depth=request.depth,
        report=_report_of(request),
        user_agent=request.headers.get("user-agent"),
        authorized="authorization" in request.headers,
        status=response.status,
        seconds=seconds,
    )


def _report_of(request: Request) -> str | None:
    if request.method != "REPORT":
        return None
    names = ("sync-collection", "calendar-multiget", "calendar-query", "free-busy-query")
    return next((name for name in names if name.encode() in request.body[:400]), None)
