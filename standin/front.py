"""The front: signs a request in, lets the account's faults act on it, and hands it to the room that answers."""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from standin import calendars, lies, listing, reports, writes
from standin.apple import challenge, dressed
from standin.catalog import Calendar
from standin.cloud import Cloud, Member
from standin.faults import Bucket, Failing, Fault, Lag, Lie
from standin.log import Log, Seen
from standin.manners import STRICT, Manners
from standin.markup import MalformedError
from standin.messages import METHODS, Delivery, RefusedError, Request, Response, bad_request
from standin.partitions import Partitions

_DAV = "1, access-control, calendar-access, calendar-schedule, calendar-auto-schedule, calendarserver-sharing"
_ALLOW = ", ".join(("OPTIONS", *METHODS))
_TOKEN = re.compile(rb"(?<=sync-token>)[^<]+(?=</)")
_MOST_KEPT = 64 * 1024
_MOST_QUESTIONS = 256  # Of an account, whose last answers are kept.

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Met:
    """How a request ended, who had signed in, and what was done to it on purpose."""

    response: Response
    member: Member | None = None
    fault: Fault | None = None
    is_felt: bool = False


class Front:
    def __init__(
        self, cloud: Cloud, manners: Manners, partitions: Partitions, *, now: Callable[[], float] = time.time
    ) -> None:
        self.log = Log()
        self.manners = manners
        self.entry_url = ""  # Known once the listeners are bound.
        # Awaited before each request is answered.
        self.asked: Callable[[Request], Awaitable[None]] | None = None
        self.heard: Callable[[Seen], None] | None = None  # Told of each request as it ends.
        self._cloud = cloud
        self._partitions = partitions
        self._now = now
        self._budgets: dict[tuple[str, int], Bucket] = {}

    async def answer(self, request: Request) -> Response:
        started = self._now()
        if self.asked is not None:
            await self.asked(request)
        try:
            met = await self._met(request)
        except Exception:  # Our own failing is an answer, too: whoever asked is told, and the log has it.
            _LOGGER.exception("%s %s could not be answered", request.method, ascii(request.path))
            met = _Met(Response(500), self._signed_in(request))
        account = None if met.member is None else met.member.account
        partition = None if account is None else account.partition
        response = dressed(met.response, request, self._manners_for(request), partition=partition)
        seen = Seen.of(
            request,
            response,
            at=started,
            seconds=self._now() - started,
            account=None if account is None else account.dsid,
            fault=None if met.fault is None else str(met.fault),
            felt=met.is_felt,
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
            return _Met(challenge(self.manners))
        if request.by_owner:
            return _Met(await self._honest(request, member), member)
        if member.faults.slow:
            await asyncio.sleep(member.faults.slow)
        fault = member.faults.next_for(request)
        if fault is None and (bucket := self._over_budget(member)):
            fault = Fault(Failing.THROTTLE, bucket.retry_after)
        if fault is None:
            met = _Met(await self._honest(request, member), member)
        else:
            met = await self._faulty(request, member, fault)
        self._remember(request, member, met)
        return met

    # --- Honest answers

    async def _honest(self, request: Request, member: Member) -> Response:
        try:
            return await self._routed(request, member)
        except RefusedError as refused:
            return refused.response
        except MalformedError:
            return bad_request()

    async def _routed(self, request: Request, member: Member) -> Response:
        refusal = self._elsewhere(request, member) or _refused_path(request, member)
        if refusal is not None:
            return refusal
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
                return await writes.put(request, member, cloud, manners, lag=self._lag_of(member))
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
            status = self.manners.redirect_root if request.path == "/" else 0
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
            case "refuses":
                return challenge(self.manners)
            case "resets":
                return Response(503, delivery=Delivery(cut_at=-1))
            case _:
                return None

    # --- Faults

    async def _faulty(self, request: Request, member: Member, fault: Fault) -> _Met:
        honest: Response | None = None
        match fault.kind:
            case Failing.UNAUTHORIZED:
                response = challenge(self.manners)
            case Failing.THROTTLE | Failing.TOO_MANY:
                status = 503 if fault.kind == Failing.THROTTLE else 429
                response = Response(status, headers=(("Retry-After", fault.amount),))
            case Failing.STATUS:
                response = Response(int(fault.amount))
            case Failing.SILENCE:
                response = Response(503, delivery=Delivery(after=float(fault.amount), cut_at=-1))
            case Failing.SLOW:
                await asyncio.sleep(float(fault.amount))
                response = await self._honest(request, member)
            case Lie.STALE if (kept := member.faults.answers.get(_question(request))) is not None:
                response = kept
            case Lie.OTHER_CALENDAR if (other := _of_another(request, member)) is not None:
                response = await self._honest(other, member)
            case _:
                honest = await self._honest(request, member)
                response = self._twisted(request, member, fault, honest)
        return _Met(response, member, fault, is_felt=response != honest)

    def _twisted(self, request: Request, member: Member, fault: Fault, honest: Response) -> Response:
        if _hides_a_refusal(fault, request, honest):
            return honest
        if fault.is_lie:
            calendar = _calendar_of(request, member)
            return lies.tell(fault, honest, calendar=calendar, form=self.manners.token_form)
        delivery = _delivery(fault)
        return replace(honest, delivery=delivery) if _is_felt(delivery, honest) else honest

    def _over_budget(self, member: Member) -> Bucket | None:
        """The bucket that has nothing left: the one set for the account, or that of the manners."""
        bucket = member.faults.bucket
        limit = self.manners.requests_a_minute
        if bucket is None and limit:
            bucket = self._budgets.setdefault((member.account.dsid, limit), Bucket(limit, burst=limit))
        return None if bucket is None or bucket.takes(self._now()) else bucket

    def _lag_of(self, member: Member) -> Lag | None:
        manners = self.manners
        if member.faults.lag is None and (manners.lag_polls or manners.lag_seconds):
            return Lag(manners.lag_seconds, manners.lag_polls, manners.lag_shows_old)
        return member.faults.lag

    def _remember(self, request: Request, member: Member, met: _Met) -> None:
        """What the `stale` lie tells again: small honest answers, of accounts for which something was planned."""
        faults, response = member.faults, met.response
        is_honest = met.fault is None and response.status == 207
        if faults.remembers and is_honest and len(response.body) < _MOST_KEPT:
            faults.answers.pop(_question(request), None)
            faults.answers[_question(request)] = response
            if len(faults.answers) > _MOST_QUESTIONS:
                del faults.answers[next(iter(faults.answers))]

    # --- The way in and out

    def _signed_in(self, request: Request) -> Member | None:
        credentials = request.credentials
        if credentials is None:
            return None
        return self._cloud.sign_in(*credentials, on_own_device=request.by_owner)

    def _manners_for(self, request: Request) -> Manners:
        return STRICT if request.by_owner else self.manners


def _refused_path(request: Request, member: Member) -> Response | None:
    """What is said, whatever is asked, where the path leads to nothing that the account has; None where it may."""
    own = member.account.dsid
    match request.path.split("/"):
        case ["", ""] | ["", ".well-known", "caldav"]:
            return None if request.method == "PROPFIND" else bad_request()
        case ["", dsid, "principal" | "calendars", *_] if dsid == own:
            lacks_slash = listing.is_collection(f"{request.path}/", member)
            return bad_request() if lacks_slash and request.method != "MKCALENDAR" else None
        case ["", dsid, *_] if dsid.isdigit() and dsid != own:
            return Response(403)
        case _:
            return Response(404)


def _hides_a_refusal(fault: Fault, request: Request, honest: Response) -> bool:
    """A bare success is told of a removal only where it was done: what is gone is gone, what is written is found."""
    is_bare = fault.kind in {Lie.EMPTY_200, Lie.EMPTY_204}
    return is_bare and request.method == "DELETE" and honest.status >= 300


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
        case _:  # Lost.
            return Delivery(cut_at=-1)


def _is_felt(delivery: Delivery, honest: Response) -> bool:
    """Of a body that is not there, or ends before, nothing can be cut off and nothing crawls."""
    if delivery.half or delivery.rate:
        return bool(honest.body)
    return delivery.cut_at is None or delivery.cut_at < len(honest.body)


def _question(request: Request) -> tuple[str, ...]:
    return (request.method, request.path, request.depth or "", request.report or "")


def _calendar_of(request: Request, member: Member) -> Calendar | None:
    match request.path.split("/"):
        case ["", _, "calendars", id_, *_]:
            return member.calendars.get(id_)
        case _:
            return None


def _of_another(request: Request, member: Member) -> Request | None:
    """The same question to another calendar, where there is one."""
    if request.method not in {"PROPFIND", "REPORT"}:
        return None
    asked = _calendar_of(request, member)
    others = [known for known in member.calendars.values() if asked is not None and known is not asked]
    if asked is None or not others:
        return None
    other = others[0].path
    return replace(
        request,
        path=request.path.replace(asked.path, other),
        raw_path=request.raw_path.replace(asked.path, other),
        body=_TOKEN.sub(b"", request.body.replace(asked.path.encode(), other.encode())),
    )
