"""What a server holds from its start on."""

from __future__ import annotations

import gc

from server.run import settle


def test_what_stands_at_the_start_is_not_walked_by_the_collector_again() -> None:
    held = [[number] for number in range(100)]
    settle()
    try:
        assert gc.get_freeze_count() >= len(held)
        assert not any(found is held for found in gc.get_objects())
    finally:
        gc.unfreeze()
