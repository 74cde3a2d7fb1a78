"""One HTTP request and one answer, as the stand-in's rooms pass them on."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field

from standin import markup

_HTML = b"<html><head><title>Bad Request</title></head><body>AppleHttpServer</body></html>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]  # By lower-case name.
    body: bytes
    listener: str  # `entry` or `partition`.

    @property
    def depth(self) -> str | None:
        return self.headers.get("depth")

    @property
    def credentials(self) -> tuple[str, str] | None:
        """The sign-in name and the password of a Basic header."""
        scheme, _, encoded = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return (name, password) if colon else None


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    dropped: bool = field(default=False, kw_only=True)  # The connection ends without this answer.


class RefusedError(Exception):
    """The request ends here, with this answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"answered {response.status}")
        self.response = response


def xml(status: int, body: bytes) -> Response:
    return Response(status, body, (("Content-Type", "text/xml;charset=UTF-8"),))


def failed(status: int, condition: str = "") -> Response:
    """A status alone, or with a DAV:error body that names the condition."""
    return xml(status, markup.error(condition)) if condition else Response(status)


def bad_request() -> Response:
    return Response(400, _HTML, (("Content-Type", "text/html"),))
