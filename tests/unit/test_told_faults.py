"""What goes wrong in the loop is in the log whole, and not a thousand times."""

from __future__ import annotations

import pytest

from sync.faults import AGAIN_AFTER, Faults


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, bool]]:
    """Each with whether the way that led there is told."""
    return [(record.getMessage(), record.exc_info is not None) for record in caplog.records]


def test_an_outage_is_told_whole_once_and_then_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    faults = Faults(lambda: now)
    for second in range(150):
        now = float(second)
        faults.tell(ConnectionRefusedError("nobody there"), "no look")
    again = ("no look, as before: ConnectionRefusedError", False)
    assert lines(caplog) == [("no look", True), again, again, again]
    assert AGAIN_AFTER == 60


def test_another_way_there_is_told_whole_and_another_account_by_its_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    faults = Faults(lambda: 0.0)
    for wrong, what in ((1, "poll a"), (1, "poll a"), (1, "poll b"), (1, "poll b"), ("", "poll a")):
        try:
            _ = [1][wrong]  # type: ignore[index]
        except (IndexError, TypeError) as error:
            faults.tell(error, what)
    assert lines(caplog) == [
        ("poll a", True),
        ("poll a, as before: IndexError", False),
        ("poll b, as before: IndexError", False),
        ("poll a", True),
    ]


def test_of_many_accounts_those_are_forgotten_that_were_told_long_ago(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    faults = Faults(lambda: now)
    for second in range(3):
        now = second * 2 * AGAIN_AFTER
        for number in range(1_001):
            faults.tell(TimeoutError(), f"{second} {number}")
    assert len(faults._told_at) <= 1_001
    assert len(caplog.records) == 3 * 1_001
