"""How a run stands between its blocks: what the final table would say, marked as not final, in few lines."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from harness.cli.progress import RunProgress
from harness.cli.so_far import Looking
from harness.model.trial import Trial
from harness.report import so_far
from harness.report.analysis import Analysis, analyse
from harness.report.layout import page as laid_out
from harness.report.page import Page
from harness.report.trials import read_run
from harness.truth.verdicts import MARGIN
from tests.unit.synthetic import PLAN, around, iperf3, ping, series, write

FLOWS = (1, 8)


def measured(blocks: int, flows: Sequence[int] = FLOWS, profiles: Sequence[str] = ("vxlan",)) -> list[Trial]:
    """Return so many blocks of goodput at its ceiling, and of round trips that are twice the underlay's."""
    made: list[Trial] = [*series("underlay", ping(1500), around(50e-6, 0.02, 1, blocks=blocks))]
    for count in flows:
        made += series("underlay", iperf3(1500, count), around(941e6, 0.001, count, blocks=blocks))
    for number, name in enumerate(profiles):
        made += series(name, ping(), around(100e-6, 0.02, 5 + number, blocks=blocks))
        for count in flows:
            made += series(name, iperf3(1450, count), around(908.6e6, 0.001, 9 + number + count, blocks=blocks))
    return made


def standing(folder: Path, blocks: int, flows: Sequence[int] = FLOWS, profiles: Sequence[str] = ("vxlan",)) -> Analysis:
    return analyse(read_run(write(folder, measured(blocks, flows, profiles)), with_series=False))


def test_table_has_the_main_row_of_each_cell(tmp_path: Path) -> None:
    (section,) = so_far.page(standing(tmp_path, 6), "after block 6").sections
    assert section.title == "after block 6, not final"
    assert [(row[0], row[3], row[4]) for row in section.rows] == [
        ("tcp 1450 x1", "0.9655", "headers only"),
        ("tcp 1450 x8", "0.9655", "headers only"),
        ("mtu 1450 p50", "1.0000", "worse"),
    ]


def test_figures_are_those_of_the_final_table(tmp_path: Path) -> None:
    analysis = standing(tmp_path, 7)
    final = {(row[0], cell) for section in laid_out(analysis).sections for row in section.rows for cell in row}
    for name, ratio, interval, _, verdict in so_far.page(analysis, "").sections[0].rows:
        assert {(name, ratio), (name, interval)} <= final
        assert any(cell.startswith(verdict) for row, cell in final if row == name)


@pytest.mark.parametrize("blocks", [2, 5])
def test_few_blocks_have_an_interval_and_no_verdict(tmp_path: Path, blocks: int) -> None:
    lines = so_far.lines(standing(tmp_path, blocks))
    assert len(lines) == len(FLOWS)
    assert all(line.startswith(f"vxlan tcp 1450 x{flows} 0.96") for flows, line in zip(FLOWS, lines, strict=True))
    assert all(line.endswith(") of 0.9655: not enough blocks") for line in lines)


def test_one_block_has_no_interval(tmp_path: Path) -> None:
    (line, _) = so_far.lines(standing(tmp_path, 1))
    assert line.endswith(" of 0.9655: not enough blocks")
    assert "(" not in line


def test_several_profiles_are_named(tmp_path: Path) -> None:
    analysis = standing(tmp_path, 6, profiles=("vxlan", "flannel"))
    names = [row[0] for row in so_far.page(analysis, "").sections[0].rows]
    assert names == [
        *("flannel tcp 1450 x1", "flannel tcp 1450 x8", "flannel mtu 1450 p50"),
        *("vxlan tcp 1450 x1", "vxlan tcp 1450 x8", "vxlan mtu 1450 p50"),
    ]


def test_many_rows_are_one_line(tmp_path: Path) -> None:
    assert len(so_far.lines(standing(tmp_path / "six", 6, range(1, 7)))) == 6
    assert so_far.lines(standing(tmp_path / "seven", 6, range(1, 8))) == ["headers only in 7 of 7 rows"]


def test_without_goodput_other_rows_have_lines(tmp_path: Path) -> None:
    (line,) = so_far.lines(standing(tmp_path, 6, flows=()))
    assert line.startswith("vxlan mtu 1450 p50 ")
    assert line.endswith("): worse")


def test_underlay_alone_has_nothing_to_show(tmp_path: Path) -> None:
    analysis = standing(tmp_path, 6, profiles=())
    assert (so_far.page(analysis, "").sections, so_far.lines(analysis)) == ((), [])


class Display:
    """Takes in what is shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, list[str]]] = []

    def stands(self, page: Page, lines: Sequence[str]) -> None:
        self.shown.append((page.sections[0].title, [*lines]))


@pytest.mark.parametrize(
    ("several", "when"), [(False, "after block 4, not final"), (True, "a--b after block 4, not final")]
)
def test_what_is_shown_says_when_and_of_whom(tmp_path: Path, several: bool, when: str) -> None:
    display, folder = Display(), write(tmp_path / "a--b", measured(4))
    looking = Looking(replace(PLAN, blocks=6), MARGIN, display, several=several)
    assert not looking.look(folder, 4)
    ((title, lines),) = display.shown
    assert title == when
    assert all(line.startswith(f"{when}: vxlan tcp") for line in lines)


def test_last_block_is_left_to_the_report(tmp_path: Path) -> None:
    display = Display()
    Looking(replace(PLAN, blocks=4), MARGIN, display, several=False).look(write(tmp_path, measured(4)), 4)
    assert display.shown == []


def stands(console: Console, analysis: Analysis) -> None:
    with RunProgress(PLAN, console) as progress:
        progress.stands(so_far.page(analysis, "after block 2"), so_far.lines(analysis))


def test_lines_where_there_is_no_terminal(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=40, force_terminal=False)
    with console.capture() as captured:
        stands(console, standing(tmp_path, 2))
    lines = captured.get().splitlines()
    assert len(lines) == len(FLOWS), "none is broken, however narrow it is"
    assert all(line.startswith("0:00 vxlan tcp 1450 x") for line in lines)


@pytest.mark.parametrize(("height", "is_whole"), [(30, True), (9, False)])
def test_table_above_the_bar_at_a_terminal(tmp_path: Path, height: int, is_whole: bool) -> None:
    """As much of it as leaves room for the bar."""
    file = io.StringIO()
    console = Console(file=file, width=100, height=height, force_terminal=True, color_system=None)
    stands(console, standing(tmp_path, 2))
    drawn = file.getvalue()
    assert ("not final" in drawn, "tcp 1450 x1" in drawn, "mtu 1450 p50" in drawn) == (True, True, is_whole)
    assert drawn.rindex("not final") < drawn.rindex("0/"), "the bar stands below"
