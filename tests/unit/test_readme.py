"""The README and the pages for clients and operators tell the truth: documents, settings, codes, limits, states."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from graphql import FieldNode, OperationDefinitionNode, parse, validate

from domain.accounts import AccountStatus
from schema import limits
from schema.build import build
from schema.enums import ICloudProblemCode
from schema.errors import Code
from server import closing
from server.__main__ import _parser
from server.config import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
FOR_CLIENTS = (ROOT / "docs" / "api.md").read_text()
FOR_OPERATORS = (ROOT / "docs" / "operations.md").read_text()
OF_ICLOUD = (ROOT / "docs" / "icloud.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = ROOT / "web" / "graphiql" / "src" / "examples.json"
DOCUMENTS = re.findall(r"```graphql\n(.*?)```", README + FOR_CLIENTS + FOR_OPERATORS, re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=[text.split()[1].partition("(")[0] for text in DOCUMENTS])
def test_every_document_is_valid_and_within_the_limits(document: str) -> None:
    schema, _ = build()
    parsed = parse(document)
    assert validate(schema, parsed) == []
    [operation] = parsed.definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert limits.refusal(limits.weigh(schema, parsed, operation, {})) is None


def test_clients_are_told_every_code_and_the_limits() -> None:
    told = set(re.findall(r"`([A-Z_]+)`(?=[^|\n]*\|)", FOR_CLIENTS.partition("## Errors")[2]))
    assert told == set(Code)
    assert f"{limits.TOKENS:,} tokens, {limits.DEPTH} levels, {limits.ALIASES} aliases" in FOR_CLIENTS
    assert f"{limits.DIRECTIVES} directives, {limits.REPEATS} fields of one name" in FOR_CLIENTS
    assert f"some {limits.COST:,} fields of answer" in FOR_CLIENTS


def test_clients_are_told_every_code_that_closes_a_socket() -> None:
    ours = {value for name, value in vars(closing).items() if name.isupper() and is_close_code(value)}
    told = FOR_CLIENTS.partition("A websocket is closed")[2].partition("## Pages")[0]
    assert {int(code) for code in re.findall(r"\b\d{4}\b", told)} == ours | {1009}


def test_operators_are_told_every_state_of_an_account() -> None:
    told = OF_ICLOUD.partition("### What an account says of itself")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (?:`(\w+)` )?\|", told, re.MULTILINE)
    assert {status for status, _ in rows} == set(AccountStatus)
    assert {code for _, code in rows if code} == set(ICloudProblemCode)


def is_close_code(value: object) -> bool:
    return isinstance(value, int) and value >= 1000


def test_the_readme_lists_every_setting_with_its_default_and_no_other() -> None:
    listed = re.findall(r"^\| `(SLOTWIRE_\w+)` \| (?:`(.+?)`)? \| \S", README, re.MULTILINE)
    assert listed == [(setting.name, setting.default) for setting in SETTINGS]


def test_the_readme_names_every_command() -> None:
    told = README.partition("lists the commands:")[2].partition("\n")[0]
    shown = re.findall(r"^    ([a-z-]+)(?: |$)", _parser().format_help(), re.MULTILINE)
    assert re.findall(r"`([\w-]+)`", told) == shown


def test_operators_are_told_every_metric() -> None:
    counted = {
        name
        for source in (ROOT / "server").glob("*.py")
        for name in re.findall(r'\(\s*"(slotwire_\w+)"', source.read_text())
    }
    assert counted
    assert {name for name in counted if f"`{name}" not in FOR_OPERATORS} == set()


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_link_of_the_pages_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(((?!https?:)[^)\s]+)\)", page.read_text()):
        path, _, place = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not place or place in places(target), link


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_program_of_the_pages_is_there(page: Path) -> None:
    text = page.read_text()
    for name in re.findall(r"\bbenchmarks\.(\w+)", text):
        assert list((ROOT / "benchmarks").glob(f"{name}.py")) or (ROOT / "benchmarks" / name).is_dir(), name
    for name in re.findall(r"\b((?:scripts|tests|benchmarks|web)/[\w/.-]*\w)", text):
        assert (ROOT / name).exists(), name


def places(page: Path) -> set[str]:
    """What GitHub calls a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def root_fields(document: str) -> set[str]:
    return {
        selection.name.value
        for node in parse(document).definitions
        if isinstance(node, OperationDefinitionNode)
        for selection in node.selection_set.selections
        if isinstance(selection, FieldNode)
    }


def test_every_operation_of_the_readme_is_a_tab_of_graphiql() -> None:
    tabs = [root_fields(example["query"]) for example in json.loads(EXAMPLES.read_text())]
    for document in re.findall(r"```graphql\n(.*?)```", README, re.DOTALL):
        assert root_fields(document) in tabs, document


def test_the_service_that_operators_are_shown_runs_commands_that_there_are() -> None:
    lines = re.findall(r"^ExecStart(?:Pre)?=.* -m server (.*)$", FOR_OPERATORS, re.MULTILINE)
    assert [_parser().parse_args(line.split()).command for line in lines] == ["migrate", "serve"]
