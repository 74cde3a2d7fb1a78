"""The codes that a websocket is closed with: graphql-transport-ws's own, RFC 6455's, and one of ours."""

from __future__ import annotations

from domain.work import LeftError

NOT_UTF8 = 1007
RESTARTING = 1012
AGAIN_LATER = 1013
INVALID = 4400
UNAUTHORIZED = 4401
FORBIDDEN = 4403
NO_PROTOCOL = 4406
TOO_LATE = 4408
DUPLICATE = 4409
TOO_SLOW = 4410
ASKED_TWICE = 4429


class ClosedError(LeftError):
    """The socket is to be closed with this code and reason, which is ours alone: RFC 6455 5.5 leaves it 123 bytes."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
