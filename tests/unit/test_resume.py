"""Going on with a run that ended early: it becomes the run that it would have been, or is refused in a sentence."""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.cli import app
from harness.cli.resume import went_so_far
from harness.model.errors import ConnectionLostError, InputError, LabError
from harness.model.notes import About
from harness.model.pairs import Pair
from harness.model.trial import Timing
from harness.report.analysis import analyse
from harness.report.trials import read_run
from harness.results.earlier import lines_of, progress_of, read_earlier
from harness.results.plan import Plan
from harness.results.store import PairsFolder, RunFolder
from harness.run import trial
from harness.run.experiment import Outcome
from tests.unit.world import COLUMNS, PLAN, TRIALS, Bench, Stolen, World, bench_in, raises

BLOCKS = 3
LONG = replace(PLAN, blocks=BLOCKS)
OWN = ("setup", "started_at")
"""What a trial has of the set-up and the time that it was measured at."""


def ended_at(bench: Bench, number: int, plan: Plan = LONG) -> Bench:
    """End a run in the client of its number-th trial; return what goes on with it."""
    bench.plan = plan
    bench.world.behaviours[number] = raises(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    return bench.resumed()


def trials(one: Bench, *without: str) -> list[dict[str, str]]:
    return [{name: row[name] for name in row if name not in (*OWN, *without)} for row in one.rows()]


def edit(path: Path, change: Callable[[Any], None]) -> None:
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(json.dumps(value), encoding="utf-8")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The same run, uninterrupted; nothing changes it."""
    one = replace(bench_in(tmp_path_factory.mktemp("whole")), plan=LONG)
    one.run()
    return one


@pytest.mark.parametrize("number", range(1, BLOCKS * TRIALS + 1))
def test_it_becomes_the_run_that_it_would_have_been(bench: Bench, whole: Bench, number: int) -> None:
    going_on = ended_at(bench, number)
    before = (going_on.folder.path / "trials.csv").read_bytes()
    assert going_on.run() == Outcome(ok=BLOCKS * TRIALS)
    assert (going_on.folder.path / "trials.csv").read_bytes().startswith(before)
    names = ("run_id",)
    assert trials(going_on, *names) == trials(whole, *names)
    assert [row["setup"] for row in going_on.rows()] == ["1"] * (number - 1) + ["2" if number > 1 else "1"] * (
        BLOCKS * TRIALS - number + 1
    )
    meta = going_on.json("run.json")
    assert (meta["complete"], len(meta["resumed_at"])) == (True, 1)
    assert meta["created_at"]
    assert not [note for note in analyse(read_run(going_on.folder.path)).notes if note.about == "cut short"]


def test_killed_at_every_trial(bench: Bench, whole: Bench) -> None:
    """Each set-up measures one trial only; a table can be made of it at any time."""
    one = ended_at(bench, 2)
    for number in range(2, BLOCKS * TRIALS):
        assert progress_of(one.folder.path).done == number - 1
        (cut,) = [note for note in analyse(read_run(one.folder.path)).notes if note.about == "cut short"]
        assert f"{number - 1} of {BLOCKS * TRIALS} trials" in cut.fact
        one = ended_at(one, 2)
    one.run()
    assert trials(one, "run_id") == trials(whole, "run_id")
    assert [row["setup"] for row in one.rows()] == [str(number) for number in range(1, BLOCKS * TRIALS + 1)]


def test_set_ups_of_the_plan_go_on_behind_those_that_were(bench: Bench) -> None:
    """Of three set-ups the second one was ended in: what is left of it is the third, and the last the fourth."""
    one = ended_at(bench, TRIALS + 2, replace(LONG, setups=3))
    assert one.run().ok == 3 * TRIALS
    assert [row["setup"] for row in one.rows()] == ["1"] * TRIALS + ["2"] + ["3"] * (TRIALS - 1) + ["4"] * TRIALS
    assert [event for event in one.world.events if event == "apply"] == ["apply"] * 2
    assert read_run(one.folder.path)


def test_half_a_line_and_the_intervals_of_a_trial_without_one_are_cut_off(bench: Bench) -> None:
    one = ended_at(bench, 4)
    path, series = one.folder.path / "trials.csv", one.folder.path / "series.csv"
    whole_trials, whole_series = path.read_bytes(), series.read_bytes()
    path.write_bytes(whole_trials + whole_trials[-40:-1])
    series.write_bytes(whole_series + b"1,4,1,0,1,0,9e8,0\n1,4,1,1,2")
    again = one.resumed()
    assert path.read_bytes() == whole_trials
    assert series.read_bytes() == whole_series
    again.run()
    assert len(again.rows()) == BLOCKS * TRIALS


def test_a_repeat_is_taken_up_where_it_stopped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first trial was disturbed, so its group is measured again at the end of its block; that was ended in."""
    Stolen(monkeypatch, 1)
    one = ended_at(bench, TRIALS + 2)
    assert [row["attempt"] for row in one.rows()] == ["1"] * TRIALS + ["2"]
    monkeypatch.undo()
    one.run()
    assert [row["attempt"] for row in one.rows()] == ["1"] * TRIALS + ["2"] * 2 + ["1"] * (BLOCKS - 1) * TRIALS
    places = [(row["block"], row["position"], row["attempt"]) for row in one.rows()]
    assert len(set(places)) == len(places)


def test_one_that_only_lacks_its_end_is_ended_without_a_set_up(bench: Bench) -> None:
    bench.plan = LONG
    bench.run()
    edit(bench.folder.path / "run.json", lambda value: value.update(complete=False))
    one = bench.resumed()
    assert one.run() == Outcome(ok=BLOCKS * TRIALS)
    assert "apply" not in one.world.events
    assert one.json("run.json")["complete"] is True


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("environment.json", lambda v: v["k8s-1"].update(kernel="5.0"), ["client kernel was 5.0 and is "]),
        ("environment.json", lambda v: v["k8s-2"].update(hostname="x"), ["server hostname was x and is"]),
        ("run.json", lambda v: v.update(harness_version="0.0.1"), ["harness was 0.0.1 and is"]),
        ("run.json", lambda v: v["profiles"]["vxlan"].update(content_sha256="0" * 64), ["content of vxlan was 000000"]),
        ("run.json", lambda v: v.update(rate_bps=5e8), ["rate_bps was 500000000.0 and is 1000000000.0"]),
    ],
)
def test_other_hosts_or_another_program_are_refused_unless_accepted(
    bench: Bench, name: str, change: Callable[[Any], None], words: list[str]
) -> None:
    one = ended_at(bench, 3)
    rows = one.rows()
    edit(one.folder.path / name, change)
    again = one.resumed()
    with pytest.raises(InputError, match="cannot be resumed as it was begun") as refused:
        again.run()
    assert [word for word in words if word not in str(refused.value)] == []
    assert again.rows() == rows
    assert "apply" not in again.world.events
    again = again.resumed()
    assert again.run(accept=True).ok == BLOCKS * TRIALS
    notes = [note["fact"] for note in again.json("run.json")["notes"] if note["about"] == "resumed"]
    assert [word for word in words if not any(word in fact for fact in notes)] == []


def test_another_plan_is_never_accepted(bench: Bench) -> None:
    one = ended_at(bench, 3)
    one.plan = replace(LONG, timing=Timing(5, 1))
    with pytest.raises(InputError, match=r"makes another plan now \(timing\)"):
        one.run(accept=True)


def test_two_processes_do_not_measure_into_one_folder(bench: Bench) -> None:
    one = ended_at(bench, 3)
    with pytest.raises(LabError, match="is being measured by another process"):
        RunFolder.reopened(one.folder.path, COLUMNS)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: text.replace("block", "blok", 1), "does not have the columns of this harness"),
        (lambda text: text.replace(",1500,", ",1400,", 1), "row 2 is another trial than the run's plan has there"),
        (lambda text: text + text.splitlines()[1] + "\n", "row 5 is the same trial as one before it"),
        (lambda text: text.replace(",ok,", ",fine,"), "row 2 is no trial of the run's plan"),
        (lambda text: text + '"', None),
        (lambda _text: "", "does not have the columns"),
    ],
)
def test_a_file_that_is_not_the_runs_is_refused(
    bench: Bench, change: Callable[[str], str], sentence: str | None
) -> None:
    one = ended_at(bench, 4)
    path = one.folder.path / "trials.csv"
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    if sentence is None:  # the line that a killed run left unfinished
        assert len(read_earlier(one.folder.path, COLUMNS).done) == 3
        return
    with pytest.raises(InputError, match=sentence):
        one.resumed()


def test_series_lines_are_kept_by_their_places() -> None:
    done = {(1, 2, 1): object()}
    content = b"block,position,attempt,start_s\n1,2,1,0\n1,3,1,0\n1,2,2,0\nx,y\n1,2,1,1"
    assert lines_of(content, done) == b"block,position,attempt,start_s\n1,2,1,0\n"  # type: ignore[arg-type]


def test_pairs_without_a_trial_get_their_folder_anew(tmp_path: Path) -> None:
    pairs = [Pair("a", "b"), Pair("a", "c")]
    made = PairsFolder.create(tmp_path, ["vxlan"], COLUMNS, pairs)
    for run in made.runs.values():
        run.close()
    again = PairsFolder.reopened(made.path, COLUMNS, pairs)
    assert [run.earlier for run in again.runs.values()] == [None, None]
    assert all((run.path / "trials.csv").exists() for run in again.runs.values())


def test_a_node_that_does_not_come_back_leaves_its_trials_to_be_measured(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They do not fail one after the other: the run ends, and has all of them left."""
    monkeypatch.setattr(trial, "BACK_S", 0.0)

    def lost(world: World, _argv: Sequence[str]) -> tuple[int, str]:
        world.gone, world.failures["connect k8s-2"] = "k8s-2", ConnectionLostError("cannot connect to k8s-2")
        raise ConnectionLostError("lost the connection to k8s-2")

    bench.plan = LONG
    bench.world.behaviours |= {3: lost, 4: lost}
    with pytest.raises(ConnectionLostError, match="cannot connect to k8s-2"):
        bench.run()
    assert len(bench.rows()) == 2
    one = bench.resumed()
    assert one.run() == Outcome(ok=BLOCKS * TRIALS)


# --- the command line ---


@pytest.fixture
def left(bench: Bench, tmp_path: Path) -> Path:
    """The folder of a run that was ended, as the command line finds it."""
    one = ended_at(bench, 3)
    one.folder.close()

    def command(value: Any) -> None:  # noqa: ANN401 - a JSON document
        value["command"] = {"words": ["--flows", "1"], "folder": str(tmp_path)}

    edit(one.folder.path / "run.json", command)
    return one.folder.path


def refusal(*words: str) -> str:
    outcome = CliRunner().invoke(app, ["run", *words], obj=("run", *words))
    error = outcome.exception
    assert isinstance(error, InputError | SystemExit), error
    return str(error) if isinstance(error, InputError) else outcome.output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--flows", "2"], "--flows does not go with --resume: the run has its own"),
        (["--profile", "flannel"], "--profile does not go with --resume"),
        (["--until-width", "1%"], "--until-width does not go with --resume"),
    ],
)
def test_options_of_the_run_are_its_own(left: Path, words: list[str], sentence: str) -> None:
    assert sentence in refusal("--resume", str(left), *words)


def test_what_cannot_be_resumed_is_said(left: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "there is no such run" in refusal("--resume", "nowhere")
    assert "there is no run in" in refusal("--resume", "last", "--out", str(tmp_path / "empty"))
    edit(left / "run.json", lambda value: value.update(complete=True))
    assert "is complete: there is nothing left" in refusal("--resume", left.name, "--out", str(left.parent))
    edit(left / "run.json", lambda value: value.update(complete=False, command=None))
    assert "does not say which command began it" in refusal("--resume", "last", "--out", str(left.parent))
    edit(left / "run.json", lambda value: value.update(command={"words": ["--flows", "x"], "folder": str(tmp_path)}))
    assert "Invalid value for '--flows'" in refusal("--resume", str(left))
    edit(left / "run.json", lambda value: value.update(command={"words": [], "folder": "/nowhere/at/all"}))
    assert "which cannot be entered: No such file" in refusal("--resume", str(left))
    (left / "run.json").unlink()
    assert "the run ended before its first trial; start it anew" in refusal("--resume", str(left))


def test_rows_are_read_with_the_csv_rules(left: Path) -> None:
    with (left / "trials.csv").open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert len(rows) == progress_of(left).done == 2


def test_an_interruption_says_what_was_measured_and_a_table_of_it_later_that_it_was_cut_short(
    bench: Bench, tmp_path: Path
) -> None:
    """Nothing is said to be kept where nothing was measured."""
    assert went_so_far(tmp_path / "none") == "nothing had been measured"
    one = ended_at(bench, 3)
    path, planned = one.folder.path, LONG.trials
    assert went_so_far(path) == f"2 of {planned} trials are measured"
    edit(path / "run.json", lambda meta: meta.update(command={"words": ["--profile", "vxlan"], "folder": "/"}))
    goes_on = f"`harness run --resume {path}` goes on"
    assert went_so_far(path) == f"2 of {planned} trials are measured; {goes_on}"
    (note,) = [note for note in read_run(path).trials.notes if note.about is About.CUT_SHORT]
    assert note.fact == f"cut short: 2 of {planned} trials are measured, the last one in block 1 of {BLOCKS}"
    assert f"--resume {path.name}" in note.advice
    one.run()
    assert went_so_far(path) == ""
    assert not [note for note in read_run(path).trials.notes if note.about is About.CUT_SHORT]


def test_a_run_that_ended_before_its_first_trial_is_started_anew(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no run.json: the run ended before its first trial; start it anew"):
        read_earlier(tmp_path, COLUMNS)
