"""Each claim about iCloud that is not sure is a switch by itself, and the hostile stand-in has them all."""

import asyncio
import gzip
import re
from urllib.parse import urlsplit

import pytest

from standin.catalog import CalendarFacts, Kind
from standin.manners import HOSTILE, STRICT, Manners, manners
from standin.server import StandIn
from tests.contracts.standin_http import APPLE_ID, CALENDARS, NS, Dav, Reply, event, ics, served

PRINCIPAL = "<d:current-user-principal/>"
HOMES = "<c:calendar-home-set/>"
TEAM = "f" * 64


def test_strict_shows_what_is_sure_and_hostile_all_that_was_claimed() -> None:
    unsure = [each for each in manners() if each.metadata["grade"] in {"C", "D"}]
    assert Manners() == STRICT
    for each in unsure:
        assert each.default in (False, 0, "403") or each.name == "idle_seconds"
        assert each.metadata["hostile"] != each.default
    assert {each.metadata["grade"] for each in manners()} == {"A", "A-old", "B", "C", "D"}


@pytest.mark.parametrize(
    ("flag", "name", "value"),
    [
        ("gzips", "gzips", True),
        ("no-etag-on-put", "etag_on_put", False),
        ("etag_on_put=off", "etag_on_put", False),
        ("lag-polls=3", "lag_polls", 3),
        ("lag-seconds=1.5", "lag_seconds", 1.5),
        ("redirect-root", "redirect_root", 301),
        ("redirect-root=off", "redirect_root", 0),
        ("refused-token=410", "refused_token", "410"),
        ("token-form", "token_form", "old"),
        ("no-token-form", "token_form", "new"),
    ],
)
def test_a_flag_sets_one_manner(flag: str, name: str, value: object) -> None:
    set_ = STRICT.with_flags([flag])
    assert getattr(set_, name) == value
    others = [each.name for each in manners() if getattr(set_, each.name) != getattr(STRICT, each.name)]
    assert others in ([name], [])


@pytest.mark.parametrize("flag", ["gzip-all", "gzips=maybe", "lag-polls=many", "refused-token=500"])
def test_a_flag_that_makes_no_sense_is_named(flag: str) -> None:
    with pytest.raises(ValueError, match=flag.partition("=")[0].replace("-", ".")):
        STRICT.with_flags([flag])


async def test_manners_change_while_it_runs() -> None:
    async with served() as dav:
        token = (await dav.sync("home")).token
        dav.icloud.manners = STRICT.with_flags(["token-form=old", "refused-token=410"])
        old = await dav.sync("home", token)
        dav.icloud.manners = STRICT
        assert old.token.startswith("FT=-@RU=")
        assert (await dav.sync("home", old.token)).token == token


# --- Sign-in and transport


async def test_challenges_can_be_merged_with_basic_last() -> None:
    async with served(manners=Manners(challenges_merged=True, basic_first=False)) as dav:
        reply = await dav.find("/", PRINCIPAL, password=None)
    found = [value for name, value in reply.headers if name.lower() == "www-authenticate"]
    assert found == ['X-MobileMe-AuthToken realm="MMCalDav", Basic realm="MMCalDav"']


async def test_a_client_without_a_name_can_be_refused() -> None:
    async with served(manners=Manners(user_agent_required=True)) as dav:
        nameless = await dav.find("/", PRINCIPAL)
        named = await dav.find("/", PRINCIPAL, headers={"User-Agent": "x/1"})
    assert (nameless.status, named.status) == (403, 207)


async def test_answers_are_packed_for_who_takes_them() -> None:
    async with served(manners=Manners(gzips=True)) as dav:
        plain = await dav.listing()
        port = int(dav.icloud.entry_url.rpartition(":")[2])
        head = f"PROPFIND {dav.home} HTTP/1.1\r\nHost: x\r\nDepth: 1\r\nContent-Length: 0\r\nConnection: close\r\n"
        asked = f"{head}Accept-Encoding: gzip\r\nAuthorization: {dav.authorization}\r\n\r\n"
        answer = await dav.exchange(port, asked.encode())
    assert plain.header("content-encoding") is None
    assert b"<multistatus" in gzip.decompress(answer.partition(b"\r\n\r\n")[2])


async def test_an_idle_connection_is_closed() -> None:
    async with served(manners=Manners(idle_seconds=3600)) as dav:
        dav.icloud.manners = Manners(idle_seconds=1)
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(dav.icloud.entry_url).port)
        writer.write(b"OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()


async def test_the_root_and_the_home_can_redirect_to_the_partition() -> None:
    async with served(manners=Manners(redirect_root=301, redirect_home=308)) as dav:
        root, home = await dav.find("/", PRINCIPAL), await dav.find(dav.home, HOMES)
        direct = await dav.find(dav.home, HOMES, url=dav.icloud.partition_url)
    assert (root.status, root.header("location")) == (301, f"{dav.icloud.partition_url}/")
    assert (home.status, home.header("location")) == (308, f"{dav.icloud.partition_url}{dav.home}")
    assert direct.status == 207


async def test_a_redirect_leads_to_the_path_as_it_was_asked() -> None:
    async with served(manners=Manners(redirect_home=308)) as dav:
        reply = await dav.call("GET", f"{dav.home}home/a%40b.ics")
    assert reply.header("location") == f"{dav.icloud.partition_url}{dav.home}home/a%40b.ics"


# --- Discovery and listing


async def test_depth_one_on_the_root_can_be_refused() -> None:
    async with served(manners=Manners(deep_root_refused=True)) as dav:
        assert (await dav.find("/", PRINCIPAL, "1")).status == 400


async def test_the_principals_answer_can_have_another_href() -> None:
    async with served(manners=Manners(old_response_href=True)) as dav:
        reply = await dav.find(dav.account.principal, HOMES)
    assert reply.hrefs == ["/principal/"]
    assert reply.prop("/principal/", "c:calendar-home-set") is not None


async def test_every_other_member_can_lack_its_status() -> None:
    async with served(manners=Manners(propstat_status_missing=True)) as dav:
        reply = await dav.listing()
    statuses = [
        response.findtext("d:propstat/d:status", "", NS) for response in reply.root.iterfind("d:response", NS)
    ]
    assert "HTTP/1.1 200 OK" in statuses[0::2]
    assert not any("200" in status for status in statuses[1::2])


async def test_a_shared_calendar_can_hide_its_components_and_privileges() -> None:
    shy = Manners(shared_components_missing=True, shared_privileges_missing=True)
    async with served(manners=shy) as dav:
        reply = await dav.listing()
    for name in ("c:supported-calendar-component-set", "d:current-user-privilege-set"):
        assert reply.prop(f"{dav.home}{TEAM}/", name) is None
        assert reply.prop(f"{dav.home}home/", name) is not None


@pytest.mark.parametrize("bare", [True, False])
async def test_the_default_calendar_stands_on_the_inbox(*, bare: bool) -> None:
    async with served(manners=Manners(bare_default_calendar=bare)) as dav:
        reply = await dav.find(f"{dav.home}inbox/", "<c:schedule-default-calendar-URL/>")
    found = reply.prop(f"{dav.home}inbox/", "c:schedule-default-calendar-URL")
    assert found is not None
    text = found.text if bare else found.findtext("d:href", "", NS)
    assert text == f"{dav.home}home/"


async def test_push_can_be_advertised_to_those_who_cannot_have_it() -> None:
    async with served(manners=Manners(push_advertised=True)) as dav:
        home = await dav.find(dav.home, "<cs:push-transports/><cs:pushkey/>")
        calendar = await dav.find(f"{dav.home}home/", "<cs:pushkey/>")
    assert 'type="APSD"' in home.text
    assert calendar.prop(f"{dav.home}home/", "cs:pushkey") is not None


async def test_push_is_not_advertised_without_being_asked_for() -> None:
    async with served() as dav:
        listed = await dav.find(dav.home, "<cs:push-transports/><cs:pushkey/>", "1")
    assert listed.texts(".//cs:pushkey") == [""] * len(listed.hrefs)
    assert "APSD" not in listed.text


async def test_an_at_sign_that_comes_escaped_is_found_as_it_is_alone() -> None:
    async with served(manners=Manners(at_signs_escaped=True)) as dav:
        await dav.put("home/a@b.ics", event())
        listed = (await dav.sync("home")).hrefs[1]
        as_listed, plain = await dav.call("GET", listed), await dav.call("GET", f"{dav.home}home/a@b.ics")
        asked = await dav.multiget("home", listed, f"{dav.home}home/a@b.ics")
    assert listed == f"{dav.home}home/a%40b.ics"
    assert (as_listed.status, plain.status) == (404, 200)
    assert len(asked.texts(".//c:calendar-data")) == 1


async def test_a_calendar_may_have_neither_name_nor_colour() -> None:
    nameless = CalendarFacts(id="nameless", name="", color=None)
    async with served() as dav:
        dav.icloud.add_calendar(APPLE_ID, nameless)
        reply = await dav.listing()
    assert reply.prop(f"{dav.home}nameless/", "d:displayname") is None
    assert reply.prop(f"{dav.home}nameless/", "i:calendar-color") is None


# --- Reports


@pytest.mark.parametrize("refused", ["403", "409", "410", "412"])
async def test_a_refused_token_can_be_any_bare_status(refused: str) -> None:
    async with served(manners=Manners(refused_token=refused)) as dav:
        reply = await dav.sync("home", "garbage")
    assert (reply.status, reply.text) == (int(refused), "")


async def test_refusals_can_come_in_turn() -> None:
    async with served(manners=Manners(refused_token="in-turn")) as dav:
        statuses = [(await dav.sync("home", "garbage")).status for _ in range(4)]
    assert sorted(statuses) == [403, 409, 410, 412]


async def test_hrefs_can_come_twice() -> None:
    async with served(manners=Manners(duplicate_hrefs=2)) as dav:
        for number in range(3):
            await dav.put(f"home/{number}.ics", event(f"u{number}"))
        hrefs = (await dav.sync("home")).hrefs
    assert [href.rpartition("/")[2] for href in hrefs] == ["", "0.ics", "1.ics", "1.ics", "2.ics"]


async def test_what_is_new_is_told_at_once_and_given_later() -> None:
    async with served(manners=Manners(lag_polls=2)) as dav:
        href = f"{dav.home}home/a.ics"
        await dav.put("home/a.ics", event())
        told = (await dav.sync("home")).hrefs
        gone = [(await dav.multiget("home", href)).gone for _ in range(3)]
        read = await dav.call("GET", href)
    assert href in told
    assert gone == [[href], [href], []]
    assert read.status == 200


async def test_what_lags_is_given_by_a_get_but_where_told_and_shows_nothing_old_but_where_told() -> None:
    async with served() as dav:
        href = f"{dav.home}home/a.ics"
        await dav.put("home/a.ics", event("one", "SUMMARY:old"))
        dav.icloud.faults(APPLE_ID).lag(polls=2)
        await dav.put("home/a.ics", event("one", "SUMMARY:new"))
        assert "SUMMARY:new" in (await dav.call("GET", href)).text
        assert (await dav.multiget("home", href)).gone == [href]
        dav.icloud.faults(APPLE_ID).lag(polls=2, shows_old=True, on_get=True)
        await dav.put("home/a.ics", event("one", "SUMMARY:newest"))
        assert "SUMMARY:new\r\n" in (await dav.call("GET", href)).text


async def test_what_is_deleted_lags_no_more() -> None:
    async with served(manners=Manners(lag_polls=5)) as dav:
        href = f"{dav.home}home/a.ics"
        await dav.put("home/a.ics", event("a"))
        await dav.call("DELETE", href)
        dav.icloud.manners = STRICT
        await dav.put("home/a.ics", event("a"))
        assert (await dav.multiget("home", href)).gone == []


async def test_a_lag_of_the_manners_ends_with_them() -> None:
    async with served(manners=Manners(lag_polls=5)) as dav:
        await dav.put("home/a.ics", event("a"))
        dav.icloud.manners = STRICT
        await dav.put("home/b.ics", event("b"))
        both = [f"{dav.home}home/{name}.ics" for name in "ab"]
        assert (await dav.multiget("home", *both)).gone == both[:1]


async def test_a_lag_of_the_manners_may_be_in_seconds_and_show_what_was() -> None:
    async with served(manners=Manners(lag_seconds=30, lag_shows_old=True)) as dav:
        now = 1000.0
        dav.icloud.cloud.clock = lambda: now
        href = f"{dav.home}home/a.ics"
        await dav.put("work/a.ics", event("other"))
        now += 30
        await dav.put("home/a.ics", event("one", "SUMMARY:old"))
        assert (await dav.multiget("home", href)).gone == [href]
        assert (await dav.multiget("work", f"{dav.home}work/a.ics")).gone == []
        now += 30
        await dav.put("home/a.ics", event("one", "SUMMARY:new"))
        assert "SUMMARY:old" in (await dav.multiget("home", href)).text


async def test_an_account_s_own_lag_goes_before_that_of_the_manners() -> None:
    async with served(manners=Manners(lag_polls=5)) as dav:
        dav.icloud.faults(APPLE_ID).lag(polls=1)
        await dav.put("home/a.ics", event("a"))
        href = f"{dav.home}home/a.ics"
        assert [(await dav.multiget("home", href)).gone for _ in range(2)] == [[href], []]


async def test_what_lags_is_known_once_the_faults_are_cleared() -> None:
    async with served() as dav:
        dav.icloud.faults(APPLE_ID).lag(polls=5)
        await dav.put("home/a.ics", event("a"))
        dav.icloud.faults(APPLE_ID).clear()
        assert (await dav.multiget("home", f"{dav.home}home/a.ics")).gone == []


async def test_what_changed_can_show_its_old_body_for_a_while() -> None:
    async with served() as dav:
        href = f"{dav.home}home/a.ics"
        first = await dav.put("home/a.ics", event("one", "SUMMARY:old"))
        dav.icloud.faults(APPLE_ID).lag(polls=1, shows_old=True, on_get=True)
        await dav.put("home/a.ics", event("one", "SUMMARY:new"))
        lagging = await dav.multiget("home", href)
        settled = await dav.multiget("home", href)
    assert lagging.texts(".//d:getetag") == [first.header("etag")]
    assert "SUMMARY:old" in lagging.text
    assert "SUMMARY:new" in settled.text


async def test_a_lag_in_seconds_holds_for_a_get_too_where_told() -> None:
    async with served() as dav:
        now = 1000.0
        dav.icloud.cloud.clock = lambda: now
        dav.icloud.faults(APPLE_ID).lag(seconds=30, on_get=True)
        await dav.put("home/a.ics", event())
        early = await dav.call("GET", f"{dav.home}home/a.ics")
        now = 1031.0
        late = await dav.call("GET", f"{dav.home}home/a.ics")
    assert (early.status, late.status) == (404, 200)


@pytest.mark.parametrize(
    ("drops", "left"), [("none", ["a", "b", "c"]), ("some", ["a", "b"]), ("all", []), ("hrefs", [""] * 3)]
)
async def test_multiget_can_leave_things_out(drops: str, left: list[str]) -> None:
    async with served(manners=Manners(multiget_drops=drops)) as dav:
        hrefs = [f"{dav.home}home/{name}.ics" for name in "abc"]
        for href in hrefs:
            await dav.call("PUT", href, event(href[-5]))
        reply = await dav.multiget("home", *hrefs)
    assert [href.removesuffix(".ics").rpartition("/")[2] for href in reply.hrefs] == left


async def test_a_query_without_a_component_can_find_nothing() -> None:
    async with served(manners=Manners(unfiltered_query="empty")) as dav:
        await dav.put("home/a.ics", event())
        reply = await dav.query("home", "")
    assert (reply.status, reply.hrefs) == (207, [])


@pytest.mark.parametrize("empty", [True, False])
async def test_expanding_works_or_finds_nothing(*, empty: bool) -> None:
    daily = event("daily", "RRULE:FREQ=DAILY;COUNT=3")
    async with served(manners=Manners(expand_empty=empty)) as dav:
        await dav.put("home/a.ics", daily)
        reply = await dav.call("REPORT", f"{dav.home}home/", _expanding(), {"Depth": "1"})
    starts = reply.text.count("DTSTART:202611")
    assert (reply.status, starts) == (207, 0 if empty else 2)


async def test_expanding_gives_no_text_of_what_has_no_date_there_and_wants_a_span_in_utc() -> None:
    async with served() as dav:
        await dav.put("home/a.ics", event("early", day=11))
        asked = _expanding()
        without_range = asked.replace(
            asked[asked.index("<c:time-range") : asked.index("</c:comp-filter>")], ""
        )
        reply = await dav.call("REPORT", f"{dav.home}home/", without_range, {"Depth": "1"})
        odd = await dav.call(
            "REPORT", f"{dav.home}home/", without_range.replace("T000000Z", ""), {"Depth": "1"}
        )
    assert reply.hrefs == [f"{dav.home}home/a.ics"]
    assert reply.prop(f"{dav.home}home/a.ics", "c:calendar-data") is None
    assert odd.status == 400


FLOATING = ("DTSTART:20261121T100000", "DTEND:20261121T110000", "RRULE:FREQ=DAILY;COUNT=3")
MOVED = ("RECURRENCE-ID:20261121T100000Z", "DTSTART:20261122T120000Z", "DTEND:20261122T130000Z")


@pytest.mark.parametrize(
    ("lines", "starts"),
    [
        (("DTSTART:20261122T100000Z", "DTEND:20261122T110000Z"), ["20261122T100000Z"]),
        (("DTSTART:20261122T100000", "DTEND:20261122T110000"), ["20261122T100000"]),
        (FLOATING, ["20261122T100000", "20261123T100000"]),
        ((*FLOATING, "EXDATE:20261122T100000"), ["20261123T100000"]),
        (MOVED, ["20261122T120000Z"]),
    ],
    ids=["one", "floating", "a-floating-series", "an-exception", "an-occurrence-alone"],
)
async def test_whatever_lies_in_the_span_is_expanded(lines: tuple[str, ...], starts: list[str]) -> None:
    async with served() as dav:
        put = await dav.put(
            "home/a.ics",
            ics("BEGIN:VEVENT", "UID:a", "DTSTAMP:20261101T000000Z", *lines, "END:VEVENT"),
        )
        reply = await dav.call("REPORT", f"{dav.home}home/", _expanding(), {"Depth": "1"})
    assert (put.status, reply.status) == (201, 207)
    (text,) = reply.texts(".//c:calendar-data")
    assert re.findall(r"^DTSTART:(\S+)", text, re.MULTILINE) == starts


@pytest.mark.parametrize("start", ["20261322T000000Z", "00010101T000000Z"])
async def test_no_span_to_expand_to_fails_the_server(start: str) -> None:
    async with served() as dav:
        await dav.put("home/a.ics", event("daily", "RRULE:FREQ=DAILY;COUNT=3"))
        asked = _expanding().replace('expand start="20261122T000000Z"', f'expand start="{start}"')
        reply = await dav.call("REPORT", f"{dav.home}home/", asked, {"Depth": "1"})
    assert reply.status == (207 if start.startswith("0001") else 400)


async def test_part_of_an_event_comes_without_its_alarms() -> None:
    alarm = ("BEGIN:VALARM", "ACTION:DISPLAY", "UID:alarm", "TRIGGER:-PT5M", "END:VALARM")
    async with served() as dav:
        await dav.put("home/z.ics", event("z", *alarm))
        some = await _partial(dav, '<c:prop name="UID"/>')
    assert some.split() == ["BEGIN:VCALENDAR", "BEGIN:VEVENT", "UID:z", "END:VEVENT", "END:VCALENDAR"]


async def test_part_of_an_object_comes_without_its_zones_and_allprop_is_next_to_nothing() -> None:
    zoned = ics(
        *("BEGIN:VTIMEZONE", "TZID:Europe/Berlin", "BEGIN:STANDARD", "DTSTART:19961027T030000"),
        *("TZOFFSETFROM:+0200", "TZOFFSETTO:+0100", "END:STANDARD", "END:VTIMEZONE"),
        *("BEGIN:VEVENT", "UID:z", "DTSTAMP:20261101T000000Z", "DTSTART;TZID=Europe/Berlin:20261121T100000"),
        *("DTEND;TZID=Europe/Berlin:20261121T110000", "SUMMARY:Secret", "END:VEVENT"),
    )
    wanted = '<c:prop name="UID"/><c:prop name="DTSTART"/>'
    async with served() as dav:
        await dav.put("home/z.ics", zoned)
        some = await _partial(dav, wanted)
        everything = await _partial(dav, "<c:allprop/>")
    assert [line.partition(":")[0] for line in some.splitlines()] == [
        *("BEGIN", "BEGIN", "UID", "DTSTART;TZID=Europe/Berlin", "END", "END")
    ]
    assert everything.split() == ["BEGIN:VCALENDAR", "BEGIN:VEVENT", "END:VEVENT", "END:VCALENDAR"]


async def test_a_report_on_a_subscription_can_be_empty() -> None:
    async with served(manners=Manners(subscription_reports="empty")) as dav:
        reply = await dav.sync("holidays")
    assert (reply.status, reply.hrefs) == (207, [])


# --- Writes


@pytest.mark.parametrize("element", ["no-uid-conflict", "unique-scheduling-object-resource"])
async def test_a_taken_uid_can_be_a_403_that_names_it(element: str) -> None:
    async with served(manners=Manners(uid_conflict=element)) as dav:
        await dav.put("home/a.ics", event("same"))
        reply = await dav.put("work/b.ics", event("same"), If_None_Match="*")
    assert reply.status == 403
    assert reply.root.find(f"c:{element}", NS) is not None


@pytest.mark.parametrize(
    ("flag", "text", "status"),
    [
        ("endless-status=403", event(end=None), 403),
        ("method-status=400", ics("METHOD:REQUEST", *event().splitlines()[3:-1]), 400),
        ("method-status=415", ics("METHOD:REQUEST", *event().splitlines()[3:-1]), 415),
        ("odd-names-refused", event(), 403),
    ],
)
async def test_a_refusal_can_have_another_status(flag: str, text: str, status: int) -> None:
    async with served(manners=STRICT.with_flags([flag])) as dav:
        name = "a_b.ics" if "names" in flag else "a.ics"
        refused, plain = await dav.put(f"home/{name}", text), await dav.put("home/a-1.ics", event("plain"))
    assert (refused.status, plain.status) == (status, 201)


async def test_a_delete_with_a_depth_can_be_refused() -> None:
    async with served(manners=Manners(delete_depth_refused=True)) as dav:
        await dav.put("home/a.ics", event())
        deep = await dav.call("DELETE", f"{dav.home}home/a.ics", headers={"Depth": "infinity"})
        plain = await dav.call("DELETE", f"{dav.home}home/a.ics")
    assert (deep.status, plain.status) == (400, 204)


@pytest.mark.parametrize("dropped", [True, False])
async def test_a_weekly_rule_without_its_day_can_be_dropped(*, dropped: bool) -> None:
    async with served(manners=Manners(weekly_needs_byday=dropped)) as dav:
        await dav.put("home/bare.ics", event("bare", "RRULE:FREQ=WEEKLY"))
        await dav.put("home/full.ics", event("full", "RRULE:FREQ=WEEKLY;BYDAY=SA"))
        bare = await dav.call("GET", f"{dav.home}home/bare.ics")
        full = await dav.call("GET", f"{dav.home}home/full.ics")
    assert ("RRULE" not in bare.text, "RRULE" in full.text) == (dropped, True)


async def test_no_other_rule_is_dropped() -> None:
    task = ics("BEGIN:VTODO", "UID:t", "DTSTAMP:20261101T000000Z", "RRULE:FREQ=WEEKLY", "END:VTODO")
    async with served(manners=Manners(weekly_needs_byday=True)) as dav:
        await dav.put("home/daily.ics", event("daily", "RRULE:FREQ=DAILY"))
        await dav.put("tasks/t.ics", task)
        for at in ("home/daily.ics", "tasks/t.ics"):
            assert "RRULE" in (await dav.call("GET", dav.home + at)).text


async def test_of_the_calendars_that_were_the_last_alone_are_remembered() -> None:
    async with served() as dav:
        for number in range(25):
            await dav.call("MKCALENDAR", f"{dav.home}past-{number}/")
            await dav.call("DELETE", f"{dav.home}past-{number}/")
        remembered = list(dav.icloud.cloud.member(APPLE_ID).deleted)
    assert remembered == [f"past-{number}" for number in range(5, 25)]


async def test_a_calendar_made_anew_can_have_its_old_events() -> None:
    for reappear, held in ((True, 2), (False, 0)):
        async with served(manners=Manners(deleted_events_reappear=reappear)) as dav:
            await dav.put("home/a.ics", event())
            await dav.call("DELETE", f"{dav.home}home/")
            await dav.call("MKCALENDAR", f"{dav.home}home/")
            assert len((await dav.sync("home")).hrefs) == held


async def test_an_event_that_has_gone_elsewhere_does_not_reappear() -> None:
    async with served(manners=Manners(deleted_events_reappear=True)) as dav:
        await dav.put("home/a.ics", event("a"))
        await dav.put("home/b.ics", event("b"))
        await dav.call("DELETE", f"{dav.home}home/")
        await dav.put("work/a.ics", event("a"))
        await dav.call("MKCALENDAR", f"{dav.home}home/")
        assert (await dav.sync("home")).hrefs == [f"{dav.home}home/", f"{dav.home}home/b.ics"]


async def test_a_short_id_makes_no_calendar() -> None:
    async with served() as dav:
        assert (await dav.call("MKCALENDAR", f"{dav.home}abc/")).status == 400


async def test_an_account_can_have_a_budget_of_requests() -> None:
    async with served(manners=Manners(requests_a_minute=2)) as dav:
        statuses = [(await dav.sync("home")).status for _ in range(3)]
    assert statuses == [207, 207, 503]


async def test_a_budget_is_each_account_s_and_one_of_its_own_goes_before_it() -> None:
    async with served(manners=Manners(requests_a_minute=1)) as dav:
        other = dav.icloud.add_account("other@icloud.example", "zzzz-zzzz-zzzz-zzzz")
        own = [(await dav.sync("home")).status for _ in range(2)]
        theirs = await dav.call(
            "PROPFIND",
            other.home,
            headers={"Depth": "0"},
            user=other.apple_id,
            password="zzzz-zzzz-zzzz-zzzz",
        )
        dav.icloud.faults(APPLE_ID).bucket(60, burst=3)
        more = [(await dav.sync("home")).status for _ in range(3)]
    assert (own, theirs.status, more) == ([207, 503], 207, [207] * 3)


async def test_the_hostile_stand_in_is_all_of_it_at_once() -> None:
    async with StandIn(manners=HOSTILE) as icloud:
        dav = Dav(icloud, icloud.add_account(APPLE_ID, "abcd-efgh-ijkl-mnop", calendars=CALENDARS))
        assert (await dav.find("/", PRINCIPAL)).status == 403
        redirected = await dav.find("/", PRINCIPAL, headers={"User-Agent": "x/1"})
        assert (redirected.status, redirected.header("location")) == (301, f"{icloud.partition_url}/")
        assert icloud.cloud.member(APPLE_ID).calendars[TEAM].facts.kind is Kind.SHARED


async def _partial(dav: Dav, props: str) -> str:
    comps = f'<c:comp name="VCALENDAR"><c:comp name="VEVENT">{props}</c:comp></c:comp>'
    body = (
        f'<c:calendar-multiget xmlns="DAV:" xmlns:c="{NS["c"]}"><prop><getetag/><c:calendar-data>{comps}'
        f"</c:calendar-data></prop><href>{dav.home}home/z.ics</href></c:calendar-multiget>"
    )
    reply: Reply = await dav.call("REPORT", f"{dav.home}home/", body, {"Depth": "1"})
    return reply.texts(".//c:calendar-data")[0]


def _expanding() -> str:
    span = 'start="20261122T000000Z" end="20261201T000000Z"'
    filters = (
        f'<c:comp-filter name="VCALENDAR"><c:comp-filter name="VEVENT"><c:time-range {span}/>'
        "</c:comp-filter></c:comp-filter>"
    )
    data = f"<prop><getetag/><c:calendar-data><c:expand {span}/></c:calendar-data></prop>"
    return f'<c:calendar-query xmlns="DAV:" xmlns:c="{NS["c"]}">{data}<c:filter>{filters}</c:filter></c:calendar-query>'
