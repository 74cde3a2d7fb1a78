"""Who may come in: the key, the address it comes from, and the page that uses it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from domain.actor import Actor, Role
from resolvers.context import Services
from resolvers.keys import authenticate
from resolvers.limits import Rule, network_of
from schema.errors import Code
from schema.scalars import format_date_time
from server.config import Network

_MOST_HOPS = 20


@dataclass(frozen=True, slots=True)
class Denied:
    """`status` is HTTP's; a websocket is closed with 4403 whatever it is."""

    status: int
    code: Code
    message: str
    retry_at: float | None = None

    def extensions(self) -> dict[str, str]:
        retry = {} if self.retry_at is None else {"retryAt": format_date_time(float(self.retry_at))}
        return {"code": str(self.code), **retry}


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a request comes from. `origin` is None where no browser says that a page sent it."""

    address: str
    host: str
    origin: str | None


NO_KEY = Denied(401, Code.UNAUTHENTICATED, "Send a key: `Authorization: Bearer KEY`.")
WRONG_KEY = Denied(401, Code.UNAUTHENTICATED, "This key is unknown, or was revoked: send another.")
WRONG_ORIGIN = Denied(403, Code.FORBIDDEN, "Pages of this origin may not use this key.")


class Gate:
    def __init__(
        self, services: Services, *, allowed_origins: frozenset[str], trusted_proxies: tuple[Network, ...]
    ) -> None:
        self._services = services
        self._allowed_origins = allowed_origins
        self._trusted = trusted_proxies

    def caller(self, connection: HTTPConnection) -> Caller:
        """By one walk over the headers; of several of a name the first counts, and every X-Forwarded-For."""
        peer = connection.client.host if connection.client else ""
        host: str | None = None
        origin: str | None = None
        forwarded: list[str] = []
        for name, value in connection.scope["headers"]:
            if name == b"host" and host is None:
                host = value.decode("latin-1").lower()
            elif name == b"origin" and origin is None:
                origin = value.decode("latin-1").lower()
            elif name == b"x-forwarded-for":
                forwarded.append(value.decode("latin-1"))
        return Caller(address=_address(peer, forwarded, self._trusted), host=host or "", origin=origin)

    async def admit(self, authorization: object, caller: Caller) -> Actor | Denied:
        """Whom the key speaks for. Wrong keys are counted by address; a right one is never held up by them."""
        secret = bearer(authorization)
        if secret is None:
            return NO_KEY
        actor = await authenticate(self._services, secret)
        if actor is None:
            return self._wrong_key(caller)
        return actor if self._may_call(actor, caller) else WRONG_ORIGIN

    def _wrong_key(self, caller: Caller) -> Denied:
        retry_at = self._services.limits.take(Rule.WRONG_KEY, network_of(caller.address))
        if retry_at is None:
            return WRONG_KEY
        return Denied(429, Code.RATE_LIMITED, "Too many wrong keys from this address: wait.", retry_at)

    def _may_call(self, actor: Actor, caller: Caller) -> bool:
        """A key in a page is only as safe as the pages that may use it; our own are."""
        if caller.origin is None or urlsplit(caller.origin).netloc == caller.host:
            return True
        if actor.role is Role.BOOKING:
            return actor.allowed_origins is None or caller.origin in actor.allowed_origins
        return caller.origin in self._allowed_origins or "*" in self._allowed_origins


def bearer(authorization: object) -> str | None:
    """The key in an Authorization header, or in the same field of connection_init."""
    if not isinstance(authorization, str):
        return None
    scheme, _, secret = authorization.strip().partition(" ")
    return secret.strip() or None if scheme.lower() == "bearer" else None


def authorization_of(payload: Mapping[str, object]) -> object:
    """Header names have no case, and clients write this one both ways."""
    return next((value for name, value in payload.items() if name.lower() == "authorization"), None)


def _address(peer: str, forwarded: Iterable[str], trusted: tuple[Network, ...]) -> str:
    """The nearest hop that is no proxy of ours: what stands further left, anyone can have written."""
    hops = [hop.strip() for header in forwarded for hop in header.split(",")][-_MOST_HOPS:]
    address = peer
    while hops and _is_in(address, trusted):
        following = hops.pop()
        if not _is_address(following):
            break
        address = following
    return address


def _is_in(address: str, networks: tuple[Network, ...]) -> bool:
    return _is_address(address) and any(ip_address(address) in network for network in networks)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
