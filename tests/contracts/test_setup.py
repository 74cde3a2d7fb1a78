"""`scripts/setup` says what kept it from making an environment, to one who has only that line to go by."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_an_environment_that_cannot_be_made_is_told_in_pythons_own_words(tmp_path: Path) -> None:
    in_the_way = tmp_path / "a file"
    in_the_way.touch()
    told = subprocess.run(
        [ROOT / "scripts/setup", "server"],
        env=os.environ | {"PYTHON": sys.executable, "SLOTWIRE_VENV": str(in_the_way / "venv")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 3
    assert "Not a directory" in told.stderr
