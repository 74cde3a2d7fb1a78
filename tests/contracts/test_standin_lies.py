"""Each lie of the stand-in is the lie that it is called, and each broken connection breaks as it says."""

import asyncio
import gzip
import http.client
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import date

import pytest
from lxml import etree

from standin.account_faults import AccountFaults
from standin.faults import KINDS, Failing, Fault, Lie, Schedule
from standin.lies import FOREIGN_SPELLINGS, foreign_hrefs
from standin.manners import Manners
from tests.contracts.standin_http import APPLE_ID, Dav, Reply, event, served

Cut = (http.client.RemoteDisconnected, http.client.IncompleteRead, ConnectionError)


@pytest.fixture
async def dav() -> AsyncIterator[Dav]:
    """Four events in `home`, one in `work`."""
    async with served() as dav:
        for number in range(4):
            await dav.put(f"home/e{number}.ics", event(f"e{number}"))
        await dav.put("work/w.ics", event("w"))
        yield dav


async def told(dav: Dav, lie: str, *, token: str = "") -> Reply:
    dav.icloud.faults(APPLE_ID).lie(lie)
    reply = await dav.sync("home", token)
    assert dav.icloud.requests[-1].fault == str(Fault.parse(lie))
    return reply


@pytest.mark.parametrize(
    ("lie", "status", "beginning"),
    [
        (Lie.HTML, 200, "<!DOCTYPE html>"),
        (Lie.EMPTY_200, 200, ""),
        (Lie.EMPTY_204, 204, ""),
        (Lie.BLANK_207, 207, ""),
    ],
)
async def test_some_lies_are_no_multistatus_at_all(dav: Dav, lie: Lie, status: int, beginning: str) -> None:
    reply = await told(dav, lie)
    assert (reply.status, reply.text[: len(beginning) or None]) == (status, beginning)


async def test_a_page_says_that_it_is_one(dav: Dav) -> None:
    assert (await told(dav, Lie.HTML)).header("content-type") == "text/html; charset=utf-8"


@pytest.mark.parametrize("lie", [Lie.NO_ETAGS, Lie.TRUNCATED, Lie.REORDERED, Lie.WRONG_ROOT, Lie.EMPTY_207])
async def test_other_lies_say_that_they_are_xml(dav: Dav, lie: Lie) -> None:
    assert (await told(dav, lie)).header("content-type") == "text/xml;charset=UTF-8"


async def test_an_empty_multistatus_names_nothing_and_no_token(dav: Dav) -> None:
    reply = await told(dav, Lie.EMPTY_207)
    assert (reply.status, len(reply.root), reply.root.tag) == (207, 0, "{DAV:}multistatus")


async def test_a_wrong_root_is_well_formed_and_not_a_multistatus(dav: Dav) -> None:
    assert (await told(dav, Lie.WRONG_ROOT)).root.tag == "{DAV:}propertyupdate"


async def test_the_other_calendars_answer_has_the_other_calendars_hrefs(dav: Dav) -> None:
    token = (await dav.sync("home")).token
    for reply in (await told(dav, Lie.OTHER_CALENDAR), await told(dav, Lie.OTHER_CALENDAR, token=token)):
        assert reply.hrefs == [f"{dav.home}work/", f"{dav.home}work/w.ics"]


async def test_of_a_multiget_it_is_the_other_calendars_hrefs_that_are_answered(dav: Dav) -> None:
    dav.icloud.faults(APPLE_ID).lie(Lie.OTHER_CALENDAR)
    reply = await dav.multiget("home", f"{dav.home}home/e0.ics")
    assert reply.gone == [f"{dav.home}work/e0.ics"]


async def test_without_etags_the_hrefs_stay(dav: Dav) -> None:
    reply = await told(dav, Lie.NO_ETAGS)
    assert len(reply.hrefs) == 5
    assert reply.texts(".//d:getetag") == []


async def test_all_gone_gives_every_href_a_404(dav: Dav) -> None:
    reply = await told(dav, Lie.ALL_GONE)
    assert len(reply.gone) == 5
    assert reply.texts(".//d:propstat") == []


async def test_one_alone_can_be_told_as_gone_or_left_out(dav: Dav) -> None:
    one, honest = f"{dav.home}home/e1.ics", (await dav.sync("home")).hrefs
    gone, left_out = await told(dav, f"all-gone:{one}"), await told(dav, f"left-out:{one}")
    assert (gone.hrefs, gone.gone) == (honest, [one])
    assert left_out.hrefs == [href for href in honest if href != one]


async def test_one_is_named_as_it_is_called_whatever_its_hrefs_spelling(dav: Dav) -> None:
    await dav.put("home/Zo%C3%AB%20b.ics", event("odd"))
    reply = await told(dav, f"all-gone:{dav.home}home/Zoë b.ics")
    assert reply.gone == [f"{dav.home}home/Zo%C3%AB%20b.ics"]


async def test_truncated_xml_ends_in_the_middle_of_a_whole_answer(dav: Dav) -> None:
    reply = await told(dav, Lie.TRUNCATED)
    assert reply.header("content-length") == str(len(reply.text.encode()))
    with pytest.raises(etree.XMLSyntaxError):
        _ = reply.root


async def test_a_gzip_bomb_is_small_on_the_wire_and_valid(dav: Dav) -> None:
    dav.icloud.faults(APPLE_ID).lie("gzip-bomb:3")
    head, _, packed = (await _on_the_wire(dav, "Connection: close")).partition(b"\r\n\r\n")
    assert b"content-encoding: gzip" in head.lower()
    assert len(packed) < 20_000
    assert etree.fromstring(gzip.decompress(packed)).tag == "{DAV:}multistatus"
    assert len(gzip.decompress(packed)) > 3 << 20


async def test_an_entity_bomb_is_small_and_grows(dav: Dav) -> None:
    reply = await told(dav, Lie.ENTITY_BOMB)
    assert len(reply.text) < 2000
    assert reply.text.count("<!ENTITY") == 10
    assert "<sync-token>&e9;</sync-token>" in reply.text


async def test_a_huge_text_is_huge(dav: Dav) -> None:
    assert len((await told(dav, "huge-text:2")).text) > 2 << 20


async def test_a_cut_answer_goes_on_from_its_token_and_loses_nothing(dav: Dav) -> None:
    first = await told(dav, Lie.CUT_507)
    statuses = first.texts("d:response/d:status")
    rest = await dav.sync("home", first.token)
    members = {href for href in [*first.hrefs, *rest.hrefs] if href.endswith(".ics")}
    assert statuses == ["HTTP/1.1 507 Insufficient Storage"]
    assert len([href for href in first.hrefs if href.endswith(".ics")]) == 2
    assert members == {f"{dav.home}home/e{number}.ics" for number in range(4)}


async def test_of_an_answer_that_has_no_half_nothing_is_cut(dav: Dav) -> None:
    honest = await dav.sync("work")
    dav.icloud.faults(APPLE_ID).lie(Lie.CUT_507, 2)
    cut = await dav.sync("work")
    assert (cut.hrefs, cut.token) == (honest.hrefs, honest.token)
    assert (await dav.sync("work", honest.token)).hrefs == []


async def test_no_change_tells_a_token_of_the_form_that_is_in_use(dav: Dav) -> None:
    dav.icloud.manners = Manners(token_form="old")
    lied = await told(dav, Lie.NO_CHANGE)
    assert lied.token == (await dav.sync("home")).token


async def test_no_change_hides_a_change_for_good(dav: Dav) -> None:
    token = (await dav.sync("home")).token
    await dav.put("home/new.ics", event("new"))
    lied = await told(dav, Lie.NO_CHANGE, token=token)
    after = await dav.sync("home", lied.token)
    assert lied.hrefs == after.hrefs == []
    assert lied.token != token


async def test_answers_to_tell_again_are_kept_of_the_last_questions_alone(dav: Dav) -> None:
    member = dav.icloud.cloud.member(APPLE_ID)
    dav.icloud.cloud.load(member.calendar("Home"), {f"{n}.ics": event(f"n{n}") for n in range(300)})
    dav.icloud.faults(APPLE_ID).inject(Lie.STALE, on="sync-collection")
    for number in range(300):
        await dav.find(f"{dav.home}home/{number}.ics", "<d:getetag/>")
    assert len(member.faults.answers) == 256


async def test_a_stale_answer_is_the_one_before(dav: Dav) -> None:
    dav.icloud.faults(APPLE_ID).inject(Lie.STALE, on="sync-collection", skip=1)
    before = await dav.sync("home")
    await dav.put("home/new.ics", event("new"))
    assert (await dav.sync("home")).text == before.text
    assert len((await dav.sync("home")).hrefs) == len(before.hrefs) + 1


async def test_a_stale_answer_is_to_the_same_question(dav: Dav) -> None:
    faults = dav.icloud.faults(APPLE_ID)
    faults.inject(Lie.STALE, 3, skip=1)
    home = await dav.sync("home")
    work, listed, synced = await dav.sync("work"), await dav.listing(), await dav.sync("home")
    assert work.hrefs == [f"{dav.home}work/", f"{dav.home}work/w.ics"]
    assert listed.hrefs[0] == dav.home
    assert synced.text == home.text
    assert faults.pending == []


async def test_what_is_told_anew_is_honest_small_and_from_the_first_plan_on(dav: Dav) -> None:
    faults, large = dav.icloud.faults(APPLE_ID), f"{dav.home}home/large.ics"
    await dav.sync("home")
    await dav.put("home/large.ics", event("large", "DESCRIPTION:" + "x" * 70_000))
    faults.lie(Lie.STALE)
    assert large in (await dav.sync("home")).hrefs, "nothing was planned when the answer before was given"
    lied = await told(dav, Lie.NO_ETAGS)
    faults.lie(Lie.STALE)
    assert (await dav.sync("home")).text != lied.text, "a lie is no answer before"
    faults.lie(Lie.STALE, on="calendar-multiget", skip=1)
    first = await dav.multiget("home", large)
    await dav.call("DELETE", large)
    assert large in first.hrefs
    assert (await dav.multiget("home", large)).gone == [large], "what is large is not kept"


async def test_answers_are_kept_by_a_schedule_too_and_after_all_is_well_again(dav: Dav) -> None:
    faults = dav.icloud.faults(APPLE_ID)
    faults.replay({2: "stale"})
    before = await dav.sync("home")
    await dav.put("home/new.ics", event("new"))
    assert (await dav.sync("home")).text == before.text
    faults.clear()
    between = await dav.sync("home")
    await dav.put("home/newer.ics", event("newer"))
    faults.lie(Lie.STALE)
    assert (await dav.sync("home")).text == between.text


async def test_what_waits_for_another_request_holds_up_no_schedule(dav: Dav) -> None:
    faults = dav.icloud.faults(APPLE_ID)
    faults.inject("status:502", on="PUT")
    faults.replay({0: "status:504"})
    assert ((await dav.sync("home")).status, faults.pending) == (504, ["status:502"])


async def test_members_come_twice_or_backwards(dav: Dav) -> None:
    honest = (await dav.sync("home")).hrefs
    doubled, backwards = await told(dav, Lie.DUPLICATED), await told(dav, Lie.REORDERED)
    assert doubled.hrefs == [href for href in honest for _ in range(2)]
    assert backwards.hrefs == honest[::-1]


async def test_foreign_hrefs_lead_elsewhere_in_any_of_forty_spellings(dav: Dav) -> None:
    plain = await told(dav, "foreign-hrefs:https://evil.example")
    spelled = await told(dav, "foreign-hrefs:2@evil.example")
    assert plain.hrefs[0] == f"https://evil.example{dav.home}home/"
    assert spelled.hrefs[0] == f"//evil.example{dav.home}home/"
    assert len(set(foreign_hrefs("evil.example", "/1/"))) == len(FOREIGN_SPELLINGS) >= 40


async def test_bad_utf_8_is_no_text(dav: Dav) -> None:
    dav.icloud.faults(APPLE_ID).lie(Lie.BAD_UTF8)
    with pytest.raises(UnicodeDecodeError):
        (await _raw(dav)).decode()


async def test_a_lie_to_a_write_leaves_it_done(dav: Dav) -> None:
    dav.icloud.faults(APPLE_ID).lie(Lie.HTML, on="PUT")
    lied = await dav.put("home/new.ics", event("new"))
    assert (lied.status, (await dav.call("GET", f"{dav.home}home/new.ics")).status) == (200, 200)


@pytest.mark.parametrize("tells_etags", [True, False])
async def test_a_write_can_be_told_as_done_and_not_be(*, tells_etags: bool) -> None:
    async with served(manners=Manners(etag_on_put=tells_etags)) as dav:
        await dav.put("home/old.ics", event("old"))
        old = await dav.call("GET", f"{dav.home}home/old.ics")
        token = (await dav.sync("home")).token
        dav.icloud.faults(APPLE_ID).keep_none(2)
        made = await dav.put("home/new.ics", event("new"))
        match = {"If-Match": old.header("etag") or "", "Content-Type": "text/calendar"}
        changed = await dav.call("PUT", f"{dav.home}home/old.ics", event("old", "SUMMARY:Other"), match)
        assert (made.status, changed.status) == (201, 204)
        assert (made.header("etag") is not None, changed.header("etag") is not None) == (
            tells_etags,
            tells_etags,
        )
        assert (await dav.sync("home", token)).token == token
        assert (await dav.call("GET", f"{dav.home}home/old.ics")).text == old.text
        assert (await dav.call("GET", f"{dav.home}home/new.ics")).status == 404
        assert (await dav.put("home/new.ics", event("new"))).status == 201
        assert (await dav.call("GET", f"{dav.home}home/new.ics")).status == 200


async def test_what_is_refused_and_what_the_owner_writes_is_not_told_as_done_and_lost(dav: Dav) -> None:
    faults = dav.icloud.faults(APPLE_ID)
    faults.keep_none(2)
    taken = event("e0", "ATTENDEE:mailto:b@x.example")
    refused = [
        await dav.put("home/e0.ics", taken, If_None_Match="*"),
        await dav.put("work/e0.ics", taken),
        await dav.put("home/e9.ics", "no calendar"),
    ]
    path = await dav.icloud.phone(APPLE_ID).add("Home", "x", date(2026, 11, 23), date(2026, 11, 24))
    told = [await dav.put("home/e0.ics", taken), await dav.put("home/e9.ics", event("e9"))]
    assert [reply.status for reply in (*refused, *told)] == [412, 412, 400, 204, 201]
    assert (await dav.call("GET", path)).status == 200
    assert (await dav.call("GET", f"{dav.home}home/e9.ics")).status == 404
    assert faults.mails == 0


@pytest.mark.parametrize("lie", [Lie.EMPTY_200, Lie.EMPTY_204])
async def test_a_refused_removal_is_not_told_as_done_and_a_refused_write_is(dav: Dav, lie: Lie) -> None:
    dav.icloud.faults(APPLE_ID).lie(lie, on="DELETE")
    assert (await dav.call("DELETE", f"{dav.home}home/none.ics")).status == 404
    dav.icloud.faults(APPLE_ID).clear()
    dav.icloud.faults(APPLE_ID).lie(lie, on="PUT")
    assert (await dav.call("PUT", f"{dav.home}home/e0.ics", "no calendar")).status == int(lie[-3:])


async def test_what_was_asked_for_is_done_and_its_answer_lost(dav: Dav) -> None:
    dav.icloud.faults(APPLE_ID).lose_answers(on="DELETE")
    with pytest.raises(Cut):
        await dav.call("DELETE", f"{dav.home}home/e0.ics")
    assert (await dav.call("GET", f"{dav.home}home/e0.ics")).status == 404


@pytest.mark.parametrize("at", [0, 1, 200])
async def test_a_reset_comes_after_so_many_bytes(dav: Dav, at: int) -> None:
    dav.icloud.faults(APPLE_ID).reset(at)
    with pytest.raises(Cut) as cut:
        await dav.sync("home")
    if isinstance(cut.value, http.client.IncompleteRead):
        assert len(cut.value.partial) <= at


async def test_a_reset_past_the_end_breaks_nothing_off(dav: Dav) -> None:
    dav.icloud.faults(APPLE_ID).reset(1_000_000)
    assert len((await dav.sync("home")).hrefs) == 5
    assert not dav.icloud.requests[-1].felt


@pytest.mark.parametrize(("fault", "arrive"), [("reset:3000000", 3_000_000), ("half", 4_000_000)])
async def test_what_is_sent_before_a_reset_arrives_however_slowly_it_is_read(
    dav: Dav, fault: str, arrive: int
) -> None:
    calendar = dav.icloud.cloud.member(APPLE_ID).calendar("Home")
    # More than the buffers of two sockets hold.
    dav.icloud.cloud.load(calendar, {"long.ics": "x" * 8_000_000})
    dav.icloud.faults(APPLE_ID).inject(fault)
    asked = f"GET {dav.home}home/long.ics HTTP/1.1\r\nHost: x\r\nAuthorization: {dav.authorization}\r\n\r\n"
    port = int(dav.icloud.entry_url.rpartition(":")[2])
    assert await asyncio.to_thread(_read_until_reset, port, asked.encode()) == arrive


async def test_a_lost_connection_is_reset_and_not_ended(dav: Dav) -> None:
    dav.icloud.faults(APPLE_ID).lose_answers()
    with pytest.raises(ConnectionResetError):
        await _raw(dav)


async def test_half_an_answer_is_no_more_than_half(dav: Dav) -> None:
    dav.icloud.faults(APPLE_ID).inject(Failing.HALF)
    with pytest.raises(Cut):
        await dav.sync("home")


async def test_silence_ends_without_a_byte(dav: Dav) -> None:
    dav.icloud.faults(APPLE_ID).silence(0.2)
    started = time.monotonic()
    with pytest.raises(Cut):
        await dav.sync("home")
    assert time.monotonic() - started >= 0.2


async def test_a_drip_is_whole_in_the_end(dav: Dav) -> None:
    honest = await dav.sync("home")
    dav.icloud.faults(APPLE_ID).drip(len(honest.text) * 4)
    started = time.monotonic()
    dripped = await dav.sync("home")
    assert dripped.text == honest.text
    assert time.monotonic() - started >= 0.2


async def test_an_answer_that_comes_twice_is_on_the_wire_twice(dav: Dav) -> None:
    dav.icloud.faults(APPLE_ID).inject(Failing.TWICE)
    answer = await _on_the_wire(
        dav, "Connection: keep-alive", enough=lambda answer: answer.count(b"</multistatus>") == 2
    )
    assert answer.count(b"HTTP/1.1 207") == 2


async def test_a_fault_waits_for_what_it_is_meant_for(dav: Dav) -> None:
    faults = dav.icloud.faults(APPLE_ID)
    faults.inject("status:502", on="calendar-multiget")
    faults.inject("status:500", on=f"{dav.home}work", skip=1)
    answers = [
        (await dav.sync("home")).status,
        (await dav.sync("work")).status,
        (await dav.multiget("home", f"{dav.home}home/e0.ics")).status,
        (await dav.sync("work")).status,
        (await dav.sync("work")).status,
    ]
    assert answers == [207, 207, 502, 500, 207]
    assert faults.pending == []


@pytest.mark.parametrize(
    "plan",
    [
        lambda faults: faults.inject("html", on="PUT"),
        lambda faults: faults.lie("html", on="PUT"),
        lambda faults: faults.throttle(1, on="PUT"),
        lambda faults: faults.unauthorized(1, on="PUT"),
        lambda faults: faults.fail(1, on="PUT"),
        lambda faults: faults.lose_answers(1, on="PUT"),
        lambda faults: faults.drop_put_answers(),
        lambda faults: faults.reset(0, on="PUT"),
        lambda faults: faults.drip(1024, on="PUT"),
        lambda faults: faults.silence(1, on="PUT"),
    ],
)
async def test_each_fault_may_be_for_some_requests_alone(
    dav: Dav, plan: Callable[[AccountFaults], None]
) -> None:
    plan(dav.icloud.faults(APPLE_ID))
    [waiting] = dav.icloud.faults(APPLE_ID).pending
    assert len((await dav.sync("home")).hrefs) == 5
    assert dav.icloud.faults(APPLE_ID).pending == [waiting]
    with suppress(*Cut):
        await dav.put("home/e9.ics", event("e9"))
    assert dav.icloud.requests[-1].fault == waiting


async def test_a_bucket_fills_up_again_to_its_brim_and_no_further(dav: Dav) -> None:
    now = 1000.0
    dav.icloud.front._now = lambda: now
    dav.icloud.faults(APPLE_ID).bucket(60, burst=2, retry_after=7)

    async def taken() -> int:
        return [(await dav.sync("home")).status for _ in range(4)].count(207)

    first = await taken()
    now += 1
    after_a_second = await taken()
    now += 3600
    assert (first, after_a_second, await taken()) == (2, 1, 2)
    assert (await dav.sync("home")).header("retry-after") == "7"
    with pytest.raises(ValueError, match="over 0 a minute"):
        dav.icloud.faults(APPLE_ID).bucket(0)


async def test_a_bucket_throttles_past_its_burst_and_says_a_second(dav: Dav) -> None:
    dav.icloud.faults(APPLE_ID).bucket(60, burst=3)
    replies = [await dav.sync("home") for _ in range(5)]
    assert [reply.status for reply in replies] == [207, 207, 207, 503, 503]
    assert replies[-1].header("retry-after") == "1"


@pytest.mark.parametrize(
    "retry_after", [120, "Wed, 25 Nov 2026 12:00:00 GMT", "soon", "99999999999999999999"]
)
async def test_retry_after_says_whatever_it_is_told(dav: Dav, retry_after: int | str) -> None:
    faults = dav.icloud.faults(APPLE_ID)
    faults.throttle(1, retry_after=retry_after)
    faults.inject(f"too-many:{retry_after}")
    replies = [await dav.sync("home") for _ in range(2)]
    assert [(reply.status, reply.header("retry-after")) for reply in replies] == [
        (503, str(retry_after)),
        (429, str(retry_after)),
    ]


async def test_a_drawn_schedule_is_the_same_from_its_seed_and_can_be_replayed(dav: Dav) -> None:
    faults = dav.icloud.faults(APPLE_ID)
    kinds = (Failing.UNAUTHORIZED, "status:502", "throttle:7")

    async def statuses() -> list[int]:
        return [(await dav.sync("home")).status for _ in range(12)]

    drawn = faults.draw(7, requests=12, rate=0.5, kinds=kinds)
    first = await statuses()
    faults.replay({str(number): text for number, text in drawn.items()})
    assert await statuses() == first
    assert Schedule.drawn(7, requests=12, rate=0.5, kinds=kinds).texts == drawn
    assert 0 < len(drawn) < 12
    assert [number for number, status in enumerate(first) if status != 207] == sorted(drawn)
    assert await statuses() == [207] * 12


@pytest.mark.parametrize("kind", KINDS)
async def test_whatever_a_fault_meets_the_stand_in_goes_on(dav: Dav, kind: str) -> None:
    small: dict[str, str] = {
        Failing.SLOW: "0.01",
        Failing.SILENCE: "0.01",
        Failing.DRIP: "900000",
        Lie.GZIP_BOMB: "1",
    }
    faults = dav.icloud.faults(APPLE_ID)
    fault = Fault(kind, small.get(kind, ""))
    faults.inject(str(fault), times=-1)
    asked: tuple[Callable[[], Awaitable[Reply]], ...] = (
        dav.listing,
        lambda: dav.sync("home"),
        lambda: dav.multiget("home", f"{dav.home}home/e0.ics"),
        lambda: dav.query("home", '<c:comp-filter name="VEVENT"/>'),
        lambda: dav.call("GET", f"{dav.home}home/e0.ics"),
        lambda: dav.put("home/e9.ics", event("e9")),
        lambda: dav.call("DELETE", f"{dav.home}home/e1.ics"),
        lambda: dav.call("MKCALENDAR", f"{dav.home}another/"),
    )
    for ask in asked:
        try:
            assert (await ask()).text != "Internal Server Error"
        except (*Cut, UnicodeDecodeError):
            pass
    faults.clear()
    done = await dav.sync("home")
    assert f"{dav.home}home/e0.ics" in done.hrefs
    assert {seen.fault for seen in dav.icloud.requests[-9:-1]} == {str(fault)}


@pytest.mark.parametrize(
    "text", ["status:abc", "status:7", "drip:0", "silence:-1", "gzip-bomb:1.5", "reset:x"]
)
def test_an_amount_that_makes_no_sense_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=f"{text.partition(':')[0]} takes"):
        Fault.parse(text)


def test_every_kind_has_a_text_that_leads_back_to_it() -> None:
    faults = [Fault(kind) for kind in KINDS]
    assert [Fault.parse(str(fault)) for fault in faults] == faults
    assert len(tuple(Lie)) >= 15
    with pytest.raises(ValueError, match="explode"):
        Fault.parse("explode:3")


def _read_until_reset(port: int, request: bytes) -> int:
    """How much of the body comes."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection, suppress(ConnectionError):
        connection.sendall(request)
        while more := connection.recv(1 << 16):
            answer += more
    return len(answer.partition(b"\r\n\r\n")[2])


async def _raw(dav: Dav) -> bytes:
    """The body as it is on the wire."""
    return (await _on_the_wire(dav, "Connection: close")).partition(b"\r\n\r\n")[2]


async def _on_the_wire(dav: Dav, header: str, *, enough: Callable[[bytes], bool] = lambda _: False) -> bytes:
    port = int(dav.icloud.entry_url.rpartition(":")[2])
    body = '<sync-collection xmlns="DAV:"><sync-token/><prop><getetag/></prop></sync-collection>'
    head = f"REPORT {dav.home}home/ HTTP/1.1\r\nHost: x\r\nAuthorization: {dav.authorization}\r\nDepth: 1\r\n"
    request = f"{head}{header}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    return await dav.exchange(port, request.encode(), enough=enough)
