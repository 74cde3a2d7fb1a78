"""What is asked now and then goes by caldav, of which this is the one importer: sign-in, writes, one object alone.

It goes over connections of `sync.icloud.wire`. Those of caldav's own library read a redirect's body whole, however much
it unpacks to, and gave what a server had begun to say after one account's answer to the next account's question.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

from caldav.aio import AsyncDAVClient
from caldav.compatibility_hints import FeatureSet
from caldav.config import resolve_features
from caldav.lib.error import DAVError

from models.seal import Secret
from sync.icloud.answers import Answer
from sync.icloud.settings import TransportSettings
from sync.icloud.wire import Asked, Pool
from sync.remote import Unreachable

# Without multiplexing a refused password is tried once, not twice: Apple locks accounts.
_FEATURES = FeatureSet(resolve_features({"base": "icloud", "http.multiplexing": {"support": "unsupported"}}))

for _name in ("caldav", "niquests", "urllib3", "urllib3_future"):
    # Their DEBUG records hold whole requests and answers: people's calendars.
    logging.getLogger(_name).setLevel(logging.WARNING)


class ByCaldav:
    def __init__(self, pool: Pool, settings: TransportSettings) -> None:
        self._settings = settings
        self._pool = pool

    async def ask(self, asked: Asked, apple_id: str, password: Secret, *, anew: bool) -> Answer:
        """Whatever its status. Raises Unreachable and UnexpectedAnswer."""
        door = _Door(self._pool, asked, anew)
        client = _Client(door, asked.where.url, apple_id, password, self._settings)
        try:
            await client.request(asked.where.url, asked.method, asked.body.decode(), asked.headers)
        except (DAVError, OverflowError):
            # What caldav makes of a status, and of an absurd Retry-After, is for us to say.
            if door.answer is None:
                raise Unreachable("the connection failed") from None
        assert door.answer is not None
        return door.answer


@dataclass(slots=True)
class _Door:
    """The session that caldav is given for one request, which goes where the guard let it, and as that signed it."""

    pool: Pool
    asked: Asked
    anew: bool
    answer: Answer | None = None

    async def request(self, *, data: bytes | None, **_: Any) -> Answer:
        """`data`: the body, with the line ends that caldav gives it."""
        self.answer = await self.pool.ask(
            replace(self.asked, body=data or b""), anew=self.anew, is_poll=False
        )
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
            timeout=settings.request_seconds,
        )

    def _create_session(self) -> None:
        self.session = self._door

    async def close(self) -> None:
        """Nothing to close: the session is shared."""
