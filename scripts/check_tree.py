"""Holds what no linter does: no path of one machine, no registry's address, no private key."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w.])/(?:home/[\w-]+/|Users/[\w-]+/|root/|work/)"),
    "a package registry's address": re.compile(
        r"registry\.npmjs\.org|files\.pythonhosted\.org|pypi\.org/simple|(?<!emit-)index-url", re.IGNORECASE
    ),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
}
# This file names what it looks for.
EXEMPT = {"scripts/check_tree.py"}


def tracked() -> list[str]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [name for name in listing.decode().split("\0") if name]


def complaints() -> list[str]:
    found = []
    for name in tracked():
        path = ROOT / name
        if name in EXEMPT or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            found += [f"{name}:{number}: {what}" for what, form in FORBIDDEN.items() if form.search(line)]
    return found


if __name__ == "__main__":
    problems = complaints()
    print("\n".join(problems) or "The tree names no machine and no registry.")
    sys.exit(bool(problems))
