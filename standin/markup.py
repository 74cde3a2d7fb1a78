"""iCloud's XML: no prefixes, a namespace on every element, and two propstats a response."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

DAV = "DAV:"
CALDAV = "urn:ietf:params:xml:ns:caldav"
CS = "http://calendarserver.org/ns/"
ICAL = "http://apple.com/ns/ical/"

Element = etree._Element  # noqa: SLF001 - lxml has no public name for it.
_PROLOG = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)


class MalformedError(Exception):
    """The body is not the XML it should be."""


def d(name: str) -> str:
    return f"{{{DAV}}}{name}"


def c(name: str) -> str:
    return f"{{{CALDAV}}}{name}"


def cs(name: str) -> str:
    return f"{{{CS}}}{name}"


def ical(name: str) -> str:
    return f"{{{ICAL}}}{name}"


def parse(body: bytes) -> Element:
    """Blanks before the prolog are refused, as iCloud refuses them."""
    try:
        return etree.fromstring(body, _PARSER)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise MalformedError from error


def asked_properties(root: Element | None) -> list[str] | None:
    """The properties that a request names; None where it asks for all."""
    prop = None if root is None else root.find(d("prop"))
    if prop is None:
        return None
    return [child.tag for child in prop.iterchildren("*")]  # Comments left out.


def text_of(element: Element | None) -> str:
    return "" if element is None else (element.text or "").strip()


@dataclass(frozen=True, slots=True)
class Found:
    """One resource in a multistatus: what it has, as inner XML by name."""

    href: str
    properties: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Missing:
    href: str


def multistatus(
    members: Iterable[Found | Missing],
    asked: list[str] | None,
    *,
    sync_token: str | None = None,
    some_statuses_missing: bool = False,
) -> bytes:
    """`asked` is None for all that each member has.

    `some_statuses_missing`: of every other member, the propstat of what was found has none.
    """
    parts = [_PROLOG, f'<multistatus xmlns="{DAV}">\n']
    for number, member in enumerate(members):
        match member:
            case Found(at, properties):
                status = "" if some_statuses_missing and number % 2 else "200 OK"
                parts.append(_found(at, properties, list(properties) if asked is None else asked, status))
            case Missing(at):
                parts.append(
                    f'<response xmlns="{DAV}">\n<href>{href(at)}</href>\n'
                    "<status>HTTP/1.1 404 Not Found</status>\n</response>\n"
                )
    if sync_token is not None:
        parts.append(f"<sync-token>{escape(sync_token)}</sync-token>\n")
    parts.append("</multistatus>\n")
    return "".join(parts).encode()


def propstats(at: str, names: Mapping[str, list[str]]) -> bytes:
    """The multistatus of a PROPPATCH: the names of properties by what became of them."""
    said = "".join(
        _propstat("\n".join(element(name) for name in those), status)
        for status, those in names.items()
        if those
    )
    response = f'<response xmlns="{DAV}">\n<href>{href(at)}</href>\n{said}</response>\n'
    return f'{_PROLOG}<multistatus xmlns="{DAV}">\n{response}</multistatus>\n'.encode()


def error(condition: str) -> bytes:
    """A DAV:error body; `condition` is an element."""
    return f"<?xml version='1.0' encoding='UTF-8'?><error xmlns='DAV:'>{condition}</error>".encode()


def element(name: str, inner: str = "") -> str:
    opened, local = _opened(name)
    return f"<{opened}>{inner}</{local}>" if inner else f"<{opened}/>"


@lru_cache(maxsize=1024)
def _opened(name: str) -> tuple[str, str]:
    """A name need not have a namespace, and a namespace may be any text."""
    named = etree.QName(name)
    return f"{named.localname} xmlns={quoteattr(named.namespace or '')}", named.localname


def href(path: str) -> str:
    return escape(quote(path, safe="/-._~@!$&'()*+,;=:"))


def cdata(text: str) -> str:
    # A `]]>` within the text has to be split over two sections.
    return f"<![CDATA[{text.replace(']]>', ']]]]><![CDATA[>')}]]>"


def _found(at: str, properties: Mapping[str, str], asked: list[str], status: str) -> str:
    have = "\n".join(element(name, properties[name]) for name in asked if name in properties)
    lack = "\n".join(element(name) for name in asked if name not in properties)
    propstats = _propstat(have, status) if have or not lack else ""
    if lack:
        propstats += _propstat(lack, "404 Not Found")
    return f'<response xmlns="{DAV}">\n<href>{href(at)}</href>\n{propstats}</response>\n\n'


def _propstat(inner: str, status: str) -> str:
    said = f"<status>HTTP/1.1 {status}</status>\n" if status else ""
    return f"<propstat>\n<prop>\n{inner}\n</prop>\n{said}</propstat>\n"
