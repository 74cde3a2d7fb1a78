"""The one check of every address that credentials may be sent to, and how hrefs are resolved."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from domain.paths import PLAIN
from models.seal import Secret
from sync.remote import ForeignHost, Href, NameTooLong, UnexpectedAnswer

_ICLOUD = re.compile(r"(caldav|p\d{1,3}-caldav)\.icloud\.com", re.ASCII)
_ICLOUD_CHINA = re.compile(r"(caldav|p\d{1,3}-caldav)\.icloud\.com\.cn", re.ASCII)
# What urlsplit would drop or take for something else: blanks, controls, a backslash.
_ODD = re.compile(r"[\x00-\x20\x7f\\]|[^\x00-\x7f]")
_PLAIN_NAME = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9_.~-]+", re.ASCII)
_SIMPLE = re.compile(rf"(https?://[A-Za-z0-9.-]+(?::[0-9]+)?)({PLAIN.pattern})", re.ASCII)
_USUAL = {"https": 443, "http": 80}
LONGEST = 1000
"""Letters of a path that is kept."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """An address that was checked, and what signs in there. The guard alone makes them."""

    url: str
    authorization: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Guard:
    """Which addresses are ours to ask. `hosts`: `name` or `name:port` beside the entry's own."""

    entry: str
    hosts: frozenset[str] = frozenset()
    allows_china: bool = False

    @property
    def is_icloud(self) -> bool:
        return self._is_icloud_host(urlsplit(self.entry).hostname or "")

    def check(self, url: str) -> str:
        """The same address in its plain form; raises ForeignHost."""
        if simple := _SIMPLE.fullmatch(url):
            # Where the rest is a plain path, all that can be foreign is the origin, and there are few of them.
            return _checked_origin(self, simple[1]) + simple[2]
        return self._check(url)

    def _check(self, url: str) -> str:
        if _ODD.search(url):
            raise ForeignHost("an address with characters that no address has")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ForeignHost("an address that can't be read") from None
        host = parts.hostname or ""
        if "@" in parts.netloc or parts.fragment or not self._allows(parts.scheme, host, port):
            raise ForeignHost(f"not an allowed address: {parts.scheme}://{host}:{port or ''}")
        return _plain(parts, host, port)

    def resolve(self, base: str, href: str) -> str:
        """`href` as the server at `base` means it; raises ForeignHost."""
        if (simple := _SIMPLE.fullmatch(base)) and PLAIN.fullmatch(href):
            return _checked_origin(self, simple[1]) + href
        if _ODD.search(href):
            raise ForeignHost("an href with characters that no address has")
        try:
            joined = urljoin(base, href)
        except ValueError:
            raise ForeignHost("an href that can't be read") from None
        return self.check(joined)

    def admit(self, url: str, apple_id: str, password: Secret) -> Admitted:
        """Checks the address, and only then puts the credentials to it (RFC 7617, in UTF-8)."""
        checked = self.check(url)
        signed = b64encode(f"{apple_id}:{password.reveal()}".encode()).decode("ascii")
        return Admitted(checked, f"Basic {signed}")

    def _allows(self, scheme: str, host: str, port: int | None) -> bool:
        if self.is_icloud:
            return scheme == "https" and port in (None, 443) and self._is_icloud_host(host)
        # Plain http stays on this machine, where another port is another program.
        if scheme != "https" and not (scheme == "http" and is_loopback(host)):
            return False
        return _with_port(host, port, scheme) in self._addresses()

    def _is_icloud_host(self, host: str) -> bool:
        if _ICLOUD.fullmatch(host):
            return True
        return self.allows_china and _ICLOUD_CHINA.fullmatch(host) is not None

    def _addresses(self) -> set[str]:
        entry = urlsplit(self.entry)
        own = _with_port(entry.hostname or "", entry.port, entry.scheme)
        others = (urlsplit(f"//{text.strip()}") for text in self.hosts)
        return {own, *(_with_port(each.hostname or "", each.port, "https") for each in others)}


@lru_cache(maxsize=1024)
def _checked_origin(guard: Guard, origin: str) -> str:
    return guard._check(f"{origin}/").removesuffix("/")  # noqa: SLF001


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def raw_path(base: str, href: str) -> Href:
    """An href's path as the server spells it, whatever host it names. What no address may have is escaped (RFC 3987
    section 3.1): some servers forget to.

    Raises UnexpectedAnswer where it is no resource's path, NameTooLong where it can't be kept.
    """
    if len(href) > LONGEST:
        raise NameTooLong("an href that is too long to be kept")
    if PLAIN.fullmatch(href):
        return Href(href)
    if simple := _SIMPLE.fullmatch(href):
        return Href(simple[2])
    try:
        parts = urlsplit(urljoin(base, _ODD.sub(lambda odd: quote(odd[0]), href)))
    except ValueError:
        raise UnexpectedAnswer("an href that can't be read") from None
    if parts.query or parts.fragment or not parts.path.startswith("/"):
        raise UnexpectedAnswer("an href that is no path")
    if len(parts.path) > LONGEST:
        raise NameTooLong("an href that is too long to be kept")
    return Href(parts.path)


def plain_folder(collection: str) -> str | None:
    """What the hrefs of a collection's resources begin with where all is written plainly; `collection` is its key."""
    return f"{collection}/" if PLAIN.fullmatch(collection) else None


def is_plainly_in(folder: str, href: str) -> bool:
    """Whether it is the href, the path and the key at once of a resource straight in there."""
    return href.startswith(folder) and len(href) <= LONGEST and bool(_PLAIN_NAME.fullmatch(href, len(folder)))


def is_member(path: str, key: str, collection: str) -> bool:
    """Whether `path` is a resource straight in a collection; `key` and `collection` are both paths' keys."""
    parent, _, name = key.rpartition("/")
    return parent == collection and name not in {"", ".", ".."} and not path.endswith("/")


def _with_port(host: str, port: int | None, scheme: str) -> str:
    return f"{host}:{_USUAL[scheme] if port is None else port}"


def _plain(parts: SplitResult, host: str, port: int | None) -> str:
    name = f"[{host}]" if ":" in host else host
    where = name if port in (None, _USUAL[parts.scheme]) else f"{name}:{port}"
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{where}{parts.path or '/'}{query}"
