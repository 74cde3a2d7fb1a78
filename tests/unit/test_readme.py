"""The README tells the truth: its documents are valid, its settings are all of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from graphql import build_schema, parse, validate

from server.config import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
DOCUMENTS = re.findall(r"```graphql\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=[text.split()[1].partition("(")[0] for text in DOCUMENTS])
def test_every_document_in_the_readme_is_valid(document: str) -> None:
    schema = build_schema((ROOT / "schema" / "schema.graphql").read_text())
    assert validate(schema, parse(document)) == []


def test_the_readme_lists_every_setting_and_no_other() -> None:
    listed = re.findall(r"^\| `(SLOTWIRE_\w+)` \|", README, re.MULTILINE)
    assert listed == [setting.name for setting in SETTINGS]
