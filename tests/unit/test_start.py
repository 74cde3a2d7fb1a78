"""What a server holds from its start on."""

from __future__ import annotations

import gc
import weakref

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


def test_what_is_let_go_before_the_start_does_not_stay_for_good() -> None:
    class Circle:
        def __init__(self) -> None:
            self.itself = self

    before = gc.get_threshold()
    gc.disable()
    let_go = weakref.ref(Circle())
    try:
        settle()
        assert let_go() is None
    finally:
        gc.enable()
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
