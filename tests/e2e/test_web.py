"""What a person does with the demo's pages, in a real browser that reaches nothing but this machine."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import uvicorn
from starlette.applications import Starlette

from benchmarks.client import Client
from benchmarks.ports import free_ports
from benchmarks.world import ROOT
from server.pages import page_routes
from standin.owner import Phone
from tests.alone import alone
from tests.clients.proxy import wire_to
from tests.e2e import queries as q
from tests.e2e.browser import Page, find_chromium, open_browser
from tests.e2e.test_demo import demo, until_ready

PICTURES = ROOT / "test-output"
PARIS = ZoneInfo("Europe/Paris")  # The demo's owner lives there.
HALF_AN_HOUR = timedelta(minutes=30)
NEXT_POLL = 60  # A watched user is polled every 15 s; one connected just now, or on a busy machine, later.

RESPONSE = "__MONACO.editor.getModels().find(({uri}) => uri.path.includes('response')).getValue()"
VARIABLES = "__MONACO.editor.getModels().find(({uri}) => uri.path.includes('variables')).getValue()"
CHANGES = "document.querySelector('#changes').innerText"
TABS = "[...document.querySelectorAll('[role=tab]')]"
DOCS = "document.querySelector('.graphiql-doc-explorer')"
DOCS_BUTTON = "document.querySelector('.graphiql-sidebar button[aria-label*=\"Documentation\"]')"
NOTICE = "document.querySelector('.key-bar output').innerText"
IS_LIVE = "document.querySelector('#socket').innerText === 'Live'"
IS_CONNECTED = "document.querySelector('#account').innerText.includes('iCloud is connected. Last read')"

# What each example tab answers when they are run from left to right.
EXAMPLES = {
    "Viewer": '"OWNER"',
    "ConnectICloud": '"ICloudConnected"',
    "Calendars": '"NEEDS_CALENDARS"',
    "ChooseCalendars": '"CalendarsConfigured"',
    "Availability": '"slotStarts"',
    "Book": '"AppointmentBooked"',
    "BlockedSlotChanges": '"ADDED"',
    "AvailabilityChanges": '"isSnapshot": true',
    "BlockAnHour": '"BlockedSlotCreated"',
}

pytestmark = pytest.mark.slow  # The first build fetches its packages.
Facts = dict[str, str]


def need(tool: str, found: str | None) -> str:
    """Skips by name on a person's machine; where CI runs, what is missing is a failure."""
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{tool} is not installed")
    return found


@pytest.fixture(scope="module")
def web() -> Path:
    need("node", shutil.which("node"))
    with alone(ROOT / "web"):
        subprocess.run([ROOT / "web/build.sh"], check=True)
    return ROOT / "web"


@pytest.fixture(scope="module")
def facts(web: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facts]:
    """Of a demo that runs: server, sync loop and stand-in, with nothing connected yet."""
    need("chromium", find_chromium())
    folder = tmp_path_factory.mktemp("demo")
    [port] = free_ports(1)
    with demo(folder, port) as running:
        yield until_ready(running, folder)


@pytest.fixture
async def browser() -> AsyncIterator[Page]:
    async with open_browser(need("chromium", find_chromium())) as page:
        yield page
        assert page.complaints == []
        assert page.hosts <= {"127.0.0.1"}


@pytest.fixture
async def owner(facts: Facts) -> AsyncIterator[Client]:
    async with Client(facts["graphqlUrl"], facts["ownerKey"]) as client:
        yield client


@pytest.fixture
async def unconnected(facts: Facts, owner: Client) -> Facts:
    if await account(owner, facts):
        gone = "... on ICloudDisconnected { user { id } }"
        user = {"userId": facts["userId"]}
        await owner.mutate("disconnectICloud", gone, "DisconnectICloudInput!", user)
    return facts


@pytest.fixture
async def connected(facts: Facts, owner: Client) -> Facts:
    """All that can block is chosen and read, and Home is written to."""
    user = {"userId": facts["userId"]}
    if not await account(owner, facts):
        login = {name: facts[name] for name in ("appleId", "appSpecificPassword")}
        await owner.mutate("connectICloud", q.CONNECTED, "ConnectICloudInput!", user | login)
    calendars = (await account(owner, facts))["calendars"]
    blocking = {"calendarIds": [each["id"] for each in calendars if each["conflictSelectable"]["yes"]]}
    [home] = [each["id"] for each in calendars if each["name"] == "Home"]
    await owner.mutate("setConflictCalendars", q.CONFIGURED, "SetConflictCalendarsInput!", user | blocking)
    await owner.mutate(
        "setLinkedCalendar", q.CONFIGURED, "SetLinkedCalendarInput!", user | {"calendarId": home}
    )
    await first_sync(owner, facts)
    return facts


async def test_the_start_page_gives_the_facts_and_operations_that_can_be_pasted(
    facts: Facts, browser: Page
) -> None:
    await browser.open(facts["webUrl"])
    await browser.wait_until(IS_LIVE)
    await browser.wait_until(f"document.querySelectorAll('#examples details').length === {len(EXAMPLES)}")
    shown = await browser.run("document.querySelector('#facts').innerText")
    assert all(facts[name] in shown for name in ("appleId", "appSpecificPassword", "caldavUrl", "bookingKey"))
    pasted = await browser.run("document.querySelector('#first-call code').innerText")
    called = subprocess.run(["sh", "-c", pasted + " -s"], capture_output=True, text=True, check=True)
    assert json.loads(called.stdout)["data"]["viewer"]["role"] == "OWNER"


async def test_one_button_connects_and_chooses_the_calendars(
    unconnected: Facts, browser: Page, owner: Client
) -> None:
    await browser.open(unconnected["webUrl"])
    await browser.wait_until(IS_LIVE)
    await browser.wait_until("!document.querySelector('#connect-row').hidden")
    await keep_pictures(browser, "home-unconnected")
    await browser.run("document.querySelector('#connect').click()")
    # One poll reads them all: the second would come 15 s later.
    await browser.wait_until(IS_CONNECTED, within=10)
    assert await browser.run("document.querySelector('#connect-row').hidden")
    await browser.wait_until(
        "document.querySelector('#week .free') && document.querySelector('#week .blocked')"
    )
    assert re.search(r"ADDED\s*\d+ blocked slots · learned at \d\d:\d\d:\d\d", await browser.run(CHANGES))
    await keep_pictures(browser, "home")
    calendars = {each["name"]: each for each in (await account(owner, unconnected))["calendars"]}
    assert [name for name, each in calendars.items() if each["isLinked"]] == ["Home"]
    assert [name for name, each in calendars.items() if each["isConflict"]] == [
        "Family",
        "Home",
        "Team",
        "Work",
    ]


async def test_an_hour_is_blocked_and_opened_again(connected: Facts, browser: Page) -> None:
    await browser.open(connected["webUrl"])
    await browser.wait_until(f"{IS_LIVE} && !document.querySelector('#block').disabled")
    await browser.run("document.querySelector('#block').click()")
    block = "document.querySelector('#week .blocked[title=\"Blocked on the start page\"]')"
    await browser.wait_until(f"/ADDED\\s*Blocked on the start page/.test({CHANGES}) && {block}")
    await browser.wait_until("!document.querySelector('#unblock').hidden")
    await browser.run("document.querySelector('#unblock').click()")
    await browser.wait_until(f"/REMOVED\\s*Blocked on the start page/.test({CHANGES}) && !{block}")
    assert await browser.run("document.querySelector('#unblock').hidden")


async def test_the_hour_that_is_blocked_was_free_as_a_whole(
    connected: Facts, browser: Page, owner: Client
) -> None:
    free_from = min(start for start, _ in await free_windows(owner, connected))
    quarter = datetime.fromtimestamp(-(-free_from.timestamp() // 900) * 900, UTC)
    hour = {"start": (quarter + HALF_AN_HOUR).isoformat(), "end": (quarter + 3 * HALF_AN_HOUR).isoformat()}
    await block(owner, connected, "Soon", **hour)
    await browser.open(connected["webUrl"])
    await browser.wait_until(f"{IS_LIVE} && !document.querySelector('#block').disabled")
    left = await free_windows(owner, connected)
    await browser.run("(button => (button.click(), button.click()))(document.querySelector('#block'))")
    await browser.wait_until("!document.querySelector('#unblock').hidden")
    [blocked] = await blocked_on_the_start_page(owner, connected)
    assert any(start <= blocked[0] and blocked[1] <= end for start, end in left)
    await browser.run("(button => (button.click(), button.click()))(document.querySelector('#unblock'))")
    await browser.wait_until("document.querySelector('#unblock').hidden")
    assert await browser.run("document.querySelector('#problem').innerText") == ""


async def test_why_nothing_was_blocked_stays_to_be_read(
    connected: Facts, browser: Page, owner: Client
) -> None:
    await browser.open(connected["webUrl"])
    await browser.wait_until(f"{IS_LIVE} && !document.querySelector('#block').disabled")
    await browser.run("""(real => { window.fetch = (url, asked) =>
        asked?.body?.includes("mutation Block(") ? Promise.reject(new Error()) : real(url, asked); })(window.fetch)""")
    await browser.run("document.querySelector('#block').click()")
    problem = "document.querySelector('#problem').innerText"
    await browser.wait_until(f"{problem} && !document.querySelector('#block').disabled")
    start = await amid_a_free_window(owner, connected)  # Which the week shows, whatever hour it is.
    span = {"start": start.isoformat(), "end": (start + HALF_AN_HOUR).isoformat()}
    await block(owner, connected, "Errand", **span)  # Is told, and has the week read anew.
    shown = f"/ADDED\\s*Errand/.test({CHANGES}) && document.querySelector('#week .blocked[title=Errand]')"
    await browser.wait_until(shown)
    assert await browser.run(problem)


async def test_what_was_blocked_can_be_opened_after_the_page_was_loaded_anew(
    connected: Facts, browser: Page
) -> None:
    await browser.open(connected["webUrl"])
    await browser.wait_until(f"{IS_LIVE} && !document.querySelector('#block').disabled")
    await browser.run("document.querySelector('#block').click()")
    await browser.wait_until("!document.querySelector('#unblock').hidden")
    await browser.open(connected["webUrl"])
    await browser.wait_until(f"{IS_LIVE} && !document.querySelector('#unblock').hidden")
    await browser.run("document.querySelector('#unblock').click()")
    await browser.wait_until(f"/REMOVED\\s*Blocked on the start page/.test({CHANGES})")
    await browser.wait_until("document.querySelector('#unblock').hidden")


async def test_whole_days_are_told_by_their_dates(connected: Facts, browser: Page, owner: Client) -> None:
    await browser.open(connected["webUrl"])
    await browser.wait_until(IS_LIVE)
    midnight = datetime.now(PARIS).replace(hour=0, minute=0, second=0, microsecond=0)
    days = {
        "start": (midnight + timedelta(days=2)).isoformat(),
        "end": (midnight + timedelta(days=4)).isoformat(),
    }
    trip = {"userId": connected["userId"], "title": "Trip"} | days
    made = await owner.mutate(
        "createBlockedSlot",
        "... on BlockedSlotCreated { blockedSlot { id } }",
        "CreateBlockedSlotInput!",
        trip,
    )
    await browser.wait_until(f"/Trip · [^:]+ – [^:]+ · learned/.test({CHANGES})")
    await owner.mutate(
        "deleteBlockedSlot", "", "DeleteBlockedSlotInput!", {"blockedSlotId": made["blockedSlot"]["id"]}
    )


async def test_the_start_page_connects_anew_where_nothing_is_heard_any_more(
    connected: Facts, browser: Page, owner: Client
) -> None:
    async with wire_to(int(connected["webUrl"].rpartition(":")[2].strip("/"))) as (wire, url):
        await browser.open(url)
        await browser.wait_until(f"{IS_LIVE} && document.querySelector('#week .free')")
        wire.freeze()
        await block_an_hour(owner, connected)
        await browser.wait_until(f"/ADDED\\s*Lunch/.test({CHANGES})")
        await browser.open("about:blank")  # It would go on to ask where the wire was.


async def test_the_start_page_of_a_real_server_hands_out_nothing(web: Path, browser: Page) -> None:
    with serving(Starlette(routes=page_routes(web_root=web, demo=None, graphiql=True))) as url:
        await browser.open(url)
        await browser.wait_until("document.querySelector('#first-call pre').innerText.includes('Bearer KEY')")
        hidden = "['demo', 'live', 'queries', 'to-demo'].every(id => document.getElementById(id).hidden)"
        assert await browser.run(hidden)
        await keep_pictures(browser, "home-plain")


async def test_every_example_runs_as_it_is_filled_from_left_to_right(
    unconnected: Facts, browser: Page, owner: Client
) -> None:
    await open_graphiql(unconnected, browser)
    assert await browser.run(f"{TABS}.map(tab => tab.innerText)") == list(EXAMPLES)
    for operation, expected in EXAMPLES.items():
        await run_tab(browser, operation)
        match operation:
            case "ChooseCalendars":
                await first_sync(owner, unconnected)
            case "BlockedSlotChanges":
                await subscribed(browser, operation)
                await block_an_hour(owner, unconnected)
        answer = await browser.wait_until(f"{RESPONSE}.includes({json.dumps(expected)}) && {RESPONSE}")
        assert "message" not in answer, answer
        if operation.endswith("Changes"):
            await browser.screenshot(PICTURES / f"graphiql-{operation}.png")
            await browser.run("document.querySelector('.graphiql-execute-button').click()")
    booked = [entry["node"] for entry in await appointments(owner, unconnected)]
    assert booked[0]["start"] > time_to_read_on()


def time_to_read_on() -> str:
    """Until then nobody books what an example is filled with."""
    return (datetime.now(UTC) + timedelta(minutes=30)).isoformat()


async def test_a_page_that_opens_connected_has_every_place_filled(connected: Facts, browser: Page) -> None:
    await open_graphiql(connected, browser)
    for operation in EXAMPLES:
        await show_tab(browser, operation)
        filled = await browser.run(VARIABLES)
        assert "<" not in filled
        if operation == "Book":
            assert json.loads(filled)["input"]["start"] > time_to_read_on()
    await browser.open(connected["webUrl"])
    await browser.wait_until("document.querySelector('#examples details')")
    assert "&lt;" not in await browser.run("document.querySelector('#examples').innerHTML")


async def test_graphiql_runs_a_query_with_the_key_in_the_field(facts: Facts, browser: Page) -> None:
    await open_graphiql(facts, browser)
    await run_tab(browser, "Viewer")
    await browser.wait_until(f"{RESPONSE}.includes('OWNER')")
    await browser.type_into("#key", facts["adminKey"])
    await run_tab(browser, "Viewer")
    await browser.wait_until(f"{RESPONSE}.includes('ADMIN')")
    assert await browser.run("sessionStorage.getItem('slotwire:key')") == facts["adminKey"]
    await browser.screenshot(PICTURES / "graphiql-query.png")


async def test_graphiql_shows_its_answer_on_a_phone_too(facts: Facts, browser: Page) -> None:
    await browser.resize(360, 800, dark=False)
    await open_graphiql(facts, browser)
    await run_tab(browser, "Viewer")
    await browser.wait_until(f"{RESPONSE}.includes('OWNER')")
    shown = "document.querySelector('.graphiql-response').getBoundingClientRect()"
    await browser.wait_until(f"{shown}.width > 240 && {shown}.height > 240 && {shown}.bottom <= innerHeight")
    await browser.screenshot(PICTURES / "graphiql-narrow.png")


async def test_graphiql_receives_a_change_over_a_websocket(
    facts: Facts, browser: Page, owner: Client
) -> None:
    await open_graphiql(facts, browser)
    await run_tab(browser, "BlockedSlotChanges")
    await subscribed(browser, "BlockedSlotChanges")
    await block_an_hour(owner, facts)
    await browser.wait_until(f"{RESPONSE}.includes('Lunch')")
    assert json.loads(browser.frames[0])["payload"] == {"authorization": f"Bearer {facts['ownerKey']}"}


async def test_graphiql_says_that_a_subscriptions_connection_was_lost(facts: Facts, browser: Page) -> None:
    async with wire_to(int(facts["webUrl"].rpartition(":")[2].strip("/"))) as (wire, url):
        await open_graphiql({"graphiqlUrl": f"{url}/graphiql"}, browser)
        await run_tab(browser, "BlockedSlotChanges")
        await subscribed(browser, "BlockedSlotChanges")
        wire.cut()
        await browser.wait_until(f"{RESPONSE}.includes('The connection to the server was lost')", within=30)
        await browser.open("about:blank")
    browser.complaints.clear()  # Of all that the page loads and opens without a server the browser complains.


async def test_graphiql_shows_the_docs_and_completes_to_an_owner(facts: Facts, browser: Page) -> None:
    await browser.resize(1400, 900, dark=True)
    await open_graphiql(facts, browser)
    await open_docs(browser)
    docs = f"{DOCS}.innerText"
    await browser.wait_until(f"{docs}.includes('Mutation') && {docs}.includes('keeps iCloud calendars')")
    await browser.screenshot(PICTURES / "graphiql-docs.png")
    await browser.run(
        "(editor => (editor.setValue('{ viewer { ro } }'), editor.setPosition({lineNumber: 1, column: 14}),"
        " editor.focus()))(__MONACO.editor.getEditors()[0])"
    )
    suggest = "__MONACO.editor.getEditors()[0].trigger('test', 'editor.action.triggerSuggest', {})"
    shown = "document.querySelector('.suggest-widget.visible')?.innerText.includes('role')"
    await browser.wait_until(f"({suggest}, {shown})")


async def test_graphiql_tells_a_booking_key_that_it_opens_no_docs_and_runs_its_operations(
    connected: Facts, browser: Page
) -> None:
    await open_graphiql(connected, browser)
    await open_docs(browser)
    await browser.wait_until(f"{DOCS}.innerText.includes('Mutation')")  # Until then there are none to keep.
    await browser.run(f"{DOCS_BUTTON}.click()")
    await browser.wait_until(f"!{DOCS}")
    await browser.run("[...document.querySelectorAll('.offered button')].at(-1).click()")
    await browser.wait_until(f"{NOTICE}.includes('are of the key before')")
    await browser.run("location.reload()")
    await browser.wait_until(f"{NOTICE}.includes('opens no docs: an owner or admin key does')")
    await open_docs(browser)
    await run_tab(browser, "Availability")
    answer = await browser.wait_until(f"{RESPONSE}.includes('slotStarts') && {RESPONSE}")
    assert '"errors"' not in answer
    await browser.screenshot(PICTURES / "graphiql-booking-key.png")


async def test_graphiql_without_a_key_asks_for_one(facts: Facts, browser: Page) -> None:
    await open_graphiql(facts, browser)
    await browser.type_into("#key", " ")
    await browser.wait_until(f"{NOTICE}.includes('A key opens')")


async def test_graphiql_with_a_wrong_key_shows_the_servers_sentence(facts: Facts, browser: Page) -> None:
    await open_graphiql(facts, browser)
    await browser.type_into("#key", "sw_owner_of-nobody")
    await browser.wait_until(f"{RESPONSE}.includes('This key is unknown')")
    # The browser itself reports each 401, which no page can keep it from.
    browser.complaints = [each for each in browser.complaints if "status of 401" not in each]


def test_the_bundle_names_no_registry_and_loads_nothing_from_elsewhere(web: Path) -> None:
    assert '"resolved"' not in (web / "graphiql/package-lock.json").read_text()
    notices = (web / "graphiql/dist/LICENCES.txt").read_text()
    assert all(
        name in notices for name in ("Fira Code Project Authors", "SIL OPEN FONT LICENSE", "Roboto 2.137")
    )
    assert "Apache License\n" in notices.partition("Roboto 2.137")[2]
    page = (web / "graphiql/dist/index.html").read_text()
    assert "//" not in page.replace("<!doctype", "")


WEEK_BUT_THE_MINUTE = (
    r"document.querySelector('#week').innerText.replace(/(\nToday\n[^]*?\nFree: )\d\d:\d\d/, '$1now')"
)
"""What is free of today may begin at the present minute, which goes on."""


async def test_an_event_of_the_owners_phone_closes_time_on_the_start_page_and_its_end_opens_it(
    connected: Facts, browser: Page, owner: Client
) -> None:
    phone = Phone(*(connected[name] for name in ("caldavUrl", "appleId", "appSpecificPassword")))
    start = await amid_a_free_window(owner, connected)
    await browser.open(connected["webUrl"])
    await browser.wait_until(f"{IS_LIVE} && document.querySelector('#week .free')")
    free_before = await browser.run(WEEK_BUT_THE_MINUTE)
    event = await phone.add("Home", "Dentist", start, start + HALF_AN_HOUR)
    await browser.wait_until(f"/ADDED\\s*Dentist/.test({CHANGES})", within=NEXT_POLL)
    await browser.wait_until("document.querySelector('#week .blocked[title=Dentist]')")
    free = await browser.run("document.querySelector('#week').innerText")
    assert f"to {clock(start)}" in free
    assert f"{clock(start + HALF_AN_HOUR)} to" in free
    await browser.screenshot(PICTURES / "home-dentist.png", whole=True)
    await phone.delete(event)
    user = {"userId": connected["userId"]}
    looked = await owner.mutate("refreshICloud", "", "RefreshICloudInput!", user)
    assert looked["__typename"] == "ICloudRefreshed", looked
    await browser.wait_until(f"/REMOVED\\s*Dentist/.test({CHANGES})", within=NEXT_POLL)
    await browser.wait_until(f"{WEEK_BUT_THE_MINUTE} === {json.dumps(free_before)}")


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


async def open_graphiql(facts: Facts, browser: Page) -> None:
    await browser.open(facts["graphiqlUrl"])
    await browser.wait_until(
        "document.title === 'Slotwire GraphiQL' && __MONACO.editor.getEditors().length === 4"
    )


async def open_docs(browser: Page) -> None:
    await browser.wait_until(f"({DOCS_BUTTON}.click(), true)")
    await browser.wait_until(DOCS)


async def show_tab(browser: Page, operation: str) -> None:
    tab = f"{TABS}.find(tab => tab.innerText === '{operation}')"
    await browser.wait_until(f"({tab}.querySelector('button').click(), true)")
    query = "__MONACO.editor.getModels().find(({uri}) => uri.path.includes('operation')).getValue()"
    await browser.wait_until(f"{query}.includes(' {operation}')")


async def run_tab(browser: Page, operation: str) -> None:
    await show_tab(browser, operation)
    await browser.run("document.querySelector('.graphiql-execute-button').click()")


async def subscribed(browser: Page, operation: str) -> None:
    async with asyncio.timeout(60):
        while not any('"subscribe"' in frame and operation in frame for frame in browser.frames):
            await asyncio.sleep(0.05)


async def account(owner: Client, facts: Facts) -> dict[str, Any]:
    """Empty while nothing is connected."""
    query = """query ($user: ID!) { user(id: $user) { iCloudAccount { status calendars {
        id name conflictSelectable { yes } isLinked isConflict } } } }"""
    found: dict[str, Any] | None = (await owner.call(query, user=facts["userId"]))["user"]["iCloudAccount"]
    return found or {}


async def first_sync(owner: Client, facts: Facts) -> None:
    async with asyncio.timeout(NEXT_POLL):
        while (await account(owner, facts))["status"] != "CONNECTED":
            await asyncio.sleep(0.2)


async def block_an_hour(owner: Client, facts: Facts) -> None:
    start = this_second() + timedelta(hours=3)
    await block(owner, facts, "Lunch", start=start.isoformat(), end=(start + timedelta(hours=1)).isoformat())


async def block(owner: Client, facts: Facts, title: str, **span: str) -> None:
    made = "... on BlockedSlotCreated { blockedSlot { id } }"
    given = {"userId": facts["userId"], "title": title} | span
    answer = await owner.mutate("createBlockedSlot", made, "CreateBlockedSlotInput!", given)
    assert answer["blockedSlot"]["id"]


async def blocked_on_the_start_page(owner: Client, facts: Facts) -> list[tuple[datetime, datetime]]:
    query = """query ($user: ID!, $from: DateTime!, $to: DateTime!) { user(id: $user) {
        blockedSlots(from: $from, to: $to, first: 200) { edges { node { title start end } } } } }"""
    answer = await owner.call(query, user=facts["userId"], **this_week())
    found = [edge["node"] for edge in answer["user"]["blockedSlots"]["edges"]]
    return [span_of(each) for each in found if each["title"] == "Blocked on the start page"]


async def appointments(owner: Client, facts: Facts) -> list[dict[str, Any]]:
    answer = await owner.call(q.APPOINTMENTS, user=facts["userId"], **this_week())
    found: list[dict[str, Any]] = answer["user"]["appointments"]["edges"]
    return found


async def amid_a_free_window(owner: Client, facts: Facts) -> datetime:
    """A start with half an hour free on both sides of the half hour that it begins."""
    spans = await free_windows(owner, facts)
    roomy = (start for start, end in spans if end - start >= 4 * HALF_AN_HOUR)
    return next(roomy).replace(second=0, microsecond=0) + HALF_AN_HOUR


async def free_windows(owner: Client, facts: Facts) -> list[tuple[datetime, datetime]]:
    """Of half an hour and more, within a week."""
    wanted = {"userIds": [facts["userId"]], "durationMinutes": 30} | this_week()
    windows = (await owner.call(q.AVAILABILITY, input=wanted))["availability"]["windows"]
    return [span_of(each) for each in windows]


def span_of(found: dict[str, str]) -> tuple[datetime, datetime]:
    return datetime.fromisoformat(found["start"]), datetime.fromisoformat(found["end"])


def this_week() -> dict[str, str]:
    now = this_second()
    return {"from": now.isoformat(), "to": (now + timedelta(days=8)).isoformat()}


def this_second() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def clock(moment: datetime) -> str:
    return f"{moment.astimezone(PARIS):%H:%M}"


async def keep_pictures(browser: Page, name: str) -> None:
    for kind, width, dark in (("light", 1200, False), ("dark", 1200, True), ("narrow", 390, False)):
        await browser.resize(width, 900, dark=dark)
        await browser.screenshot(PICTURES / f"{name}-{kind}.png", whole=True)
