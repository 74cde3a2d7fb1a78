"""The pages that a browser shows: their headers, and what they do in a real browser without any other network."""

import asyncio
import gzip
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
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
import uvicorn
from graphql import OperationDefinitionNode, build_schema, parse, validate
from graphql.execution.values import get_variable_values
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

from server.pages import page_routes
from tests.e2e.browser import Page, find_chromium, open_browser
from tests.e2e.small_api import SmallApi

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "test-output"
FACTS = {
    "ownerKey": "sw_owner_of-the-demo",
    "adminKey": "sw_admin_of-the-demo",
    "bookingKey": "sw_booking_of-the-demo",
    "userId": "user-1",
    "bookingPage": "intro-call",
    "caldavUrl": "http://127.0.0.1:5232/",
    "appleId": "maya@icloud.example",
    "appSpecificPassword": "abcd-efgh-ijkl-mnop",
}
RESPONSE = "__MONACO.editor.getModels().find(({uri}) => uri.path.includes('response')).getValue()"

pytestmark = pytest.mark.timeout(300)  # The first build fetches its packages.


@dataclass(frozen=True, slots=True)
class Site:
    """Where the pages are served, and the facts that they were given to hand out."""

    url: str
    facts: dict[str, str]


def need(tool: str, found: str | None) -> str:
    """Skips by name on a person's machine; where CI runs, what is missing is a failure."""
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{tool} is not installed")
    return found


@pytest.fixture(scope="session")
def web() -> Path:
    need("node", shutil.which("node"))
    subprocess.run([ROOT / "web/build.sh"], check=True)
    return ROOT / "web"


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="websockets-sansio"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def site(web: Path) -> Iterator[Site]:
    api = SmallApi()
    graphql = [Route("/graphql", api), WebSocketRoute("/graphql", api)]
    with serving(Starlette(routes=[*graphql, *page_routes(web_root=web, demo=FACTS, graphiql=True)])) as url:
        yield Site(url, FACTS)


@pytest.fixture
async def browser() -> AsyncIterator[Page]:
    async with open_browser(need("chromium", find_chromium())) as page:
        yield page
        assert page.complaints == []
        assert page.hosts <= {"127.0.0.1"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A web folder with a bundle of three lines in place of GraphiQL's."""
    shutil.copytree(ROOT / "web/home", tmp_path / "home")
    shutil.copytree(ROOT / "web/graphiql/src", tmp_path / "graphiql/src")
    assets = tmp_path / "graphiql/dist/assets"
    assets.mkdir(parents=True)
    (assets.parent / "index.html").write_text("<!doctype html><title>GraphiQL</title>")
    (assets / "index-1a2b.js").write_text("'as it is'")
    (assets / "index-1a2b.js.br").write_bytes(b"by brotli")
    (assets / "index-1a2b.js.gz").write_bytes(gzip.compress(b"'by gzip'"))
    return tmp_path


async def get(
    root: Path,
    path: str,
    *,
    demo: dict[str, str] | None = None,
    graphiql: bool = True,
    headers: dict[str, str] | None = None,
) -> httpx2.Response:
    app = Starlette(routes=page_routes(web_root=root, demo=demo, graphiql=graphiql))
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://slotwire.test") as client:
        return await client.get(path, headers={"accept-encoding": "identity"} | (headers or {}))


@pytest.mark.parametrize("path", ["/", "/home/home.js", "/home/home.css", "/home/favicon.svg", "/graphiql/"])
async def test_every_file_comes_under_a_policy_and_is_never_sniffed(root: Path, path: str) -> None:
    answer = await get(root, path)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"


async def test_no_policy_allows_inline_scripts_or_eval(root: Path) -> None:
    for path in ("/", "/graphiql/"):
        policy = (await get(root, path)).headers["content-security-policy"]
        scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
        assert scripts == "script-src 'self'"


async def test_only_graphiql_may_style_inline(root: Path) -> None:
    assert "unsafe-inline" not in (await get(root, "/")).headers["content-security-policy"]


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, br", "br"),
        ("gzip", "gzip"),
        ("br;q=0, gzip;q=0.5", "gzip"),
        ("identity", None),
        ("zstd", None),
    ],
)
async def test_a_file_comes_in_the_smallest_form_the_browser_accepts(
    root: Path, accepted: str, coding: str | None
) -> None:
    app = Starlette(routes=page_routes(web_root=root, demo=None, graphiql=True))
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url="http://a.test"
    ) as client:
        request = client.build_request(
            "GET", "/graphiql/assets/index-1a2b.js", headers={"accept-encoding": accepted}
        )
        answer = await client.send(request, stream=True)
        await answer.aclose()
    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["vary"] == "accept-encoding"


async def test_hashed_files_are_kept_for_good(root: Path) -> None:
    answer = await get(root, "/graphiql/assets/index-1a2b.js")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_what_the_browser_has_already_is_not_sent_again(root: Path) -> None:
    first = await get(root, "/")
    second = await get(root, "/", headers={"if-none-match": first.headers["etag"]})
    assert (second.status_code, second.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/graphiql/%2e%2e/%2e%2e/home/home.js", "/graphiql/..%2f..%2fhome/home.js", "/home/none"]
)
async def test_nothing_outside_the_folder_is_served(root: Path, path: str) -> None:
    assert (await get(root, path)).status_code == 404


async def test_graphiql_without_a_slash_leads_to_the_page(root: Path) -> None:
    assert (await get(root, "/graphiql")).headers["location"] == "/graphiql/"


async def test_graphiql_that_is_not_built_says_what_to_do(root: Path) -> None:
    shutil.rmtree(root / "graphiql/dist")
    answer = await get(root, "/graphiql/")
    assert answer.status_code == 503
    assert "install Node.js" in answer.text
    assert "make web" in answer.text


async def test_graphiql_that_is_switched_off_is_not_there(root: Path) -> None:
    assert (await get(root, "/graphiql/", graphiql=False)).status_code == 404
    assert (await get(root, "/graphiql/config.json", demo=FACTS, graphiql=False)).status_code == 404
    assert (await get(root, "/home/config.json", graphiql=False)).json() == {"graphiql": False}


async def test_only_a_demo_hands_out_its_keys(root: Path) -> None:
    assert (await get(root, "/graphiql/config.json")).json() == {}
    assert (await get(root, "/home/config.json")).json() == {"graphiql": True}
    handed_out = await get(root, "/graphiql/config.json", demo=FACTS)
    assert handed_out.json() == {"key": FACTS["ownerKey"], "facts": FACTS}
    assert handed_out.headers["cache-control"] == "no-store"


def test_a_build_without_node_says_what_to_install(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "web", tmp_path / "web", ignore=shutil.ignore_patterns("node_modules", "dist"))
    for tool in ("sh", "dirname", "find", "sort", "xargs", "cksum", "cat"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)
    build = subprocess.run(
        [tmp_path / "web/build.sh"], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert build.returncode == 3
    assert build.stderr.splitlines() == [
        "GraphiQL needs node to be built: install Node.js 20.19 or later, then run 'make web'."
    ]


def operations_of_the_pages() -> Iterator[tuple[str, dict[str, object]]]:
    for example in json.loads((ROOT / "web/graphiql/src/examples.json").read_text()):
        yield example["query"], example["variables"]
    for operation in re.findall(r"= `([^`]+)`", (ROOT / "web/home/api.js").read_text()):
        yield operation, {}


def test_every_operation_of_the_pages_is_valid_by_the_schema() -> None:
    schema = build_schema((ROOT / "schema/schema.graphql").read_text())
    for operation, variables in operations_of_the_pages():
        document = parse(operation)
        assert validate(schema, document) == []
        (definition,) = document.definitions
        assert isinstance(definition, OperationDefinitionNode)
        if variables:
            coerced = get_variable_values(schema, definition.variable_definitions or (), variables)
            assert not isinstance(coerced, list), coerced


@pytest.mark.slow
async def test_the_bundle_names_no_registry_and_loads_nothing_from_elsewhere(web: Path) -> None:
    assert '"resolved"' not in (web / "graphiql/package-lock.json").read_text()
    page = (web / "graphiql/dist/index.html").read_text()
    assert "//" not in page.replace("<!doctype", "")


@pytest.mark.slow
async def test_graphiql_runs_a_query_with_the_key_in_the_field(site: Site, browser: Page) -> None:
    await open_graphiql(site, browser)
    await run_tab(browser, "Viewer")
    assert '"OWNER"' in await browser.wait_until(f"{RESPONSE}.includes('role') && {RESPONSE}")
    await browser.type_into("#key", site.facts["adminKey"])
    await run_tab(browser, "Viewer")
    await browser.wait_until(f"{RESPONSE}.includes('ADMIN')")
    assert await browser.run("sessionStorage.getItem('slotwire:key')") == site.facts["adminKey"]
    await browser.screenshot(PICTURES / "graphiql-query.png")


@pytest.mark.slow
async def test_graphiql_shows_the_docs(site: Site, browser: Page) -> None:
    await browser.resize(1400, 900, dark=True)
    await open_graphiql(site, browser)
    await browser.run(
        "document.querySelector('.graphiql-sidebar button[aria-label*=\"Documentation\"]').click()"
    )
    await browser.wait_until(
        "document.querySelector('.graphiql-doc-explorer')?.innerText.includes('Mutation')"
    )
    await browser.screenshot(PICTURES / "graphiql-docs.png")


@pytest.mark.slow
async def test_graphiql_completes_field_names(site: Site, browser: Page) -> None:
    await open_graphiql(site, browser)
    await browser.wait_until("!document.querySelector('.graphiql-spinner')")
    await browser.run(
        "(editor => (editor.setValue('{ viewer { ro } }'), editor.setPosition({lineNumber: 1, column: 14}),"
        " editor.focus()))(__MONACO.editor.getEditors()[0])"
    )
    suggest = "__MONACO.editor.getEditors()[0].trigger('test', 'editor.action.triggerSuggest', {})"
    shown = "document.querySelector('.suggest-widget.visible')?.innerText.includes('role')"
    await browser.wait_until(f"({suggest}, {shown})")


@pytest.mark.slow
async def test_the_examples_are_filled_with_the_demos_facts_and_times_to_come(
    site: Site, browser: Page
) -> None:
    await open_graphiql(site, browser)
    await show_tab(browser, "Book")
    variables = "__MONACO.editor.getModels().find(({uri}) => uri.path.includes('variables')).getValue()"
    booking = json.loads(await browser.wait_until(variables))["input"]
    assert booking["bookingPage"] == site.facts["bookingPage"]
    assert datetime.fromisoformat(booking["start"]) > datetime.now(UTC)
    assert len(booking["idempotencyKey"]) == 32


@pytest.mark.slow
async def test_graphiql_follows_a_subscription_over_a_websocket(site: Site, browser: Page) -> None:
    await open_graphiql(site, browser)
    await run_tab(browser, "BlockedSlotChanges")
    while not any('"subscribe"' in frame for frame in browser.frames):
        await asyncio.sleep(0.05)
    await block_an_hour(site)
    await browser.wait_until(f"{RESPONSE}.includes('ADDED')")
    assert json.loads(browser.frames[0])["payload"] == {"authorization": f"Bearer {site.facts['ownerKey']}"}
    await browser.screenshot(PICTURES / "graphiql-subscription.png")


@pytest.mark.slow
async def test_graphiql_without_a_key_asks_for_one(site: Site, browser: Page) -> None:
    await open_graphiql(site, browser)
    await browser.type_into("#key", " ")
    await browser.wait_until("document.querySelector('.key-bar output').innerText.includes('A key opens')")


@pytest.mark.slow
async def test_the_start_page_shows_a_change_as_it_happens(site: Site, browser: Page) -> None:
    await browser.open(site.url)
    await browser.wait_until("document.querySelector('#socket').innerText === 'Live'")
    free = "document.querySelectorAll('#week .free').length"
    assert await browser.wait_until(free)
    await browser.run("document.querySelector('#block').click()")
    await browser.wait_until("document.querySelector('#changes').innerText.includes('ADDED')")
    await browser.wait_until("!document.querySelector('#unblock').hidden")
    await keep_pictures(browser, "home")
    await browser.run("document.querySelector('#unblock').click()")
    await browser.wait_until("document.querySelector('#changes').innerText.includes('REMOVED')")


@pytest.mark.slow
async def test_the_start_page_of_a_real_server_hands_out_nothing(web: Path, browser: Page) -> None:
    with serving(Starlette(routes=page_routes(web_root=web, demo=None, graphiql=True))) as url:
        await browser.open(url)
        await browser.wait_until(
            "document.querySelector('#first-call pre')?.innerText.includes('Bearer KEY')"
        )
        assert await browser.run(
            "document.querySelector('#demo').hidden && document.querySelector('#live').hidden"
        )
        await keep_pictures(browser, "home-plain")


async def open_graphiql(site: Site, browser: Page) -> None:
    await browser.open(f"{site.url}/graphiql/")
    await browser.wait_until(
        "document.title === 'Slotwire GraphiQL' && __MONACO.editor.getEditors().length === 4"
    )


async def show_tab(browser: Page, operation: str) -> None:
    tab = f"[...document.querySelectorAll('[role=tab]')].find(tab => tab.innerText === '{operation}')"
    await browser.wait_until(f"({tab}.querySelector('button').click(), true)")
    query = "__MONACO.editor.getModels().find(({uri}) => uri.path.includes('operation')).getValue()"
    await browser.wait_until(f"{query}.includes(' {operation}')")


async def run_tab(browser: Page, operation: str) -> None:
    await show_tab(browser, operation)
    await browser.run("document.querySelector('.graphiql-execute-button').click()")


async def block_an_hour(site: Site) -> None:
    operation = """mutation Block($input: CreateBlockedSlotInput!) {
      createBlockedSlot(input: $input) { ... on BlockedSlotCreated { blockedSlot { id } } }
    }"""
    start = datetime.now(UTC) + timedelta(hours=3)
    made = {
        "userId": site.facts["userId"],
        "start": start.isoformat(),
        "end": (start + timedelta(hours=1)).isoformat(),
    }
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {site.facts['ownerKey']}"}) as client:
        body = {"query": operation, "variables": {"input": made}}
        answer = await client.post(f"{site.url}/graphql", json=body)
    assert answer.json()["data"]["createBlockedSlot"]["blockedSlot"]["id"]


async def keep_pictures(browser: Page, name: str) -> None:
    for kind, width, dark in (("light", 1200, False), ("dark", 1200, True), ("narrow", 390, False)):
        await browser.resize(width, 900, dark=dark)
        await browser.screenshot(PICTURES / f"{name}-{kind}.png", whole=True)
