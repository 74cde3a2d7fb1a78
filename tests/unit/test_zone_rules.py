"""What names the rules of time zones that a process reads by, and whose turn it is where they changed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from domain.zone_table import find_zone, zone_of_changes
from sync import zone_rules
from sync.context import Memory
from sync.zone_rules import rules_in_use
from tests.fakes.zones import issue, serve


@pytest.fixture(autouse=True)
def _own_zones() -> Iterator[None]:
    yield
    serve(None)


def named(folder: Path, version: str, **zones: str) -> str:
    issue(folder, version, zones)
    return rules_in_use()


def test_the_same_files_have_one_name_wherever_they_lie(tmp_path: Path) -> None:
    first = named(tmp_path / "a", "2026a", EET="EET-2")
    assert first.startswith("2026a-")
    assert named(tmp_path / "b", "2026a", EET="EET-2") == first


def test_a_zone_mended_by_hand_is_another_name(tmp_path: Path) -> None:
    assert named(tmp_path / "a", "2026a", EET="EET-2") != named(tmp_path / "b", "2026a", EET="EET-3")


def test_a_zone_that_is_new_is_another_name(tmp_path: Path) -> None:
    assert named(tmp_path / "a", "2026a") != named(tmp_path / "b", "2026a", Nowhere="EET-2")


def test_the_machines_own_zone_is_none_of_them(tmp_path: Path) -> None:
    assert named(tmp_path / "a", "2026a") == named(
        tmp_path / "b", "2026a", localtime="EET-2", Factory="EET-2"
    )


def test_the_name_tells_what_is_served_and_not_what_is_installed(tmp_path: Path) -> None:
    issue(tmp_path / "a", "2026a", {"EET": "EET-5"})
    before = rules_in_use()
    assert find_zone("EET") == zone_of_changes("EET", 5 * 3600, [])
    serve([])
    year, _, nth = metadata.version("tzdata").partition(".")
    assert rules_in_use().startswith(f"{year}{'abcdefghijklmnopqrstuvwxyz'[int(nth) - 1]}-")
    assert rules_in_use() != before
    assert find_zone("EET") != zone_of_changes("EET", 5 * 3600, [])


def test_a_folder_that_tells_no_version_leaves_it_to_the_next(tmp_path: Path) -> None:
    issue(tmp_path / "a", "2026a", {})
    issue(tmp_path / "mended", "?", {"EET": "EET-3"})
    (tmp_path / "mended" / "tzdata.zi").unlink()
    serve([tmp_path / "mended", tmp_path / "a"])
    assert rules_in_use().startswith("2026a-")


def test_the_greater_name_is_of_the_newer_version(tmp_path: Path) -> None:
    versions = ["2025z", "2025za", "2026a-dirty", "2026b"]
    names = [named(tmp_path / each, each) for each in versions]
    assert names == sorted(names)


def test_who_reads_by_a_newer_form_has_the_newer_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = []
    for form in (1, 2, 10, 100):
        monkeypatch.setattr(zone_rules, "FORM", form)
        names.append(named(tmp_path / str(form), "2026a"))
    assert names == sorted(names)
    assert names[0] > "2026a-ffffffffffffffff", "as it was before there were forms"
    monkeypatch.setattr(zone_rules, "FORM", 1)
    assert names[-1] < named(tmp_path / "b", "2026b")


def test_those_to_be_read_again_come_one_after_the_other() -> None:
    memory = Memory()
    assert [memory.turn_of(each, now=100, every=2) for each in "abc"] == [100, 102, 104]
    assert memory.turn_of("c", now=103, every=2) == 104
    del memory.rereads["a"]
    assert memory.turn_of("a", now=101, every=2) == 105


def test_a_turn_by_a_clock_that_ran_ahead_is_brought_back() -> None:
    memory = Memory()
    memory.turn_of("a", now=1e9, every=1)
    assert memory.turn_of("a", now=100, every=1) == 101
