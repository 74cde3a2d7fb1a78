"""The admin API under `/-/`: accounts, calendars, faults and the log of requests, as JSON."""

import hmac
import inspect
import json
from collections.abc import Sequence
from dataclasses import asdict
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from standin.account_faults import AccountFaults, AppPasswords
from standin.actions import act
from standin.arguments import Form, arguments_for, camel
from standin.catalog import ADDRESS, DSID, HOME_AND_WORK, CalendarFacts
from standin.cloud import Cloud, Member, TakenError, new_account
from standin.front import Front
from standin.manners import MODES
from standin.messages import Request, Response
from standin.owner import Phone, PhoneError
from standin.partitions import Partitions

PREFIX = "/-/"
_Address = Annotated[str, ADDRESS]
_Spoken = Annotated[str, Form(".+", "a text that is not empty")]


class Admin:
    """Guarded by a bearer token where one is set; the listeners are on the loopback alone either way."""

    def __init__(self, cloud: Cloud, front: Front, partitions: Partitions, *, token: str | None) -> None:
        self._cloud = cloud
        self._front = front
        self._partitions = partitions
        self._token = token or None  # Set to nothing, it guards nothing.

    async def answer(self, request: Request) -> Response:
        if self._token is not None and not _carries(request, self._token):
            return _json(401, {"error": "send the admin token: Authorization: Bearer …"})
        if refusal := _of_a_web_page(request):
            return refusal
        try:
            said = _object(request.body) if request.method == "POST" else {}
            return await self._routed(request, said)
        except LookupError as error:
            return _json(404, {"error": _sentence(error)})
        except (PhoneError, TakenError) as error:
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
                self._set_manners(**arguments_for(self._set_manners, said))
                return _json(200, asdict(self._front.manners))
            case "GET", ["accounts"]:
                return _json(200, [_described(member) for member in self._cloud.members()])
            case "POST", ["accounts"]:
                told = arguments_for(self._add_account, said, spelled=camel)
                return _json(201, _described(self._add_account(**told)))
            case "POST", ["accounts", apple_id, "calendars"]:
                member = self._cloud.member(apple_id)
                facts = CalendarFacts(**arguments_for(CalendarFacts, said))
                return _json(201, {"path": self._cloud.add_calendar(member, facts).path})
            case "POST", ["accounts", apple_id, "phone", action]:
                words = {name: _word(name, value) for name, value in said.items()}
                return _json(200, {"said": await act(self._phone(apple_id), action, words)})
            case "POST", ["accounts", apple_id, fault]:
                return await self._fault(apple_id, fault, said)
            case "GET", ["accounts", apple_id, "requests"]:
                return _json(200, self._counted(self._cloud.member(apple_id)))
            case _:
                return _json(404, {"error": f"nothing at {request.method} {request.path}"})

    def _set_manners(self, mode: Literal["strict", "hostile"], flags: Sequence[str] = ()) -> None:
        self._front.manners = MODES[mode].with_flags(flags)

    def _add_account(
        self,
        apple_id: _Address,
        app_passwords: AppPasswords = (),
        *,
        dsid: Annotated[str, DSID] | None = None,
        full_name: _Spoken = "Test User",
        aliases: Sequence[_Address] = (),
        main_password: _Spoken | None = None,
        calendars: Sequence[CalendarFacts] = HOME_AND_WORK,
    ) -> Member:
        if len({facts.id for facts in calendars}) < len(calendars):
            raise ValueError("calendars has an id twice")
        account = new_account(
            apple_id, dsid=dsid, full_name=full_name, aliases=aliases, main_password=main_password
        )
        return self._cloud.add_account(account, app_passwords, calendars)

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
        done = commands[name](**arguments_for(commands[name], said))
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


def _of_a_web_page(request: Request) -> Response | None:
    """A page in the developer's browser can reach the loopback, too, and is none of those who are meant.

    It can't send JSON unasked, nor hide where it is from, nor, where its own name was made to lead here, that name.
    """
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    if not _is_loopback(host):
        return _json(403, {"error": f"ask at 127.0.0.1 or localhost, not {host!a}"})
    if origin is not None and origin != f"http://{host}":
        return _json(403, {"error": f"not for pages of {origin!a}"})
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method == "POST" and kind != "application/json":
        return _json(415, {"error": "send Content-Type: application/json"})
    return None


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def _word(name: str, value: object) -> str:
    """As on the command line; a number and yes or no as JSON has them."""
    if not isinstance(value, str | int | float):
        raise ValueError(f"{name} must be a text, a number, true or false")  # noqa: TRY004 - what was sent is at fault.
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _sentence(error: LookupError) -> str:
    """A KeyError's text is its argument's repr."""
    return str(error.args[0]) if error.args else str(error)


def _carries(request: Request, token: str) -> bool:
    sent = request.headers.get("authorization", "")
    return hmac.compare_digest(sent.encode(), f"Bearer {token}".encode())


def _object(body: bytes) -> dict[str, object]:
    try:
        said = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the body is no JSON: {error}") from None
    if not isinstance(said, dict):
        raise TypeError("the body is a JSON object")
    return said


def _json(status: int, value: object) -> Response:
    body = json.dumps(value, default=list).encode()
    return Response(status, body, (("Content-Type", "application/json"),))
