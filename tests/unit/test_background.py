"""What else runs on a node: looked at before each trial, and set against what the trials used."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.measures.metrics import CPU_ROWS, CPU_SHARES
from harness.model.errors import ToolError
from harness.model.notes import About
from harness.model.trial import Trial
from harness.nodes import background
from harness.report.analysis import Analysis, Row, analyse
from harness.report.background import HARNESS_CPUS, LIMIT, LOOK_COST_CPUS, LOOK_ERROR_CPUS
from harness.report.comparison import compare_runs
from harness.report.contrasts import Against
from harness.report.layout import page
from harness.report.notes import joined, sentence
from harness.report.tables import Words
from harness.report.trials import RunData, read_run
from harness.truth.verdicts import Verdict
from tests.unit.synthetic import META, around, iperf3, ping, series, write

REPO = Path(__file__).parents[2]


def looks(idle: tuple[int, int], *, cpus: int = 2, clock: tuple[float, float] = (100.0, 100.15), steal: int = 0) -> str:
    """Return what the script prints where the CPUs were idle for so many ticks."""
    early, late = (f"cpu 1 2 3 {ticks} 5 6 7 {stolen} 0 0" for ticks, stolen in zip(idle, (0, steal), strict=True))
    return f"{cpus}\n{clock[0]}\n{early}\n{clock[1]}\n{late}\n"


@pytest.mark.parametrize(
    ("text", "busy"),
    [
        pytest.param(looks((0, 30)), 0.0, id="idle all the time"),
        pytest.param(looks((0, 15)), 1.0, id="one of two"),
        pytest.param(looks((900, 900)), 2.0, id="both"),
        pytest.param(looks((0, 930), cpus=64, clock=(0.0, 0.15)), 2.0, id="two of many"),
        pytest.param(looks((0, 15), steal=15), 0.0, id="what a hypervisor took was nobody's here"),
        pytest.param(looks((0, 31)), -1 / 15, id="hundredths of a second, rounded"),
        pytest.param(looks((0, 30), clock=(100.0, 100.30)), 1.0, id="as long as it took"),
        pytest.param(looks((0, 30), clock=(100.0, 4000.0)), None, id="a clock that was set"),
        pytest.param(looks((0, 30), clock=(100.0, 100.0)), None, id="no time passed"),
    ],
)
def test_busy_cpus(text: str, busy: float | None) -> None:
    assert background.parse(text) == (None if busy is None else pytest.approx(busy, abs=1e-9))


@pytest.mark.parametrize("text", ["", "sh: not found\n", "2\n", looks((0, 1)).rpartition("cpu")[0], "two\n1\ncpu\n"])
def test_node_that_tells_nothing(text: str) -> None:
    with pytest.raises(ToolError, match="how busy a node is"):
        background.parse(text)


def test_script_as_a_node_runs_it() -> None:
    busy = None
    for _ in range(5):  # on a machine that is very busy a window may be too long to count
        done = subprocess.run(background.argv(), capture_output=True, text=True, check=True)
        busy = background.parse(done.stdout)
        if busy is not None:
            break
    cpus = int(done.stdout.split()[0])
    assert done.stderr == ""
    assert busy is not None
    assert -1 < busy <= cpus


TWO_KERNELS = META | {"shared_kernel": False}
LOOKS = 24
"""Trials of such a run."""
BUSY_S = 0.6
"""CPU seconds that the underlay's trials take on each node of their own, in 3 s; vxlan's take half as much again."""


def run(folder: Path, cpus: float, *, shared: bool = False, blocks: Iterable[int] = range(1, 7)) -> Path:
    """Write a run beside which others kept so many CPUs of each node busy in these blocks.

    What they used is in the CPU time of nodes with kernels of their own, and taken off on a shared one.
    """
    trials: list[Trial] = []
    for profile, factor in (("underlay", 1.0), ("vxlan", 1.5)):
        for number, scatter in enumerate(around(1.0, 0.004, 7 if factor == 1.0 else 8), 1):
            others = cpus if number in blocks else 0.0
            busy_s = factor * BUSY_S * scatter + (0.0 if shared else 3 * others)
            made = series(profile, iperf3(1500), [9e8], cpu_s=(busy_s, busy_s))
            made += series(profile, ping(1500), [2e-4 * factor])
            looked = {"client_background_cpus": others, "server_background_cpus": others}
            seen = {"foreign_cpu_s": 3 * others} if shared else looked
            trials += [
                replace(one, slot=replace(one.slot, block=number), figures={**one.figures, **seen}) for one in made
            ]
    return write(folder, trials, META if shared else TWO_KERNELS)


def cpu_row(analysis: Analysis) -> Row:
    rows = [row for row in analysis.rows if row.contrast.against is Against.PROFILE]
    return next(row for row in rows if row.metric.name == CPU_ROWS[0])


def analysed(folder: Path) -> Analysis:
    return analyse(read_run(folder))


def test_quiet_nodes_have_their_verdicts(tmp_path: Path) -> None:
    row = cpu_row(analysed(run(tmp_path, 0.0)))
    assert row.verdict is Verdict.WORSE
    assert not [note for note in row.notes if note.about is About.LOAD]


def test_busy_core_disturbs_cpu_time_and_nothing_else(tmp_path: Path) -> None:
    """It pulls the ratio to 1.12 with an interval that leaves the true 1.5 far out."""
    quiet, loaded = analysed(run(tmp_path / "quiet", 0.0)), analysed(run(tmp_path / "loaded", 1.0))
    row = cpu_row(loaded)
    assert row.ratio is not None
    assert row.ratio.ratio == pytest.approx((0.9 + 3) / (0.6 + 3), rel=0.01)
    assert row.interval is not None
    assert row.interval.high < 1.2
    assert row.verdict is Verdict.DISTURBED
    (note,) = [note for note in row.notes if note.about is About.LOAD]
    assert note.fact == "others used 486% of the CPU time that the trials used"
    assert note.value == pytest.approx(4.86, rel=0.01)
    for before, after in zip(quiet.rows, loaded.rows, strict=True):
        if after.metric.name not in CPU_ROWS:
            assert (after.verdict, after.notes) == (before.verdict, before.notes)


def test_what_cpu_time_is_made_of_is_disturbed_with_it(tmp_path: Path) -> None:
    folder = run(tmp_path, 1.0)
    lines = (folder / "trials.csv").read_text(encoding="utf-8").splitlines()
    place = lines[0].split(",").index("client_tools_cpu_s")
    filled = [",".join([*one[:place], "0.2", "0.2", *one[place + 2 :]]) for one in (line.split(",") for line in lines)]
    (folder / "trials.csv").write_text("\n".join([lines[0], *filled[1:]]) + "\n", encoding="utf-8")
    rows = [row for row in analysed(folder).rows if row.metric.name in CPU_SHARES and row.verdict]
    assert {row.metric.name for row in rows} == {"tools_cpu_s_per_gbit"}
    assert {row.verdict for row in rows} == {Verdict.DISTURBED}


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("share", "verdict"), [(0.9 * LIMIT, Verdict.WORSE), (1.1 * LIMIT, Verdict.DISTURBED)])
def test_limit_is_a_share_of_what_the_arm_that_used_less_used_itself(
    tmp_path: Path, shared: bool, share: float, verdict: Verdict
) -> None:
    """What is in doubt is not held against the nodes: a look's own cost, and two errors of the mean of 24 looks.

    On a shared kernel nothing is in doubt, but for what the harness itself uses.
    """
    kernels = 1 if shared else 2
    doubt = HARNESS_CPUS if shared else LOOK_COST_CPUS + 2 * LOOK_ERROR_CPUS * math.sqrt(2 / LOOKS)
    row = cpu_row(analysed(run(tmp_path, share * BUSY_S / 3 + doubt / kernels, shared=shared)))
    assert row.verdict is verdict
    if verdict is not Verdict.DISTURBED:
        assert row.ratio is not None
        assert row.ratio.ratio == pytest.approx(1.5, rel=0.1), "what is not disturbed is right"


def test_load_in_some_blocks_counts_by_its_mean(tmp_path: Path) -> None:
    little, much = (run(tmp_path / str(cpus), cpus, blocks=[3]) for cpus in (0.1, 1.0))
    assert cpu_row(analysed(little)).verdict is not Verdict.DISTURBED
    assert cpu_row(analysed(much)).verdict is Verdict.DISTURBED


def test_too_few_blocks_stay_too_few_and_the_load_is_said(tmp_path: Path) -> None:
    folder = run(tmp_path, 1.0)
    lines = (folder / "trials.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if line.split(",")[2] in ("block", "1", "2")]
    (folder / "trials.csv").write_text("".join(kept), encoding="utf-8")
    row = cpu_row(analysed(folder))
    assert row.verdict is Verdict.NOT_ENOUGH_BLOCKS
    assert [note.about for note in row.notes].count(About.LOAD) == 1


def test_disturbed_row_is_advised_no_more_blocks(tmp_path: Path) -> None:
    """At a margin that leaves it open, quiet nodes would be told how many blocks decide it."""
    quiet, loaded = (read_run(run(tmp_path / str(cpus), cpus, shared=True)) for cpus in (0.0, 1.0))
    ratio = cpu_row(analyse(quiet)).ratio
    assert ratio is not None
    found = [cpu_row(analyse(one, margin=ratio.ratio - 1.001)) for one in (quiet, loaded)]
    assert found[0].verdict is Verdict.INCONCLUSIVE
    assert found[0].blocks_to_tell
    assert (found[1].verdict, found[1].blocks_to_tell) == (Verdict.DISTURBED, None)


def test_look_that_rounds_to_less_than_nothing_is_nothing(tmp_path: Path) -> None:
    row = cpu_row(analysed(run(tmp_path, -0.02, shared=False)))
    assert row.verdict is Verdict.WORSE
    assert not [note for note in row.notes if note.about is About.LOAD]


@pytest.mark.parametrize("lacking", ["columns", "run.json"])
def test_run_that_did_not_look_is_judged_as_before(tmp_path: Path, lacking: str) -> None:
    folder = run(tmp_path, 1.0)
    if lacking == "run.json":
        (folder / "run.json").unlink()
        assert CPU_ROWS[0] not in {row.metric.name for row in analysed(folder).rows}
    else:
        text = (folder / "trials.csv").read_text(encoding="utf-8")
        lines = [line.split(",") for line in text.splitlines()]
        place = lines[0].index("client_background_cpus")
        kept = "\n".join(",".join([*fields[:place], *fields[place + 2 :]]) for fields in lines)
        (folder / "trials.csv").write_text(f"{kept}\n", encoding="utf-8")
        assert cpu_row(analysed(folder)).verdict is Verdict.WORSE


def called(run: RunData, name: str) -> RunData:
    """Return a run under another name."""
    table = run.trials.table
    table = replace(table, words={**table.words, "run_id": Words.alike(name, len(table))})
    return replace(run, trials=replace(run.trials, table=table))


def test_two_runs_are_disturbed_where_either_is(tmp_path: Path) -> None:
    quiet, loaded = (read_run(run(tmp_path / str(cpus), cpus)) for cpus in (0.0, 1.0))
    still, loaded = called(quiet, "still"), called(loaded, "loaded")
    for a, b, expected in ((quiet, still, False), (quiet, loaded, True), (loaded, quiet, True)):
        rows = [row for row in compare_runs([a], [b]).rows if row.metric.name == CPU_ROWS[0]]
        assert len(rows) == 3, "over its underlay, the underlay, absolute"
        judged = [row.verdict for row in rows if row.verdict]  # absolute figures have none where the underlay moved
        assert {verdict is Verdict.DISTURBED for verdict in judged} == {expected}


def test_several_rows_are_said_as_one_range(tmp_path: Path) -> None:
    rows = [cpu_row(analysed(run(tmp_path / str(cpus), cpus))) for cpus in (0.2, 1.0)]
    loads = [note for row in rows for note in row.notes if note.about is About.LOAD]
    ((_, notes),) = joined(loads)
    assert sentence(notes).startswith("others used 95% to 486% of the CPU time that the trials used: CPU time cannot")


def test_what_others_use_is_looked_at_while_it_is_used_and_said_once(tmp_path: Path) -> None:
    """A load average is of minutes that are over; and both nodes of a shared kernel see the same load."""
    sources = [path for path in (REPO / "harness").rglob("*.py") if "loadavg" in path.read_text(encoding="utf-8")]
    assert sources == []
    laid_out = page(analysed(run(tmp_path, 1.0, shared=True)))
    assert len([note for note in laid_out.notes if "of the CPU time that the trials used" in note]) == 1
