"""A home read by its forms says what it says in general, whatever is in it."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.calendars import ListedCalendar
from sync.icloud.home import read_by_forms, read_home
from sync.icloud.multistatus import read_listing, read_multistatus
from sync.remote import UnexpectedAnswer

CALDAV = "urn:ietf:params:xml:ns:caldav"
HOME = "https://p1-caldav.icloud.com/1/calendars/"
BEGIN = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<multistatus xmlns="DAV:">'
OWN = f'\n<response xmlns="DAV:">\n<href>{HOME}</href>\n</response>'
PLAIN = (
    '\n<response xmlns="DAV:">\n<href>{href}</href>\n<propstat>\n<prop>{props}</prop>\n'
    '<status>HTTP/1.1 {status}</status>\n</propstat>\n<propstat><prop><calendar-color xmlns="http://apple.com/ns/ical/"/></prop>'
    "<status>HTTP/1.1 404 Not Found</status></propstat></response>"
)
WORDS = (
    "Home", " Work\n", "", "<![CDATA[Kids]]>", "<![CDATA[ a]b ]]>", " <![CDATA[c]]>", "<![CDATA[d]]>e", "A &amp; B",
    "a>b", "é\U0001f600", "\ue0000", "&#xE000;0", "&#57344;1", "<b/>", "]]>", "\ufffe", "a\rb", "x" * 300, "#1e4c63FF",
    "#12", "<!-- </response> -->", "<![CDATA[<href>x</href>]]>", "<displayname>in</displayname>", "<href>b</href>0",
    "<!-- <href>a--b</href> -->", "<!-- <href><![CDATA[-->no<!-- ]]></href> -->",
    "<?pi <href><![CDATA[?>no<?pi ]]></href> ?>", "<x><![CDATA[<href><![CDATA[y]]></x>no<x><![CDATA[]]></x>",
)  # fmt: skip
words = st.sampled_from(WORDS)
KINDS = (
    "<collection/>",
    '<collection/><calendar xmlns="urn:ietf:params:xml:ns:caldav"/>',
    '<collection/><subscribed xmlns="http://calendarserver.org/ns/"/>',
    "<!-- <displayname>no</displayname> -->",
)
MORE = (
    "",
    "<current-user-privilege-set><privilege><read/></privilege></current-user-privilege-set>",
    "<current-user-privilege-set><privilege><write/></privilege></current-user-privilege-set>",
    f'<supported-calendar-component-set xmlns="{CALDAV}"><comp name="VTODO"/></supported-calendar-component-set>',
    "<displayname>again</displayname>",
    '<displayname xmlns="other:">another</displayname>',
    "<?pi <displayname>no</displayname> ?>",
)
TOLD = (
    '<displayname xmlns="DAV:">{}</displayname>',
    "<displayname a='>'>{}</displayname>",
    '<getctag xmlns="http://calendarserver.org/ns/">{}</getctag>',
    "<sync-token>{}</sync-token>",
    '<calendar-color xmlns="http://apple.com/ns/ical/">{}</calendar-color>',
)
told = st.builds(str.format, st.sampled_from(TOLD), words)
props = st.builds(
    lambda kind, more, told: f"<resourcetype>{kind}</resourcetype>{more}{''.join(told)}",
    st.sampled_from(KINDS),
    st.sampled_from(MORE),
    st.lists(told, max_size=5),
)
plain = st.builds(
    PLAIN.format,
    href=st.sampled_from(["/1/calendars/a/", " /1/calendars/b\n", "/1/calendars/", "", "/2/c/", "/1/calendars/&amp;/"]),
    props=props,
    status=st.sampled_from(["200 OK", "404 Not Found"]),
)  # fmt: skip
ODD = (
    "<response><href>/1/calendars/d/</href><status>HTTP/1.1 404 Not Found</status></response>",
    "<response/>",
    "<response><response><href>/1/calendars/e/</href></response><href>/1/calendars/f/</href></response>",
    "<response><!-- </response> --><href>/1/calendars/g/</href></response>",
    '<response xmlns="other:"><href>/1/calendars/h/</href></response>',
    "<response><href>/1/calendars/i/</href></response ><response><href>/1/calendars/j/</href></response>",
    "<sync-token>early</sync-token>",
    "<x/>",
    "words",
)
ENDS = (
    "</multistatus>",
    "\n</multistatus>\n",
    "<sync-token>t</sync-token></multistatus>",
    "",
    "</multistatus>x",
)
answers = st.builds(
    lambda begin, own, members, end: f"{begin}{own}{''.join(members)}{end}",
    st.sampled_from(
        [BEGIN, "<multistatus xmlns='DAV:'>", "<multistatus>", '<multistatus xmlns="DAV:" a=">">']
    ),
    st.sampled_from([OWN, ""]),
    st.lists(st.one_of(plain, st.sampled_from(ODD)), max_size=5),
    st.sampled_from(ENDS),
)


def generally(body: bytes) -> tuple[ListedCalendar, ...] | None:
    try:
        return read_listing(read_multistatus(body), HOME)
    except UnexpectedAnswer:
        return None


def by_forms(body: bytes) -> tuple[ListedCalendar, ...] | None:
    try:
        return read_home(body, HOME)
    except UnexpectedAnswer:
        return None


@settings(max_examples=500)
@given(answers)
@example("\ufeff" + BEGIN + OWN + "</multistatus>")
def test_both_ways_read_the_same(answer: str) -> None:
    body = answer.encode()
    assert by_forms(body) == generally(body)


@settings(max_examples=500)
@given(
    answers,
    st.integers(0, 10_000),
    st.sampled_from([b"", b"<", b">", b"&", b"]]>", b"\x00", b"\r", b"\xff", b"\xef\xbf\xbf", b"\xee\x80\x80", b" "]),
)  # fmt: skip
def test_both_ways_read_what_is_spoilt_the_same(answer: str, place: int, put: bytes) -> None:
    body = answer.encode()
    at = place % (len(body) + 1)
    spoilt = body[:at] + put + body[at + 1 :]
    assert by_forms(spoilt) == generally(spoilt)


@pytest.mark.parametrize("tag", TOLD)
@pytest.mark.parametrize("word", WORDS)
def test_any_word_is_read_the_same(tag: str, word: str) -> None:
    kind = f"<resourcetype>{KINDS[1]}</resourcetype>"
    members = [
        PLAIN.format(href=f"/1/calendars/{at}/", props=kind + tag.format(word), status="200 OK")
        for at in "ab"
    ]
    body = f"{BEGIN}{OWN}{''.join(members)}</multistatus>".encode()
    assert by_forms(body) == generally(body)


def test_what_icloud_writes_is_read_by_forms() -> None:
    named, colored = TOLD[0].format("Home"), TOLD[4].format("#1E4C63FF")
    member = PLAIN.format(href="/1/calendars/a/", props=KINDS[1] + named + colored, status="200 OK")
    found = read_by_forms(f"{BEGIN}{OWN}{member * 3}</multistatus>".encode())
    assert found is not None
    assert [each.name for each in found] == ["", *["Home"] * 3]


def test_what_is_no_form_takes_no_longer_than_its_letters() -> None:
    """Minutes, where each start of a word is followed to the end of all."""
    props = "<href><![CDATA[" * 60_000
    assert read_by_forms(f"{BEGIN}<response>{props}</response></multistatus>".encode()) is None


def test_forms_take_little_room() -> None:
    """Neither a long one, nor a long beginning, nor many are remembered."""
    letters = "x" * 10_000
    assert (
        read_by_forms(f"{BEGIN}{OWN}<response>{letters}<href>/1/</href></response></multistatus>".encode())
        is None
    )
    assert read_by_forms(f'<multistatus xmlns="DAV:" a="{letters}">{OWN}</multistatus>'.encode()) is None
    assert read_by_forms(f"{BEGIN}{OWN * 20_000}</multistatus>".encode()) is None
