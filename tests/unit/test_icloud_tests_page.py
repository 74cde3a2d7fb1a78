"""The page that says which test shows what of iCloud names tests that there are, and leaves out no manner."""

from __future__ import annotations

import re
from pathlib import Path

from standin.manners import manners

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "icloud-tests.md").read_text()
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")][1:]
TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"def (test_\w+)\(", path.read_text())
}


def test_each_row_names_tests_that_there_are_of_the_stand_in_and_of_the_engine() -> None:
    assert len(ROWS) > 40
    for what, _, _, shown, met in ROWS:
        names = [re.findall(r"`(test_\w+)`", part) for part in (shown, met)]
        assert all(names), what
        assert {*names[0], *names[1]} - TESTS == set(), what


def test_each_manner_of_the_stand_in_stands_in_a_row() -> None:
    told = {word.replace("-", "_") for row in ROWS for word in re.findall(r"`([\w-]+)`", row[2])}
    assert {each.name for each in manners()} - told == set()
