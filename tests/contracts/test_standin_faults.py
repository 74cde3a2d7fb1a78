"""The stand-in goes wrong when told to, for one account at a time, and keeps a log of what was asked."""

import asyncio
import http.client
import json
import time
from urllib.parse import urlsplit

import pytest

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


async def test_the_end_waits_for_no_slow_account() -> None:
    async with served() as dav:
        dav.icloud.faults(APPLE_ID).slow(30)
        waiting = asyncio.create_task(probe(dav))
        await asyncio.sleep(0.1)
        started = time.monotonic()
    took = time.monotonic() - started
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        await waiting
    assert took < 20


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
        ("inject", "{}", "it takes fault, times, on, skip"),
        ("clear", '{"all": true}', "it takes nothing"),
        ("clear", "[1]", "a JSON object"),
    ],
)
async def test_the_admin_api_says_what_it_takes(name: str, said: str, told: str) -> None:
    async with StandIn() as icloud:
        dav = Dav(icloud, icloud.add_account(APPLE_ID))
        refused = await dav.call("POST", f"/-/accounts/{APPLE_ID}/{name}", said, password=None)
    assert (refused.status, told in refused.text) == (400, True)


async def test_the_admin_api_adds_accounts_and_calendars_and_reads_the_log() -> None:
    async with StandIn() as icloud:
        said = {"appleId": "new@x.example", "appPasswords": ["abcd-efgh-ijkl-mnop"], "dsid": "7"}
        calendar = {"id": "home", "name": "Home"}
        dav = Dav(icloud, icloud.add_account("first@x.example"))
        await dav.call("POST", "/-/accounts", json.dumps(said), password=None)
        await dav.call("POST", "/-/accounts/new@x.example/calendars", json.dumps(calendar), password=None)
        listed = await dav.call(
            "PROPFIND", "/7/calendars/home/", headers={"Depth": "0"}, user="new@x.example"
        )
        log = json.loads((await dav.call("GET", "/-/requests", password=None)).text)
    assert listed.status == 207
    assert [seen["path"] for seen in log] == ["/7/calendars/home/"]


async def test_a_taken_port_is_named() -> None:
    async with StandIn() as icloud:
        port = int(icloud.entry_url.rpartition(":")[2])
        with pytest.raises(PortTakenError, match=str(port)):
            await StandIn(entry_port=port).__aenter__()


async def test_answers_on_a_kept_connection_do_not_wait_for_its_acknowledgements() -> None:
    async with StandIn() as icloud:
        address = urlsplit(icloud.entry_url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        took: list[float] = []
        for _ in range(20):
            began = time.monotonic()
            writer.write(b"GET /-/accounts HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
            took.append(time.monotonic() - began)
        # An acknowledgement is held back for 40 ms: each answer would wait for it. A busy machine holds up some.
        assert min(took) < 0.02
        writer.close()
