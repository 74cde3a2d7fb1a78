"""Two runs on one machine are given no port both."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks import ports
from benchmarks.ports import free_ports


def test_a_port_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_BELOW_OUTGOING", range(10_000, 10_100))
    first, second = free_ports(20), free_ports(20)
    assert len({*first, *second}) == 40


def test_another_process_is_given_others() -> None:
    ours = free_ports(1)
    script = f"from benchmarks.ports import _is_reserved; print(_is_reserved({ours[0]}), _is_reserved(9_999))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
