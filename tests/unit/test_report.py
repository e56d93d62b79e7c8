from __future__ import annotations

import io
import itertools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from harness.model.trial import SUMMARY_COLUMNS, Direction, Status, Trial
from harness.report import FORMATS
from harness.report.compare import compare_runs
from harness.report.layout import page
from harness.report.summary import read_run, summarise
from harness.report.table import table, view
from tests.unit.synthetic import META, around, full_run, iperf3, ping, series, trial, write

GOLDEN = Path(__file__).parent.parent / "golden"
OLD_IPERF3 = {
    **META,
    "versions": {"iperf3": {"k8s-1": "3.12", "k8s-2": "3.12"}},
    "warnings": ["both nodes share one kernel and its CPUs: CPU seconds are the whole machine's"],
}


def summary(folder: Path, trials: Sequence[Trial], meta: dict[str, Any] | None = None) -> pd.DataFrame:
    run = read_run(write(folder, trials, meta or OLD_IPERF3))
    return summarise(run.trials, run.meta)


def troubled_run() -> list[Trial]:
    """Return a run with everything that can go wrong in it, and the widest cells there are."""
    wide = iperf3(1500, 128, "tcp", Direction.REVERSE)
    mixed = iperf3(1500, 8, "udp", Direction.BIDIR)
    lost = iperf3(1450, 4, "udp")
    return [
        *full_run(["host-gw", "vxlan"]),
        *series("underlay", wide, around(9.4e9, 0.001, 1)),
        *series("vxlan", wide, around(9.1e9, 0.07, 2), path_state="inner-fragmented"),
        *series("underlay", mixed, around(1.9e9, 0.001, 3)),
        *series("vxlan", mixed, [1.8e9] * 2, path_state="outer-fragmented"),
        *series("vxlan", mixed, [1.8e9] * 6, path_state="clamped to 1450")[2:],
        *series("underlay", iperf3(1500, 4, "udp"), around(9.5e8, 0.001, 4)),
        *(trial("vxlan", block, lost, None, Status.FAILED, reason="refused " * 30) for block in range(1, 7)),
        *series("underlay", ping(1400), around(9.1e-3, 0.2, 5)),
        *series("vxlan", ping(1400), around(12.3e-3, 0.2, 6, blocks=4)),
    ]


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    tmp_path = tmp_path_factory.mktemp("runs")
    quiet, troubled = write(tmp_path / "a", full_run(seed=2), META), write(tmp_path / "b", troubled_run(), OLD_IPERF3)
    a, b = read_run(quiet), read_run(troubled)
    return {
        "quiet": summarise(a.trials, a.meta),
        "troubled": summarise(b.trials, b.meta),
        "without run.json": summarise(a.trials, None),
        "compared": compare_runs(a, b),
    }


@pytest.mark.parametrize("name", ["quiet", "troubled", "without run.json", "compared"])
def test_no_line_is_wider_than_eighty_columns(frames: dict[str, pd.DataFrame], name: str) -> None:
    lines = FORMATS["table"](frames[name]).splitlines()
    assert len(lines) > 20
    assert max(map(len, lines)) <= 80
    assert not any(line != line.rstrip() for line in lines)


@pytest.mark.parametrize("name", ["quiet", "troubled", "compared"])
def test_no_figure_is_cut_off(frames: dict[str, pd.DataFrame], name: str) -> None:
    shown = FORMATS["table"](frames[name])
    assert "…" not in shown
    for section in page(frames[name]).sections:
        for row in section.rows:
            pattern = r"\s+".join(re.escape(cell) for cell in row[:-1] if cell)
            assert re.search(pattern, shown), row


@pytest.mark.parametrize(
    ("name", "golden"),
    [("troubled", "report-summary.txt"), ("compared", "report-compare.txt")],
)
def test_table_is_the_golden_one(frames: dict[str, pd.DataFrame], name: str, golden: str) -> None:
    assert FORMATS["table"](frames[name]) == (GOLDEN / golden).read_text(encoding="utf-8")


def test_long_names_and_large_figures_fit_too(frames: dict[str, pd.DataFrame]) -> None:
    frame = frames["troubled"].copy()
    frame["profile"] = frame["profile"].map(lambda name: f"{name:x<31}")
    frame["baseline"] = frame["baseline"].map(lambda name: f"{name:x<31}")
    frame["mtu"] = 65535
    figures = ["median", "baseline_median"]
    frame[figures] *= 100
    ratios = ["ratio", "ratio_low", "ratio_high", "same_mtu_ratio"]
    frame.loc[frame["ceiling_ratio"].isna(), ratios] *= 12345
    lines = table(frame).splitlines()
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)


def test_view_is_the_table_in_colour(frames: dict[str, pd.DataFrame]) -> None:
    console = Console(file=io.StringIO(), width=80, record=True, force_terminal=True)
    console.print(view(frames["quiet"]))
    text = "\n".join(line.rstrip() for line in console.export_text(clear=False).splitlines()) + "\n"
    assert text == table(frames["quiet"])
    assert "\x1b[31mworse" in console.export_text(styles=True)


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (9.412e9, "Gbit/s", "9.412"),
        (955.04e6, "Mbit/s", "955.0"),
        (120.0, "kbit/s", "0.1"),
    ],
)
def test_goodput_is_scaled(tmp_path: Path, value: float, unit: str, shown: str) -> None:
    trials = [*series("underlay", iperf3(1500), [value] * 6), *series("vxlan", iperf3(1450), [value] * 6)]
    section = page(summary(tmp_path, trials)).sections[0]
    assert (section.headings[1], section.rows[0][1]) == (unit, shown)


@pytest.mark.parametrize(
    ("value", "unit", "shown"), [(81.2e-6, "µs", ("81.2", "243.6")), (0.5e-3, "ms", ("0.500", "1.500"))]
)
def test_round_trips_are_scaled(tmp_path: Path, value: float, unit: str, shown: tuple[str, str]) -> None:
    trials = [*series("underlay", ping(1500), [value] * 6), *series("vxlan", ping(1450), [value] * 6)]
    section = page(summary(tmp_path, trials)).sections[0]
    assert section.headings[1] == unit
    assert [row[:2] for row in section.rows] == [("mtu 1450 p50", shown[0]), ("mtu 1450 p99", shown[1])]


def test_gap_is_in_percentage_points(tmp_path: Path) -> None:
    trials = [*series("underlay", iperf3(1500), [1e9] * 6), *series("vxlan", iperf3(1450), [0.95e9] * 6)]
    section = page(summary(tmp_path, trials)).sections[0]
    row = dict(zip(section.headings, section.rows[0], strict=True))
    assert (row["ratio"], row["ceiling"], row["gap"]) == ("0.9500", "0.9655", "-1.55")


def test_notes_are_said_once_and_marked(frames: dict[str, pd.DataFrame]) -> None:
    laid_out = page(frames["troubled"])
    assert len(set(laid_out.notes)) == len(laid_out.notes)
    assert "both nodes share one kernel and its CPUs: CPU seconds are the whole machine's" in laid_out.notes
    marked = {note.partition("]")[0][1:] for note in laid_out.notes if note.startswith("[")}
    used = {
        mark
        for section in laid_out.sections
        for row in section.rows
        for cell in re.findall(r"\[[\d,]+\]", row[-1])
        for mark in re.findall(r"\d+", cell)
    }
    assert used == marked


def test_csv_is_complete_and_unscaled(frames: dict[str, pd.DataFrame]) -> None:
    text = FORMATS["csv"](frames["troubled"])
    assert text.splitlines()[0].split(",") == SUMMARY_COLUMNS
    back = pd.read_csv(io.StringIO(text), keep_default_na=False, na_values={"ratio": [""], "median": [""]})
    assert back["ratio"].to_list() == pytest.approx(frames["troubled"]["ratio"].to_list(), nan_ok=True)
    assert back["warnings"].to_list() == frames["troubled"]["warnings"].to_list()


def test_json_has_null_for_what_does_not_apply(frames: dict[str, pd.DataFrame]) -> None:
    records = json.loads(FORMATS["json"](frames["troubled"]), parse_constant=pytest.fail)
    assert [list(record) for record in records] == [SUMMARY_COLUMNS] * len(frames["troubled"])
    lost = next(record for record in records if record["verdict"] == "no figure")
    assert (lost["ratio"], lost["median"], lost["blocks"]) == (None, None, 0)


def test_markdown_rows_have_as_many_cells_as_their_heading(frames: dict[str, pd.DataFrame]) -> None:
    lines = FORMATS["markdown"](frames["troubled"]).splitlines()
    assert [line for line in lines if line.startswith("### ")] == [
        "### host-gw against underlay",
        "### vxlan against underlay",
        "### vxlan against host-gw",
        "### Where the goodput of vxlan goes: underlay -> host-gw -> vxlan",
    ]
    cells = 0
    for before, line in itertools.pairwise(lines):
        if line.startswith("| ---"):
            cells = before.count("|")
        if line.startswith("|") and before.startswith("|"):
            assert line.count("|") == cells, line


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_format_takes_an_empty_summary_and_ends_with_a_newline(
    tmp_path: Path, frames: dict[str, pd.DataFrame], name: str
) -> None:
    empty = summary(tmp_path, series("underlay", ping(1500), [1e-3] * 6))
    for frame in (empty, frames["quiet"], frames["compared"]):
        text = FORMATS[name](frame)
        assert text.endswith("\n")
        assert text.strip()
