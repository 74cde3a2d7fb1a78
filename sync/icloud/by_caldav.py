"""What is asked now and then goes by caldav, of which this is the one importer: sign-in, writes, one object alone."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import niquests
from caldav.aio import AsyncDAVClient
from caldav.compatibility_hints import FeatureSet
from caldav.config import resolve_features
from caldav.lib.error import DAVError
from urllib3.exceptions import HTTPError

from models.seal import Secret
from sync.icloud.answers import Answer
from sync.icloud.settings import TransportSettings
from sync.icloud.trust import bundle
from sync.icloud.wire import Asked, body_of
from sync.remote import UnexpectedAnswer, Unreachable

# Without multiplexing a refused password is tried once, not twice: Apple locks accounts.
_FEATURES = FeatureSet(resolve_features({"base": "icloud", "http.multiplexing": {"support": "unsupported"}}))
_CHUNK = 1 << 16
_HTTP_2 = 20
_FRAMES = ("Content-Length", "Transfer-Encoding")

for _name in ("caldav", "niquests", "urllib3", "urllib3_future"):
    # Their DEBUG records hold whole requests and answers: people's calendars.
    logging.getLogger(_name).setLevel(logging.WARNING)


class ByCaldav:
    """One pool of connections for all accounts."""

    def __init__(self, settings: TransportSettings) -> None:
        self._settings = settings
        self._session = _new_session(settings)
        self._trusted = bundle(settings.ca_file)

    async def ask(self, asked: Asked, apple_id: str, password: Secret) -> Answer:
        """Whatever its status. Raises Unreachable and UnexpectedAnswer."""
        door = _Door(self._session, self._settings.most_bytes, self._trusted)
        url = asked.where.url
        client = _Client(door, url, apple_id, password, self._settings)
        try:
            await client.request(url, asked.method, asked.body.decode(), asked.headers)
        except (DAVError, OverflowError):
            # What caldav makes of a status, and of an absurd Retry-After, is for us to say.
            if door.answer is None:
                raise Unreachable("the connection failed") from None
        except (niquests.RequestException, HTTPError, OSError) as error:
            raise Unreachable(type(error).__name__) from None
        assert door.answer is not None
        return door.answer

    async def close(self) -> None:
        await self._session.close()


def _new_session(settings: TransportSettings) -> Any:
    session = niquests.AsyncSession(
        happy_eyeballs=True,  # An address that swallows what is sent to it is not waited for alone.
        pool_connections=settings.connections,
        pool_maxsize=settings.connections,
        retries=0,
        disable_http3=True,
        # Asking a certificate authority about the certificate would tell it who our users' hosts are.
        revocation_configuration=None,
        # The session is shared by all accounts: a cookie of one would go out with another.
        allow_incoming_cookies=False,
    )
    session.trust_env = False  # No ~/.netrc, no proxy by accident.
    return session


@dataclass(slots=True)
class _Door:
    """The session that caldav is given for one request: no redirects, and a body that ends at the cap."""

    session: Any
    most_bytes: int
    trusted: bool | str
    answer: Answer | None = None

    async def request(self, **asked: Any) -> Answer:
        response = await self.session.request(**asked, allow_redirects=False, stream=True)
        try:
            wire = await _read(response, self.most_bytes)
        finally:
            await response.close()
        status, headers = response.status_code, response.headers
        body = await body_of(status, wire, headers.get("Content-Encoding") or "", self.most_bytes)
        self.answer = Answer(status, headers, body, asked["url"], may_be_cut=_may_be_cut(response))
        return self.answer


class _Client(AsyncDAVClient):  # type: ignore[misc]
    """caldav's client for one request: the pool belongs to the process."""

    def __init__(
        self, door: _Door, url: str, apple_id: str, password: Secret, settings: TransportSettings
    ) -> None:
        self._door = door
        super().__init__(
            url=url,
            username=apple_id,
            password=password.reveal(),
            auth_type="basic",
            enable_rfc6764=False,
            features=_FEATURES,
            rate_limit_handle=False,
            ssl_verify_cert=door.trusted,
            timeout=settings.request_seconds,
            headers={"User-Agent": settings.user_agent, "Accept-Encoding": "gzip"},
        )

    def _create_session(self) -> None:
        self.session = self._door

    async def close(self) -> None:
        """Nothing to close: the session is shared."""


def _may_be_cut(response: Any) -> bool:
    """RFC 9112 section 6.3: without a length and without chunks. HTTP/2 has ends of its own."""
    is_framed = any(each in response.headers for each in _FRAMES)
    return not is_framed and (response.http_version or 0) < _HTTP_2


async def _read(response: Any, most: int) -> bytes:
    """The body as it came over the wire; raises UnexpectedAnswer past the cap."""
    wire = bytearray()
    async for chunk in await response.iter_raw(_CHUNK):
        wire += chunk
        if len(wire) > most:
            raise UnexpectedAnswer(f"an answer of over {most} bytes")
    return bytes(wire)
