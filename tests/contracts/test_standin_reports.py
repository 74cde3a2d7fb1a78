"""The stand-in tells of changes, and hands out bodies, as iCloud does."""

import base64
import re
from pathlib import Path

import pytest

from standin.catalog import ISSUED_HERE
from standin.manners import Manners
from tests.contracts.standin_http import APPLE_ID, CALENDARS, Dav, event, ics, served

VEVENT = '<c:comp-filter name="VEVENT">{}</c:comp-filter>'


async def test_a_first_sync_lists_the_collection_and_everything_in_it() -> None:
    async with served() as dav:
        put = await dav.put("home/a.ics", event())
        reply = await dav.sync("home")
    assert reply.hrefs == [f"{dav.home}home/", f"{dav.home}home/a.ics"]
    assert reply.texts("d:response/d:propstat/d:prop/d:getetag")[1] == put.header("etag")


async def test_no_change_is_a_token_and_nothing_else() -> None:
    async with served() as dav:
        token = (await dav.sync("home")).token
        reply = await dav.sync("home", token)
    assert (reply.hrefs, reply.token) == ([], token)


async def test_an_addition_and_a_removal_are_told_once() -> None:
    async with served() as dav:
        await dav.put("home/old.ics", event("old"))
        before = (await dav.sync("home")).token
        await dav.put("home/new.ics", event("new"))
        await dav.call("DELETE", f"{dav.home}home/old.ics")
        reply = await dav.sync("home", before)
        after = await dav.sync("home", reply.token)
    assert reply.hrefs == [f"{dav.home}home/{name}" for name in ("", "new.ics", "old.ics")]
    assert reply.gone == [f"{dav.home}home/old.ics"]
    assert after.hrefs == []


async def test_the_home_shows_which_calendar_changed() -> None:
    async with served() as dav:
        before = await dav.listing()
        await dav.put("home/a.ics", event())
        after = await dav.listing()

    def tokens(calendar: str) -> set[str | None]:
        found = [reply.prop(f"{dav.home}{calendar}/", "d:sync-token") for reply in (before, after)]
        return {token.text for token in found if token is not None}

    assert (len(tokens("home")), len(tokens("work"))) == (2, 1)


@pytest.mark.parametrize(
    "token", ["garbage", "HwoQEgwAAA==", "HwoQEgwAAABu9/hsAAAAAAAAAAQ==", "HwoQEgwAA{}=="]
)
async def test_a_token_from_elsewhere_is_refused_by_name(token: str) -> None:
    async with served() as dav:
        reply = await dav.sync("home", token)
    assert reply.status == 403
    assert reply.root.find("{DAV:}valid-sync-token") is not None


async def test_a_token_counts_for_its_own_calendar_only() -> None:
    async with served() as dav:
        token = (await dav.sync("home")).token
        assert (await dav.sync("work", token)).status == 403


async def test_purged_tokens_are_refused_and_a_new_one_is_given() -> None:
    async with served() as dav:
        token, other = (await dav.sync("home")).token, (await dav.sync("work")).token
        dav.icloud.faults(APPLE_ID).purge_tokens("home")
        refused, fresh = await dav.sync("home", token), await dav.sync("home")
        again, elsewhere = await dav.sync("home", fresh.token), await dav.sync("work", other)
    assert (refused.status, fresh.status, again.hrefs) == (403, 207, [])
    assert elsewhere.status == 207


@pytest.mark.parametrize("form", ["new", "old"])
async def test_a_token_of_what_is_still_to_come_is_refused(form: str) -> None:
    """As one is that was issued before the server went back to a copy of its storage."""
    async with served(manners=Manners(token_form=form)) as dav:
        calendar = dav.icloud.cloud.member(APPLE_ID).calendar("home")
        now, later = (calendar.token(form, at=calendar.revision + more) for more in (0, 1))
        refused, taken = await dav.sync("home", later), await dav.sync("home", now)
    assert (refused.status, taken.status) == (403, 207)
    assert refused.root.find("{DAV:}valid-sync-token") is not None


async def test_what_only_looks_like_a_token_is_refused() -> None:
    async with served() as dav:
        calendar = dav.icloud.cloud.member(APPLE_ID).calendar("home")
        prefix, packed = ISSUED_HERE, b"\0" + calendar.epoch + calendar.revision.to_bytes(8, "big")
        assert (await dav.sync("home", prefix + base64.b64encode(packed).decode())).status == 207
        longer = base64.b64encode(packed[:5] + b"\0" + packed[5:]).decode()
        odd = (
            *(
                base64.b64encode(packed).decode(),
                prefix + longer,
                f"{prefix}~{base64.b64encode(packed).decode()}",
            ),
            calendar.token("old").replace("@S=", "@S=" + "0" * 5000),
        )
        assert [(await dav.sync("home", token)).status for token in odd] == [403] * 4


async def test_a_bare_403_is_a_switch() -> None:
    async with served(manners=Manners(refused_token="403")) as dav:
        reply = await dav.sync("home", "garbage")
    assert (reply.status, reply.text) == (403, "")


async def test_tokens_and_etags_outlive_a_restart(tmp_path: Path) -> None:
    async with served(storage=tmp_path) as dav:
        await dav.put("home/kept.ics", event("kept"))
        await dav.put("home/gone.ics", event("gone"))
        token = (await dav.sync("home")).token
        await dav.call("DELETE", f"{dav.home}home/gone.ics")
        dav.icloud.faults(APPLE_ID).touch("home", ["kept.ics"])
        last = await dav.sync("home", token)
    async with served(storage=tmp_path) as dav:
        reply = await dav.sync("home", token)
        after = await dav.sync("home", last.token)
    assert reply.text == last.text
    assert reply.gone == [f"{dav.home}home/gone.ics"]
    assert after.hrefs == []


async def test_what_reached_radicale_without_the_journal_is_told_after_a_restart(tmp_path: Path) -> None:
    async with served(storage=tmp_path) as dav:
        token = (await dav.sync("home")).token
        await dav.icloud.cloud.backend.put(dav.account.dsid, CALENDARS[0], "torn.ics", event("torn"))
    async with served(storage=tmp_path) as dav:
        reply = await dav.sync("home", token)
    assert f"{dav.home}home/torn.ics" in reply.hrefs


async def test_what_no_put_is_taken_for_can_be_loaded_and_outlives_a_restart(tmp_path: Path) -> None:
    texts = {"cut.ics": "BEGIN:VCALENDAR\r\nBEGIN:VEV", "page.ics": "<html>", "fine.ics": event("fine")}
    async with served(storage=tmp_path) as dav:
        dav.icloud.cloud.load(dav.icloud.cloud.member(APPLE_ID).calendar("home"), texts)
        token = (await dav.sync("home")).token
    async with served(storage=tmp_path) as dav:
        after = await dav.sync("home", token)
        reply = await dav.multiget("home", *[f"{dav.home}home/{name}" for name in texts])
    assert after.hrefs == []
    found = [text.replace("\n", "\r\n") for text in reply.texts(".//c:calendar-data")]
    assert found == list(texts.values())


@pytest.mark.parametrize("name", ["..", ".hidden", "a%2Fb.ics"])
async def test_a_name_does_not_lead_out_of_its_calendar(name: str) -> None:
    async with served() as dav:
        assert (await dav.put(f"home/{name}", event())).status in {400, 403, 404, 409}
        assert (await dav.call("GET", f"{dav.home}home/{name}")).status == 404
        assert (await dav.sync("home")).hrefs == []


async def test_nothing_is_loaded_outside_of_its_calendar() -> None:
    async with served() as dav:
        home = dav.icloud.cloud.member(APPLE_ID).calendar("home")
        with pytest.raises(ValueError, match="no name for a resource"):
            dav.icloud.cloud.load(home, {"../out.ics": event()})


async def test_a_limit_is_ignored() -> None:
    async with served() as dav:
        for number in range(3):
            await dav.put(f"home/{number}.ics", event(f"uid-{number}"))
        reply = await dav.sync("home", limit="<d:limit><d:nresults>1</d:nresults></d:limit>")
    assert len(reply.hrefs) == 4


async def test_a_touch_changes_the_etag_and_not_the_body() -> None:
    async with served() as dav:
        put = await dav.put("home/a.ics", event())
        before = await dav.call("GET", f"{dav.home}home/a.ics")
        dav.icloud.faults(APPLE_ID).touch("home", ["a.ics"])
        after = await dav.call("GET", f"{dav.home}home/a.ics")
    assert before.header("etag") == put.header("etag") != after.header("etag")
    assert before.text == after.text


async def test_a_touch_may_be_of_all_and_of_nothing_that_is_not_there() -> None:
    async with served() as dav:
        before = [(await dav.put(f"home/{name}.ics", event(name))).header("etag") for name in "ab"]
        with pytest.raises(LookupError, match=r"none\.ics"):
            dav.icloud.faults(APPLE_ID).touch("home", ["b.ics", "none.ics"])
        dav.icloud.faults(APPLE_ID).touch("home", ["a.ics"])
        one = [(await dav.call("GET", f"{dav.home}home/{name}.ics")).header("etag") for name in "ab"]
        dav.icloud.faults(APPLE_ID).touch("home")
        both = [(await dav.call("GET", f"{dav.home}home/{name}.ics")).header("etag") for name in "ab"]
    assert [was == now for was, now in zip(before, one, strict=True)] == [False, True]
    assert not set(one) & set(both)


async def test_etags_are_eight_characters_in_base_36() -> None:
    async with served() as dav:
        etag = (await dav.put("home/a.ics", event())).header("etag")
    assert etag is not None
    assert re.fullmatch(r'"[0-9a-z]{8}"', etag)


async def test_multiget_gives_bodies_in_cdata_and_names_what_is_not_there() -> None:
    async with served() as dav:
        put = await dav.put("home/a.ics", event())
        reply = await dav.multiget("home", f"{dav.home}home/a.ics", f"{dav.home}home/b.ics")
    assert "<![CDATA[BEGIN:VCALENDAR" in reply.text
    assert "UID:one" in reply.texts(".//c:calendar-data")[0]
    assert reply.texts(".//d:getetag") == [put.header("etag")]
    assert reply.gone == [f"{dav.home}home/b.ics"]


async def test_multiget_does_not_reach_into_another_calendar() -> None:
    async with served() as dav:
        await dav.put("work/a.ics", event())
        await dav.put("home/a.ics", event("two"))
        reply = await dav.multiget("home", f"{dav.home}work/a.ics")
    assert reply.gone == [f"{dav.home}work/a.ics"]


async def test_a_query_finds_what_lies_in_the_span() -> None:
    async with served() as dav:
        await dav.put("home/in.ics", event("in", day=21))
        await dav.put("home/out.ics", event("out", day=23))
        await dav.put("home/weekly.ics", event("weekly", "RRULE:FREQ=DAILY;INTERVAL=7", day=14))
        span = '<c:time-range start="20261121T103000Z" end="20261121T120000Z"/>'
        reply = await dav.query("home", VEVENT.format(span))
    assert sorted(reply.hrefs) == [f"{dav.home}home/in.ics", f"{dav.home}home/weekly.ics"]


async def test_a_query_misses_an_occurrence_moved_into_the_span() -> None:
    text = event("series", "RRULE:FREQ=DAILY;COUNT=2").replace(
        "END:VCALENDAR",
        "BEGIN:VEVENT\r\nUID:series\r\nDTSTAMP:20261101T000000Z\r\nRECURRENCE-ID:20261122T100000Z\r\n"
        "DTSTART:20261128T100000Z\r\nDTEND:20261128T110000Z\r\nEND:VEVENT\r\nEND:VCALENDAR",
    )
    span = '<c:time-range start="20261128T000000Z" end="20261129T000000Z"/>'
    async with served() as dav:
        await dav.put("home/s.ics", text)
        missed = await dav.query("home", VEVENT.format(span))
    async with served(manners=Manners(moved_override_missed=False)) as dav:
        await dav.put("home/s.ics", text)
        found = await dav.query("home", VEVENT.format(span))
    assert (missed.hrefs, found.hrefs) == ([], [f"{dav.home}home/s.ics"])


async def found_in(dav: Dav, start: str, end: str, calendar: str = "home") -> list[str]:
    reply = await dav.query(calendar, VEVENT.format(f'<c:time-range start="{start}" end="{end}"/>'))
    assert reply.status == 207
    return [href.rpartition("/")[2] for href in reply.hrefs]


async def test_what_ends_as_the_span_begins_or_begins_as_it_ends_is_not_in_it() -> None:
    async with served() as dav:
        await dav.put("home/a.ics", event())
        assert await found_in(dav, "20261121T080000Z", "20261121T100000Z") == []
        assert await found_in(dav, "20261121T110000Z", "20261121T120000Z") == []
        assert await found_in(dav, "20261121T105959Z", "20261121T120000Z") == ["a.ics"]


async def test_a_series_is_not_in_a_span_between_two_of_its_dates() -> None:
    async with served() as dav:
        await dav.put("home/w.ics", event("w", "RRULE:FREQ=WEEKLY;BYDAY=SA"))
        assert await found_in(dav, "20261123T000000Z", "20261127T000000Z") == []
        assert await found_in(dav, "20261123T000000Z", "20261129T000000Z") == ["w.ics"]


async def test_all_day_and_floating_events_are_compared_in_utc() -> None:
    """Of an owner east or west of Greenwich a span by their own clock misses some: a client has to ask for more."""
    stamp = "DTSTAMP:20261101T000000Z"
    day = ("UID:day", stamp, "DTSTART;VALUE=DATE:20261128", "DTEND;VALUE=DATE:20261129")
    wall = ("UID:wall", stamp, "DTSTART:20261130T100000", "DTEND:20261130T110000")
    async with served() as dav:
        for lines in (day, wall):
            name = lines[0].removeprefix("UID:")
            await dav.put(f"home/{name}.ics", ics("BEGIN:VEVENT", *lines, "END:VEVENT"))
        assert await found_in(dav, "20261127T220000Z", "20261128T000000Z") == []
        assert await found_in(dav, "20261128T230000Z", "20261129T000000Z") == ["day.ics"]
        assert await found_in(dav, "20261130T090000Z", "20261130T100000Z") == []
        assert await found_in(dav, "20261130T100000Z", "20261130T110000Z") == ["wall.ics"]


async def test_a_span_has_one_end_at_least_and_is_in_utc() -> None:
    async with served() as dav:
        await dav.put("home/a.ics", event())
        from_then_on = await dav.query("home", VEVENT.format('<c:time-range start="20261121T000000Z"/>'))
        without = await dav.query("home", VEVENT.format("<c:time-range/>"))
        local = await dav.query("home", VEVENT.format('<c:time-range start="20261121T000000"/>'))
    assert from_then_on.hrefs == [f"{dav.home}home/a.ics"]
    assert (without.status, local.status) == (400, 400)


@pytest.mark.parametrize(
    "start", ["20261301T000000Z", "20260231T000000Z", "00000101T000000Z", "20261121T250000Z"]
)
async def test_a_span_is_of_days_and_hours_that_there_are(start: str) -> None:
    time_range = f'<c:time-range start="{start}" end="20270101T000000Z"/>'
    async with served() as dav:
        await dav.put("home/a.ics", event())
        assert (await dav.query("home", VEVENT.format(time_range))).status == 400


async def test_a_span_reaches_from_the_first_year_to_the_last() -> None:
    async with served() as dav:
        await dav.put("home/a.ics", event())
        assert await found_in(dav, "00010101T000000Z", "99991231T235959Z") == ["a.ics"]


async def test_an_event_that_cannot_be_placed_fails_no_query_for_the_others() -> None:
    days = ("DTSTART;VALUE=DATE:20261121", "DTEND;VALUE=DATE:20261122", "RRULE:FREQ=DAILY;COUNT=3")
    mixed = ("UID:mixed", "DTSTAMP:20261101T000000Z", *days, "EXDATE:20261122T000000Z")
    async with served() as dav:
        await dav.put("home/a.ics", event())
        put = await dav.put("home/b.ics", ics("BEGIN:VEVENT", *mixed, "END:VEVENT"))
        assert put.status == 201
        assert await found_in(dav, "20261121T000000Z", "20261122T000000Z") == ["a.ics", "b.ics"]


async def test_an_href_that_is_no_address_is_not_there() -> None:
    async with served() as dav:
        await dav.put("home/a.ics", event())
        reply = await dav.multiget("home", "http://[bad/", f"{dav.home}home/a.ics")
    assert (reply.status, reply.gone) == (207, ["http://%5Bbad/"])
    assert "UID:one" in reply.texts(".//c:calendar-data")[0]


async def test_a_query_for_what_a_calendar_does_not_hold_finds_nothing() -> None:
    tasks = '<c:comp-filter name="VTODO"/>'
    async with served() as dav:
        await dav.put("home/a.ics", event())
        await dav.put("tasks/t.ics", ics("BEGIN:VTODO", "UID:t", "DTSTAMP:20261101T000000Z", "END:VTODO"))
        found = {at: (await dav.query(at, tasks)).hrefs for at in ("home", "tasks")}
        events = await dav.query("tasks", VEVENT.format(""))
    assert found == {"home": [], "tasks": [f"{dav.home}tasks/t.ics"]}
    assert events.hrefs == []


async def test_a_report_that_is_not_served_is_refused_by_name() -> None:
    async with served() as dav:
        reply = await dav.call("REPORT", f"{dav.home}home/", '<acl-principal-prop-set xmlns="DAV:"/>')
    assert reply.status == 403
    assert reply.root.find("{DAV:}supported-report") is not None


@pytest.mark.parametrize("collection", ["", "inbox/", "notification/"])
async def test_what_is_no_calendar_has_no_reports(collection: str) -> None:
    async with served() as dav:
        reply = await dav.call("REPORT", f"{dav.home}{collection}", '<sync-collection xmlns="DAV:"/>')
    assert reply.status == 403
    assert reply.root.find("{DAV:}supported-report") is not None


async def test_a_query_by_uid_is_412_and_by_other_text_empty() -> None:
    async with served() as dav:
        await dav.put("home/a.ics", event("one", "SUMMARY:Lunch"))
        match = '<c:prop-filter name="{}"><c:text-match>{}</c:text-match></c:prop-filter>'
        by_uid = await dav.query("home", VEVENT.format(match.format("UID", "one")))
        by_title = await dav.query("home", VEVENT.format(match.format("SUMMARY", "Lunch")))
    assert by_uid.status == 412
    assert (by_title.status, by_title.hrefs) == (207, [])


async def test_a_query_that_names_no_component_fails() -> None:
    async with served() as dav:
        assert (await dav.query("home", "")).status == 500


async def test_free_busy_is_refused_though_it_is_advertised() -> None:
    span = '<c:time-range start="20261121T000000Z" end="20261122T000000Z"/>'
    body = f'<c:free-busy-query xmlns:c="urn:ietf:params:xml:ns:caldav">{span}</c:free-busy-query>'
    async with served() as dav:
        advertised = await dav.find(f"{dav.home}home/", "<d:supported-report-set/>")
        reply = await dav.call("REPORT", f"{dav.home}home/", body, {"Depth": "1"})
    assert "free-busy-query" in advertised.text
    assert reply.status == 400


async def test_a_report_on_a_subscription_is_forbidden_and_without_its_slash_bad() -> None:
    async with served() as dav:
        body = '<sync-collection xmlns="DAV:"><sync-token/><prop><getetag/></prop></sync-collection>'
        slashless = await dav.call("REPORT", f"{dav.home}home", body, {"Depth": "1"})
        assert (await dav.sync("holidays")).status == 403
        assert slashless.status == 400


async def test_bodies_keep_what_apple_and_others_write() -> None:
    lines = (
        "X-APPLE-TRAVEL-DURATION;VALUE=DURATION:PT45M",
        "SUMMARY:Zoë ]]> 日本 & <b>",
        "TRANSP:TRANSPARENT",
    )
    async with served() as dav:
        await dav.put("home/a.ics", event("one", *lines))
        reply = await dav.multiget("home", f"{dav.home}home/a.ics")
    text = reply.texts(".//c:calendar-data")[0]
    assert all(line in text for line in lines)


async def test_reminders_hold_tasks() -> None:
    async with served() as dav:
        task = ics("BEGIN:VTODO", "UID:t", "DTSTAMP:20261101T000000Z", "SUMMARY:Milk", "END:VTODO")
        assert (await dav.put("tasks/t.ics", task)).status == 201
        assert (await dav.sync("tasks")).hrefs == [f"{dav.home}tasks/", f"{dav.home}tasks/t.ics"]
