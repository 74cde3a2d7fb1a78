"""The stand-in signs in, is found and lists a home as iCloud does."""

import asyncio
import base64
from pathlib import Path
from urllib.parse import urlsplit

import caldav
import pytest

from tests.contracts.standin_http import ALIAS, APPLE_ID, MAIN_PASSWORD, NS, PASSWORD, event, served

PRINCIPAL_PROP = "<d:current-user-principal/>"


@pytest.mark.parametrize(
    ("user", "password"),
    [(APPLE_ID, MAIN_PASSWORD), (APPLE_ID, "wrong"), ("nobody@x.example", PASSWORD), (APPLE_ID, None)],
)
async def test_every_wrong_sign_in_gets_the_same_401(user: str, password: str | None) -> None:
    async with served() as dav:
        reply = await dav.call("PROPFIND", "/", headers={"Depth": "0"}, user=user, password=password)
    challenges = [value for name, value in reply.headers if name.lower() == "www-authenticate"]
    assert (reply.status, reply.text) == (401, "")
    assert challenges == ['Basic realm="MMCalDav"', 'X-MobileMe-AuthToken realm="MMCalDav"']
    assert (reply.header("server") or "").startswith("AppleHttpServer/")
    assert reply.header("x-apple-user-partition")


async def test_a_revoked_password_is_refused_and_another_one_goes_on() -> None:
    async with served() as dav:
        faults = dav.icloud.faults(APPLE_ID)
        faults.allow("qrst-uvwx-yzab-cdef")
        faults.revoke(PASSWORD)
        refused = await dav.call("PROPFIND", "/", headers={"Depth": "0"})
        taken = await dav.call("PROPFIND", "/", headers={"Depth": "0"}, password="qrst-uvwx-yzab-cdef")
    assert (refused.status, taken.status) == (401, 207)


async def test_all_passwords_can_be_revoked_at_once() -> None:
    """As when the owner changes the account's own."""
    async with served() as dav:
        dav.icloud.faults(APPLE_ID).allow("qrst-uvwx-yzab-cdef")
        dav.icloud.faults(APPLE_ID).revoke()
        answers = [
            await dav.call("PROPFIND", "/", headers={"Depth": "0"}, password=password)
            for password in (PASSWORD, "qrst-uvwx-yzab-cdef")
        ]
    assert [answer.status for answer in answers] == [401, 401]


async def test_which_passwords_open_outlives_a_restart(tmp_path: Path) -> None:
    async with served(storage=tmp_path) as dav:
        dav.icloud.faults(APPLE_ID).allow("qrst-uvwx-yzab-cdef")
        dav.icloud.faults(APPLE_ID).revoke(PASSWORD)
    async with served(storage=tmp_path) as dav:
        statuses = [
            (await dav.find("/", PRINCIPAL_PROP, password=password)).status
            for password in (PASSWORD, "qrst-uvwx-yzab-cdef")
        ]
    assert statuses == [401, 207]


async def test_no_other_scheme_signs_anybody_in() -> None:
    signed = base64.b64encode(f"{APPLE_ID}:{PASSWORD}".encode()).decode()
    async with served() as dav:
        statuses = [
            (
                await dav.call(
                    "PROPFIND",
                    "/",
                    headers={"Depth": "0", "Authorization": f"{scheme} {signed}"},
                    password=None,
                )
            ).status
            for scheme in ("Basic", "Bearer", "X-MobileMe-AuthToken")
        ]
    assert statuses == [207, 401, 401]


async def test_aliases_lead_to_one_principal() -> None:
    async with served() as dav:
        body = '<propfind xmlns="DAV:"><prop><current-user-principal/></prop></propfind>'
        replies = [
            await dav.call("PROPFIND", "/", body, {"Depth": "0"}, user=user)
            for user in (APPLE_ID, ALIAS.upper())
        ]
    found = [reply.texts(".//d:current-user-principal/d:href") for reply in replies]
    assert found == [[dav.account.principal]] * 2


@pytest.mark.parametrize("path", ["/", "/.well-known/caldav"])
async def test_the_root_names_the_principal_by_path(path: str) -> None:
    async with served() as dav:
        reply = await dav.find(path, PRINCIPAL_PROP)
    principal = reply.prop(path, "d:current-user-principal")
    assert principal is not None
    assert principal.findtext("d:href", "", NS) == dav.account.principal


async def test_a_get_of_well_known_is_refused() -> None:
    async with served() as dav:
        assert (await dav.call("GET", "/.well-known/caldav")).status == 400


async def test_depth_one_is_refused_on_the_principal() -> None:
    async with served() as dav:
        assert (await dav.find(dav.account.principal, PRINCIPAL_PROP, "1")).status == 400


@pytest.mark.parametrize("depth", [{"Depth": "infinity"}, {}])
async def test_all_that_lies_below_is_not_told_at_once(depth: dict[str, str]) -> None:
    """A depth that is not said is infinity (RFC 4918 section 9.1)."""
    async with served() as dav:
        reply = await dav.call("PROPFIND", dav.home, headers=depth)
    assert reply.status == 403
    assert "propfind-finite-depth" in reply.text


async def test_the_home_is_absolute_on_the_partition_host_with_its_port() -> None:
    async with served() as dav:
        reply = await dav.find(dav.account.principal, "<c:calendar-home-set/><c:calendar-user-address-set/>")
        home = urlsplit(reply.texts(".//c:calendar-home-set/d:href")[0])
        listed = await dav.call("PROPFIND", home.path, headers={"Depth": "1"}, url=dav.icloud.partition_url)
        entry = urlsplit(dav.icloud.entry_url)
    assert f"{home.scheme}://{home.netloc}" == dav.icloud.partition_url
    assert home.port != entry.port
    assert listed.status == 207
    addresses = reply.texts(".//c:calendar-user-address-set/d:href")
    assert {f"mailto:{APPLE_ID}", f"mailto:{ALIAS}", dav.account.principal} <= set(addresses)
    assert f"urn:uuid:{dav.account.dsid}" in addresses
    assert 'preferred="1">mailto:' in reply.text


async def test_both_hosts_serve_the_same_home() -> None:
    async with served() as dav:
        body = '<propfind xmlns="DAV:"><prop><displayname/></prop></propfind>'
        replies = [
            await dav.call("PROPFIND", dav.home, body, {"Depth": "1"}, url=url)
            for url in (dav.icloud.entry_url, dav.icloud.partition_url)
        ]
    assert replies[0].text == replies[1].text


async def test_the_home_lists_itself_and_every_kind_of_collection() -> None:
    async with served() as dav:
        listed = (await dav.listing()).hrefs
    kinds = (
        "",
        "home/",
        "work/",
        "f" * 64 + "/",
        "holidays/",
        "tasks/",
        "inbox/",
        "outbox/",
        "notification/",
    )
    assert listed == [dav.home + kind for kind in kinds]


async def test_a_calendar_says_what_it_is() -> None:
    async with served() as dav:
        reply = await dav.listing()
    at = f"{dav.home}home/"
    kinds = reply.prop(at, "d:resourcetype")
    components = reply.prop(at, "c:supported-calendar-component-set")
    color, name = reply.prop(at, "i:calendar-color"), reply.prop(at, "d:displayname")
    assert kinds is not None
    assert components is not None
    assert color is not None
    assert name is not None
    assert [kind.tag for kind in kinds] == ["{DAV:}collection", "{urn:ietf:params:xml:ns:caldav}calendar"]
    assert [comp.get("name") for comp in components] == ["VEVENT"]
    assert (color.text, name.text) == ("#1BADF8FF", "Home")


async def test_the_ctag_is_the_sync_token_in_icloud_s_form() -> None:
    async with served() as dav:
        reply = await dav.listing()
    token, ctag = (reply.prop(f"{dav.home}home/", name) for name in ("d:sync-token", "cs:getctag"))
    assert token is not None
    assert ctag is not None
    assert token.text is not None
    assert token.text == ctag.text
    assert token.text.startswith("HwoQEgwAA")
    assert token.text.endswith("==")


async def test_a_read_only_share_has_no_write_privilege() -> None:
    async with served() as dav:
        reply = await dav.listing()
    at = f"{dav.home}{'f' * 64}/"
    privileges = reply.prop(at, "d:current-user-privilege-set")
    kinds = reply.prop(at, "d:resourcetype")
    assert privileges is not None
    assert kinds is not None
    names = {privilege[0].tag.rpartition("}")[2] for privilege in privileges}
    assert names == {"read", "read-free-busy", "read-current-user-privilege-set"}
    assert kinds.find("cs:shared", NS) is not None


async def test_a_subscription_is_no_calendar_though_its_privileges_say_write() -> None:
    async with served() as dav:
        reply = await dav.listing()
    at = f"{dav.home}holidays/"
    kinds, source = reply.prop(at, "d:resourcetype"), reply.prop(at, "cs:source")
    privileges = reply.prop(at, "d:current-user-privilege-set")
    assert kinds is not None
    assert source is not None
    assert privileges is not None
    assert kinds.find("c:calendar", NS) is None
    assert kinds.find("cs:subscribed", NS) is not None
    assert source.findtext("d:href", "", NS) == "webcal://x.example/h"
    assert privileges.find("d:privilege/d:write", NS) is not None


async def test_reminders_are_a_calendar_of_tasks_without_a_colour() -> None:
    async with served() as dav:
        reply = await dav.listing()
    components = reply.prop(f"{dav.home}tasks/", "c:supported-calendar-component-set")
    assert components is not None
    assert [comp.get("name") for comp in components] == ["VTODO"]
    assert reply.prop(f"{dav.home}tasks/", "i:calendar-color") is None


async def test_what_is_lacking_comes_empty_in_a_propstat_of_its_own() -> None:
    async with served() as dav:
        reply = await dav.find(f"{dav.home}home/", "<d:displayname/><d:quota-used-bytes/>")
    statuses = reply.texts("d:response/d:propstat/d:status")
    assert statuses == ["HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found"]
    assert "<quota-used-bytes xmlns=" in reply.text


@pytest.mark.parametrize("namespace", ["", "a&amp;b"])
async def test_what_is_asked_for_in_any_namespace_or_none_comes_back_in_it(namespace: str) -> None:
    async with served() as dav:
        reply = await dav.find(f"{dav.home}home/", f"<odd xmlns='{namespace}'/>")
    (odd,) = reply.root.iterfind("d:response/d:propstat/d:prop/*", NS)
    asked = namespace.replace("&amp;", "&")
    assert odd.tag == (f"{{{asked}}}odd" if asked else "odd")


async def test_the_xml_has_no_prefixes_and_a_namespace_on_each_element() -> None:
    async with served() as dav:
        reply = await dav.listing()
    assert reply.text.startswith('<?xml version="1.0" encoding="UTF-8" standalone="yes"?>')
    assert '<multistatus xmlns="DAV:">' in reply.text
    assert '<response xmlns="DAV:">' in reply.text
    assert "xmlns:" not in reply.text
    assert "<d:" not in reply.text


async def test_allprop_gives_no_resourcetype() -> None:
    async with served() as dav:
        reply = await dav.call("PROPFIND", f"{dav.home}home/", headers={"Depth": "0"})
    assert reply.prop(f"{dav.home}home/", "d:displayname") is not None
    assert "resourcetype" not in reply.text


async def test_propname_gives_names_alone_and_allprop_what_it_is_to_include() -> None:
    """RFC 4918 9.1."""
    async with served() as dav:
        named = await dav.call("PROPFIND", dav.home, _propfind("<propname/>"), {"Depth": "1"})
        more = "<allprop/><include><resourcetype/></include>"
        included = await dav.call("PROPFIND", f"{dav.home}home/", _propfind(more), {"Depth": "0"})
    names = {prop.tag for prop in named.root.iterfind("d:response/d:propstat/d:prop/*", NS)}
    assert {"{DAV:}resourcetype", "{http://calendarserver.org/ns/}source"} <= names
    assert not named.root.findall("d:response/d:propstat/d:prop/*/*", NS)
    assert set(named.texts("d:response/d:propstat/d:prop/*")) == {""}
    assert " 404 " not in named.text
    assert [prop.tag for prop in included.root.iterfind("d:response/d:propstat/d:prop/*", NS)] == [
        *("{DAV:}displayname", "{DAV:}getetag", "{DAV:}resourcetype")
    ]


async def test_allprop_names_nothing_that_is_not_there() -> None:
    async with served() as dav:
        await dav.put("home/a.ics", event())
        reply = await dav.call("PROPFIND", f"{dav.home}home/", headers={"Depth": "1"})
    assert reply.hrefs == [f"{dav.home}home/", f"{dav.home}home/a.ics"]
    assert " 404 " not in reply.text  # An id may have these digits.


async def test_a_propfind_has_a_body_of_its_own_or_none() -> None:
    async with served() as dav:
        body = _propfind("<prop><displayname/></prop>").replace("propfind", "propertyupdate")
        assert (await dav.call("PROPFIND", dav.home, body, {"Depth": "0"})).status == 400


async def test_the_reports_of_a_calendar_are_those_that_were_captured() -> None:
    async with served() as dav:
        reply = await dav.find(f"{dav.home}home/", "<d:supported-report-set/>")
    named = reply.root.iterfind(".//d:report/*", NS)
    assert [report.tag.rpartition("}")[2] for report in named] == [
        *("acl-principal-prop-set", "principal-match", "principal-property-search", "sync-collection"),
        *("calendar-query", "calendar-multiget", "free-busy-query", "calendar-search"),
    ]


async def test_blanks_before_the_prolog_are_refused() -> None:
    async with served() as dav:
        body = '\n<?xml version="1.0"?><propfind xmlns="DAV:"><prop><displayname/></prop></propfind>'
        assert (await dav.call("PROPFIND", dav.home, body, {"Depth": "0"})).status == 400


async def test_a_collection_without_its_slash_is_refused() -> None:
    async with served() as dav:
        for at in (dav.account.principal, dav.home, f"{dav.home}home/", f"{dav.home}inbox/"):
            assert (await dav.find(at, "<d:displayname/>")).status == 207
            assert (await dav.find(at.rstrip("/"), "<d:displayname/>")).status == 400
            for method in ("REPORT", "GET", "DELETE", "PROPPATCH", "POST"):
                assert (await dav.call(method, at.rstrip("/"))).status == 400
        assert (await dav.find(f"{dav.home}nowhere", "<d:displayname/>")).status == 404
        assert (await dav.call("REPORT", f"{dav.home}nowhere", "<x/>")).status == 404


async def test_another_account_s_path_is_forbidden() -> None:
    async with served() as dav:
        other = dav.icloud.add_account("other@icloud.example", "zzzz-zzzz-zzzz-zzzz")
        assert (await dav.find(other.home, "<d:displayname/>")).status == 403


async def test_options_need_no_sign_in_and_name_what_is_served() -> None:
    async with served() as dav:
        reply = await dav.call("OPTIONS", "/", password=None)
    assert reply.status == 200
    assert "calendar-access" in (reply.header("dav") or "")
    assert "PROPPATCH" in (reply.header("allow") or "")


async def test_every_answer_looks_like_apple_s() -> None:
    async with served() as dav:
        reply = await dav.listing()
    names = ("server", "via", "x-apple-request-uuid", "x-responding-instance", "strict-transport-security")
    assert [name for name in names if not reply.header(name)] == []
    assert reply.header("schedule-tag") is None


async def test_python_caldav_is_led_to_the_partition_from_an_entry_of_another_name() -> None:
    """It goes by host names: 127.0.0.1 with another port is the host that it is at already, and a mistake."""
    async with served() as dav:
        entry = dav.icloud.entry_url.replace("127.0.0.1", "localhost")
        names = await asyncio.to_thread(_calendars_by_python_caldav, entry)
    assert {"Home", "Work"} <= names


def _calendars_by_python_caldav(entry: str) -> set[str | None]:
    with caldav.DAVClient(url=entry, username=APPLE_ID, password=PASSWORD) as client:
        return {calendar.get_display_name() for calendar in client.principal().get_calendars()}


def _propfind(inner: str) -> str:
    return f'<propfind xmlns="DAV:">{inner}</propfind>'
