"""The schema's linter and the check for breaking changes do bite: each on a schema that is wrong in one way."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.alone import alone

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / "schema/tools"
PRINTED = (ROOT / "schema/schema.graphql").read_text()
HOLD = '  """When it ends by itself; never prolonged."""\n  expiresAt: DateTime!\n'
HOLD_TYPE = '"""A start that is kept for one guest for a while."""\n'
ROLE = "enum KeyRole {\n"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    if shutil.which("npm") is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("Node.js is not installed")
    with alone(TOOLS):
        subprocess.run([ROOT / "scripts/check_schema"], check=True)


def changed(old: str, new: str) -> str:
    assert PRINTED.count(old) == 1, old
    return PRINTED.replace(old, new)


def breaking(folder: Path, released: str, current: str) -> subprocess.CompletedProcess[str]:
    (folder / "released.graphql").write_text(released)
    (folder / "current.graphql").write_text(current)
    command: list[str | Path] = [
        "node",
        TOOLS / "breaking.js",
        folder / "released.graphql",
        folder / "current.graphql",
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def deprecated(until: str) -> str:
    return changed(HOLD, HOLD.rstrip() + f' @deprecated(reason: "Use end. Gone after {until}.")\n')


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (HOLD, ""),
        (HOLD, HOLD.replace("DateTime!", "DateTime")),
        ("input RevokeKeyInput {\n", 'input RevokeKeyInput {\n  """Why."""\n  reason: String!\n\n'),
        ("input RevokeKeyInput {\n", "input RevokeIt {\n"),
    ],
    ids=["a field gone", "a field that can be null now", "an input that must be given now", "a type renamed"],
)
def test_what_breaks_a_client_of_the_last_release_fails(tmp_path: Path, old: str, new: str) -> None:
    current = changed(old, new)
    if "RevokeIt" in new:
        current = current.replace("RevokeKeyInput", "RevokeIt")
    found = breaking(tmp_path, PRINTED, current)
    assert (found.returncode, "This breaks clients: " in found.stderr) == (1, True), found


def test_what_is_added_passes_and_a_new_value_is_told(tmp_path: Path) -> None:
    current = changed(ROLE, ROLE + '  """Reads."""\n  READER\n\n').replace(
        HOLD, HOLD + '\n  """For whom."""\n  guest: String\n'
    )
    found = breaking(tmp_path, PRINTED, current)
    assert (found.returncode, found.stderr) == (0, "")
    assert "Clients must be told: Enum value 'READER' was added" in found.stdout


def test_what_was_deprecated_goes_after_its_day_and_not_before(tmp_path: Path) -> None:
    gone = changed(HOLD, "")
    assert breaking(tmp_path, deprecated("2020-01-31"), gone).returncode == 0
    assert breaking(tmp_path, deprecated("2999-01-31"), gone).returncode == 1


def test_a_deprecation_says_until_when(tmp_path: Path) -> None:
    assert breaking(tmp_path, PRINTED, deprecated("2999-01-31")).returncode == 0
    undated = changed(HOLD, HOLD.rstrip() + ' @deprecated(reason: "Use end.")\n')
    found = breaking(tmp_path, PRINTED, undated)
    assert (found.returncode, "Hold.expiresAt is deprecated" in found.stderr) == (1, True), found


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (HOLD, "  expiresAt: DateTime!\n", "require-description"),
        (HOLD, HOLD.replace("expiresAt", "expires_at"), "naming-convention"),
        (HOLD, HOLD.replace("expiresAt", "holdExpiresAt"), "no-typename-prefix"),
        (
            HOLD_TYPE,
            '"""A."""\ntype Lost {\n  """B."""\n  some: Int\n}\n\n' + HOLD_TYPE,
            "no-unreachable-types",
        ),
    ],
    ids=lambda given: given if given.startswith(("no-", "require-", "naming-")) else "",
)
def test_the_linter_finds_what_its_rule_is_for(tmp_path: Path, old: str, new: str, rule: str) -> None:
    (tmp_path / "schema.graphql").write_text(changed(old, new))
    shutil.copytree(TOOLS, tmp_path / "tools", ignore=shutil.ignore_patterns("node_modules"))
    (tmp_path / "tools/node_modules").symlink_to(TOOLS / "node_modules")
    command: list[str | Path] = [
        "node",
        TOOLS / "node_modules/eslint/bin/eslint.js",
        "--config",
        "tools/eslint.config.js",
    ]
    found = subprocess.run(
        [*command, "schema.graphql"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert found.returncode == 1
    assert f"@graphql-eslint/{rule}" in found.stdout, found
