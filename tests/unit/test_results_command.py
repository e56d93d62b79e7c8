"""`harness results`: every run of a folder, with its answer, whatever state it is in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from harness.cli import app
from harness.model.errors import InputError

REPO = Path(__file__).parents[2]
SAMPLES = REPO / "results" / "sample"
RUNS = sorted(path.parent.name for path in SAMPLES.glob("*/trials.csv"))
NEWEST = RUNS[-1]


def results(*words: str) -> Result:
    return CliRunner().invoke(app, ["results", *words], standalone_mode=False)


def records(*words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(results(*words, "--json").stdout)
    return found


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    for name in RUNS:
        shutil.copytree(SAMPLES / name, tmp_path / "results" / name)
    return tmp_path / "results"


def test_each_run_has_its_answer_oldest_first(folder: Path) -> None:
    said = results(str(folder)).stdout
    lines = said.splitlines()
    assert [line for line in lines if line in RUNS] == RUNS
    assert max(map(len, lines)) <= 80
    block = said.split(f"{NEWEST}\n")[1].splitlines()
    assert (
        block[0]
        == f"  {NEWEST[:4]}-{NEWEST[4:6]}-{NEWEST[6:8]} {NEWEST[9:11]}:{NEWEST[11:13]}, lab local, vxlan, complete"
    )
    assert block[1].startswith("  vxlan at MTU 1450 costs ")
    assert block[-1].endswith(".")


def test_json_has_the_same(folder: Path) -> None:
    found = records(str(folder))
    assert [one["run_id"] for one in found] == RUNS
    last = found[-1]
    assert (last["lab"], last["profiles"], last["state"]) == ("local", ["vxlan"], "complete")
    assert last["trials"] == last["trials_planned"] == 96
    assert last["answer"]
    assert last["problem"] is None


def test_run_that_ended_early_says_how_far_it_is(folder: Path) -> None:
    run = folder / NEWEST
    meta = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (run / "run.json").write_text(json.dumps(meta | {"complete": False}), encoding="utf-8")
    lines = (run / "trials.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (run / "trials.csv").write_text("".join(lines[:41]), encoding="utf-8")
    assert "vxlan, 40 of 96 trials\n" in results(str(folder)).stdout
    (run / "run.json").unlink()
    (run / "trials.csv").write_text(lines[0], encoding="utf-8")
    last = records(str(folder))[-1]
    assert last["state"] == "ended before its first trial"
    assert last["problem"]


def test_run_that_cannot_be_read_is_listed_with_the_reason(folder: Path) -> None:
    (folder / NEWEST / "run.json").write_text("{", encoding="utf-8")
    said = results(str(folder)).stdout.split(f"{NEWEST}\n")[1]
    assert "not known how far" in said
    assert "\n  No answer:" in said
    assert "cannot be read as JSON" in " ".join(said.split())


def test_only_the_newest_are_shown(folder: Path) -> None:
    done = results(str(folder), "--last", "1")
    assert [line for line in done.stdout.splitlines() if line in RUNS] == [NEWEST]
    assert f"{len(RUNS) - 1} older ones are not shown; --last {len(RUNS)} shows them, too." in done.stderr


def test_folder_without_runs_says_where_there_are_some(folder: Path, tmp_path: Path) -> None:
    for words, said in (
        ([str(tmp_path)], f"{tmp_path} holds no run; {folder} does."),
        ([str(folder / NEWEST)], f"{folder / NEWEST} holds no run."),
        ([str(tmp_path / "nothing")], f"{tmp_path / 'nothing'} is no folder; give one that holds runs' folders."),
    ):
        error = results(*words).exception
        assert isinstance(error, InputError)
        assert str(error) == said
