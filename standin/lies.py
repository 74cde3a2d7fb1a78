"""Answers with a 2xx that are not what was asked for, each made of the honest one."""

import re
import zlib
from collections.abc import Callable
from functools import cache
from urllib.parse import unquote

from lxml import etree

from standin import markup
from standin.catalog import Calendar
from standin.faults import Fault, Lie
from standin.markup import Element, c, d
from standin.messages import Response, xml

_MIB = 1 << 20
_PAGE = (
    b"<!DOCTYPE html><html><head><title>iCloud</title></head><body><h1>iCloud</h1>"
    b"<p>Sign in to continue.</p></body></html>"
)
_WRONG_ROOT = (
    b'<?xml version="1.0" encoding="UTF-8"?><propertyupdate xmlns="DAV:"><set><prop/></set></propertyupdate>'
)
_ENTITIES = "".join(
    f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' if level else '<!ENTITY e0 "ha">' for level in range(10)
)
_HREF = re.compile(rb"(<href>)(/[^<]*)(</href>)")
_OWN = "caldav.icloud.com"

# Ways to write an address that is not the server's: what each leads to is `{host}`, or nothing that can be asked.
FOREIGN_SPELLINGS = (
    *("https://{host}{path}", "http://{host}{path}", "//{host}{path}", "HTTPS://{host}{path}"),
    *("https:/{host}{path}", "https:{host}{path}", "https:///{host}{path}", "///{host}{path}"),
    *("////{host}{path}", "/\\{host}{path}", "\\\\{host}{path}", "https:\\\\{host}{path}"),
    *("https://{own}@{host}{path}", "https://{own}:443@{host}{path}", "https://user:pass@{host}{path}"),
    *("https://{host}#{own}{path}", "https://{host}?{own}{path}", "https://{host}\\@{own}{path}"),
    *("https://{own}.{host}{path}", "https://{own}%2e{host}{path}", "https://{own}%00.{host}{path}"),
    *("https://{own}\t.{host}{path}", "https://{own}\u3002{host}{path}", "https://{own}%40{host}{path}"),
    *("https://{host}:443{path}", "https://{host}.{path}", "https://[::ffff:127.0.0.1]{path}"),
    *("https://2130706433{path}", "https://0x7f000001{path}", "https://127.1{path}"),
    *("ftp://{host}{path}", "file://{path}", "gopher://{host}{path}", "ws://{host}{path}"),
    *("javascript://{host}{path}", "data:text/xml,{path}", "webcal://{host}{path}"),
    *(
        "{path}/../../../..//{host}",
        "  https://{host}{path}",
        "\nhttps://{host}{path}",
        "https://{host}:0{path}",
    ),
)


def tell(fault: Fault, honest: Response, *, calendar: Calendar | None, form: str) -> Response:
    """`calendar` is the one that was asked, whose tokens have this form. OTHER_CALENDAR and STALE are the front's."""
    match fault.kind:
        case Lie.HTML:
            return Response(200, _PAGE, (("Content-Type", "text/html; charset=utf-8"),))
        case Lie.EMPTY_200:
            return Response(200)
        case Lie.EMPTY_204:
            return Response(204)
        case Lie.BLANK_207:
            return xml(207, b"")
        case Lie.EMPTY_207:
            return xml(207, markup.multistatus([], []))
        case Lie.WRONG_ROOT:
            return xml(207, _WRONG_ROOT)
        case Lie.GZIP_BOMB:
            return xml(207, _bomb(int(fault.amount)), ("Content-Encoding", "gzip"))
        case Lie.ENTITY_BOMB:
            return xml(207, _entity_bomb())
        case Lie.HUGE_TEXT:
            return xml(207, _huge_text(int(fault.amount)))
        case Lie.NO_CHANGE if calendar is not None:
            return xml(207, markup.multistatus([], [], sync_token=calendar.token(form)))
    return _twisted(fault, honest, calendar, form) if honest.status == 207 else honest


def _twisted(fault: Fault, honest: Response, calendar: Calendar | None, form: str) -> Response:
    """The honest multistatus with something wrong about it."""
    match fault.kind:
        case Lie.TRUNCATED:
            body = honest.body[: len(honest.body) * 2 // 3]
        case Lie.BAD_UTF8:
            body = honest.body.replace(b"</href>", b"\xff\xfe\x80</href>")
        case Lie.FOREIGN_HREFS:
            body = _HREF.sub(lambda found: _elsewhere(found, fault.amount), honest.body)
        case Lie.ALL_GONE:
            body = _reworked(honest.body, lambda root: _all_gone(root, fault.amount))
        case Lie.LEFT_OUT:
            body = _reworked(honest.body, lambda root: _left_out(root, fault.amount))
        case Lie.CUT_507 if calendar is not None and b"<sync-token" in honest.body:
            body = _reworked(honest.body, lambda root: _cut(root, calendar, form))
        case Lie.NO_ETAGS:
            body = _reworked(honest.body, _without_etags)
        case Lie.DUPLICATED:
            body = _reworked(honest.body, _doubled)
        case Lie.REORDERED:
            body = _reworked(honest.body, _reversed)
        case _:
            return honest
    return Response(honest.status, body, honest.headers)


def _reworked(body: bytes, twist: Callable[[Element], None]) -> bytes:
    root = etree.fromstring(body, etree.XMLParser(resolve_entities=False, huge_tree=True, strip_cdata=False))
    twist(root)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", standalone=True)


def _without_etags(root: Element) -> None:
    for prop in root.iter(d("prop")):
        for etag in prop.findall(d("getetag")):
            prop.remove(etag)


def _under(root: Element, path: str) -> list[Element]:
    """Those that are told of what is there, or below it."""
    return [
        one for one in root.findall(d("response")) if unquote(one.findtext(d("href"), "")).startswith(path)
    ]


def _left_out(root: Element, path: str) -> None:
    for response in _under(root, path):
        root.remove(response)


def _all_gone(root: Element, path: str) -> None:
    for response in _under(root, path):
        for child in list(response)[1:]:
            response.remove(child)
        etree.SubElement(response, d("status")).text = "HTTP/1.1 404 Not Found"


def _doubled(root: Element) -> None:
    for response in root.findall(d("response")):
        response.addnext(etree.fromstring(etree.tostring(response)))


def _reversed(root: Element) -> None:
    for response in root.findall(d("response")):
        root.insert(0, response)


def _cut(root: Element, calendar: Calendar, form: str) -> None:
    """The first half alone, a 507 for the collection, and the token that goes on from there."""
    members = [one for one in root.findall(d("response")) if one.findtext(d("href")) != calendar.path]
    kept = members[: len(members) // 2]
    if not kept:
        return
    for response in root.findall(d("response")):
        if response not in kept:
            root.remove(response)
    last = unquote(kept[-1].findtext(d("href"), "")).removeprefix(calendar.path)
    full = etree.SubElement(root, d("response"))
    etree.SubElement(full, d("href")).text = calendar.path
    etree.SubElement(full, d("status")).text = "HTTP/1.1 507 Insufficient Storage"
    token = root.find(d("sync-token"))
    assert token is not None
    token.text = calendar.token(form, at=calendar.resources[last].revision)
    root.append(token)


def foreign_hrefs(host: str, path: str) -> list[str]:
    """The same path on another host, in every spelling."""
    return [spelling.format(host=host, path=path, own=_OWN) for spelling in FOREIGN_SPELLINGS]


def _elsewhere(found: "re.Match[bytes]", amount: str) -> bytes:
    """`amount` is an address to begin each href with, or the number of a spelling and `@host`."""
    number, at, host = amount.partition("@")
    path = found[2].decode()
    if at and number.isdecimal():
        spelling = FOREIGN_SPELLINGS[int(number) % len(FOREIGN_SPELLINGS)]
        path = spelling.format(host=host, path=path, own=_OWN)
    else:
        path = amount.rstrip("/") + path
    return found[1] + path.replace("&", "&amp;").encode() + found[3]


@cache
def _bomb(mebibytes: int) -> bytes:
    """A multistatus of blanks: a flushed block packs to a kilobyte, and is repeated as it is."""
    head, block, tail = b'<multistatus xmlns="DAV:">', b" " * _MIB, b"</multistatus>"
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed_head = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    packed_block = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    packed_tail = packer.compress(tail) + packer.flush()
    check = zlib.crc32(head)
    for _ in range(mebibytes):
        check = zlib.crc32(block, check)
    check = zlib.crc32(tail, check)
    length = (len(head) + mebibytes * _MIB + len(tail)) & 0xFFFFFFFF
    header = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"
    trailer = check.to_bytes(4, "little") + length.to_bytes(4, "little")
    return header + packed_head + packed_block * mebibytes + packed_tail + trailer


def _entity_bomb() -> bytes:
    """Ten to the ninth words, where entities are resolved."""
    return (
        f'<?xml version="1.0"?><!DOCTYPE multistatus [{_ENTITIES}]>'
        '<multistatus xmlns="DAV:"><sync-token>&e9;</sync-token></multistatus>'
    ).encode()


@cache
def _huge_text(mebibytes: int) -> bytes:
    inner = f"<{_local(c('calendar-data'))}>{'x' * (mebibytes * _MIB)}</calendar-data>"
    return (
        f'<multistatus xmlns="DAV:"><response><href>/</href><propstat><prop>{inner}</prop>'
        "<status>HTTP/1.1 200 OK</status></propstat></response></multistatus>"
    ).encode()


def _local(name: str) -> str:
    namespace, _, local = name[1:].partition("}")
    return f'{local} xmlns="{namespace}"'
