"""What a server holds from its start on."""

from __future__ import annotations

import gc

from server.collector import settle


def test_what_stands_at_the_start_is_not_walked_by_the_collector_again() -> None:
    before = gc.get_threshold()
    held = [[number] for number in range(100)]
    settle()
    try:
        assert gc.get_freeze_count() >= len(held)
        assert not any(found is held for found in gc.get_objects())
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


def test_the_collector_does_not_look_while_a_page_is_read() -> None:
    """Some 2,500 things of 800 resources are held at once."""
    before = gc.get_threshold()
    settle()
    try:
        looks = gc.get_stats()[0]["collections"]
        page = [[number] for number in range(5_000)]
        assert gc.get_stats()[0]["collections"] == looks
        assert page
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
