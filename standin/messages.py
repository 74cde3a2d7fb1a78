"""One HTTP request and one answer, as the stand-in's rooms pass them on."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from standin import markup

OWNERS_DEVICE = "X-Standin-Owners-Device"  # The header by which the owner's phone is known.
REPORTS = ("sync-collection", "calendar-multiget", "calendar-query", "free-busy-query")
# What is answered to who has signed in.
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PROPFIND", "PROPPATCH", "REPORT", "MKCALENDAR", "MOVE")
_HREF_ENDS = re.compile(rb"</(?:[\w.-]+:)?href\s*>")
_HTML = b"<html><head><title>Bad Request</title></head><body>AppleHttpServer</body></html>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]  # By lower-case name.
    body: bytes
    listener: str  # `entry`, or a partition's name as `p180`.
    raw_path: str = ""  # As it came, with its percent signs.

    @property
    def depth(self) -> str | None:
        return self.headers.get("depth")

    @property
    def by_owner(self) -> bool:
        return OWNERS_DEVICE.lower() in self.headers

    @property
    def report(self) -> str | None:
        """The REPORT's name, as `sync-collection`."""
        if self.method != "REPORT":
            return None
        return next((name for name in REPORTS if name.encode() in self.body[:400]), None)

    @property
    def hrefs(self) -> int:
        """How many hrefs a REPORT names."""
        return 0 if self.report is None else len(_HREF_ENDS.findall(self.body))

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How an answer goes over the wire, where that is not at once and whole."""

    after: float = 0.0  # Seconds of silence first.
    cut_at: int | None = None  # The connection is reset after so many bytes of the body; -1: before the head.
    half: bool = False  # Likewise after half of it.
    rate: int = 0  # Bytes a second.
    twice: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    delivery: Delivery | None = field(default=None, kw_only=True)

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


class RefusedError(Exception):
    """The request ends here, with this answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"answered {response.status}")
        self.response = response


def xml(status: int, body: bytes, *headers: tuple[str, str]) -> Response:
    return Response(status, body, (("Content-Type", "text/xml;charset=UTF-8"), *headers))


def failed(status: int, condition: str) -> Response:
    """With a DAV:error body that names the condition, an element."""
    return xml(status, markup.error(condition))


def bad_request() -> Response:
    return Response(400, _HTML, (("Content-Type", "text/html"),))
