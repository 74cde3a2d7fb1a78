"""No byte goes to an address that is not on the list, in whatever spelling."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urljoin

import pytest

from domain.paths import path_key
from sync.icloud.guard import Guard, is_member, is_plainly_in, plain_folder, raw_path
from sync.remote import ForeignHost, UnexpectedAnswer

ICLOUD = Guard("https://caldav.icloud.com/")
LOCAL = Guard("http://127.0.0.1:5232/")
OWN = Guard("https://dav.example.com:8443/dav/", frozenset({"other.example.com"}))


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("https://caldav.icloud.com/", "https://caldav.icloud.com/"),
        ("https://p180-caldav.icloud.com:443/1/calendars/", "https://p180-caldav.icloud.com/1/calendars/"),
        ("HTTPS://P02-CALDAV.ICLOUD.COM/1/%40x/", "https://p02-caldav.icloud.com/1/%40x/"),
    ],
)
def test_icloud_and_its_partitions_are_allowed(url: str, plain: str) -> None:
    assert ICLOUD.check(url) == plain


@pytest.mark.parametrize(
    "url",
    [
        "http://caldav.icloud.com/",
        "https://caldav.icloud.com:8443/",
        "https://caldav.icloud.com.evil.test/",
        "https://caldav.icloud.com.cn/",
        "https://evil.test/caldav.icloud.com/",
        "https://evil.test#caldav.icloud.com",
        "https://evil.test?caldav.icloud.com",
        "https://caldav.icloud.com@evil.test/",
        "https://user:pass@caldav.icloud.com/",
        "https://evil.test\\@caldav.icloud.com/",
        "https://caldav.icloud.com\\.evil.test/",
        "https://www.icloud.com/",
        "https://p1234-caldav.icloud.com/",
        "https://p-caldav.icloud.com/",
        "https://pa1-caldav.icloud.com/",
        "https://xcaldav.icloud.com/",
        "https://evil-caldav.icloud.com/",
        "https://caldav.icloud.com./",
        "https://caldav。icloud。com/",
        "https://cаldav.icloud.com/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://2130706433/",
        "https://caldav.icloud.com\t/",
        "https://caldav.icloud.com\n.evil.test/",
        " https://caldav.icloud.com/",
        "https:/caldav.icloud.com/",
        "https:///caldav.icloud.com/",
        "//caldav.icloud.com/",
        "file:///etc/passwd",
        "ftp://caldav.icloud.com/",
        "javascript:alert(1)",
        "https://caldav.icloud.com:0/",
        "https://caldav.icloud.com:99999/",
        "https://caldav.icloud.com:443x/",
        "https://[caldav.icloud.com]/",
        "https://caldav.icloud.com/1/#evil.test",
        "https://%63aldav.icloud.com/",
        "https://p١-caldav.icloud.com/",
        "/only/a/path",
        "",
    ],
)
def test_anything_else_is_not(url: str) -> None:
    with pytest.raises(ForeignHost):
        ICLOUD.check(url)


def test_china_is_allowed_where_the_operator_says_so() -> None:
    guard = Guard("https://caldav.icloud.com.cn/", allows_china=True)
    assert guard.is_icloud
    assert guard.check("https://p201-caldav.icloud.com.cn/x") == "https://p201-caldav.icloud.com.cn/x"


def test_plain_http_goes_to_loopback_alone() -> None:
    assert LOCAL.check("http://127.0.0.1:5232/x") == "http://127.0.0.1:5232/x"
    for url in ("http://127.0.0.2/", "http://localhost/", "http://10.0.0.1/", "https://evil.test/"):
        with pytest.raises(ForeignHost):
            LOCAL.check(url)


def test_another_port_of_this_machine_is_another_program() -> None:
    named = Guard("http://127.0.0.1:5232/", frozenset({"127.0.0.1:8802", "[::1]:8803"}))
    assert named.check("http://127.0.0.1:8802/x") == "http://127.0.0.1:8802/x"
    assert named.check("http://[::1]:8803/x") == "http://[::1]:8803/x"
    for url in (
        "http://127.0.0.1:9999/steal",
        "http://127.0.0.1/",
        "https://127.0.0.1/",
        "http://[::1]:5232/",
    ):
        with pytest.raises(ForeignHost):
            named.check(url)
    assert Guard("http://localhost/").check("http://localhost:80/x") == "http://localhost/x"


def test_ones_own_server_is_its_host_and_port_and_those_added() -> None:
    assert OWN.check("https://dav.example.com:8443/dav/x") == "https://dav.example.com:8443/dav/x"
    assert OWN.check("https://other.example.com/") == "https://other.example.com/"
    for url in ("https://dav.example.com/", "http://dav.example.com:8443/", "https://other.example.com:22/"):
        with pytest.raises(ForeignHost):
            OWN.check(url)


def test_an_href_is_resolved_against_who_answered() -> None:
    base = "https://p180-caldav.icloud.com/1/calendars/"
    assert ICLOUD.resolve(base, "/1/principal/") == "https://p180-caldav.icloud.com/1/principal/"
    with pytest.raises(ForeignHost):
        ICLOUD.resolve(base, "//evil.test/1/")


@pytest.mark.parametrize("base", ["https://a.test/x/y/", "https://a.test:8443/x", "https://a.test/"])
@pytest.mark.parametrize(
    "href", ["/c/d/", "/c/../d", "/c/./d", "//a.test/c", "e/f", "/c?q", "https://a.test/c/d/", "/%41/"]
)
def test_an_href_is_resolved_as_rfc_3986_says(base: str, href: str) -> None:
    guard = Guard("https://a.test/", frozenset({"a.test:8443"}))
    assert guard.resolve(base, href) == guard.check(urljoin(base, href))


@pytest.mark.parametrize(
    "href", ["//[", "https://[?", "//a.test:]", "https://[::1/", "/1/\thome/", "ho\nme/", "\\home/"]
)
def test_an_href_that_cant_be_read_is_refused(href: str) -> None:
    with pytest.raises(ForeignHost):
        ICLOUD.resolve("https://p1-caldav.icloud.com/1/", href)


def test_a_path_is_kept_as_it_is_spelled() -> None:
    assert raw_path("https://a.test/x/", "https://b.test/u%40v/a%2Fb.ics") == "/u%40v/a%2Fb.ics"
    assert raw_path("https://a.test/x/", "https://b.test:443/u/a.ics") == "/u/a.ics"
    for href in ("/a.ics?x=1", "/a.ics#x", "/" + "a" * 1000, "/" + "é" * 200):
        with pytest.raises(UnexpectedAnswer):
            raw_path("https://a.test/x/", href)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("a b.ics", "a%20b.ics"), ("é😀.ics", "%C3%A9%F0%9F%98%80.ics"), ("\\a\tb%40", "%5Ca%09b%40")],
)
def test_what_a_server_forgot_to_escape_is_escaped(written: str, meant: str) -> None:
    for base, before in (
        ("https://a.test/x/", ""),
        ("https://a.test/", "/x/"),
        ("https://b.test/", "https://a.test/x/"),
    ):
        path = raw_path(base, f"{before}{written}")
        assert path == f"/x/{meant}"
        assert LOCAL.resolve("http://127.0.0.1:5232/", path) == f"http://127.0.0.1:5232/x/{meant}"


def test_two_spellings_of_one_path_are_the_same() -> None:
    assert path_key("/u%40v/cal/") == path_key("/u@v/cal")
    assert path_key("/a%2Fb") != path_key("/a/b")


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("/c/home/a.ics", True),
        ("/c/%68ome/a.ics", True),
        ("/c/home/", False),
        ("/c/home", False),
        ("/c/home/sub/", False),
        ("/c/home/sub/a.ics", False),
        ("/c/work/a.ics", False),
    ],
)
def test_a_member_lies_straight_in_its_calendar(path: str, *, is_one: bool) -> None:
    assert is_member(path, path_key(path), path_key("/c/home/")) is is_one


@pytest.mark.parametrize("calendar", ["/c/home/", "/c/h%40me/", "/c//home/", "/c/%2E%2E/", "/"])
@pytest.mark.parametrize(
    "name",
    [
        "a.ics",
        "",
        ".",
        "..",
        "...",
        "..a",
        "a/",
        "a/b",
        "a%2Fb",
        "a%62",
        "a?b",
        "a#b",
        "a b",
        "a\n",
        "é",
        "x" * 999,
    ],
)
def test_what_is_plainly_in_a_calendar_is_a_member_by_each_of_its_names(calendar: str, name: str) -> None:
    key = path_key(calendar)
    folder, href = plain_folder(key), f"{key}/{name}"
    if folder is not None and is_plainly_in(folder, href):
        path = raw_path(f"http://127.0.0.1{calendar}", href)
        assert path == path_key(path) == href
        assert is_member(path, path_key(path), key)


def test_most_members_are_plainly_in_their_calendar() -> None:
    folder = plain_folder(path_key("/1/calendars/home/"))
    assert folder is not None
    assert is_plainly_in(folder, "/1/calendars/home/9F1C-42.ics")
    assert not is_plainly_in(folder, "/1/calendars/home/")


@pytest.mark.parametrize(
    "path", ["/", "/1/calendars/", "/1/%40x/", "/1/../2/", "/1//2", "/1?a=b", "/~x/a.ics"]
)
@pytest.mark.parametrize("guard", [ICLOUD, LOCAL, OWN])
def test_an_address_that_was_seen_before_is_checked_like_any(guard: Guard, path: str) -> None:
    """What is remembered of an origin says nothing else than the check of the whole address."""
    origins = ("https://caldav.icloud.com:443", "http://127.0.0.1:5232", "https://dav.example.com:8443")
    for origin in (*origins, "https://evil.test", "http://caldav.icloud.com", "https://127.0.0.1.evil.test"):
        assert _outcome(guard.check, origin + path) == _outcome(guard._check, origin + path)


def _outcome(check: Callable[[str], str], url: str) -> str:
    try:
        return check(url)
    except ForeignHost as error:
        return f"refused: {error}"
