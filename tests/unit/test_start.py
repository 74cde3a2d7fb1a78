"""What a server holds from its start on."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from server.interpreter import settle


@pytest.fixture(autouse=True)
def _the_collector_is_left_as_it_was() -> Iterator[None]:
    """Each test begins with nothing frozen; the run's own tests, once frozen, are again."""
    was_frozen, threshold = gc.get_freeze_count() > 0, gc.get_threshold()
    gc.unfreeze()
    yield
    gc.enable()
    gc.set_threshold(*threshold)
    gc.unfreeze()
    if was_frozen:
        gc.freeze()


def test_what_stands_at_the_start_is_not_walked_by_the_collector_again() -> None:
    held = [[number] for number in range(100)]
    settle()
    assert gc.get_freeze_count() >= len(held)
    assert not any(found is held for found in gc.get_objects())


def test_what_is_let_go_before_the_start_does_not_stay_for_good() -> None:
    class Circle:
        def __init__(self) -> None:
            self.itself = self

    gc.disable()
    let_go = weakref.ref(Circle())
    settle()
    assert let_go() is None


def test_the_collector_does_not_look_while_a_page_is_read() -> None:
    """Some 2,500 things of 800 resources are held at once."""
    settle()
    looks = gc.get_stats()[0]["collections"]
    page = [[number] for number in range(5_000)]
    assert gc.get_stats()[0]["collections"] == looks
    assert page
