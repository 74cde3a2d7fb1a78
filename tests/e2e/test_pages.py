"""What the pages are served with: policies, codings, caching, and to whom the demo's keys are handed out."""

import gzip
import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from graphql import OperationDefinitionNode, build_schema, parse, validate
from graphql.execution.values import get_variable_values
from starlette.applications import Starlette

from server.pages import page_routes

ROOT = Path(__file__).parents[2]
FACTS = {"ownerKey": "sw_owner_of-the-demo", "adminKey": "sw_admin_of-the-demo", "userId": "usr_1"}


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
    build = build_with(tmp_path)
    assert build.returncode == 3
    assert build.stderr.splitlines() == [
        "GraphiQL needs node to be built: install Node.js 20.19 or later, then run 'make web'."
    ]


def test_a_build_that_is_stopped_leaves_no_log_behind(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    for tool, does in (("node", "exit 0"), ("npm", "kill -INT $PPID")):
        (tmp_path / tool).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / tool).chmod(0o755)
    build = build_with(tmp_path, "mktemp", "rm", TMPDIR=str(tmp_path / "log"))
    assert build.returncode == 1
    assert list((tmp_path / "log").iterdir()) == []


def build_with(folder: Path, *tools: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Of the pages' sources, with these tools, what each build needs, and what lies in the folder already."""
    shutil.copytree(ROOT / "web", folder / "web", ignore=shutil.ignore_patterns("node_modules", "dist"))
    for tool in ("sh", "dirname", "find", "sort", "xargs", "cksum", "cat", *tools):
        (folder / tool).symlink_to(shutil.which(tool) or tool)
    return subprocess.run(
        [folder / "web/build.sh"],
        env={"PATH": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # Whoever runs tests may ignore it.
    )


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
