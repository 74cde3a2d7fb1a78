"""Whether a run of the suite takes memory for its files."""

from __future__ import annotations

import pytest

from tests.memory import can_spare


@pytest.mark.parametrize(("available", "is_enough"), [("2097151", False), ("2097152", True), ("", False)])
def test_a_machine_whose_memory_is_in_use_has_none_to_spare(available: str, is_enough: bool) -> None:
    told = f"MemTotal:       16000000 kB\nMemFree:        9000000 kB\nMemAvailable: {available:>12} kB\nCached: 1 kB\n"
    assert can_spare(2 << 30, told) is is_enough
