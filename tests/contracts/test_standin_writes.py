"""The stand-in takes and refuses writes as iCloud does."""

import asyncio
import http.client
from pathlib import Path

import pytest

from standin import writes
from standin.manners import Manners
from standin.messages import Request
from tests.contracts.standin_http import ALIAS, APPLE_ID, Dav, Reply, event, ics, served


async def test_a_new_event_is_created_and_an_edited_one_replaced() -> None:
    async with served() as dav:
        created = await dav.put("home/a.ics", event(), If_None_Match="*")
        replaced = await dav.put(
            "home/a.ics", event("one", "SUMMARY:x"), If_Match=created.header("etag") or ""
        )
    assert (created.status, replaced.status) == (201, 204)
    assert None not in (created.header("etag"), replaced.header("etag"))
    assert created.header("etag") != replaced.header("etag")


async def test_creating_what_exists_is_refused() -> None:
    async with served() as dav:
        await dav.put("home/a.ics", event())
        assert (await dav.put("home/a.ics", event(), If_None_Match="*")).status == 412


async def test_a_stale_etag_is_refused_and_changes_nothing() -> None:
    async with served() as dav:
        stale = (await dav.put("home/a.ics", event())).header("etag") or ""
        now = await dav.put("home/a.ics", event("one", "SUMMARY:now"))
        edited = await dav.put("home/a.ics", event("one", "SUMMARY:late"), If_Match=stale)
        deleted = await dav.call("DELETE", f"{dav.home}home/a.ics", headers={"If-Match": stale})
        held = await dav.call("GET", f"{dav.home}home/a.ics")
    assert (edited.status, deleted.status) == (412, 412)
    assert held.header("etag") == now.header("etag")
    assert "SUMMARY:now" in held.text


async def test_an_etag_of_what_is_not_there_is_stale() -> None:
    async with served() as dav:
        put = await dav.put("home/a.ics", event(), If_Match='"muznm0s0"')
        read = await dav.call("GET", f"{dav.home}home/a.ics")
    assert (put.status, read.status) == (412, 404)


@pytest.mark.parametrize(
    ("method", "condition", "status"),
    [
        ("PUT", {"If-Match": '"stale", {etag}'}, 204),
        ("PUT", {"If-Match": '"stale", "older"'}, 412),
        ("PUT", {"If-Match": "W/{etag}"}, 412),
        ("PUT", {"If-None-Match": '"stale", {etag}'}, 412),
        ("PUT", {"If-None-Match": '"stale"'}, 204),
        ("DELETE", {"If-None-Match": "{etag}"}, 412),
        ("GET", {"If-None-Match": '"stale", W/{etag}'}, 304),
        ("GET", {"If-None-Match": "*"}, 304),
        ("GET", {"If-None-Match": '"stale"'}, 200),
        ("HEAD", {"If-None-Match": "{etag}"}, 304),
    ],
)
async def test_conditions_are_lists_of_etags(method: str, condition: dict[str, str], status: int) -> None:
    """RFC 9110 13.1: one that is in the list is enough; weakly told ones are equal in If-None-Match alone."""
    async with served() as dav:
        etag = (await dav.put("home/a.ics", event())).header("etag") or ""
        told = {name: value.format(etag=etag) for name, value in condition.items()}
        reply = await dav.call(method, f"{dav.home}home/a.ics", event() if method == "PUT" else "", told)
    assert reply.status == status
    if status == 304:
        assert (reply.text, reply.header("etag"), reply.header("content-length")) == ("", etag, None)


async def test_if_match_any_works_backwards() -> None:
    async with served() as dav:
        created = await dav.put("home/a.ics", event(), If_Match="*")
        refused = await dav.put("home/a.ics", event(), If_Match="*")
    assert (created.status, refused.status) == (201, 412)


async def test_if_match_any_can_be_as_the_rfc_has_it() -> None:
    async with served(manners=Manners(any_match_backwards=False)) as dav:
        missing = await dav.put("home/a.ics", event(), If_Match="*")
        await dav.put("home/a.ics", event())
        existing = await dav.put("home/a.ics", event(), If_Match="*")
    assert (missing.status, existing.status) == (412, 204)


async def test_a_deleted_event_is_gone_at_once() -> None:
    async with served() as dav:
        etag = (await dav.put("home/a.ics", event())).header("etag") or ""
        at = f"{dav.home}home/a.ics"
        deleted = await dav.call("DELETE", at, headers={"If-Match": etag})
        read, again = await dav.call("GET", at), await dav.call("DELETE", at)
    assert (deleted.status, read.status, again.status) == (204, 404, 404)
    assert deleted.header("content-length") is None  # RFC 9110 section 8.6.


@pytest.mark.parametrize("path", ["home/b.ics", "work/a.ics"])
async def test_a_uid_is_taken_once_in_the_whole_account(path: str) -> None:
    async with served() as dav:
        await dav.put("home/a.ics", event("same"))
        refused = await dav.put(path, event("same"), If_None_Match="*")
        await dav.call("DELETE", f"{dav.home}home/a.ics")
        freed = await dav.put(path, event("same"), If_None_Match="*")
    assert (refused.status, freed.status) == (412, 201)


async def test_an_object_keeps_its_uid() -> None:
    async with served() as dav:
        etag = (await dav.put("home/a.ics", event("one"))).header("etag") or ""
        refused = await dav.put("home/a.ics", event("two"), If_Match=etag)
        held = await dav.call("GET", f"{dav.home}home/a.ics")
    assert refused.status == 412
    assert "UID:one" in held.text


def occurrence(uid: str, *lines: str) -> str:
    """One occurrence of a series, without an end but where `lines` have it."""
    at = ("RECURRENCE-ID:20261122T100000Z", "DTSTART:20261122T120000Z")
    return "\r\n".join(
        ["BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20261101T000000Z", *at, *lines, "END:VEVENT", ""]
    )


def series(*lines: str, end: str | None, of_one: tuple[str, ...]) -> str:
    text = event("one", "RRULE:FREQ=DAILY;COUNT=2", *lines, end=end)
    return text.replace("END:VCALENDAR", occurrence("one", *of_one) + "END:VCALENDAR")


END = "DTEND:20261122T130000Z"
ALARM = ("BEGIN:VALARM", "ACTION:DISPLAY", "TRIGGER:-PT5M", "DURATION:PT5M", "REPEAT:1", "END:VALARM")


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (event("one", *ALARM, end=None), 404),
        (series(end="DTEND:20261121T110000Z", of_one=(END,)), 201),
        (series(end="DTEND:20261121T110000Z", of_one=()), 404),
        (series(end=None, of_one=(END,)), 404),
    ],
    ids=["an-alarms-duration", "all-have-one", "an-occurrence-has-none", "the-series-has-none"],
)
async def test_each_event_of_an_object_has_an_end_of_its_own(text: str, status: int) -> None:
    async with served() as dav:
        assert (await dav.put("home/a.ics", text)).status == status


async def test_uids_and_ends_are_switches() -> None:
    async with served(manners=Manners(account_wide_uids=False, end_required=False)) as dav:
        await dav.put("home/a.ics", event("same"))
        elsewhere = await dav.put("work/a.ics", event("same"))
        endless = await dav.put("home/b.ics", event("endless", end=None))
    assert (elsewhere.status, endless.status) == (201, 201)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (event(end=None), 404),
        (event("one", "DURATION:PT1H", end=None), 201),
        (ics("METHOD:REQUEST", *event().splitlines()[3:-1]), 403),
        (ics("BEGIN:VTODO", "UID:t", "DTSTAMP:20261101T000000Z", "END:VTODO"), 403),
        (ics("BEGIN:VJOURNAL", "UID:j", "DTSTAMP:20261101T000000Z", "END:VJOURNAL"), 403),
        (event().replace("END:VCALENDAR", "") + event("two").partition("PRODID:-//test//EN\r\n")[2], 403),
        ("<html>no calendar</html>", 400),
        ("", 400),
        (event("one", "SUMMARY:a\x00b"), 400),
        (event("one", "SUMMARY:a\x0bb"), 400),
        (event("one", "SUMMARY:a\tb"), 201),
    ],
    ids=[
        *("no-end", "duration", "method", "task", "journal", "two-uids", "html", "empty"),
        *("a-nul", "a-vertical-tab", "a-tab"),
    ],
)
async def test_a_body_is_judged_as_icloud_judges_it(text: str, status: int) -> None:
    async with served() as dav:
        assert (await dav.put("home/a.ics", text)).status == status


@pytest.mark.parametrize("name", ["VTIMEZONE", "VEVENT"])
async def test_components_that_end_as_another_are_refused_however_many(name: str) -> None:
    text = ics(*[f"BEGIN:{name}"] * 20_000, "UID:a", *["END:X"] * 20_000, *event().splitlines()[3:-1])
    async with served() as dav:
        assert (await dav.put("home/a.ics", text)).status == 400


async def test_a_zone_that_only_a_title_speaks_of_is_none() -> None:
    zone = ["BEGIN:VTIMEZONE", "TZID:Europe/Berlin", "END:VTIMEZONE"]
    text = ics(*event("one", "SUMMARY:BEGIN:VTIMEZONE").splitlines()[3:-1], *zone)
    async with served() as dav:
        await dav.put("home/a.ics", text)
        kept = (await dav.call("GET", f"{dav.home}home/a.ics")).text
    assert "SUMMARY:BEGIN:VTIMEZONE\r\nEND:VEVENT\r\n" in kept


@pytest.mark.parametrize("calendar", ["f" * 64, "holidays", "inbox", "notification"])
async def test_what_the_owner_may_not_write_to_is_forbidden(calendar: str) -> None:
    async with served() as dav:
        assert (await dav.put(f"{calendar}/a.ics", event())).status == 403


async def test_events_stay_out_of_reminders_and_unknown_calendars() -> None:
    async with served() as dav:
        refused = await dav.put("tasks/a.ics", event())
        assert refused.status == 403
        assert "supported-calendar-component" in refused.text
        assert (await dav.put("nowhere/a.ics", event())).status == 404


async def test_a_calendar_made_read_only_refuses_and_shows_it() -> None:
    async with served() as dav:
        await dav.put("home/a.ics", event())
        dav.icloud.faults(APPLE_ID).read_only("Home")
        refused = await dav.put("home/b.ics", event("two"))
        kept = await dav.call("DELETE", f"{dav.home}home/a.ics")
        privileges = (await dav.listing()).prop(f"{dav.home}home/", "d:current-user-privilege-set")
    assert (refused.status, kept.status) == (403, 403)
    assert privileges is not None
    assert privileges.find("{DAV:}privilege/{DAV:}write") is None


async def test_a_guest_in_a_put_is_a_mail_sent() -> None:
    async with served() as dav:
        await dav.put("home/a.ics", event())
        none = dav.icloud.faults(APPLE_ID).mails
        await dav.put(
            "home/b.ics", event("two", "ORGANIZER:mailto:a@x.example", "ATTENDEE:mailto:b@x.example")
        )
        assert (none, dav.icloud.faults(APPLE_ID).mails) == (0, 1)


async def test_whom_an_alarm_mails_is_no_guest() -> None:
    alarm = ("BEGIN:VALARM", "ACTION:EMAIL", "TRIGGER:-PT5M", "ATTENDEE:mailto:b@x.example", "END:VALARM")
    async with served() as dav:
        assert (await dav.put("home/a.ics", event("one", *alarm))).status == 201
        assert dav.icloud.faults(APPLE_ID).mails == 0


async def test_mkcalendar_makes_a_calendar_that_takes_events() -> None:
    props = "<prop><displayname>New &amp; own</displayname></prop>"
    xmlns = 'xmlns="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"'
    body = f"<c:mkcalendar {xmlns}><set>{props}</set></c:mkcalendar>"
    async with served() as dav:
        made = await dav.call("MKCALENDAR", f"{dav.home}new-one/", body)
        again = await dav.call("MKCALENDAR", f"{dav.home}new-one/", body)
        put = await dav.put("new-one/a.ics", event())
        name = (await dav.listing()).prop(f"{dav.home}new-one/", "d:displayname")
    assert (made.status, again.status, put.status) == (201, 405, 201)
    assert name is not None
    assert name.text == "New & own"


@pytest.mark.parametrize("name", ["inbox", "outbox", "notification", ".", "..."])
async def test_no_calendar_is_made_where_something_else_is(name: str) -> None:
    async with served() as dav:
        assert (await dav.call("MKCALENDAR", f"{dav.home}{name}/")).status == 403


NO_NAMES = [".", "..", ".hidden", "backup~", "a%00b", "a%0Ab", "a%01b", "x" * 256]


@pytest.mark.parametrize("name", NO_NAMES)
async def test_a_name_that_nothing_can_have_is_refused_and_what_is_there_stays(name: str) -> None:
    async with served() as dav:
        await dav.put("home/a.ics", event("kept"))
        put = await dav.put(f"home/{name}", event("lost"))
        kept = await dav.call("GET", f"{dav.home}home/a.ics")
        listed = (await dav.sync("home")).hrefs
    assert (put.status, kept.status) == (400, 200)
    assert listed == [f"{dav.home}home/", f"{dav.home}home/a.ics"]


@pytest.mark.parametrize("name", [*NO_NAMES[2:], "deep/er"])
async def test_no_calendar_has_a_name_that_nothing_can_have(name: str) -> None:
    async with served() as dav:
        before = (await dav.listing()).hrefs
        made = await dav.call("MKCALENDAR", f"{dav.home}{name}/")
        assert (await dav.listing()).hrefs == before
    assert made.status in {400, 403}


@pytest.mark.parametrize(
    "name",
    ["urn:uuid:1.ics", "it's.ics", "a,b.ics", "a%3Fb.ics", "a%25b.ics", "%C3%A9.ics", "x" * 251 + ".ics"],
)
async def test_any_other_name_is_taken_and_given_back(name: str) -> None:
    async with served() as dav:
        put = await dav.put(f"home/{name}", event())
        *_, listed = (await dav.sync("home")).hrefs
        got = await dav.call("GET", listed)
        many = await dav.multiget("home", listed)
    assert (put.status, got.status) == (201, 200)
    assert "UID:one" in many.texts(".//c:calendar-data")[0]


async def test_a_deleted_calendar_frees_its_uids_and_its_id() -> None:
    async with served() as dav:
        await dav.put("home/a.ics", event("same"))
        await dav.icloud.faults(APPLE_ID).delete_calendar("home")
        gone = await dav.sync("home")
        moved = await dav.put("work/a.ics", event("same"))
        made = await dav.call("MKCALENDAR", f"{dav.home}home/")
        fresh = await dav.sync("home")
    assert (gone.status, moved.status, made.status) == (404, 201, 201)
    assert fresh.hrefs == []


async def test_a_calendar_that_goes_while_a_write_waits_takes_none_and_stays_gone(tmp_path: Path) -> None:
    async with served(storage=tmp_path) as dav:
        asked = asyncio.Semaphore(0)

        async def ask(_: Request) -> None:
            asked.release()

        dav.icloud.front.asked = ask
        home = f"{dav.home}home/"
        await dav.put("home/a.ics", event())
        await asked.acquire()
        waiting = []
        async with dav.icloud.cloud.writing:
            for call in (
                dav.call("DELETE", home),
                dav.put("home/b.ics", event("two")),
                dav.call("DELETE", f"{home}a.ics"),
                dav.call("DELETE", home),
            ):
                waiting.append(asyncio.create_task(call))
                await asked.acquire()  # In this order they come to the lock.
            housekeeping = asyncio.create_task(dav.icloud.faults(APPLE_ID).housekeep("home"))
            await asyncio.sleep(0)
        assert [(await each).status for each in waiting] == [204, 404, 404, 404]
        with pytest.raises(LookupError, match="home/ is gone"):
            await housekeeping
    async with served(storage=tmp_path) as dav:
        assert home not in (await dav.listing()).hrefs


async def test_a_move_is_refused() -> None:
    async with served() as dav:
        await dav.put("home/a.ics", event())
        headers = {"Destination": f"{dav.icloud.entry_url}{dav.home}work/a.ics"}
        assert (await dav.call("MOVE", f"{dav.home}home/a.ics", headers=headers)).status == 412


async def test_no_put_etag_is_a_switch() -> None:
    async with served(manners=Manners(etag_on_put=False)) as dav:
        put = await dav.put("home/a.ics", event())
        found = await dav.find(f"{dav.home}home/a.ics", "<d:getetag/>")
    assert put.header("etag") is None
    assert found.prop(f"{dav.home}home/a.ics", "d:getetag") is not None


async def test_a_simple_event_is_kept_byte_for_byte() -> None:
    text = event("one", "X-ODD;A=b:C", "SUMMARY:Zoë", "DESCRIPTION:" + "a" * 200)
    async with served() as dav:
        await dav.put("home/a.ics", text)
        assert (await dav.call("GET", f"{dav.home}home/a.ics")).text == text


def zoned(uid: str, name: str, year: int = 2026) -> str:
    return ics(
        *("BEGIN:VTIMEZONE", f"TZID:{name}", "X-MINE:1", "BEGIN:STANDARD", "DTSTART:19700101T000000"),
        *("TZOFFSETFROM:+0100", "TZOFFSETTO:+0100", "END:STANDARD", "END:VTIMEZONE", "BEGIN:VEVENT"),
        *(f"UID:{uid}", "DTSTAMP:20261101T000000Z", f"DTSTART;TZID={name}:{year}1121T100000"),
        *(f"DTEND;TZID={name}:{year}1121T110000", "END:VEVENT"),
    )


async def test_a_zone_gives_way_to_icloud_s_own_and_an_unknown_one_stays() -> None:
    async with served() as dav:
        await dav.put("home/a.ics", zoned("a", "Europe/Berlin"))
        await dav.put("home/b.ics", zoned("b", "My own zone"))
        await dav.put("home/c.ics", zoned("c", "UTC"))
        known = (await dav.call("GET", f"{dav.home}home/a.ics")).text
        unknown = (await dav.call("GET", f"{dav.home}home/b.ics")).text
        utc = (await dav.call("GET", f"{dav.home}home/c.ics")).text
    assert "X-MINE" not in known
    assert "BEGIN:DAYLIGHT" in known
    assert "X-MINE" in unknown
    assert "X-MINE" in utc


@pytest.mark.parametrize(
    ("year", "rule"),
    [(2026, "BYMONTH=3;BYDAY=2SU"), (2006, "BYMONTH=4;BYDAY=1SU"), (1900, "BYMONTH=4;BYDAY=-1SU")],
)
async def test_icloud_s_own_zone_is_of_the_event_s_year(year: int, rule: str) -> None:
    """Of what was before 1970 it is that of 1970."""
    async with served() as dav:
        assert (await dav.put("home/a.ics", zoned("a", "America/New_York", year))).status == 201
        assert rule in (await dav.call("GET", f"{dav.home}home/a.ics")).text


async def test_zones_are_kept_where_the_manner_is_off() -> None:
    async with served(manners=Manners(zones_replaced=False)) as dav:
        await dav.put("home/a.ics", zoned("a", "Europe/Berlin"))
        assert "X-MINE" in (await dav.call("GET", f"{dav.home}home/a.ics")).text


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\u2029"])
async def test_lines_end_where_the_rfc_ends_them_alone(character: str) -> None:
    """A title may hold what Python takes for an end of line, and what looks like a property after it."""
    async with served() as dav:
        text = event("one", f"SUMMARY:a{character}UID:other")
        assert (await dav.put("home/a.ics", text)).status == 201


async def test_a_method_inside_an_event_is_none_of_the_object_s() -> None:
    async with served() as dav:
        assert (await dav.put("home/a.ics", event("one", "METHOD:REQUEST"))).status == 201


async def test_the_owner_s_address_becomes_their_principal_and_nobody_else_s_does() -> None:
    lines = (
        "ORGANIZER:mailto:boss@x.example",
        f"ATTENDEE;PARTSTAT=ACCEPTED:mailto:{ALIAS}",
        "ATTENDEE:mailto:b@x.example",
    )
    async with served() as dav:
        await dav.put("home/a.ics", event("one", *lines))
        text = (await dav.call("GET", f"{dav.home}home/a.ics")).text.replace("\r\n ", "")
        principal = dav.account.principal
    assert f"ATTENDEE;PARTSTAT=ACCEPTED;EMAIL={ALIAS}:{principal}" in text
    assert "ORGANIZER:mailto:boss@x.example" in text
    assert "ATTENDEE:mailto:b@x.example" in text


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (f"ATTENDEE;EMAIL={ALIAS}:MAILTO:{ALIAS}", f"ATTENDEE;EMAIL={ALIAS}"),
        (f"ORGANIZER;CN=Me:mailto:{APPLE_ID.upper()}", f"ORGANIZER;CN=Me;EMAIL={APPLE_ID.upper()}"),
    ],
    ids=["named-by-email", "organizer"],
)
@pytest.mark.parametrize("is_rewritten", [True, False])
async def test_the_owner_s_address_is_told_once_by_email(line: str, kept: str, *, is_rewritten: bool) -> None:
    async with served(manners=Manners(own_address_rewritten=is_rewritten)) as dav:
        await dav.put("home/a.ics", event("one", line))
        text = (await dav.call("GET", f"{dav.home}home/a.ics")).text.replace("\r\n ", "")
    assert (f"{kept}:{dav.account.principal}" if is_rewritten else line) in text.splitlines()


async def test_housekeeping_adds_a_mark_and_a_stamp_under_a_new_etag() -> None:
    async with served() as dav:
        put = await dav.put("home/a.ics", event())
        await dav.icloud.faults(APPLE_ID).housekeep("home")
        after = await dav.call("GET", f"{dav.home}home/a.ics")
        edited = await dav.put("home/a.ics", after.text.replace("T110000Z", "T113000Z"))
        kept = await dav.call("GET", f"{dav.home}home/a.ics")
    assert after.header("etag") != put.header("etag")
    assert (edited.status, kept.text.count("DTSTAMP"), after.text.count("DTSTAMP")) == (204, 2, 2)
    assert "X-APPLE-CREATOR-IDENTITY" in after.text


async def test_housekeeping_done_twice_adds_nothing_more_and_may_be_of_some() -> None:
    async with served() as dav:
        faults = dav.icloud.faults(APPLE_ID)
        etags = [(await dav.put(f"home/{name}.ics", event(name))).header("etag") for name in "ab"]
        for _ in range(2):
            await faults.housekeep("home", ["a.ics"])
        with pytest.raises(LookupError, match=r"none\.ics"):
            await faults.housekeep("home", ["b.ics", "none.ics"])
        kept, other = [await dav.call("GET", f"{dav.home}home/{name}.ics") for name in "ab"]
    assert (kept.text.count("DTSTAMP"), kept.text.count("X-APPLE-CREATOR-IDENTITY")) == (2, 1)
    assert (other.header("etag"), kept.header("etag") == etags[0]) == (etags[1], False)


async def test_proppatch_renames_recolours_and_orders() -> None:
    props = "<D:displayname>Mine &amp; yours</D:displayname><I:calendar-color>#112233FF</I:calendar-color>"
    async with served() as dav:
        done = await patched(dav, "home", props + "<I:calendar-order>7</I:calendar-order>")
        listed = await dav.listing()
        order = await dav.find(f"{dav.home}home/", "<i:calendar-order/>")
    assert order.texts(".//i:calendar-order") == ["7"]
    assert listed.hrefs.index(f"{dav.home}work/") < listed.hrefs.index(f"{dav.home}home/"), "by their order"
    at = f"{dav.home}home/"
    assert done.texts(".//d:status") == ["HTTP/1.1 200 OK"]
    found = {name: listed.prop(at, name) for name in ("d:displayname", "i:calendar-color")}
    assert [None if each is None else each.text for each in found.values()] == ["Mine & yours", "#112233FF"]


async def test_proppatch_does_all_of_it_or_nothing() -> None:
    async with served() as dav:
        done = await patched(dav, "home", "<D:displayname>New</D:displayname><D:getetag>x</D:getetag>")
        name = (await dav.listing()).prop(f"{dav.home}home/", "d:displayname")
    assert sorted(done.texts(".//d:status")) == ["HTTP/1.1 403 Forbidden", "HTTP/1.1 424 Failed Dependency"]
    assert name is not None
    assert name.text == "Home"


@pytest.mark.parametrize("order", ["soon", "-1", "٣", "9" * 10])
async def test_an_order_is_a_number(order: str) -> None:
    async with served() as dav:
        props = f"<D:displayname>New</D:displayname><I:calendar-order>{order}</I:calendar-order>"
        done = await patched(dav, "home", props)
        name = (await dav.listing()).prop(f"{dav.home}home/", "d:displayname")
    assert (done.status, done.texts(".//d:status")) == (207, ["HTTP/1.1 424 Failed Dependency"])
    assert name is not None
    assert name.text == "Home"


async def test_a_name_is_not_taken_away_and_no_other_body_is_a_proppatch() -> None:
    async with served() as dav:
        at = f"{dav.home}home/"
        remove = "<remove><prop><displayname/></prop></remove>"
        kept = await dav.call("PROPPATCH", at, f'<propertyupdate xmlns="DAV:">{remove}</propertyupdate>')
        other = await dav.call("PROPPATCH", at, f'<propfind xmlns="DAV:">{remove}</propfind>')
        shared = await dav.call("POST", at, '<CS:invite xmlns:CS="http://calendarserver.org/ns/"/>')
        theirs = '<CS:share xmlns:CS="http://calendarserver.org/ns/"><CS:set/></CS:share>'
        refused = await dav.call("POST", f"{dav.home}{'f' * 64}/", theirs)
    assert kept.texts(".//d:status") == ["HTTP/1.1 424 Failed Dependency"]
    assert (other.status, shared.status, refused.status) == (400, 400, 403)


@pytest.mark.parametrize("calendar", ["f" * 64, "holidays", "inbox"])
async def test_proppatch_changes_nothing_that_is_not_the_owner_s(calendar: str) -> None:
    async with served() as dav:
        assert (await patched(dav, calendar, "<D:displayname>New</D:displayname>")).status == 403


async def test_a_post_shares_a_calendar_and_takes_it_back() -> None:
    async def kinds() -> list[str]:
        found = (await dav.listing()).prop(f"{dav.home}home/", "d:resourcetype")
        assert found is not None
        return [each.tag.rpartition("}")[2] for each in found]

    async with served() as dav:
        for what, kind in (
            ("set", ["collection", "calendar", "shared-owner"]),
            ("remove", ["collection", "calendar"]),
        ):
            invited = f'<CS:{what}><href xmlns="DAV:">mailto:b@x.example</href></CS:{what}>'
            body = f'<CS:share xmlns:CS="http://calendarserver.org/ns/">{invited}</CS:share>'
            assert (await dav.call("POST", f"{dav.home}home/", body)).status == 200
            assert await kinds() == kind


async def test_a_calendar_that_was_shared_with_the_owner_goes_when_it_is_unshared() -> None:
    async with served() as dav:
        await dav.icloud.faults(APPLE_ID).unshare("Team")
        assert f"{dav.home}{'f' * 64}/" not in (await dav.listing()).hrefs


async def test_what_is_done_to_a_calendar_is_seen_in_the_home() -> None:
    async def seen(name: str) -> str:
        found = (await dav.listing()).prop(f"{dav.home}home/", name)
        assert found is not None
        return found.text or " ".join(each.tag.rpartition("}")[2] for each in found.iter())

    async with served() as dav:
        faults = dav.icloud.faults(APPLE_ID)
        faults.rename("home", "House")
        faults.recolour("home", "#112233FF")
        assert (await seen("d:displayname"), await seen("i:calendar-color")) == ("House", "#112233FF")
        faults.share("home")
        assert "shared-owner" in await seen("d:resourcetype")
        await faults.unshare("home")
        assert "shared" not in await seen("d:resourcetype")
        faults.read_only("home")
        faults.read_only("home", read_only=False)
        assert "write-content" in await seen("d:current-user-privilege-set")
        assert (await dav.put("home/a.ics", event())).status == 201


async def test_an_account_moves_to_the_partition_that_is_named_and_to_none_that_is_not_there() -> None:
    async with served() as dav:
        faults = dav.icloud.faults(APPLE_ID)
        with pytest.raises(LookupError, match="p7; there are p180, p181"):
            faults.move_partition(7)
        with pytest.raises(ValueError, match="explodes"):
            faults.move_partition(181, old_host="explodes")
        assert dav.icloud.cloud.member(APPLE_ID).account.partition == 180
        assert [faults.move_partition(to) for to in (181, 181, None, 180)] == [181, 181, 180, 180]


async def test_where_an_account_moved_outlives_a_restart(tmp_path: Path) -> None:
    async with served(storage=tmp_path) as dav:
        dav.icloud.faults(APPLE_ID).move_partition()
    async with served(storage=tmp_path) as dav:
        reply = await dav.call("PROPFIND", "/", headers={"Depth": "0"})
    assert reply.header("x-apple-user-partition") == "181"


@pytest.mark.parametrize(
    ("old_host", "status"),
    [("serves", 207), ("redirects", 301), ("missing", 404), ("refuses", 401), ("resets", None)],
)
async def test_an_account_moves_to_another_partition(old_host: str, status: int | None) -> None:
    async with served() as dav:
        before = dav.icloud.partition_url
        moved = dav.icloud.faults(APPLE_ID).move_partition(old_host=old_host)
        home = await dav.find(dav.account.principal, "<c:calendar-home-set/>")
        new = home.texts(".//c:calendar-home-set/d:href")[0].removesuffix(dav.home)
        there = await dav.find(dav.home, "<d:displayname/>", url=new)
        entry = await dav.find(dav.home, "<d:displayname/>")
        if status is None:
            with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
                await dav.find(dav.home, "<d:displayname/>", url=before)
        else:
            old = await dav.find(dav.home, "<d:displayname/>", url=before)
            assert old.status == status
            assert (old.header("location") == f"{new}{dav.home}") is (status == 301)
    assert moved == 181
    assert new != before
    assert (there.status, entry.status) == (207, 207)
    assert there.header("x-apple-user-partition") == "181"


async def test_apple_s_limits_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "_MOST_RESOURCES", 1)
    guests = [f"ATTENDEE:mailto:g{number}@x.example" for number in range(301)]
    async with served() as dav:
        assert (await dav.put("home/g.ics", event("g", *guests))).status == 403
        with monkeypatch.context() as smaller:
            smaller.setattr(writes, "_LARGEST", 100)
            assert (await dav.put("home/big.ics", event("big"))).status == 413
        assert (await dav.put("home/a.ics", event("a"))).status == 201
        assert (await dav.put("home/b.ics", event("b"))).status == 507
        for number in range(95):
            await dav.call("MKCALENDAR", f"{dav.home}more-{number}/")
        assert (await dav.call("MKCALENDAR", f"{dav.home}one-too-many/")).status == 507


async def patched(dav: Dav, calendar: str, props: str) -> Reply:
    xmlns = 'xmlns:D="DAV:" xmlns:I="http://apple.com/ns/ical/"'
    body = f"<D:propertyupdate {xmlns}><D:set><D:prop>{props}</D:prop></D:set></D:propertyupdate>"
    return await dav.call("PROPPATCH", f"{dav.home}{calendar}/", body)
