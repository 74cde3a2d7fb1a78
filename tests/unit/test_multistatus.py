"""What an answer says, and that nothing is concluded from one of a wrong shape."""

from __future__ import annotations

import pytest

from domain.calendars import CalendarKind
from sync.icloud import multistatus
from sync.icloud.members import read_changes, read_members, read_resources, read_texts
from sync.icloud.multistatus import read_error, read_home_set, read_listing, read_multistatus, read_principal
from sync.icloud.queries import changes_query, texts_query
from sync.remote import ETag, Fetched, Gone, Href, Listed, SyncToken, TokenRefused, UnexpectedAnswer

HOME = "https://p1-caldav.icloud.com/1/calendars/"
CALENDAR = f"{HOME}home/"


def answer(*responses: str, token: str = "t2") -> bytes:
    ended = f"<sync-token>{token}</sync-token>" if token else ""
    prolog = '<?xml version="1.0" encoding="UTF-8"?>\n\n'
    return f'{prolog}<multistatus xmlns="DAV:">{"".join(responses)}{ended}</multistatus>'.encode()


def response(href: str, props: str = "", status: str = "HTTP/1.1 200 OK") -> str:
    return (
        f'<response xmlns="DAV:"><href>{href}</href><propstat><prop>{props}</prop>'
        f"<status>{status}</status></propstat></response>"
    )


def etag(text: str) -> str:
    return f'<getetag xmlns="DAV:">{text}</getetag>'


def calendar(href: str, *, types: str = "<C:calendar/>", more: str = "") -> str:
    kinds = f"<resourcetype><collection/>{types.replace('C:', 'c:')}</resourcetype>{more}"
    spaces = 'xmlns:c="urn:ietf:params:xml:ns:caldav" xmlns:cs="http://calendarserver.org/ns/" xmlns:a="http://apple.com/ns/ical/"'
    return response(href, kinds).replace("<response ", f"<response {spaces} ")


def listing(*responses: str) -> bytes:
    return answer(
        response("/1/calendars/", "<resourcetype><collection/></resourcetype>"), *responses, token=""
    )


@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>Sign in</body></html>",
        b"<!DOCTYPE html><html></html>",
        b"",
        b"   ",
        b"{}",
        b"\x00\x01\x02",
        b'<error xmlns="DAV:"/>',
        b'<multistatus xmlns="other:"/>',
        b'<multistatus xmlns="DAV:">',
        b'<multistatus xmlns="DAV:"><response/></multistatus>',
        b'<!DOCTYPE m [<!ENTITY a "aaaa">]><multistatus xmlns="DAV:">&a;</multistatus>',
        b'<?xml version="1.0"?><!-- x --><!DOCTYPE m [<!ENTITY a SYSTEM "file:///etc/passwd">]><m>&a;</m>',
        '<?xml version="1.0"?><!DOCTYPE a><multistatus xmlns="DAV:"/>'.encode("utf-16"),
    ],
)
def test_what_is_no_multistatus_is_refused(body: bytes) -> None:
    for read in (read_multistatus, read_members):
        with pytest.raises(UnexpectedAnswer):
            read(body)


@pytest.mark.parametrize(
    "inside",
    [b"<a/>" * 5_000, b"<a>" * 2_500 + b"</a>" * 2_500]
    + [
        start + b">" * 3_000 + end
        for start, end in ((b'<a x="', b'"/>'), (b"<!--", b"-->"), (b"<?x ", b"?>"))
    ],
    ids=["many", "deep", "long", "comment", "instruction"],
)
def test_a_bomb_of_markup_is_refused_before_all_of_it_is_read(
    monkeypatch: pytest.MonkeyPatch, inside: bytes
) -> None:
    """A tag makes a hundred times its bytes of memory; one that is not whole yet is read again and again."""
    monkeypatch.setattr(multistatus, "_MOST_TAGS", 4_000)
    monkeypatch.setattr(multistatus, "_LONGEST_TAG", 2_000)
    monkeypatch.setattr(multistatus, "_FEED", 500)
    bomb = b'<multistatus xmlns="DAV:">' + inside + b"</multistatus>"
    with pytest.raises(UnexpectedAnswer, match="over"):
        read_multistatus(bomb)


def test_a_document_type_inside_an_events_text_is_just_text() -> None:
    body = "BEGIN:VCALENDAR\nX-ALT-DESC:<!DOCTYPE html>\nEND:VCALENDAR"
    data = f'<calendar-data xmlns="urn:ietf:params:xml:ns:caldav"><![CDATA[{body}]]></calendar-data>'
    found = read_members(answer(response("/1/calendars/home/a.ics", data)))
    href = Href("/1/calendars/home/a.ics")
    assert read_texts(found, CALENDAR, [href])[href].body == body


def test_a_control_character_does_not_spoil_the_others() -> None:
    data = '<calendar-data xmlns="urn:ietf:params:xml:ns:caldav">a\x0bb</calendar-data>'
    found = read_members(answer(response("/1/calendars/home/a.ics", data)))
    href = Href("/1/calendars/home/a.ics")
    assert read_texts(found, CALENDAR, [href])[href].body == "ab"


def test_changes_leave_out_the_collection_duplicates_and_strangers() -> None:
    found = read_changes(
        read_members(
            answer(
                response("/1/calendars/home/", etag('"c"')),
                response("/1/calendars/home", etag('"c"')),
                response("/1/calendars/home/a.ics", etag('"1"')),
                response("/1/calendars/home/a.ics", etag('"2"')),
                response("/1/calendars/work/b.ics", etag('"1"')),
                response("https://evil.test/1/calendars/other/c.ics", etag('"1"')),
                '<response xmlns="DAV:"><href>/1/calendars/home/d.ics</href>'
                "<status>HTTP/1.1 404 Not Found</status></response>",
            )
        ),
        CALENDAR,
    )
    assert found.items == (
        Listed(Href("/1/calendars/home/a.ics"), '"2"'),  # type: ignore[arg-type]
        Gone(Href("/1/calendars/home/d.ics")),
    )
    assert (found.token, found.is_truncated) == ("t2", False)


@pytest.mark.parametrize(
    "href", [f"/1/calendars/home/{'x' * 990}.ics", f"{'x' * 990}.ics", f"/1/calendars/home/{'%40' * 330}.ics"]
)
def test_a_name_that_is_too_long_to_be_kept_is_counted_and_spoils_no_other(href: str) -> None:
    both = answer(response(href, etag("1")), response("/1/calendars/home/b.ics", etag("2")))
    changes = read_changes(read_members(both), CALENDAR)
    assert changes.items == (Listed(Href("/1/calendars/home/b.ics"), ETag('"2"')),)
    assert changes.too_long == 1


def test_a_name_that_the_server_forgot_to_escape_is_read_with_the_others() -> None:
    text = '<calendar-data xmlns="urn:ietf:params:xml:ns:caldav">a</calendar-data>'
    written, meant = "/1/calendars/home/Café 1.ics", Href("/1/calendars/home/Caf%C3%A9%201.ics")
    both = read_members(
        answer(response(written, etag("1") + text), response("/1/calendars/home/b.ics", etag("2")))
    )
    assert [item.href for item in read_changes(both, CALENDAR).items] == [meant, "/1/calendars/home/b.ics"]
    assert read_texts(both, CALENDAR, [meant]) == {meant: Fetched(meant, ETag('"1"'), "a")}
    home = read_multistatus(listing(calendar("/1/calendars/Büro/"), calendar("/1/calendars/home/")))
    assert [each.path for each in read_listing(home, HOME)] == [
        "/1/calendars/B%C3%BCro/",
        "/1/calendars/home/",
    ]


def test_one_that_is_gone_is_missed_by_nobody() -> None:
    gone = response(f"/1/calendars/home/{'x' * 990}.ics").replace(
        "<propstat>", "<status>HTTP/1.1 404 Gone</status><propstat>"
    )
    other = response("/1/calendars/home/b.ics", etag("2"))
    assert read_changes(read_members(answer(gone, other)), CALENDAR).too_long == 0


@pytest.mark.parametrize(("status", "missed"), [("", 1), ("<status>HTTP/1.1 404 Gone</status>", 0)])
def test_one_that_alone_has_changed_is_no_answer_about_something_else(status: str, missed: int) -> None:
    alone = response(f"/1/calendars/home/{'x' * 990}.ics", etag("1")).replace(
        "<propstat>", f"{status}<propstat>", 1
    )
    changes = read_changes(read_members(answer(alone)), CALENDAR)
    assert (changes.items, changes.too_long) == ((), missed)


def test_a_calendar_with_a_path_that_is_too_long_is_left_out() -> None:
    found = read_listing(
        read_multistatus(
            listing(
                calendar(f"/1/calendars/{'x' * 1000}/"),
                calendar(f"/1/calendars/{'x' * 980}"),
                calendar("/1/calendars/home/"),
            )
        ),
        HOME,
    )
    assert [each.path for each in found] == ["/1/calendars/home/"]


def test_of_what_is_told_twice_the_last_word_counts() -> None:
    listed = [response("/1/calendars/home/a.ics", etag(f'"{number}"')) for number in (1, 2)]
    gone = [
        f'<response xmlns="DAV:"><href>/1/calendars/home/a.ics</href><status>HTTP/1.1 {status} X</status></response>'
        for status in (404, 410)
    ]
    for told, last in (
        (listed, Listed(Href("/1/calendars/home/a.ics"), ETag('"2"'))),
        ([*listed, gone[0]], Gone(Href("/1/calendars/home/a.ics"))),
        ([*listed, gone[1]], Gone(Href("/1/calendars/home/a.ics"))),
        ([*gone, *listed], Listed(Href("/1/calendars/home/a.ics"), ETag('"2"'))),
    ):
        assert read_changes(read_members(answer(*told)), CALENDAR).items == (last,)


def test_changes_of_another_calendar_are_no_answer() -> None:
    with pytest.raises(UnexpectedAnswer):
        read_changes(read_members(answer(response("/1/calendars/work/a.ics", etag('"1"')))), CALENDAR)


def test_changes_without_a_token_are_no_answer() -> None:
    with pytest.raises(UnexpectedAnswer):
        read_changes(read_members(answer(token="")), CALENDAR)


def test_a_cut_answer_says_so() -> None:
    cut = '<response xmlns="DAV:"><href>/1/calendars/home/</href><status>HTTP/1.1 507 X</status></response>'
    assert read_changes(read_members(answer(cut)), CALENDAR).is_truncated
    refused = cut.replace("507", "403")
    with pytest.raises(TokenRefused):
        read_changes(read_members(answer(refused)), CALENDAR)


def test_a_failed_propstat_tells_nothing_and_one_without_a_status_is_good() -> None:
    bad = response("/1/calendars/home/a.ics", etag('"1"'), "HTTP/1.1 403 Forbidden")
    plain = response("/1/calendars/home/b.ics", etag('"2"')).replace("<status>HTTP/1.1 200 OK</status>", "")
    found = read_changes(read_members(answer(bad, plain)), CALENDAR)
    assert [getattr(each, "etag", 0) for each in found.items] == [None, '"2"']


@pytest.mark.parametrize("status", ["9" * 5000, "4040", "\u0664\u0660\u0664", "-404", ""])
def test_a_status_that_is_none_tells_nothing(status: str) -> None:
    """It is three digits: to read five thousand of them as a number failed, and the whole answer with it."""
    told = f"<status>HTTP/1.1 {status} Not Found</status><propstat>"
    odd = response("/1/calendars/home/a.ics", etag('"1"')).replace("<propstat>", told, 1)
    found = read_changes(read_members(answer(odd)), CALENDAR)
    assert found.items == (Listed(Href("/1/calendars/home/a.ics"), ETag('"1"')),)


def test_a_listing_of_something_else_is_refused() -> None:
    with pytest.raises(UnexpectedAnswer):
        read_listing(read_multistatus(answer(token="")), HOME)
    with pytest.raises(UnexpectedAnswer):
        read_listing(read_multistatus(answer(calendar("/2/calendars/home/"))), HOME)
    with pytest.raises(UnexpectedAnswer):
        read_resources(read_members(answer(response("/1/calendars/work/"))), CALENDAR)


def test_a_listing_that_names_nothing_is_no_proof_that_nothing_is_there() -> None:
    with pytest.raises(UnexpectedAnswer):
        read_resources(read_members(answer(token="")), CALENDAR)


def test_a_listing_that_is_cut_short_is_no_proof_that_the_rest_is_gone() -> None:
    itself = (
        '<response xmlns="DAV:"><href>/1/calendars/home/</href><status>HTTP/1.1 507 X</status></response>'
    )
    told = answer(itself, response("/1/calendars/home/a.ics", etag('"1"')), token="")
    with pytest.raises(UnexpectedAnswer):
        read_resources(read_members(told), CALENDAR)


def _privileges(*names: str) -> str:
    each = "".join(f"<privilege>{name}</privilege>" for name in names)
    return f"<current-user-privilege-set>{each}</current-user-privilege-set>"


def test_only_calendars_are_listed_each_as_what_it_is() -> None:
    todo = '<c:supported-calendar-component-set><c:comp name="VTODO"/></c:supported-calendar-component-set>'
    read = _privileges("<read/>")
    write = _privileges("<read/>", "<write/>")
    found = read_listing(
        read_multistatus(
            listing(
                calendar(
                    "/1/calendars/home/",
                    more=f"{write}<displayname>Home</displayname><a:calendar-color>#1e4c63FF</a:calendar-color><cs:getctag>HwoQ==</cs:getctag>",
                ),
                calendar("/1/calendars/ro/", more=read),
                calendar("/1/calendars/tasks/", more=todo),
                calendar("/1/calendars/sub/", types="<cs:subscribed/>", more=write),
                calendar("/1/calendars/both/", types="<C:calendar/><cs:subscribed/>", more=write),
                calendar("/2/calendars/another-home/"),
                calendar("/1/calendars/inbox/", types="<c:schedule-inbox/>"),
                calendar("/1/calendars/outbox/", types="<c:schedule-outbox/>"),
                calendar("/1/calendars/notification/", types="<cs:notification/>"),
            )
        ),
        HOME,
    )
    facts = {each.path.rstrip("/").rpartition("/")[2]: (each.kind, each.can_write) for each in found}
    assert facts == {
        "home": (CalendarKind.EVENTS, True),
        "ro": (CalendarKind.EVENTS, False),
        "tasks": (CalendarKind.REMINDERS, True),
        "sub": (CalendarKind.SUBSCRIPTION, False),
        "both": (CalendarKind.SUBSCRIPTION, False),
    }
    assert (found[0].name, found[0].color, found[0].token) == ("Home", "#1E4C63", "HwoQ==")
    assert found[1].name == "ro"


@pytest.mark.parametrize(
    ("names", "can_write"),
    [
        *((["read", name], True) for name in ("all", "write", "write-content", "bind")),
        (["read", "read-current-user-privilege-set", "write-properties", "unbind"], False),
        ([], False),
    ],
)
def test_a_calendar_takes_writes_where_one_privilege_says_so(names: list[str], *, can_write: bool) -> None:
    given = _privileges(*(f"<{name}/>" for name in names))
    [found] = read_listing(read_multistatus(listing(calendar("/1/calendars/home/", more=given))), HOME)
    assert found.can_write is can_write


def test_the_principal_and_home_are_taken_from_the_one_response() -> None:
    principal = "<current-user-principal><href>/1/principal/</href></current-user-principal>"
    assert read_principal(read_multistatus(answer(response("/elsewhere/", principal)))) == "/1/principal/"
    spaces = 'xmlns="urn:ietf:params:xml:ns:caldav" xmlns:d="DAV:"'
    home = (
        f"<calendar-home-set {spaces}><d:href>https://p1-caldav.icloud.com:443/1/calendars/</d:href></calendar-home-set>"
        f'<calendar-user-address-set {spaces}><d:href preferred="1">mailto:Me@Example.com</d:href>'
        "<d:href>urn:uuid:1</d:href></calendar-user-address-set>"
    )
    href, addresses = read_home_set(read_multistatus(answer(response("/principal/", home))))
    assert href == "https://p1-caldav.icloud.com:443/1/calendars/"
    assert addresses == {"me@example.com", "urn:uuid:1"}
    with pytest.raises(UnexpectedAnswer):
        read_home_set(read_multistatus(answer(response("/principal/", home), response("/b/"))))


def test_texts_are_only_those_that_were_asked_for() -> None:
    data = '<calendar-data xmlns="urn:ietf:params:xml:ns:caldav">x</calendar-data>'
    asked = [Href(f"/1/calendars/home/{name}.ics") for name in ("a%40b", "c", "d")]
    found = read_texts(
        read_members(
            answer(
                response("/1/calendars/home/a@b.ics", data + etag('"1"')),
                response("/1/calendars/home/z.ics", data),
                response("/1/calendars/home/d.ics", data.replace(">x<", ">\r\n <")),
            )
        ),
        CALENDAR,
        asked,
    )
    assert [(each.href, each.etag) for each in found.values()] == [(asked[0], '"1"')]


def test_what_is_sent_is_escaped_and_begins_with_the_prolog() -> None:
    assert "<d:sync-token>a&amp;&lt;b&gt;</d:sync-token>" in changes_query(SyncToken("a&<b>"))
    assert "<d:href>/a&amp;b.ics</d:href>" in texts_query([Href("/a&b.ics")])
    assert changes_query(None).startswith("<?xml")


def test_an_errors_preconditions_are_read() -> None:
    assert read_error(b"<error xmlns='DAV:'><valid-sync-token/></error>") == {"{DAV:}valid-sync-token"}
    assert read_error(b"Forbidden") == frozenset()
