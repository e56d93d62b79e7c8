"""Small files are read by the csv module and large ones by pandas: tables, and what is refused, are the same."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.model.errors import InputError
from harness.model.path import PathState
from harness.model.trial import ARM, Interval, Slot, Status, Trial
from harness.report import reading
from harness.report.reading import Wanted, read_table
from harness.report.tables import Words, renumbered
from harness.report.trials import RunData, read_run, read_trials
from tests.unit.equal_tables import assert_equal
from tests.unit.synthetic import RUN_ID, dealt, full_run, iperf3, series, write

REPO = Path(__file__).parents[2]
SAMPLES = sorted(path for path in (REPO / "results" / "sample").iterdir() if path.is_dir())
Change = Callable[[list[str]], list[str]]


@pytest.fixture(params=["csv", "pandas"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have every file read in one of both ways."""
    only(monkeypatch, str(request.param))
    return str(request.param)


def only(monkeypatch: pytest.MonkeyPatch, reader: str) -> None:
    monkeypatch.setattr(reading, "SMALL_BYTES", 1 << 40 if reader == "csv" else -1)
    other = "_by_pandas" if reader == "csv" else "_by_csv"
    monkeypatch.setattr(reading, other, forbidden)


def forbidden(*_: object) -> None:
    raise AssertionError("read in the other way")


def by_both(monkeypatch: pytest.MonkeyPatch, path: Path) -> tuple[RunData, RunData]:
    made = []
    for name in ("csv", "pandas"):
        with monkeypatch.context() as patched:
            only(patched, name)
            made.append(read_run(path))
    return made[0], made[1]


def shuffled(seed: int) -> list[Trial]:
    """Return a run in any order, some trials failed, some of no path state, some of figures with all their digits."""
    chance = random.Random(seed)  # noqa: S311 - reproducible, no secret
    made = []
    for one in full_run(("vxlan", "host-gw"), seed):
        kind = chance.random()
        figures = {name: value * chance.choice((1, 1e-9, 1e12)) for name, value in one.figures.items()}
        trial = replace(one, figures=figures)
        if kind < 0.1:
            trial = replace(one, status=Status.FAILED, reason=chance.choice(("no, not", 'it "is"', "")), figures={})
        elif kind < 0.2:
            trial = replace(one, path_state=chance.choice((None, PathState.parse("outer-fragmented"))))
        seconds = (Interval(-1, 0, True, 9e8), Interval(0, 1, False, 9e8, 3), Interval(1, 2, False, 1e8))
        made.append(replace(trial, series=seconds if "iperf3" in one.slot.cell.measure else ()))
    chance.shuffle(made)
    return [replace(one, slot=replace(one.slot, position=number)) for number, one in enumerate(made, 1)]


def twice(trials: Sequence[Trial]) -> list[Trial]:
    """Return trials, those of the third block once more."""
    return [*trials, *(replace(one, attempt=2) for one in trials if one.slot.block == 3)]


def of_two_arms(trials: Sequence[Trial]) -> list[Trial]:
    cells = [one.slot.cell.at(((ARM, "ab"[number % 2]),)) for number, one in enumerate(trials)]
    return [
        replace(one, slot=Slot(one.slot.block, one.slot.position, one.slot.profile, cell))
        for one, cell in zip(trials, cells, strict=True)
    ]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_kept_runs_of_every_schema_are_the_same_table(monkeypatch: pytest.MonkeyPatch, sample: Path) -> None:
    small, large = by_both(monkeypatch, sample)
    assert_equal(small.trials.table, large.trials.table)
    assert small.trials.notes == large.trials.notes
    assert (small.series is None) == (large.series is None)
    if small.series and large.series:
        assert_equal(small.series, large.series)


def test_samples_are_of_both_schemas() -> None:
    metas = [read_run(path).meta for path in SAMPLES]
    assert {meta.schema_version for meta in metas if meta} == {1, 2}


@pytest.mark.parametrize(
    "trials",
    [
        pytest.param(full_run(), id="whole"),
        *(pytest.param(shuffled(seed), id=f"in any order {seed}") for seed in range(5)),
        pytest.param(twice(shuffled(7)), id="measured once more"),
        pytest.param(dealt(shuffled(8), 3), id="set-ups"),
        pytest.param(of_two_arms(full_run()), id="two arms"),
        pytest.param(series("underlay", iperf3(), [9e8]), id="one trial"),
    ],
)
def test_made_up_runs_are_the_same_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trials: Sequence[Trial]
) -> None:
    small, large = by_both(monkeypatch, write(tmp_path, trials))
    assert_equal(small.trials.table, large.trials.table)
    assert small.trials.notes == large.trials.notes
    if small.series and large.series:
        assert_equal(small.series, large.series)
    assert (small.series is None) == (large.series is None)


def without(column: str) -> Change:
    def change(lines: list[str]) -> list[str]:
        place = lines[0].split(",").index(column)
        return [",".join(one for number, one in enumerate(line.split(",")) if number != place) for line in lines]

    return change


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda lines: [*lines[:-1], lines[-1][:50]], id="torn"),
        pytest.param(lambda lines: [*lines[:-1], lines[-1].rstrip()], id="no newline at the end"),
        pytest.param(lambda lines: [line.replace("\n", "\r\n") for line in lines], id="other ends of lines"),
        pytest.param(lambda lines: [*lines[:3], "\n", *lines[3:], "\n"], id="empty lines"),
        *(pytest.param(without(name), id=f"no {name}") for name in ("setup", "attempt", "reason", "path_state")),
        pytest.param(without("goodput_bps"), id="no goodput"),
    ],
)
def test_files_that_are_not_whole_are_the_same_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, change: Change
) -> None:
    path = write(tmp_path, full_run()) / "trials.csv"
    path.write_text("".join(change(path.read_text(encoding="utf-8").splitlines(keepends=True))), encoding="utf-8")
    small, large = by_both(monkeypatch, path)
    assert_equal(small.trials.table, large.trials.table)
    assert small.trials.notes == large.trials.notes


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (f"{RUN_ID},1,", f"{RUN_ID},one,", "line 2: setup is 'one', not a whole number"),
        (f"{RUN_ID},1,", f"{RUN_ID},,", "line 2: setup is empty"),
        (f"{RUN_ID},1,", f"{RUN_ID},{'9' * 400},", "line 2: setup is '9999"),
        (f"{RUN_ID},1,", f"{RUN_ID},99999999999999999999,", "set-up 1, but of 99999999999999999999 in line 2"),
        ("ok", "okay", "line 2: unknown status 'okay'"),
        (",1450,", ",1450.5,", "line 2: mtu is '1450.5', not a whole number"),
        (",1450,", f",{'9' * 400},", "line 2: mtu is '9999"),
        (",1450,", ",,", "line 2: mtu is empty"),
        (",2.0,", ",,", "line 2: duration_s is empty"),
        (",2.0,", ",nan,", "line 2: duration_s is 'nan', not a number"),
        (",2.0,", ",inf,", "line 2: duration_s is 'inf', not a number"),
        (",2.0,", ",1_000,", "cannot be read as CSV"),
        (",whole,", ",shrunk,", "line 2: unknown path state 'shrunk'"),
        (RUN_ID, "other", "line 3: run "),
    ],
)
def test_both_refuse_the_same_in_the_same_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, old: str, new: str, words: str
) -> None:
    path = write(tmp_path, full_run()) / "trials.csv"
    header, first, *rest = path.read_text(encoding="utf-8").splitlines(keepends=True)
    assert old in first
    path.write_text("".join([header, first.replace(old, new, 1), *rest]), encoding="utf-8")
    said = []
    for most in (1 << 40, -1):
        monkeypatch.setattr(reading, "SMALL_BYTES", most)
        with pytest.raises(InputError, match=words) as caught:
            read_trials(path)
        said.append(str(caught.value))
    assert said[0] == said[1]


@pytest.mark.parametrize("field", [" 1.5", "1.5 ", "Infinity"])
def test_what_is_unusual_in_a_small_file_is_left_to_pandas(tmp_path: Path, field: str) -> None:
    path = tmp_path / "any.csv"
    path.write_text(f"name,figure\na,{field}\n", encoding="utf-8")
    assert read_table(path, Wanted(["name"], (), ["figure"])).figures["figure"].tolist() == [float(field)]


def test_digits_are_read_alike(reader: str, tmp_path: Path) -> None:
    """Every digit of what Python writes."""
    chance = random.Random(1)  # noqa: S311 - reproducible, no secret
    figures = [chance.random() * 10.0 ** chance.randint(-12, 13) for _ in range(2000)]
    path = tmp_path / "any.csv"
    path.write_text("figure\n" + "".join(f"{figure!r}\n" for figure in figures), encoding="utf-8")
    assert read_table(path, Wanted((), (), ["figure"])).figures["figure"].tolist() == figures, reader


def test_torn_series_lacks_its_last_line(reader: str, tmp_path: Path) -> None:
    folder = write(tmp_path, shuffled(2))
    whole = read_run(folder).series
    path = folder / "series.csv"
    text = path.read_text(encoding="utf-8").rstrip()
    path.write_text(text[: text.rindex(",", 0, text.rindex(","))], encoding="utf-8")
    torn = read_run(folder).series
    assert whole, reader
    assert torn
    assert len(torn) == len(whole) - 1


@pytest.mark.parametrize(
    "text",
    ["", "block,position\n1,1\n", "block,position,start_s,end_s,omitted,goodput_bps,retransmits\na,1,0,1,0,9,\n"],
)
@pytest.mark.parametrize("most", [1 << 40, -1])
def test_series_that_cannot_be_read_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, most: int
) -> None:
    monkeypatch.setattr(reading, "SMALL_BYTES", most)
    folder = write(tmp_path, full_run())
    (folder / "series.csv").write_text(text, encoding="utf-8")
    assert read_run(folder).series is None


def test_numbers_follow_the_first_places() -> None:
    numbers, firsts = renumbered(np.array([7, 3, 7, 0, 3]), 9)
    assert numbers.tolist() == [0, 1, 0, 2, 1]
    assert firsts.tolist() == [0, 1, 3]


def test_words_know_what_is_missing() -> None:
    column = Words.of(["b", "a", "", "b", "c"])
    assert column.are("b").tolist() == [True, False, False, True, False]
    assert not column.are("d").any()
    levels = column.parsed({"a": 1, "b": 1, "c": 2}.get)
    assert levels.tolist() == [1, 1, None, 1, 2]
    assert levels.values == (1, 2)
    assert levels.without(levels.are(2)).tolist() == [1, 1, None, 1, None]
    assert levels.at(np.array([4, 2, 0])).present == [2, 1]


@pytest.mark.parametrize("form", ["table", "json"])
def test_small_run_is_compared_without_what_takes_long_to_load(form: str) -> None:
    code = (
        "import sys, harness.cli as cli\n"
        "try: cli.main()\n"
        "finally: print(*sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    argv = [sys.executable, "-c", code, "compare", str(SAMPLES[-1]), "--format", form]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=REPO)
    loaded = {*done.stderr.split()}
    assert {"pandas", "scipy", "paramiko", "ansible_runner", "yaml", "ansible"} & loaded == set()
    assert {"numpy", "click"} <= loaded
    assert done.stdout
