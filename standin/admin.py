"""The admin API under `/-/`: accounts, calendars, faults and the log of requests, as JSON."""

import hmac
import inspect
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict

from standin.account_faults import AccountFaults
from standin.actions import act
from standin.catalog import Account, CalendarFacts, Kind
from standin.cloud import Cloud, Member, new_dsid
from standin.front import Front
from standin.manners import MODES
from standin.messages import Request, Response
from standin.owner import Phone, PhoneError
from standin.partitions import Partitions

PREFIX = "/-/"


class Admin:
    """Guarded by a bearer token where one is set; the listeners are on the loopback alone either way."""

    def __init__(self, cloud: Cloud, front: Front, partitions: Partitions, *, token: str | None) -> None:
        self._cloud = cloud
        self._front = front
        self._partitions = partitions
        self._token = token

    async def answer(self, request: Request) -> Response:
        if self._token is not None and not _carries(request, self._token):
            return _json(401, {"error": "send the admin token: Authorization: Bearer …"})
        try:
            said = _object(request.body)
            return await self._routed(request, said)
        except LookupError as error:
            return _json(404, {"error": str(error)})
        except PhoneError as error:
            return _json(409, {"error": str(error)})
        except (TypeError, ValueError) as error:
            return _json(400, {"error": str(error)})

    async def _routed(self, request: Request, said: dict[str, object]) -> Response:
        match request.method, request.path.removeprefix(PREFIX).strip("/").split("/"):
            case "GET", ["requests"]:
                return _json(200, [asdict(seen) for seen in self._front.log])
            case "DELETE", ["requests"]:
                self._front.log.clear()
                return Response(204)
            case "GET", ["manners"]:
                return _json(200, asdict(self._front.manners))
            case "POST", ["manners"]:
                self._front.manners = MODES[_text(said, "mode")].with_flags(_texts(said, "flags"))
                return _json(200, asdict(self._front.manners))
            case "GET", ["accounts"]:
                return _json(200, [_described(member) for member in self._cloud.members()])
            case "POST", ["accounts"]:
                return _json(201, _described(self._add_account(said)))
            case "POST", ["accounts", apple_id, "calendars"]:
                facts = _calendar_facts(said)
                calendar = self._cloud.add_calendar(self._cloud.member(apple_id), facts)
                return _json(201, {"path": calendar.path})
            case "POST", ["accounts", apple_id, "phone", action]:
                texts = {name: str(value) for name, value in said.items()}
                return _json(200, {"said": await act(self._phone(apple_id), action, texts)})
            case "POST", ["accounts", apple_id, fault]:
                return await self._fault(apple_id, fault, said)
            case "GET", ["accounts", apple_id, "requests"]:
                return _json(200, self._counted(self._cloud.member(apple_id)))
            case _:
                return _json(404, {"error": f"nothing at {request.method} {request.path}"})

    def _add_account(self, said: Mapping[str, object]) -> Member:
        account = Account(
            apple_id=_text(said, "appleId"),
            dsid=str(said.get("dsid") or new_dsid()),
            full_name=str(said.get("fullName") or "Test User"),
            aliases=tuple(_texts(said, "aliases")),
            main_password=str(said.get("mainPassword") or secrets.token_urlsafe(12)),
        )
        return self._cloud.add_account(account, _texts(said, "appPasswords"))

    def _phone(self, apple_id: str) -> Phone:
        account = self._cloud.member(apple_id).account
        if not account.main_password:
            raise ValueError(f"{apple_id} has no password of its own: add it with a mainPassword")
        return Phone(self._front.entry_url, account.apple_id, account.main_password)

    async def _fault(self, apple_id: str, name: str, said: dict[str, object]) -> Response:
        faults = AccountFaults(self._cloud, self._cloud.member(apple_id), self._partitions)
        commands = faults.commands()
        if name not in commands:
            raise LookupError(f"no fault {name!r}; there are {', '.join(commands)}")
        taken = inspect.signature(commands[name])
        try:
            taken.bind(**said)
        except TypeError as error:
            raise ValueError(
                f"{name}: {error}; it takes {', '.join(taken.parameters) or 'nothing'}"
            ) from None
        done = commands[name](**said)
        if inspect.isawaitable(done):
            done = await done
        return Response(204) if done is None else _json(200, done)

    def _counted(self, member: Member) -> dict[str, object]:
        log, dsid = self._front.log, member.account.dsid
        return {
            "byQuestion": log.by_question(dsid),
            "mostInAMinute": log.most_in_a_minute(dsid),
            "mails": member.mails,
        }


def _described(member: Member) -> dict[str, object]:
    account = member.account
    return {
        "appleId": account.apple_id,
        "aliases": account.aliases,
        "dsid": account.dsid,
        "mails": member.mails,
        "partition": account.partition,
        "faults": [{**asdict(planned), "fault": str(planned.fault)} for planned in member.faults.queue],
        "calendars": [
            {**asdict(known.facts), "path": known.path, "resources": len(known.names)}
            for known in member.calendars.values()
        ],
    }


def _calendar_facts(said: dict[str, object]) -> CalendarFacts:
    kind = Kind(str(said.pop("kind", Kind.OWN)))
    return CalendarFacts(kind=kind, **said)  # type: ignore[arg-type]


def _carries(request: Request, token: str) -> bool:
    sent = request.headers.get("authorization", "")
    return hmac.compare_digest(sent.encode(), f"Bearer {token}".encode())


def _object(body: bytes) -> dict[str, object]:
    said = json.loads(body or b"{}")
    if not isinstance(said, dict):
        raise TypeError("the body is a JSON object")
    return said


def _text(said: Mapping[str, object], key: str) -> str:
    value = said.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} must be a text")
    return value


def _texts(said: Mapping[str, object], key: str) -> list[str]:
    value = said.get(key, [])
    if not isinstance(value, list):
        raise TypeError(f"{key} must be a list of texts")
    return [str(one) for one in value]


def _json(status: int, value: object) -> Response:
    body = json.dumps(value, default=list).encode()
    return Response(status, body, (("Content-Type", "application/json"),))
