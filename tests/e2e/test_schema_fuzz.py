"""Documents made up from the schema meet no fault of ours; `python -m benchmarks.schema_fuzz` sends more of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.schema_fuzz import fuzz


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_500_documents_made_up_from_the_schema_meet_no_fault_of_ours(tmp_path: Path) -> None:
    found = await fuzz(tmp_path, count=500, seed_number=7)
    assert found.failures == []
    assert found.sent == 500
    assert found.answers["200 data"] > 200, found.answers
    assert found.answers["400 BAD_REQUEST"] > 10, found.answers
