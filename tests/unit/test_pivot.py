"""`--by`: profiles, MTUs or numbers of flows side by side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli.compare import BY, EXPORTED, compare
from harness.model.errors import InputError
from harness.report import pivot
from harness.report.analysis import Analysis, analyse
from harness.report.comparison import Comparison, compare_runs
from harness.report.exports import EXPORTS
from harness.report.formats import FORMATS, side_by_side
from harness.report.trials import read_run
from tests.unit.synthetic import META, full_run, write


@pytest.fixture(name="result")
def analysed(tmp_path: Path) -> Analysis:
    return analyse(read_run(write(tmp_path / "a", full_run(["vxlan", "flannel", "host-gw"]))))


@pytest.fixture(name="compared")
def two(tmp_path: Path) -> Comparison:
    first = write(tmp_path / "a", full_run(["vxlan", "flannel", "host-gw"]))
    other = [replace(one, run_id="b") for one in full_run(["vxlan"], seed=5)]
    return compare_runs([read_run(first)], [read_run(write(tmp_path / "b", other, {**META, "run_id": "b"}))])


@pytest.mark.parametrize(
    ("by", "columns", "rows"),
    [
        ("profile", ["flannel", "host-gw", "vxlan"], ["tcp 1450 x1", "tcp 1450 x4", "tcp 1450 x8"]),
        ("mtu", ["mtu 1450", "mtu 1500"], ["flannel tcp x1", "flannel tcp x4", "flannel tcp x8"]),
        ("flows", ["x1", "x4", "x8"], ["flannel tcp 1450", "flannel tcp 1500", "host-gw tcp 1450"]),
    ],
)
def test_a_factor_is_the_columns(result: Analysis, by: str, columns: list[str], rows: list[str]) -> None:
    goodput = pivot.page(result, by).sections[0]
    assert list(goodput.headings[1:]) == columns
    assert [row[0] for row in goodput.rows][:3] == rows
    assert all(cell for row in goodput.rows for cell in row)


def test_each_figure_is_that_of_its_row(result: Analysis) -> None:
    goodput = pivot.page(result, "profile").sections[0]
    (row,) = [
        row
        for row in result.rows
        if (row.contrast.profile, row.contrast.baseline, row.contrast.against) == ("vxlan", "underlay", "profile")
        and (row.metric.name, row.cell.mtu, row.cell.flows) == ("goodput_bps", 1450, 4)
    ]
    assert row.ratio is not None
    assert row.interval is not None
    shown = next(cells for cells in goodput.rows if cells[0] == "tcp 1450 x4")[3]
    assert shown.split()[:2] == [f"{row.ratio.ratio:.4f}", "headers"]
    assert shown.splitlines()[1] == f"{row.interval.low:.4f}-{row.interval.high:.4f}"


@pytest.mark.parametrize("by", BY)
def test_fits_the_terminal_with_every_figure(result: Analysis, compared: Comparison, by: str) -> None:
    for one in (result, compared):
        shown = side_by_side(one, by, "table")
        assert max(map(len, shown.splitlines())) <= 80
        assert "…" not in shown
        assert side_by_side(one, by, "markdown").count("<details>") == 2


def test_rows_without_the_factor_stand_in_a_column_of_their_own(compared: Comparison) -> None:
    sections = pivot.page(compared, "flows").sections
    assert [section.headings[1:] for section in sections if section.title == "round trip"] == [("all",)]


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_formats_with_a_row_for_everything_are_refused(tmp_path: Path, result: Analysis, form: str) -> None:
    assert result.rows
    with pytest.raises(InputError, match="has the levels of each row already"):
        CliRunner().invoke(compare, [str(tmp_path / "a"), "--by", "mtu", "--format", form], catch_exceptions=False)


def test_names_of_options_are_those_of_what_renders() -> None:
    """They are written twice: the command line must not wait for reports."""
    assert BY == pivot.BY
    assert tuple(EXPORTS) == EXPORTED
    assert set(FORMATS) == {"table", "csv", "json", "markdown"}
