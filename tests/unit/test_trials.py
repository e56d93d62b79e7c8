"""Reading a run back: trials.csv of either schema, and what lies beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from harness.model.errors import InputError
from harness.model.path import PathState
from harness.model.trial import Cell
from harness.report import lines
from harness.report.analysis import analyse
from harness.report.arms import arms
from harness.report.lines import Shape
from harness.report.notes import text_of
from harness.report.trials import read_run, read_trials
from harness.results.schema import SCHEMA_1
from tests.unit.equal_tables import assert_equal
from tests.unit.synthetic import META, PLAN, RUN_ID, columns, full_run, iperf3, ping, write

SAMPLE = Path(__file__).parents[2] / "results" / "sample" / "20261123T040142Z-vxlan-995d"


def edited(folder: Path, change: Callable[[list[str]], list[str]]) -> Path:
    path = write(folder, full_run()) / "trials.csv"
    lines = change(path.read_text(encoding="utf-8").splitlines(keepends=True))
    path.write_text("".join(lines), encoding="utf-8")
    return path


def test_a_folder_and_its_csv_are_the_same_run(tmp_path: Path) -> None:
    write(tmp_path, full_run())
    of_folder, of_file = read_run(tmp_path), read_run(tmp_path / "trials.csv")
    assert_equal(of_folder.trials.table, of_file.trials.table)
    assert of_folder.meta == of_file.meta
    assert of_folder.meta is not None
    assert of_folder.meta.run_id == RUN_ID
    unused = {"started_at", "proof", "raw"}
    table = of_folder.trials.table
    assert {*table.words, *table.whole, *table.figures} == {*columns(full_run()).names} - unused
    assert table.figures["goodput_bps"].dtype == float
    assert of_folder.meta.plan == PLAN


def test_a_torn_last_line_is_dropped_and_said(tmp_path: Path) -> None:
    whole = len(full_run())
    path = edited(tmp_path, lambda lines: [*lines[:-1], lines[-1][:60]])
    trials = read_trials(path)
    assert len(trials.table) == whole - 1
    (note,) = trials.notes
    assert note.fact == "the last line of trials.csv is incomplete"
    assert note.advice == "the run was killed, that trial is left out"
    assert "incomplete" in text_of(analyse(read_run(path)).notes)


def test_a_complete_last_line_needs_no_newline(tmp_path: Path) -> None:
    trials = read_trials(edited(tmp_path, lambda lines: [*lines[:-1], lines[-1].rstrip()]))
    assert len(trials.table) == len(full_run())
    assert trials.notes == ()


def replaced(line: int, old: str, new: str) -> Callable[[list[str]], list[str]]:
    """Return a change to one line, counted from 1; the text has to be in it."""

    def change(lines: list[str]) -> list[str]:
        assert old in lines[line - 1]
        return [*lines[: line - 1], lines[line - 1].replace(old, new, 1), *lines[line:]]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replaced(1, ",profile,", ",who,"), "trials.csv: column 'profile' is missing in line 1"),
        (replaced(1, ",mtu,", ",size,"), "trials.csv: column 'mtu' is missing in line 1"),
        (replaced(1, ",flows,", ",mtu,"), "trials.csv: column 'mtu' stands twice in line 1"),
        (replaced(1, ",flows", ',"flows'), "trials.csv, line 1: no header of a CSV"),
        (replaced(1, ",flows", ",flows,colour"), r"line 2: \d+ fields, not \d+"),
        (replaced(3, f"{RUN_ID},1,2,", f"{RUN_ID},2,2,"), "line 9: block 2 is of set-up 1, but of 2 in line 3; "),
        (replaced(3, f"{RUN_ID},1,", f"{RUN_ID},one,"), "line 3: setup is 'one', not a whole number"),
        (replaced(3, f"{RUN_ID},1,", f"{RUN_ID},,"), "line 3: setup is empty"),
        (replaced(3, "ok", "okay"), "line 3: unknown status 'okay'; known are ok, failed, invalid"),
        (replaced(3, "underlay,underlay", "underlay,overlay"), "line 3: unknown kind 'overlay'"),
        (replaced(3, ",1450,", ",1450.5,"), "line 3: mtu is '1450.5', not a whole number"),
        (replaced(3, ",2.0,", ",fast,"), "line 3: duration_s is 'fast', not a number"),
        (replaced(3, ",2.0,", ",nan,"), "line 3: duration_s is 'nan', not a number"),
        (replaced(3, ",whole,", ",shrunk,"), "line 3: unknown path state 'shrunk'"),
        (replaced(3, ",1450,", ",,"), "line 3: mtu is empty"),
        (replaced(3, ",whole,", ","), r"line 3: \d+ fields, not \d+"),
        (replaced(3, RUN_ID, "other"), "line 3: run other, but line 2 is of"),
        (lambda lines: [*lines, lines[4]], "the same trial as line 5"),
        (lambda lines: lines[:1], "holds no trial"),
        (lambda _: [], "is empty; give a run's folder"),
        (lambda lines: [*lines[:5], lines[5][:40] + "\n"], "line 6: "),
    ],
)
def test_unusable_csv_names_the_place(tmp_path: Path, change: Callable[[list[str]], list[str]], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_trials(edited(tmp_path, change))
    assert str(tmp_path / "trials.csv") in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [line.replace("\n", "\r\n") for line in lines],
        lambda lines: [*lines[:3], "\n", *lines[3:], "\n"],
        replaced(2, ",whole,raw/x.json,", ',whole,"raw/x,""y"".json",'),
        replaced(2, ",whole,raw/x.json,", ',whole,raw/x"y.json,'),
        replaced(2, ",whole,raw/x.json,", ',whole,"raw/\nx.json",'),
    ],
)
def test_what_csv_allows_is_read(tmp_path: Path, change: Callable[[list[str]], list[str]]) -> None:
    expected = read_trials(write(tmp_path / "plain", full_run())).table
    (tmp_path / "changed").mkdir()
    assert_equal(read_trials(edited(tmp_path / "changed", change)).table, expected)


def test_a_field_too_many_in_one_line_does_not_make_up_for_one_too_few_in_another(tmp_path: Path) -> None:
    def change(lines: list[str]) -> list[str]:
        return replaced(5, ",whole,", ",")(replaced(3, ",whole,", ",whole,,")(lines))

    with pytest.raises(InputError, match=r"line 3: \d+ fields, not \d+"):
        read_trials(edited(tmp_path, change))


@pytest.mark.parametrize("block", [1, 7, 1 << 22])
def test_a_file_is_looked_at_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(lines, "_BLOCK", block)
    for text, expected in (
        ('a,b,c\n1,"x,\ny",3\n4,5,6\n', Shape(is_rectangular=True, is_torn=False)),
        ("a,b,c\n1,2,3\n4,5,6", Shape(is_rectangular=True, is_torn=False)),
        ("a,b,c\n1,2,3\n4,5", Shape(is_rectangular=True, is_torn=True)),
        ('a,b,c\n1,2,3\n4,"5,6', Shape(is_rectangular=True, is_torn=True)),
        ("a,b,c\n1,2,3,4\n5,6\n", Shape(is_rectangular=False, is_torn=False)),
    ):
        path = tmp_path / "trials.csv"
        path.write_text(text, encoding="utf-8")
        assert lines.shape_of(path, 3) == expected, text


def test_a_missing_path_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not exist; give a run's folder or its trials\.csv"):
        read_trials(tmp_path)


def test_bytes_that_are_no_text_are_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "trials.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="line 1: no header of a CSV"):
        read_trials(tmp_path)


def planned(**changed: object) -> str:
    return json.dumps({**META, "plan": {**META["plan"], **changed}})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps({**META, "schema_version": 3}), "schema_version 3, this harness reads 1 and 2"),
        (json.dumps({key: META[key] for key in META if key != "schema_version"}), "schema_version None"),
        (json.dumps({key: META[key] for key in META if key != "lab"}), "lab: Field required"),
        (json.dumps({**META, "plan": {"name": "quick"}}), "plan.setup: Field required"),
        (planned(timing={"duration_s": 0, "omit_s": 0}), "plan.timing.duration_s: a number above 0 is required"),
        (planned(blocks=10**6 + 1), "plan.blocks: 1000001 are more than any run has"),
        (planned(blocks=10**6), "plan.blocks: 1000000 are more than any run has"),
        (json.dumps({key: META[key] for key in META if key != "plan"}), "plan is missing"),
        (json.dumps({**META, "plan": {**META["plan"], "cells": [{"measure": "ping"}]}}), "plan.cells"),
        (json.dumps({**META, "notes": [{"about": "weather", "subject": "", "fact": ""}]}), "notes.0.about"),
        (json.dumps({**META, "profiles": {"underlay": META["profiles"]["underlay"]}}), "no profile 'vxlan'"),
        (
            json.dumps({**META, "profiles": {**META["profiles"], "vxlan": {"kind": "tunnel", "headers": ["ip"]}}}),
            "unknown header 'ip'",
        ),
        ("{", "cannot be read as JSON"),
        ("[]", "is not a JSON object"),
    ],
)
def test_unusable_run_json_names_the_key(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, full_run())
    (tmp_path / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_run(tmp_path)


def test_keys_that_a_later_version_adds_do_no_harm(tmp_path: Path) -> None:
    write(tmp_path, full_run(), {**META, "colour": "blue"})
    assert read_run(tmp_path).meta is not None


def test_levels_are_numbers_and_words_and_missing_where_a_cell_has_none(tmp_path: Path) -> None:
    found = arms(read_run(write(tmp_path, full_run())).trials, None)
    assert ("vxlan", iperf3(1450, 4)) in found
    assert ("vxlan", ping(1450)) in found
    flows = {type(cell.get("flows")) for _, cell in found}
    assert flows == {int, type(None)}


def test_schema_1_has_the_same_cells() -> None:
    run = read_run(SAMPLE)
    header = (SAMPLE / "trials.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    assert tuple(header) == SCHEMA_1
    assert run.meta is not None
    assert (run.meta.schema_version, run.meta.nic_mtu, run.meta.plan.blocks) == (1, 1500, 6)
    assert (run.meta.plan.timing.duration_s, run.meta.plan.timing.omit_s) == (2, 1)
    found = arms(run.trials, run.meta)
    assert {cell for _, cell in found} == {
        *(iperf3(mtu, flows) for mtu in (1450, 1500) for flows in (1, 4, 8)),
        *(ping(mtu) for mtu in (1450, 1500)),
    }
    assert str(run.meta.notes[0]).startswith("both nodes share one kernel")
    states = set(run.trials.table.words["path_state"].tolist())
    assert PathState.parse("clamped to 1450") in states


def test_file_without_set_ups_is_of_one(tmp_path: Path) -> None:
    """As every run was before it could have several, of either schema."""
    write(tmp_path, full_run())
    path = tmp_path / "trials.csv"
    whole = read_trials(path).table
    pd.read_csv(path, dtype=str, keep_default_na=False).drop(columns="setup").to_csv(path, index=False)
    assert_equal(read_trials(path).table, whole)
    assert {*whole.whole["setup"]} == {*read_run(SAMPLE).trials.table.whole["setup"]} == {1}


@pytest.mark.parametrize("column", ["goodput_bps", "client_cpu_s", "rtt_p99_s", "proof", "raw", "started_at"])
def test_a_column_that_is_missing_does_not_make_a_run_unreadable(tmp_path: Path, column: str) -> None:
    write(tmp_path, full_run())
    frame = pd.read_csv(tmp_path / "trials.csv", dtype=str, keep_default_na=False)
    frame.drop(columns=column).to_csv(tmp_path / "trials.csv", index=False)
    analysis = analyse(read_run(tmp_path))
    metrics = {row.metric.name for row in analysis.rows if row.ratio}
    lacking = {"goodput_bps": {"goodput_bps", "cpu_s_per_gbit"}, "client_cpu_s": {"cpu_s_per_gbit"}}
    expected = {"goodput_bps", "cpu_s_per_gbit", "rtt_p50_s", "rtt_p99_s"} - lacking.get(column, {column})
    assert metrics == expected


def test_what_is_unknown_in_front_of_the_metrics_is_a_factor(tmp_path: Path) -> None:
    write(tmp_path, full_run(), None)
    path = tmp_path / "trials.csv"
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    frame.insert(list(frame).index("goodput_bps"), "colour", ["red"] * len(frame))
    frame.assign(power_w="1.5").to_csv(path, index=False)
    trials = read_trials(path)
    assert list(trials.columns.factors)[-1] == "colour"
    assert list(trials.columns.metrics)[-1] == "power_w"
    cells = {cell for _, cell in arms(trials, None)}
    assert Cell.of("ping", mtu=1450, colour="red") in cells
