"""Sealed secrets: opened with their key, in their row, and nowhere else."""

from __future__ import annotations

import pytest

from models.seal import Sealer, Secret, UnsealError

SEALER = Sealer({"old": bytes(32), "new": bytes([1]) * 32}, "new")
SECRET = Secret("abcd-efgh-ijkl-mnop")


def test_a_secret_opens_in_its_own_row() -> None:
    assert SEALER.unseal(SEALER.seal(SECRET, row="acc_1"), row="acc_1").reveal() == SECRET.reveal()


def test_a_secret_moved_to_another_row_does_not_open() -> None:
    with pytest.raises(UnsealError):
        SEALER.unseal(SEALER.seal(SECRET, row="acc_1"), row="acc_2")


def test_a_secret_of_the_key_before_opens() -> None:
    before = Sealer({"old": bytes(32)}, "old")
    assert SEALER.unseal(before.seal(SECRET, row="acc_1"), row="acc_1").reveal() == SECRET.reveal()


def test_a_secret_of_a_key_that_is_gone_does_not_open() -> None:
    alone = Sealer({"old": bytes(32)}, "old")
    with pytest.raises(UnsealError):
        alone.unseal(SEALER.seal(SECRET, row="acc_1"), row="acc_1")


def test_one_secret_sealed_twice_is_not_the_same() -> None:
    assert SEALER.seal(SECRET, row="acc_1") != SEALER.seal(SECRET, row="acc_1")
