"""The front: signs a request in, lets the account's faults act on it, and hands it to the room that answers."""

import asyncio
import gzip
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from standin import calendars, lies, listing, reports, writes
from standin.catalog import Calendar
from standin.cloud import Cloud, Member
from standin.faults import Bucket, Failing, Fault, Lag, Lie
from standin.log import Log, Seen
from standin.manners import STRICT, Manners
from standin.markup import MalformedError
from standin.messages import Delivery, RefusedError, Request, Response, bad_request
from standin.partitions import Partitions

_DAV = "1, access-control, calendar-access, calendar-schedule, calendar-auto-schedule, calendarserver-sharing"
_ALLOW = "OPTIONS, GET, HEAD, POST, PUT, DELETE, PROPFIND, PROPPATCH, REPORT, MKCALENDAR, MOVE"
_EXPOSED = "X-Apple-Request-UUID,X-Responding-Instance,Via"
_GZIP_FROM = 200
_MOST_KEPT = 64 * 1024
_HREF = re.compile(rb"<href>[^<]*@[^<]*</href>")


@dataclass(frozen=True, slots=True)
class _Met:
    """How a request ended, who had signed in, and what was done to it on purpose."""

    response: Response
    member: Member | None = None
    fault: Fault | None = None


class Front:
    def __init__(
        self, cloud: Cloud, manners: Manners, partitions: Partitions, *, now: Callable[[], float] = time.time
    ) -> None:
        self.log = Log()
        self.manners = manners
        self.entry_url = ""  # Known once the listeners are bound.
        self.heard: Callable[[Seen], None] | None = None  # Told of each request as it ends.
        self._cloud = cloud
        self._partitions = partitions
        self._now = now

    async def answer(self, request: Request) -> Response:
        started = self._now()
        met = await self._met(request)
        response = self._from_apple(met.response, met.member, request)
        seen = Seen.of(
            request,
            response,
            at=started,
            seconds=self._now() - started,
            account=None if met.member is None else met.member.account.dsid,
            fault=None if met.fault is None else str(met.fault),
        )
        self.log.append(seen)
        if self.heard is not None:
            self.heard(seen)
        return response

    async def _met(self, request: Request) -> _Met:
        manners = self._manners_for(request)
        if manners.user_agent_required and not request.headers.get("user-agent"):
            return _Met(Response(403))
        if request.method == "OPTIONS":
            return _Met(Response(200, headers=(("DAV", _DAV), ("Allow", _ALLOW))))
        member = self._signed_in(request)
        if member is None:
            return _Met(self._challenge())
        if request.by_owner:
            return _Met(await self._honest(request, member), member)
        if member.faults.slow:
            await asyncio.sleep(member.faults.slow)
        fault = member.faults.next_for(request)
        if fault is None and not self._is_within_budget(member):
            fault = Fault(Failing.THROTTLE, _bucket_of(member).retry_after)
        response = await (self._honest if fault is None else self._faulty)(request, member, fault)
        self._remember(request, member, response, fault)
        return _Met(response, member, fault)

    # --- Honest answers

    async def _honest(self, request: Request, member: Member, _: Fault | None = None) -> Response:
        try:
            return await self._routed(request, member)
        except RefusedError as refused:
            return refused.response
        except MalformedError:
            return bad_request()

    async def _routed(self, request: Request, member: Member) -> Response:
        elsewhere = self._elsewhere(request, member)
        if elsewhere is not None:
            return elsewhere
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
        cloud, manners = self._cloud, self._manners_for(request)
        match request.method:
            case "PROPFIND":
                partition_url = self._partitions.url(member.account.partition)
                return listing.propfind(request, member, partition_url=partition_url, manners=manners)
            case "REPORT":
                return await reports.report(request, member, cloud, manners)
            case "GET" | "HEAD":
                return await writes.get(request, member, cloud, manners)
            case "PUT":
                self._let_lag(member)
                return await writes.put(request, member, cloud, manners)
            case "DELETE":
                return await writes.delete(request, member, cloud, manners)
            case "MKCALENDAR":
                return calendars.make_calendar(request, member, cloud, manners)
            case "PROPPATCH":
                return calendars.proppatch(request, member, cloud)
            case "POST":
                return calendars.share(request, member, cloud)
            case "MOVE":
                return Response(412)
            case _:
                return Response(405, headers=(("Allow", _ALLOW),))

    def _elsewhere(self, request: Request, member: Member) -> Response | None:
        """What a host says that the account is not, or no longer, on."""
        if request.by_owner:
            return None
        account = member.account
        target = self._partitions.url(account.partition) + (request.raw_path or request.path)
        if request.listener == "entry":
            is_root = request.path == "/"
            status = self.manners.redirect_root if is_root else 0
            if request.path.startswith(account.home):
                status = self.manners.redirect_home
            return Response(status, headers=(("Location", target),)) if status else None
        if request.listener == Partitions.name(account.partition):
            return None
        match member.old_host:
            case "redirects":
                return Response(301, headers=(("Location", target),))
            case "missing":
                return Response(404)
            case "resets":
                return Response(503, delivery=Delivery(cut_at=-1))
            case _:
                return None

    # --- Faults

    async def _faulty(self, request: Request, member: Member, fault: Fault | None) -> Response:
        assert fault is not None
        match fault.kind:
            case Failing.UNAUTHORIZED:
                return self._challenge()
            case Failing.THROTTLE | Failing.TOO_MANY:
                status = 503 if fault.kind == Failing.THROTTLE else 429
                return Response(status, headers=(("Retry-After", fault.amount),))
            case Failing.STATUS:
                return Response(int(fault.amount))
            case Failing.SILENCE:
                return Response(503, delivery=Delivery(after=float(fault.amount), cut_at=-1))
            case Failing.SLOW:
                await asyncio.sleep(float(fault.amount))
                return await self._honest(request, member)
            case Lie.STALE:
                kept = member.faults.answers.get(_question(request))
                return await self._honest(request, member) if kept is None else kept
            case Lie.OTHER_CALENDAR if request.method in {"PROPFIND", "REPORT"}:
                return await self._honest(_of_another(request, member), member)
        honest = await self._honest(request, member)
        if fault.is_lie:
            calendar = _calendar_of(request, member)
            return lies.tell(fault, honest, calendar=calendar, form=self.manners.token_form)
        return replace(honest, delivery=_delivery(fault))

    def _is_within_budget(self, member: Member) -> bool:
        limit = self.manners.requests_a_minute
        if member.faults.bucket is None and limit:
            member.faults.bucket = Bucket(limit, burst=limit)
        bucket = member.faults.bucket
        return bucket is None or bucket.takes(self._now())

    def _let_lag(self, member: Member) -> None:
        manners = self.manners
        if member.faults.lag is None and (manners.lag_polls or manners.lag_seconds):
            member.faults.lag = Lag(manners.lag_seconds, manners.lag_polls, manners.lag_shows_old)

    def _remember(self, request: Request, member: Member, response: Response, fault: Fault | None) -> None:
        """What the `stale` lie tells again: small honest answers, of accounts for which something was planned."""
        faults = member.faults
        if faults.remembers and fault is None and response.status == 207 and len(response.body) < _MOST_KEPT:
            faults.answers[_question(request)] = response

    # --- The way in and out

    def _signed_in(self, request: Request) -> Member | None:
        credentials = request.credentials
        if credentials is None:
            return None
        return self._cloud.sign_in(*credentials, on_own_device=request.by_owner)

    def _manners_for(self, request: Request) -> Manners:
        return STRICT if request.by_owner else self.manners

    def _challenge(self) -> Response:
        """One 401 for whatever is wrong: unknown, revoked, the main password, or none at all."""
        realm = self.manners.realm
        challenges = [f'Basic realm="{realm}"', f'X-MobileMe-AuthToken realm="{realm}"']
        if not self.manners.basic_first:
            challenges.reverse()
        if self.manners.challenges_merged:
            challenges = [", ".join(challenges)]
        return Response(401, headers=tuple(("WWW-Authenticate", challenge) for challenge in challenges))

    def _from_apple(self, response: Response, member: Member | None, request: Request) -> Response:
        partition = 29 if member is None else member.account.partition
        headers = (
            ("Server", "AppleHttpServer/68565d4f92ea"),
            ("X-Responding-Instance", f"caldavj:3:p{partition}-caldavj-standin"),
            ("x-apple-user-partition", str(partition)),
            ("X-Apple-Request-UUID", secrets.token_hex(16)),
            ("X-Apple-Edge-Response-Time", "1"),
            ("Via", "xrail:standin:8301:24R1:grp0"),
            ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
            ("Access-Control-Expose-Headers", _EXPOSED),
        )
        response = replace(response, headers=(*response.headers, *headers))
        if self._manners_for(request).at_signs_escaped and b"@" in response.body:
            spelled = _HREF.sub(lambda found: found[0].replace(b"@", b"%40"), response.body)
            response = replace(response, body=spelled)
        if self.manners.gzips and "gzip" in request.headers.get("accept-encoding", ""):
            return _packed(response)
        return response


def _packed(response: Response) -> Response:
    if len(response.body) < _GZIP_FROM or response.header("Content-Encoding"):
        return response
    headers = (*response.headers, ("Content-Encoding", "gzip"))
    return replace(response, body=gzip.compress(response.body, 1), headers=headers)


def _delivery(fault: Fault) -> Delivery:
    match fault.kind:
        case Failing.DRIP:
            return Delivery(rate=int(fault.amount))
        case Failing.HALF:
            return Delivery(half=True)
        case Failing.RESET:
            return Delivery(cut_at=int(fault.amount))
        case Failing.TWICE:
            return Delivery(twice=True)
        case _:
            return Delivery(cut_at=-1)


def _bucket_of(member: Member) -> Bucket:
    assert member.faults.bucket is not None
    return member.faults.bucket


def _question(request: Request) -> tuple[str, ...]:
    return (request.method, request.path, request.depth or "", request.report or "")


def _calendar_of(request: Request, member: Member) -> Calendar | None:
    match request.path.split("/"):
        case ["", _, "calendars", id_, *_]:
            return member.calendars.get(id_)
        case _:
            return None


def _of_another(request: Request, member: Member) -> Request:
    """The same question to another calendar, where there is one."""
    asked = _calendar_of(request, member)
    others = [known for known in member.calendars.values() if asked is not None and known is not asked]
    if asked is None or not others:
        return request
    other = others[0].path
    return replace(
        request,
        path=request.path.replace(asked.path, other),
        raw_path=request.raw_path.replace(asked.path, other),
        body=_TOKEN.sub(b"", request.body.replace(asked.path.encode(), other.encode())),
    )


_TOKEN = re.compile(rb"(?<=sync-token>)[^<]+(?=</)")
