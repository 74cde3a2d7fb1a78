"""The stand-in goes wrong when told to, for one account at a time, and keeps a log of what was asked."""

import asyncio
import http.client
import json
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from standin import server
from standin.front import Front
from standin.log import Log
from standin.messages import Request, Response
from standin.server import PortTakenError, StandIn
from tests.contracts.standin_http import APPLE_ID, Dav, event, served

PROBE = "<d:displayname/>"


async def probe(dav: Dav) -> int:
    return (await dav.find(dav.home, PROBE)).status


async def test_a_throttled_account_is_told_how_long_to_wait() -> None:
    async with served() as dav:
        dav.icloud.faults(APPLE_ID).throttle(2, retry_after=7)
        replies = [await dav.find(dav.home, PROBE) for _ in range(3)]
    assert [reply.status for reply in replies] == [503, 503, 207]
    assert replies[0].header("retry-after") == "7"


async def test_a_throttle_without_an_end_lasts_until_cleared() -> None:
    async with served() as dav:
        faults = dav.icloud.faults(APPLE_ID)
        faults.throttle()
        throttled = [await probe(dav) for _ in range(3)]
        faults.clear()
        assert (throttled, await probe(dav)) == ([503] * 3, 207)


async def test_stray_401s_and_5xxs_end_by_themselves() -> None:
    async with served() as dav:
        faults = dav.icloud.faults(APPLE_ID)
        faults.unauthorized(1)
        faults.fail(2, status=502)
        assert [await probe(dav) for _ in range(4)] == [401, 502, 502, 207]


async def test_a_fault_is_one_account_s_alone() -> None:
    async with served() as dav:
        other = dav.icloud.add_account("other@icloud.example", "zzzz-zzzz-zzzz-zzzz")
        dav.icloud.faults("other@icloud.example").throttle()
        theirs = await dav.call("PROPFIND", other.home, user=other.apple_id, password="zzzz-zzzz-zzzz-zzzz")
        assert (await probe(dav), theirs.status) == (207, 503)


async def test_a_slow_account_is_slow() -> None:
    async with served() as dav:
        dav.icloud.faults(APPLE_ID).slow(0.2)
        started = time.monotonic()
        await probe(dav)
    assert time.monotonic() - started >= 0.2


async def test_a_slow_request_holds_up_no_other() -> None:
    async with served() as dav:
        dav.icloud.faults(APPLE_ID).inject("slow:600", on="PUT")
        slow = asyncio.create_task(dav.put("home/a.ics", event()))
        while dav.icloud.faults(APPLE_ID).pending:
            await asyncio.sleep(0.01)
        assert (await probe(dav), slow.done()) == (207, False)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        await slow


async def test_a_stray_401_looks_like_any_other() -> None:
    async with served() as dav:
        dav.icloud.faults(APPLE_ID).unauthorized()
        stray, wrong = await dav.find("/", PROBE), await dav.find("/", PROBE, password="wrong")
    told = [[value for name, value in each.headers if name == "www-authenticate"] for each in (stray, wrong)]
    assert (stray.status, stray.text, told[0]) == (401, "", told[1])
    assert len(told[1]) == 2


async def test_none_of_a_fault_is_none() -> None:
    async with served() as dav:
        faults = dav.icloud.faults(APPLE_ID)
        faults.throttle(3)
        faults.throttle(0)
        assert (faults.pending, await probe(dav)) == ([], 207)


async def test_the_end_waits_for_no_slow_account() -> None:
    async with served() as dav:
        begun = asyncio.Event()

        async def asked(_: Request) -> None:
            begun.set()

        dav.icloud.front.asked = asked
        dav.icloud.faults(APPLE_ID).slow(30)
        waiting = asyncio.create_task(probe(dav))
        await begun.wait()
    # Waited for, it would have its answer.
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        await waiting


async def test_the_end_waits_for_no_request_that_is_still_coming(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as dav:
        port = int(dav.icloud.entry_url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
        assert b"100 Continue" in await reader.readline()
    writer.close()
    assert [record for record in caplog.records if record.exc_info] == []


async def test_nothing_is_done_of_a_request_that_ends_in_the_middle() -> None:
    async with served() as dav:
        port = int(dav.icloud.entry_url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"MKCALENDAR {dav.home}half/ HTTP/1.1\r\nHost: x\r\nAuthorization: {dav.authorization}\r\n"
        writer.write(f"{head}Content-Length: 10\r\nExpect: 100-continue\r\n\r\n".encode())
        assert b"100 Continue" in await reader.readline()
        writer.close()
        await writer.wait_closed()
    assert dav.icloud.requests == []  # Whose end waited for all that had begun.


async def test_no_more_of_a_body_is_kept_than_the_largest_object_needs() -> None:
    kept: list[int] = []

    async def asked(request: Request) -> None:
        kept.append(len(request.body))

    async with served() as dav:
        dav.icloud.front.asked = asked
        reply = await dav.put("home/big.ics", "x" * 50_000_000)
    assert (reply.status, kept) == (413, [1 << 25])


async def test_a_dropped_answer_leaves_the_event_stored() -> None:
    async with served() as dav:
        dav.icloud.faults(APPLE_ID).drop_put_answers()
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            await dav.put("home/a.ics", event(), If_None_Match="*")
        again = await dav.put("home/a.ics", event(), If_None_Match="*")
        held = await dav.call("GET", f"{dav.home}home/a.ics")
    assert (again.status, held.status) == (412, 200)
    assert "UID:one" in held.text


async def test_the_log_has_every_request_and_no_credentials() -> None:
    async with served() as dav:
        await dav.sync("home")
        await dav.call("PROPFIND", "/", headers={"Depth": "0"}, password=None)
        report, refused = dav.icloud.requests
    assert (report.method, report.path, report.report) == ("REPORT", f"{dav.home}home/", "sync-collection")
    assert (report.depth, report.status, report.authorized, report.listener) == ("1", 207, True, "entry")
    assert (refused.status, refused.authorized) == (401, False)
    assert "Basic" not in repr(dav.icloud.requests)


async def test_the_log_has_what_the_stand_in_itself_failed_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> Response:
        raise ZeroDivisionError

    async with served() as dav:
        with monkeypatch.context() as patched:
            patched.setattr(Front, "_routed", broken)
            answered = await probe(dav)
        (seen,) = dav.icloud.log
        account = dav.icloud.cloud.member(APPLE_ID).account
        assert (answered, seen.status, seen.path, seen.account) == (500, 500, dav.home, account.dsid)
        assert "ZeroDivisionError" in caplog.text
        assert await probe(dav) == 207


async def test_the_log_tells_who_asked_for_how_much_and_how_long_it_took() -> None:
    async with served() as dav:
        now = 1000.0
        dav.icloud.front._now = lambda: now

        async def a_second_passes(_: Request) -> None:
            nonlocal now
            now += 1

        dav.icloud.front.asked = a_second_passes
        await dav.multiget("home", f"{dav.home}home/a.ics", f"{dav.home}home/b.ics")
        body = '<propfind xmlns="DAV:"><href></href><prop><displayname/></prop></propfind>'
        headers = {"Depth": "0", "User-Agent": "x/1", "Host": "caldav.example"}
        await dav.call("PROPFIND", dav.home, body, headers)
        prolog = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
        sync = f'{prolog}<sync-collection xmlns="DAV:"><sync-token/></sync-collection>'
        await dav.call("REPORT", f"{dav.home}home/", sync)
        report, named, last = dav.icloud.requests
    assert (last.report, last.status) == ("sync-collection", 207)
    assert (report.hrefs, report.user_agent, report.report) == (2, None, "calendar-multiget")
    assert report.host == urlsplit(dav.icloud.entry_url).netloc
    assert (named.hrefs, named.user_agent, named.host) == (0, "x/1", "caldav.example")
    assert [(seen.at, seen.seconds) for seen in (report, named)] == [(1000.0, 1.0), (1001.0, 1.0)]


def test_the_log_forgets_what_is_long_ago() -> None:
    log = Log()
    assert log.maxlen is not None
    assert log.maxlen >= 20_000


@pytest.mark.parametrize("sent", ["Basic ~~~", "Basic /////w==", "Basic bm8gY29sb24="])
async def test_credentials_that_are_none_are_refused_as_wrong_ones(sent: str) -> None:
    async with served() as dav:
        reply = await dav.call("PROPFIND", "/", "", {"Depth": "0", "Authorization": sent}, password=None)
    assert reply.status == 401


async def test_the_log_counts_what_an_account_was_asked_and_how_often_within_a_minute() -> None:
    async with served() as dav:
        now = 1000.0
        dav.icloud.front._now = lambda: now
        for at in (1000.0, 1001.0, 1050.0, 1060.0, 1061.5, 1300.0):
            now = at
            await dav.sync("home")
        await probe(dav)
        log, dsid = dav.icloud.log, dav.account.dsid
        counted = json.loads((await dav.call("GET", f"/-/accounts/{APPLE_ID}/requests", password=None)).text)
    assert log.by_question(dsid) == {"sync-collection": 6, "PROPFIND": 1}
    assert log.most_in_a_minute(dsid) == 3
    assert log.most_in_a_minute("somebody else") == 0
    assert counted == {"byQuestion": {"sync-collection": 6, "PROPFIND": 1}, "mostInAMinute": 3, "mails": 0}


async def test_every_request_names_its_account_its_size_and_its_fault() -> None:
    async with served() as dav:
        dav.icloud.faults(APPLE_ID).inject("status:502")
        await dav.sync("home")
        reply = await dav.sync("home")
        failed, honest = dav.icloud.requests
    assert (failed.account, failed.fault, failed.sent) == (dav.account.dsid, "status:502", 0)
    assert (honest.fault, honest.sent) == (None, len(reply.text.encode()))


@pytest.mark.parametrize(
    ("fault", "is_felt"),
    [
        ("status:502", True),
        ("slow:0.01", True),
        ("twice", True),
        ("half", False),
        ("drip:1024", False),
        ("reset:0", False),
        ("truncated", False),
        ("other-calendar", False),
    ],
)
async def test_the_log_says_whether_anything_came_of_a_fault(fault: str, *, is_felt: bool) -> None:
    """A PUT's answer has no body, of which half could be given, and is no multistatus."""
    async with served() as dav:
        faults = dav.icloud.faults(APPLE_ID)
        faults.inject(fault)
        await dav.put("home/a.ics", event("a"))
        faults.inject("duplicated")
        await dav.sync("home")
        await dav.sync("home")
    assert [seen.felt for seen in dav.icloud.requests] == [is_felt, True, False]


async def test_manners_are_read_and_set_over_http() -> None:
    async with served() as dav:
        before = json.loads((await dav.call("GET", "/-/manners", password=None)).text)
        wanted = json.dumps({"mode": "hostile", "flags": ["no-gzips", "lag-polls=4"]})
        after = json.loads((await dav.call("POST", "/-/manners", wanted, password=None)).text)
        odd = await dav.call("POST", "/-/manners", '{"mode": "strict", "flags": ["explode"]}', password=None)
        assert dav.icloud.manners.lag_polls == 4
    assert (before["gzips"], before["lag_polls"], before["redirect_root"]) == (False, 0, 0)
    assert (after["gzips"], after["lag_polls"], after["redirect_root"]) == (False, 4, 301)
    assert odd.status == 400


async def test_everything_that_can_be_done_to_an_account_can_be_done_over_http() -> None:
    said: dict[str, dict[str, object]] = {
        "inject": {"fault": "reset:5", "on": "PUT"},
        "lie": {"lie": "html", "times": 2},
        "throttle": {"times": 1, "retry_after": "soon"},
        "unauthorized": {},
        "fail": {"status": 421},
        "drop-put-answers": {},
        "lose-answers": {"on": "DELETE"},
        "reset": {"at": 3},
        "drip": {"bytes_a_second": 100},
        "silence": {"seconds": 1},
        "keep-none": {"times": 1},
        "slow": {"seconds": 0},
        "bucket": {"per_minute": 60},
        "lag": {"polls": 1},
        "draw": {"seed": 7, "requests": 20, "kinds": ["html", "status:502"]},
        "replay": {"schedule": {"0": "html", "3": "reset:9"}},
        "allow": {"passwords": ["qrst-uvwx-yzab-cdef"]},
        "revoke": {"passwords": ["qrst-uvwx-yzab-cdef"]},
        "move-partition": {"old_host": "redirects"},
        "touch": {"calendar": "home"},
        "housekeep": {"calendar": "home"},
        "read-only": {"calendar": "home"},
        "rename": {"calendar": "home", "name": "House"},
        "recolour": {"calendar": "home", "color": "#000000FF"},
        "share": {"calendar": "home"},
        "unshare": {"calendar": "home"},
        "purge-tokens": {},
        "delete-calendar": {"calendar": "work"},
        "clear": {},
    }
    async with served() as dav:
        await dav.put("home/a.ics", event())
        assert said.keys() == dav.icloud.faults(APPLE_ID).commands().keys()
        for name, arguments in said.items():
            done = await dav.call(
                "POST", f"/-/accounts/{APPLE_ID}/{name}", json.dumps(arguments), password=None
            )
            assert done.status in {200, 204}, (name, done.text)
        member = dav.icloud.cloud.member(APPLE_ID)
        assert (member.account.partition, "work" in member.calendars) == (181, False)


async def test_all_of_an_account_s_tokens_are_purged_at_once() -> None:
    async with served() as dav:
        tokens = {name: (await dav.sync(name)).token for name in ("home", "work")}
        dav.icloud.faults(APPLE_ID).purge_tokens()
        assert [(await dav.sync(name, token)).status for name, token in tokens.items()] == [403, 403]


async def test_the_admin_api_wants_its_token_and_names_what_is_wrong() -> None:
    async with StandIn(admin_token="letmein") as icloud:
        account = icloud.add_account(APPLE_ID, "abcd-efgh-ijkl-mnop")
        dav, bearer = Dav(icloud, account), {"Authorization": "Bearer letmein"}
        fault = f"/-/accounts/{APPLE_ID}/throttle"
        refused = await dav.call("POST", fault, "{}", password=None)
        unknown = await dav.call("POST", f"/-/accounts/{APPLE_ID}/explode", "{}", bearer, password=None)
        wrong = await dav.call("POST", fault, '{"often": 1}', bearer, password=None)
        done = await dav.call("POST", fault, '{"times": 1, "retry_after": 3}', bearer, password=None)
        assert [reply.status for reply in (refused, unknown, wrong, done)] == [401, 404, 400, 204]
        assert await probe(dav) == 503


@pytest.mark.parametrize(
    ("name", "said", "told"),
    [
        ("allow", '{"password": "x"}', "it takes passwords"),
        ("inject", "{}", "fault must be said; it takes fault, times, on, skip"),
        ("clear", '{"all": true}', "it takes nothing"),
        ("clear", "[1]", "a JSON object"),
        ("clear", "[" * 100_000, "the body is no JSON"),
        ("allow", '{"passwords": "abcd-efgh-ijkl-mnop"}', "passwords must be a list of texts"),
        ("allow", '{"passwords": [""]}', "passwords[0] must be 1 to 200 characters"),
        ("revoke", '{"passwords": "abcd-efgh-ijkl-mnop"}', "passwords must be a list of texts or null"),
        ("revoke", '{"passwords": []}', "passwords names none"),
        ("slow", '{"seconds": "fast"}', "seconds must be a number, not 'fast'"),
        ("slow", '{"seconds": -1}', "seconds must be from 0 to 3600, not -1"),
        ("slow", '{"seconds": NaN}', "seconds must be from 0 to 3600, not nan"),
        ("throttle", '{"times": "x"}', "times must be a whole number, not 'x'"),
        ("throttle", '{"times": true}', "times must be a whole number, not True"),
        ("throttle", '{"retry_after": "later\\r\\nX: y"}', "retry_after holds"),
        ("throttle", '{"retry_after": "später"}', "Retry-After is printable ASCII"),
        ("inject", '{"fault": "too-many:später"}', "Retry-After is printable ASCII"),
        ("inject", '{"fault": "half:7"}', "half takes no amount, and not '7'"),
        ("inject", '{"fault": "all-gone:home/"}', "all-gone takes the beginning of a path"),
        ("inject", '{"fault": "html", "on": "put"}', "one of GET, HEAD"),
        ("fail", '{"on": "sync-colection"}', "on is the beginning of a path or one of"),
        ("bucket", '{"per_minute": 6, "retry_after": "später"}', "Retry-After is printable ASCII"),
        ("lag", '{"polls": "2"}', "polls must be a whole number"),
        ("lag", '{"on_get": 1}', "on_get must be true or false"),
        ("rename", '{"calendar": "home", "name": 5}', "name must be a text"),
        ("rename", '{"calendar": "home", "name": "\\ud800"}', "name holds"),
        ("recolour", '{"calendar": "home", "color": [1]}', "color must be a text or null"),
        ("touch", '{"calendar": "home", "names": "a.ics"}', "names must be a list of texts"),
        ("draw", '{"seed": 1, "requests": 1000000000000}', "requests must be from 0 to 1000000"),
        ("draw", '{"seed": 1, "requests": 9, "kinds": []}', "kinds names no fault"),
        ("draw", '{"seed": 1, "requests": 9, "kinds": ["explode"]}', "no fault is called 'explode'"),
        ("replay", '{"schedule": {"first": "html"}}', "not by 'first'"),
        ("replay", '{"schedule": {"0": 5}}', "schedule['0'] must be a text"),
        ("lie", '{"lie": "status:502"}', "status:502 is no lie"),
        ("calendars", "{}", "id, name must be said; it takes id, name, kind, color, order"),
        ("calendars", '{"id": "../../x", "name": "x"}', "id must be up to 128 letters"),
        ("calendars", '{"id": "x/../../y", "name": "x"}', "id must be up to 128 letters"),
        ("replay", '{"schedule": ["html"]}', "schedule must be an object"),
        ("calendars", '{"id": "inbox", "name": "x"}', "id must be up to 128 letters"),
        ("calendars", '{"id": "x", "name": "x", "kind": "odd"}', "kind must be own or shared_out or"),
        ("phone/add", '{"title": ["x"]}', "title must be a text, a number, true or false"),
        ("phone/add", '{"title": "x"}', "add must be told start, end"),
        ("phone/add", '{"title": "x", "start": "noon", "end": "one"}', "start is 2026-11-21T10:00"),
        ("phone/travel", '{"path": "/x", "travel": -5}', "travel is a whole number from 0 on"),
    ],
)
async def test_the_admin_api_says_what_it_takes(name: str, said: str, told: str) -> None:
    async with StandIn() as icloud:
        dav = Dav(icloud, icloud.add_account(APPLE_ID))
        refused = await dav.call("POST", f"/-/accounts/{APPLE_ID}/{name}", said, password=None)
    assert (refused.status, told in refused.text) == (400, True)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({}, "appleId must be said; it takes appleId, appPasswords, dsid, fullName"),
        ({"appleId": "nobody"}, "appleId must be an e-mail address"),
        ({"appleId": "a@b.example", "dsid": "../x"}, "dsid must be 1 to 20 digits"),
        ({"appleId": "a@b.example", "passwords": ["x"]}, "there is no passwords; it takes"),
        ({"appleId": "a@b.example", "aliases": "c@d.example"}, "aliases must be a list of texts"),
        ({"appleId": "a@b.example", "calendars": [{"id": "x"}]}, "name must be said"),
        ({"appleId": "a@b.example", "calendars": [{"id": "x", "name": "x"}] * 2}, "an id twice"),
    ],
)
async def test_the_admin_api_makes_no_odd_account(said: dict[str, object], told: str) -> None:
    async with StandIn() as icloud:
        dav = Dav(icloud, icloud.add_account(APPLE_ID))
        refused = await dav.call("POST", "/-/accounts", json.dumps(said), password=None)
        assert (refused.status, told in refused.text, len(list(icloud.cloud.members()))) == (400, True, 1)


async def test_what_is_there_already_is_not_made_anew() -> None:
    async with served() as dav:
        await dav.put("home/a.ics", event())
        calendar = json.dumps({"id": "home", "name": "Anew"})
        twice = await dav.call("POST", f"/-/accounts/{APPLE_ID}/calendars", calendar, password=None)
        account = json.dumps({"appleId": APPLE_ID})
        again = await dav.call("POST", "/-/accounts", account, password=None)
        held = await dav.call("GET", f"{dav.home}home/a.ics")
    assert (twice.status, again.status, held.status) == (409, 409, 200)


async def test_a_revocation_that_would_revoke_nothing_is_refused() -> None:
    async with served() as dav:
        typo = json.dumps({"passwords": ["abcd-efgh-ijkl-mnoq"]})
        revoke = f"/-/accounts/{APPLE_ID}/revoke"
        refused = await dav.call("POST", revoke, typo, password=None)
        before = await probe(dav)
        done = await dav.call("POST", revoke, "", password=None)
        assert (refused.status, before, done.status, await probe(dav)) == (404, 207, 204, 401)


async def test_the_admin_api_tells_all_of_an_account_that_it_was_told() -> None:
    said = {
        "appleId": "new@x.example",
        "appPasswords": ["abcd-efgh-ijkl-mnop"],
        "dsid": "7",
        "mainPassword": "m",
        "fullName": "Ann",
        "aliases": ["ann@x.example"],
        "calendars": [
            {"id": "subscribed", "name": "News", "kind": "subscribed", "source": "webcal://x.example"}
        ],
    }
    async with StandIn() as icloud:
        dav = Dav(icloud, icloud.add_account("first@x.example"))
        made = json.loads((await dav.call("POST", "/-/accounts", json.dumps(said), password=None)).text)
        at = "/-/accounts/ann@x.example"
        gym = await dav.call("POST", f"{at}/calendars", '{"id": "gym", "name": "Gym"}', password=None)
        for calendar in ("gym", "subscribed"):
            body = '<sync-collection xmlns="DAV:"><sync-token/><prop><getetag/></prop></sync-collection>'
            path = f"/7/calendars/{calendar}/"
            status = (await dav.call("REPORT", path, body, {"Depth": "1"}, user="new@x.example")).status
            assert status == (403 if calendar == "subscribed" else 207)
        text = event("one", "ATTENDEE:mailto:b@x.example")
        await dav.call("PUT", "/7/calendars/gym/a.ics", text, user="new@x.example")
        await dav.call("POST", f"{at}/throttle", '{"times": 2, "on": "PUT"}', password=None)
        drawn = await dav.call("POST", f"{at}/draw", '{"seed": 1, "requests": 9, "rate": 1}', password=None)
        told = json.loads((await dav.call("GET", "/-/accounts", password=None)).text)[1]
        member = icloud.cloud.member("new@x.example")
        cleared = await dav.call("DELETE", "/-/requests", password=None)
        assert (cleared.status, icloud.requests) == (204, [])
        assert (await dav.call("GET", "/-/nothing", password=None)).status == 404
    assert (member.account.full_name, member.account.main_password) == ("Ann", "m")
    assert [made["dsid"], made["aliases"], made["partition"]] == ["7", ["ann@x.example"], 180]
    assert json.loads(gym.text) == {"path": "/7/calendars/gym/"}
    assert len(json.loads(drawn.text)) == 9
    assert [(each["path"], each["resources"]) for each in told["calendars"]] == [
        ("/7/calendars/subscribed/", 0),
        ("/7/calendars/gym/", 1),
    ]
    assert told["mails"] == 1
    assert told["faults"] == [{"fault": "throttle:1", "times": 2, "on": "PUT", "skip": 0}]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"mode": "odd"}, "mode must be strict or hostile, not 'odd'"),
        ({"mode": "x" * 100}, "x…"),
        ({"mode": ["strict"]}, "mode must be strict or hostile"),
        ({}, "mode must be said"),
    ],
)
async def test_manners_are_of_a_mode(said: dict[str, object], told: str) -> None:
    async with served() as dav:
        refused = await dav.call("POST", "/-/manners", json.dumps(said), password=None)
    assert (refused.status, told in json.loads(refused.text)["error"]) == (400, True)


async def test_a_token_that_is_set_to_nothing_guards_nothing() -> None:
    async with StandIn(admin_token="") as icloud:
        dav = Dav(icloud, icloud.add_account(APPLE_ID))
        assert (await dav.call("GET", "/-/accounts", password=None)).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 204),
        ({"Origin": "https://page.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "page.example"}, 403),
        ({"Host": "page.example", "Origin": "http://page.example"}, 403),
        ({"Host": "localhost:8801", "Origin": "http://localhost:8801"}, 204),
    ],
)
async def test_a_web_page_reaches_no_admin_api(headers: dict[str, str], status: int) -> None:
    async with StandIn() as icloud:
        dav = Dav(icloud, icloud.add_account(APPLE_ID))
        clear = f"/-/accounts/{APPLE_ID}/clear"
        assert (await dav.call("POST", clear, "{}", headers, password=None)).status == status


@pytest.mark.parametrize(
    "flag",
    [
        "lag-polls=-1",
        "redirect-root=7",
        "endless-status=200",
        "no-endless-status",
        "realm=é",
        "lag-seconds=nan",
    ],
)
async def test_no_manner_is_set_to_what_no_answer_can_be(flag: str) -> None:
    async with served() as dav:
        wanted = json.dumps({"mode": "strict", "flags": [flag]})
        assert (await dav.call("POST", "/-/manners", wanted, password=None)).status == 400
        assert await probe(dav) == 207


async def test_the_admin_api_adds_accounts_and_calendars_and_reads_the_log() -> None:
    async with StandIn() as icloud:
        said = {"appleId": "new@x.example", "appPasswords": ["abcd-efgh-ijkl-mnop"], "dsid": "7"}
        calendar = {"id": "gym", "name": "Gym"}
        dav = Dav(icloud, icloud.add_account("first@x.example"))
        made = await dav.call("POST", "/-/accounts", json.dumps(said), password=None)
        await dav.call("POST", "/-/accounts/new@x.example/calendars", json.dumps(calendar), password=None)
        listed = await dav.call("PROPFIND", "/7/calendars/gym/", headers={"Depth": "0"}, user="new@x.example")
        log = json.loads((await dav.call("GET", "/-/requests", password=None)).text)
    assert [each["id"] for each in json.loads(made.text)["calendars"]] == ["home", "work"]
    assert listed.status == 207
    assert [seen["path"] for seen in log] == ["/7/calendars/gym/"]


async def test_a_storage_is_one_stand_in_s_alone(tmp_path: Path) -> None:
    async with served(storage=tmp_path):
        with pytest.raises(OSError, match="another stand-in's"):
            async with StandIn(storage=tmp_path):
                pass
    async with served(storage=tmp_path) as dav:
        assert await probe(dav) == 207


async def test_a_taken_port_is_named() -> None:
    async with StandIn() as icloud:
        port = int(icloud.entry_url.rpartition(":")[2])
        with pytest.raises(PortTakenError, match=str(port)):
            await StandIn(entry_port=port).__aenter__()


async def test_answers_on_a_kept_connection_do_not_wait_for_its_acknowledgements(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Head and body go in two writes, and an acknowledgement is held back for 40 ms."""
    waits: list[bool] = []

    class Looked(server._Wired):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            connection = transport.get_extra_info("socket")
            waits.append(not connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            super().connection_made(transport)

    monkeypatch.setattr(server, "_Wired", Looked)
    async with served() as dav:
        for url in (dav.icloud.entry_url, dav.icloud.partition_url, dav.icloud.other_partition_url):
            await dav.call("OPTIONS", "/", url=url)
    assert waits == [False] * 3
