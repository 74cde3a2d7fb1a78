"""The table of faults counts what happened: a trial whose fault met no request is none, and too few are a failure."""

from __future__ import annotations

import tempfile
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks.campaigns.tally import HEADING, Tally
from benchmarks.faults.__main__ import parser
from benchmarks.faults.__main__ import run as run_table
from benchmarks.faults.icloud import Trial, run
from benchmarks.faults.row import SQLITE, Row, Scene
from benchmarks.faults.tried import tried
from tests.memory import memory

ASKED = Namespace(small=True, scale=1.0, count=None, seed=1)
NEVER_ASKED = "MKCALENDAR"


def scene(folder: Path, *, count: int) -> Scene:
    return Scene(name="row", kind="sqlite", processes=1, count=count, seed=1, folder=folder, postgres="")


async def test_a_fault_that_no_request_meets_is_counted_in_no_trial_and_fails_its_row(tmp_path: Path) -> None:
    async def plan(trial: Trial) -> None:
        trial.known.faults.inject("status:500", on=NEVER_ASKED)

    tally = await run(scene(tmp_path, count=1), ["refused"], plan)
    assert tally.trials == 0
    assert tally.failures == ["refused: 0 of 1 trials, in 5 tries"]


async def test_a_fault_without_an_effect_is_counted_in_no_trial(tmp_path: Path) -> None:
    async def plan(trial: Trial) -> None:
        trial.known.faults.inject("half", on="PUT")  # Whose answer has no body.

    tally = await run(scene(tmp_path, count=1), ["half"], plan)
    assert (tally.trials, tally.failures) == (0, ["half: 0 of 1 trials, in 5 tries"])


async def test_a_row_goes_on_until_each_kind_was_met_as_often_as_asked(tmp_path: Path) -> None:
    async def plan(trial: Trial) -> None:
        is_met = trial.kind == "always" or trial.turn % 2 == 1
        trial.known.faults.inject("status:500", on="PROPFIND" if is_met else NEVER_ASKED)

    tally = await run(scene(tmp_path, count=2), ["always", "sometimes"], plan, requests=["home"])
    assert (tally.trials, tally.failures) == (4, [])
    assert tally.facts == {"kinds": 2, "met by no request, not counted": 2, "home:": 4}


async def test_a_request_that_no_fault_met_fails_its_row(tmp_path: Path) -> None:
    async def plan(trial: Trial) -> None:
        trial.known.faults.inject("status:500", on="PROPFIND")

    tally = await run(scene(tmp_path, count=9), ["refused"], plan, requests=["home", "MOVE"])
    assert tally.failures == ["no MOVE met a fault"]


async def test_a_row_that_breaks_is_told_as_its_failure_and_ends_nothing() -> None:
    async def never_up(_: Scene) -> Tally:
        raise AssertionError("it never was up in 20 starts")

    told, is_survived = await tried(Row("broken", 1, 1, (SQLITE,), never_up), SQLITE, ASKED)
    assert not is_survived
    assert "AssertionError: it never was up in 20 starts" in told


async def test_a_small_run_keeps_its_files_in_memory_where_there_is_room() -> None:
    folders = list[Path]()

    async def look(scene: Scene) -> Tally:
        folders.append(scene.folder)
        return Tally(scene.name, scene.where)

    await tried(Row("looks", 1, 1, (SQLITE,), look), SQLITE, ASKED)
    assert [folder.parent for folder in folders] == [Path(memory() or tempfile.gettempdir())]


@pytest.mark.parametrize(
    "wrong", [("--count", "0"), ("--count", "-1"), ("--beside", "0"), ("--count", "x"), ("--scale", "nan")]
)
def test_what_would_try_nothing_is_no_argument(
    wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--only", "lies", *wrong])
    assert f"not {wrong[1]}" in capsys.readouterr().err


def test_a_table_without_a_row_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    asked = parser().parse_args(["--only", "lies", "--processes", "4"])  # They are told in one process alone.
    assert run_table(asked) == 2
    assert capsys.readouterr().out == ""


def test_a_row_stands_under_its_heading() -> None:
    assert len(Tally("one-apple-account", "postgres, 4 processes", trials=1).line().rstrip()) == len(HEADING)
