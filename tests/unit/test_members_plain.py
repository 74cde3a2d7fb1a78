"""The short way through an answer says what the general one says, whatever is in it."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sync.icloud.members import members_of, read_members
from sync.icloud.members_plain import Members, read_plain
from sync.icloud.multistatus import read_multistatus
from sync.remote import UnexpectedAnswer

BEGIN = '<?xml version="1.0" encoding="UTF-8"?>\n<multistatus xmlns="DAV:">'
DATA = '<calendar-data xmlns="urn:ietf:params:xml:ns:caldav">{}</calendar-data>'
PLAIN = (
    '\n<response xmlns="DAV:">\n<href>{href}</href>\n<propstat>\n<prop><getetag xmlns="DAV:">{etag}</getetag>{data}'
    "</prop>\n<status>HTTP/1.1 200 OK</status>\n</propstat>\n</response>"
)
TEXTS = (
    "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", "a]b]]c] ]", "</response>", "<!-- -->", "\x0b", "a\rb", "é\U0001f600",
    "\ufffe", "&amp;", " ", "", PLAIN.format(href="/c/x.ics", etag="x", data=""),
)  # fmt: skip
texts = st.sampled_from(TEXTS)
data = st.one_of(
    st.just(""),
    texts.map(lambda text: DATA.format(f"<![CDATA[{text}]]>")),
    texts.map(lambda text: DATA.format(f" <![CDATA[{text}]]>b<![CDATA[]]]]>")),
    st.just(DATA.format("a&lt;b&#13;")),
    st.just("<resourcetype><collection/></resourcetype>"),
    st.just(DATA.format("x").replace("caldav", "other")),
)
plain = st.builds(
    PLAIN.format,
    href=st.sampled_from(
        ["/c/a.ics", " /c/b.ics\n", "/c/", "", "/c/&amp;.ics", "/c/>.ics", "/c/]]>.ics", "\xa0/é.ics\u2003"]
    ),
    etag=st.sampled_from(['"1"', " 2 ", "", "\u2003é", "&quot;3&quot;", "<b/>"]),
    data=data,
)
ODD = (
    '<response xmlns="DAV:"><href>/c/gone.ics</href><status>HTTP/1.1 404 Not Found</status></response>',
    "<response><href>/c/</href><status>HTTP/1.1 507 X</status></response>",
    "<response/><response><href>/c/n.ics</href></response>",
    "<response><response><href>/c/in.ics</href></response><href>/c/out.ics</href></response>",
    "<response><!-- </response> --><href>/c/k.ics</href></response>",
    "<!-- <response> --><response><href>/c/l.ics</href></response>",
    '<response xmlns="other:"><href>/c/m.ics</href></response>',
    "<sync-token>early</sync-token>",
    "<response><href>/c/1.ics</href></response ><response><href>/c/2.ics</href></response>",
    "<x/>",
    "words",
)
odd = st.sampled_from(ODD)
ends = st.sampled_from(
    [
        "</multistatus>",
        "<sync-token>t1</sync-token>\n</multistatus>\n",
        "<sync-token/></multistatus>",
        "",
        "</multistatus>x",
    ]
)
answers = st.builds(
    lambda members, end: f"{BEGIN}{''.join(members)}{end}", st.lists(st.one_of(plain, odd), max_size=5), ends
)


def generally(body: bytes) -> Members | None:
    try:
        return members_of(read_multistatus(body))
    except UnexpectedAnswer:
        return None


def shortly(body: bytes) -> Members | None:
    try:
        return read_members(body)
    except UnexpectedAnswer:
        return None


@settings(max_examples=500)
@given(answers)
@example("\ufeff" + BEGIN + PLAIN.format(href="/c/a.ics", etag="1", data="") + "</multistatus>")
def test_both_ways_read_the_same(answer: str) -> None:
    body = answer.encode()
    assert shortly(body) == generally(body)


@settings(max_examples=500)
@given(
    answers,
    st.integers(0, 10_000),
    st.sampled_from(
        [b"", b"<", b">", b"&", b"]]>", b"\x00", b"\r", b"\xff", b"\xef\xbf\xbf", b"\xf0\x9f", b" "]
    ),
)
def test_both_ways_read_what_is_spoilt_the_same(answer: str, place: int, put: bytes) -> None:
    body = answer.encode()
    at = place % (len(body) + 1)
    spoilt = body[:at] + put + body[at + 1 :]
    assert shortly(spoilt) == generally(spoilt)


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_is_read_the_same(text: str) -> None:
    member = PLAIN.format(href="/c/a.ics", etag='"1"', data=DATA.format(f"<![CDATA[{text}]]>"))
    body = f"{BEGIN}{member}</multistatus>".encode()
    assert shortly(body) == generally(body)


@pytest.mark.parametrize("between", ODD)
def test_what_is_odd_between_two_is_read_the_same(between: str) -> None:
    member = PLAIN.format(href="/c/a.ics", etag='"1"', data="")
    body = f"{BEGIN}{member}{between}{member}</multistatus>".encode()
    assert shortly(body) == generally(body)


def test_what_icloud_writes_is_read_the_short_way() -> None:
    member = PLAIN.format(href="/c/a.ics", etag='"1"', data=DATA.format(f"<![CDATA[{TEXTS[0]}]]>"))
    found = read_plain(f"{BEGIN}{member * 3}</multistatus>".encode(), lambda _: None)
    assert found is not None
    assert [each.text for each in found.members] == [TEXTS[0].replace("\r\n", "\n")] * 3
