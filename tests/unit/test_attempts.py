"""Which attempt of a group counts when a run is read: the last one that is complete, for every profile alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.compare import rendered
from harness.model.errors import InputError
from harness.model.trial import Cell, Interval, Slot, Status, Trial
from harness.report.analysis import analyse
from harness.report.notes import text_of
from harness.report.trials import read_run, read_trials
from tests.unit.synthetic import iperf3, ping, trial, write

CELLS = (("underlay", iperf3(1500)), ("underlay", iperf3(1450)), ("vxlan", iperf3(1450)), ("vxlan", iperf3(1500)))


def attempt(
    number: int, value: float, block: int = 1, cells: Sequence[tuple[str, Cell]] = CELLS, status: Status = Status.OK
) -> list[Trial]:
    """Return the trials of a group, each at its own position in the block."""
    made = [trial(profile, block, cell, value if status is Status.OK else None, status) for profile, cell in cells]
    return [
        replace(one, attempt=number, slot=Slot(block, position, one.slot.profile, one.slot.cell))
        for position, one in enumerate(made, 1)
    ]


def pings(block: int = 1) -> list[Trial]:
    """Return another group of the block."""
    cells = (("underlay", ping(1500)), ("vxlan", ping(1450)))
    return [
        replace(one, slot=replace(one.slot, position=10 + one.slot.position)) for one in attempt(1, 2e-4, block, cells)
    ]


def goodputs(folder: Path) -> list[tuple[int, str, int, float]]:
    table = read_trials(folder).table
    kept = table.at(table.words["measure"].are("iperf3"))
    profiles = [str(name) for name in kept.words["profile"].tolist()]
    numbers = (kept.whole["attempt"].tolist(), kept.figures["goodput_bps"].tolist())
    return list(zip(kept.whole["block"].tolist(), profiles, *numbers, strict=True))


def test_second_attempt_counts_for_every_trial_of_the_group_and_for_no_other(tmp_path: Path) -> None:
    trials = [*attempt(1, 9e8), *pings(), *attempt(2, 8e8), *attempt(1, 7e8, block=2), *pings(2)]
    folder = write(tmp_path, trials)
    assert goodputs(folder) == [
        *((1, profile, 2, 8e8) for profile, _ in CELLS),
        *((2, profile, 1, 7e8) for profile, _ in CELLS),
    ]
    table = read_trials(folder).table
    assert table.words["measure"].are("ping").sum() == 4
    assert {len(column) for column in (*table.whole.values(), *table.figures.values())} == {len(table)}
    assert {len(column.codes) for column in table.words.values()} == {len(table)}


def test_worse_second_attempt_counts_as_well(tmp_path: Path) -> None:
    """Nothing is chosen by what was found: not even a failure is avoided."""
    folder = write(tmp_path, [*attempt(1, 9e8), *attempt(2, 0, status=Status.FAILED)])
    assert read_trials(folder).table.words["status"].tolist() == ["failed"] * len(CELLS)


@pytest.mark.parametrize("measured", range(1, len(CELLS)))
def test_attempt_that_was_cut_short_does_not_count(tmp_path: Path, measured: int) -> None:
    folder = write(tmp_path, [*attempt(1, 9e8), *attempt(2, 8e8)[:measured]])
    assert goodputs(folder) == [(1, profile, 1, 9e8) for profile, _ in CELLS]
    (note,) = read_trials(folder).notes
    assert str(note) == "the repeat of 1 group of trials was cut short: the first attempt counts"


def test_torn_line_of_a_repeat_leaves_the_first_attempt(tmp_path: Path) -> None:
    path = write(tmp_path, [*attempt(1, 9e8), *attempt(2, 8e8)]) / "trials.csv"
    path.write_text(path.read_text(encoding="utf-8")[:-30], encoding="utf-8")
    assert {figure for *_, figure in goodputs(path)} == {9e8}


def test_repeats_are_counted_by_profile_and_shown(tmp_path: Path) -> None:
    trials = [one for block in range(1, 7) for one in attempt(1, 9e8, block)]
    run = read_run(write(tmp_path, [*trials, *attempt(2, 8e8, 2), *attempt(2, 8e8, 5)]))
    (note,) = run.trials.notes
    assert note.fact == "2 groups of trials in 2 blocks measured once more (underlay 2, vxlan 2)"
    assert note.value == 2
    assert note.fact in text_of(analyse(run).notes)
    table = " ".join(rendered(analyse(run), "table").split())
    assert "measured once more (underlay 2, vxlan 2)" in table


def test_same_attempt_twice_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, [*attempt(1, 9e8), *attempt(2, 8e8), *attempt(2, 8e8)[:1]])
    with pytest.raises(InputError, match=r"line 10: the same trial as line 6"):
        read_trials(folder)


@pytest.mark.parametrize(("text", "words"), [("one", "attempt is 'one', not a whole number"), ("", "attempt is empty")])
def test_attempt_is_a_whole_number(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path, attempt(1, 9e8)) / "trials.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",1,1,underlay", f",1,{text},underlay"), encoding="utf-8")
    with pytest.raises(InputError, match=f"line 2: {words}"):
        read_trials(path)


def test_file_without_the_column_is_read_as_before(tmp_path: Path) -> None:
    path = write(tmp_path, attempt(1, 9e8)) / "trials.csv"
    lines = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
    place = lines[0].index("attempt")
    bare = [",".join([*fields[:place], *fields[place + 1 :]]) for fields in lines]
    path.write_text("\n".join(bare) + "\n", encoding="utf-8")
    assert goodputs(path) == [(1, profile, 1, 9e8) for profile, _ in CELLS]
    assert read_trials(path).notes == ()


def test_seconds_of_an_attempt_that_does_not_count_are_left_out(tmp_path: Path) -> None:
    """The first attempt fell apart in its middle, the second did not: nothing is said of it."""
    steady = (Interval(0, 1, False, 9e8), Interval(1, 2, False, 9e8))
    apart = (Interval(0, 1, False, 9e8), Interval(1, 2, False, 1e8))
    blocks = [attempt(1, 9e8, block) for block in range(1, 5)]
    first = [replace(one, series=steady) for block in blocks for one in block]
    first[0] = replace(first[0], series=apart)
    second = [replace(one, series=steady) for one in attempt(2, 9e8)]
    assert "apart" in text_of(analyse(read_run(write(tmp_path / "once", first))).notes)
    again = read_run(write(tmp_path / "again", [*first, *second]))
    assert again.series is not None
    places = zip(*(again.series.whole[name].tolist() for name in ("block", "attempt")), strict=True)
    assert {*places} == {(1, 2), (2, 1), (3, 1), (4, 1)}
    assert "apart" not in text_of(analyse(again).notes)
