"""Do the tests bite? Bugs sown one at a time into a copy of the tree, each of which its tests must find.

`python -m benchmarks.bites` prints which test found which bug, and ends with 1 where one was found by none.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WITHIN = 600.0


@dataclass(frozen=True, slots=True)
class Bug:
    """`old`, which stands in the file so many times, becomes `new`; `tests` are pytest's arguments."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    times: int = 1


BUGS = (
    Bug(
        "no user lock",
        "models/changelog.py",
        '"UPDATE timeline SET seq = seq WHERE user_id = $1 AND subaccount_id = $2 RETURNING seq"',
        '"SELECT seq FROM timeline WHERE user_id = $1 AND subaccount_id = $2"',
        ("tests/integration/test_changelog.py",),
    ),
    Bug(
        "a serial id as the cursor",
        "models/changelog.py",
        '" WHERE user_id = $1 AND seq > $2 ORDER BY seq LIMIT $3"',
        '" WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3"',
        ("tests/integration/test_changelog.py",),
    ),
    Bug(
        "an empty 207 means that all was deleted",
        "sync/icloud/members.py",
        "    if not is_there:\n",
        "    if is_truncated and not is_there:\n",
        ("tests/unit/test_multistatus.py", "tests/contracts/test_remote_transport.py"),
    ),
    Bug(
        "the answer before the commit",
        "resolvers/placing.py",
        "    async with ctx.changing(user) as ledger:\n        if call and",
        "    import asyncio\n\n    opened = ctx.changing(user)\n    ledger = await opened.__aenter__()\n"
        "    asyncio.get_running_loop().call_later(\n"
        "        0.01, lambda: asyncio.ensure_future(opened.__aexit__(None, None, None))\n    )\n"
        "    if True:\n        if call and",
        ("tests/integration/test_booking.py",),
    ),
    Bug(
        "no If-None-Match",
        "sync/icloud/server.py",
        '{"If-None-Match": "*"}',
        "{}",
        ("tests/contracts/test_remote.py",),
    ),
    Bug(
        "a sealed password that opens in any row",
        "models/seal.py",
        "row.encode()",
        'b""',
        ("tests/unit/test_seal.py",),
        times=2,
    ),
    Bug(
        "no host allow-list",
        "sync/icloud/guard.py",
        'if "@" in parts.netloc or parts.fragment or not self._allows(parts.scheme, host, port):',
        'if "@" in parts.netloc or parts.fragment:',
        ("tests/unit/test_guard.py", "tests/contracts/test_remote_transport.py"),
    ),
    Bug(
        "an unknown time zone is taken for the owner's",
        "sync/ical/times.py",
        "return Place(self.owner or UTC_ZONE, is_known=False) if zone is None else Place(zone)",
        "return Place(zone or self.owner or UTC_ZONE)",
        ("tests/unit/test_ical.py", "tests/unit/test_ical_corpus.py"),
    ),
    Bug(
        "rules are not screened",
        "domain/rule.py",
        "    def is_too_frequent(self) -> bool:\n",
        "    def is_too_frequent(self) -> bool:\n        return False\n",
        ("tests/unit/test_recurrence.py", "tests/unit/test_ical_corpus.py"),
    ),
    Bug(
        "one resolver without its tenant filter",
        "resolvers/scope.py",
        "    return await _owned(ctx, BlockedSlot, Kind.BLOCKED_SLOT, slot_id, NO_SUCH_SLOT)\n",
        "    return await BlockedSlot.filter(id=slot_id).using_db(await ctx.db()).first() or NotFound(NO_SUCH_SLOT)\n",
        ("tests/integration/test_access.py", "tests/integration/test_access_walk.py"),
    ),
    Bug(
        "a delta's silence is a deletion",
        "sync/plan.py",
        "    if full_listing:\n        gone |=",
        "    if True:\n        gone |=",
        ("tests/unit/test_plan.py",),
    ),
    Bug(
        "the bell is rung before the commit",
        "models/changelog.py",
        "        yield ledger\n        changed = ledger.has_changes\n",
        "        yield ledger\n        changed = False\n        await bell.ring(user.user)\n",
        ("tests/integration/test_changelog.py",),
    ),
    Bug(
        "what a lost answer left in iCloud is not known again",
        "sync/write.py",
        "if found is not None and is_as_written(own, found[1]):",
        "if False and found is not None:",
        ("tests/integration/test_push.py",),
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bites", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="WORD", help="bugs with one of these in their name")
    asked = parser.parse_args()
    chosen = [bug for bug in BUGS if not asked.only or any(word in bug.name for word in asked.only)]
    survivors = [bug.name for bug in chosen if not _is_found(bug)]
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} found")
    return 1 if survivors or not chosen else 0


def _is_found(bug: Bug) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        _copy(tree)
        _sow(bug, tree / bug.file)
        asked = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *bug.tests]
        ended = subprocess.run(asked, cwd=tree, capture_output=True, text=True, timeout=WITHIN, check=False)
    found = re.findall(r"^(?:FAILED|ERROR) (\S+)", ended.stdout, re.MULTILINE)
    if ended.returncode == 1 and found:
        print(f"found     {bug.name}: {found[0]}", flush=True)
        return True
    last = (ended.stdout + ended.stderr).strip().splitlines()[-1:]
    print(f"SURVIVED  {bug.name}: pytest ended with {ended.returncode}, {last}", flush=True)
    return False


def _copy(tree: Path) -> None:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listing.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)


def _sow(bug: Bug, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if text.count(bug.old) != bug.times:
        raise SystemExit(f"{bug.name}: what it changes stands {text.count(bug.old)} times in {bug.file}")
    path.write_text(text.replace(bug.old, bug.new), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
