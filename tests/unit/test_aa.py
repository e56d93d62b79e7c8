"""A run against itself: its plan, what is counted of it, and how that is shown."""

import csv
import io
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli.aa import against_itself
from harness.cli.compare import compare
from harness.model.errors import InputError
from harness.model.path import PathState
from harness.model.trial import ARM, ARMS, Cell, Status, Trial
from harness.report import aa_page
from harness.report.aa import AaAnalysis, AaRow, analyse_aa
from harness.report.formats import FORMATS
from harness.report.trials import read_run
from harness.results.meta import read_meta
from harness.truth import power
from harness.truth.verdicts import Verdict
from tests.unit.schema import errors
from tests.unit.synthetic import META, PLAN, iperf3, ping, trial, write

BLOCKS = 6
CELLS = (iperf3(1500, 1), iperf3(1500, 8), ping(1500))
CENTRES = {"iperf3": 955e6, "ping": 330e-6}
SPREAD = 0.004


def meta(runs: int) -> dict[str, object]:
    cells = tuple(cell.at(((ARM, arm),)) for cell in CELLS for arm in ARMS)
    return META | {"plan": replace(PLAN, cells=cells, blocks=runs * BLOCKS, runs=runs).to_json()}


def trials(
    runs: int, seed: int = 1, factor: Mapping[str, float] | None = None, profile: str = "underlay"
) -> list[Trial]:
    """Return runs in which all figures scatter by SPREAD; `factor` is what those of an arm are multiplied by."""
    scatter = random.Random(seed)  # noqa: S311 - a reproducible series, not a secret
    return [
        trial(
            profile,
            block,
            cell.at(((ARM, arm),)),
            CENTRES[cell.measure] * (factor or {}).get(arm, 1.0) * (1 + scatter.gauss(0, SPREAD)),
            cpu_s=(1.5 * (1 + scatter.gauss(0, SPREAD)), 1.5),
        )
        for block in range(1, runs * BLOCKS + 1)
        for cell in CELLS
        for arm in ARMS
    ]


def analysed(folder: Path, made: list[Trial], planned: int, margin: float = 0.01) -> AaAnalysis:
    return analyse_aa(read_run(write(folder, made, meta(planned))), margin)


def goodput(analysis: AaAnalysis) -> list[AaRow]:
    return [row for row in analysis.rows if row.metric.name == "goodput_bps"]


def test_plan_has_each_cell_twice_close_together() -> None:
    given = {"profile": (), "seed": 7, "measures": ("iperf3", "ping"), "factor_mtu": (1500,), "factor_flows": (1, 8)}
    plan = against_itself(given, 3).plan
    assert (plan.runs, plan.blocks, plan.setup.profiles) == (3, 18, ("underlay",))
    for block, slots in groupby(plan.slots, key=lambda slot: slot.block):
        own = list(slots)
        assert Counter((slot.cell.without(ARM), slot.cell.get(ARM)) for slot in own) == Counter(
            (cell, arm) for cell in CELLS for arm in ARMS
        ), block
        assert [slot.cell.without(ARM) for slot in own[::2]] == [slot.cell.without(ARM) for slot in own[1::2]]
    firsts = Counter(slot.cell.get(ARM) for slot in plan.slots if slot.position % 2)
    assert min(firsts[arm] for arm in ARMS) > 10, "neither arm is always measured first"


def test_profiles_that_are_given_take_the_underlays_place() -> None:
    plan = against_itself({"profile": ("vxlan", "flannel"), "factor_mtu": (1450,), "blocks": 10}, 2).plan
    assert plan.setup.profiles == ("vxlan", "flannel")
    assert (plan.blocks, plan.runs) == (20, 2)
    assert {slot.cell.mtu for slot in plan.slots} == {1450}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"blocks": 5}, "--blocks 5: a verdict takes 6"),
        ({"setups": 2}, "--setups: a run against itself is made on one set-up"),
        ({"pairs": "all"}, "--pairs: a run against itself is one of two hosts"),
        (
            {"profile": ("vxlan",), "rate": "none", "factor_protocol": ("udp",), "factor_udp_rate": ("50%",)},
            "--udp-rate: shares of a link that is not shaped .* give --profile underlay first",
        ),
    ],
)
def test_what_cannot_be_run_against_itself(given: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        against_itself({"measures": ("iperf3",)} | given, 2)


def test_intervals_miss_as_often_as_they_say(tmp_path: Path) -> None:
    analysis = analysed(tmp_path, trials(40), 40)
    assert (analysis.runs, analysis.blocks, analysis.notes) == (40, BLOCKS, ())
    assert [(row.cell.measure, row.metric.name) for row in analysis.rows] == [
        ("iperf3", "goodput_bps"),
        ("iperf3", "cpu_s_per_gbit"),
        ("iperf3", "goodput_bps"),
        ("iperf3", "cpu_s_per_gbit"),
        ("ping", "rtt_p50_s"),
        ("ping", "rtt_p99_s"),
    ]
    for row in analysis.rows:
        assert (row.runs, row.chance) == (40, (0, 5))
        assert row.missed <= 5
        assert sum(row.verdicts.values()) == 40
    for row in goodput(analysis):
        assert row.scatter == pytest.approx(SPREAD * 2**0.5, rel=0.15)
        assert row.freedom == 40 * (BLOCKS - 1)
        assert row.told == power.least_told(row.scatter or 0, BLOCKS)
        assert 0.003 < (row.half_width or 0) < 0.009
        assert row.false == 0


@pytest.mark.parametrize(("factor", "verdict"), [(0.9, Verdict.WORSE), (1.1, Verdict.BETTER)])
def test_arms_that_differ_are_missed_in_every_run(tmp_path: Path, factor: float, verdict: Verdict) -> None:
    """As they would if the harness favoured one of them."""
    analysis = analysed(tmp_path, trials(5, factor={"a": factor}), 5)
    for row in goodput(analysis):
        assert (row.missed, row.verdicts, row.false) == (5, {verdict: 5}, 5)
    pings = [row for row in analysis.rows if row.cell.measure == "ping"]
    assert {next(iter(row.verdicts)) for row in pings} == {Verdict.WORSE, Verdict.BETTER} - {verdict}
    assert analysis.false_runs == 5
    findings = aa_page.page(analysis).findings
    assert "in 5 of 5 runs" in findings[1]
    assert "More often than chance allows: goodput_bps of underlay, iperf3 tcp 1500 x1" in findings[2]


def test_the_margin_is_what_verdicts_are_read_against(tmp_path: Path) -> None:
    made = trials(5, factor={"a": 0.97})
    assert goodput(analysed(tmp_path / "narrow", made, 5, 0.005))[0].verdicts == {Verdict.WORSE: 5}
    assert goodput(analysed(tmp_path / "wide", made, 5, 0.2))[0].verdicts == {Verdict.SAME: 5}


@pytest.mark.parametrize("kept", [BLOCKS * 6 * 2 + 5, BLOCKS * 6 * 3 - 1])
def test_a_run_that_was_not_finished_does_not_count(tmp_path: Path, kept: int) -> None:
    analysis = analysed(tmp_path, trials(4)[:kept], 4)
    assert {row.runs for row in analysis.rows} == {2} == {analysis.runs}
    assert [str(note) for note in analysis.notes] == ["2 of 4 runs were measured to their end: others do not count"]


def test_no_whole_run_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run of 6 blocks was measured to its end"):
        analysed(tmp_path, trials(1)[:-1], 1)


def test_without_its_run_json_nobody_knows_what_a_run_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is read with its run\.json"):
        analyse_aa(read_run(write(tmp_path, trials(1), None)))


def test_trials_without_a_figure_cost_their_block(tmp_path: Path) -> None:
    made = trials(2)
    lost = replace(made[0], status=Status.FAILED, reason="refused", figures={})
    row = goodput(analysed(tmp_path, [lost, *made[1:]], 2))[0]
    assert row.runs == 2
    assert sum(row.verdicts.values()) == 1, "5 blocks give an interval, but no verdict"
    assert [str(note) for note in row.notes] == ["underlay 1 failed: refused"]


def test_figures_of_different_path_states_are_never_averaged(tmp_path: Path) -> None:
    clamped = PathState.parse("clamped to 1450")
    made = [
        replace(one, path_state=clamped, figures={"goodput_bps": 1.0}) if one.slot.block == 2 else one
        for one in trials(2)
        if one.slot.cell.measure == "iperf3"
    ]
    row = goodput(analysed(tmp_path, made, 2))[0]
    assert (row.runs, row.freedom) == (2, 9)
    assert row.scatter == pytest.approx(SPREAD * 2**0.5, rel=0.6)


def test_harness_compare_shows_it_in_every_format(tmp_path: Path) -> None:
    folder = write(tmp_path, trials(2, profile="vxlan"), meta(2))

    def shown(form: str) -> str:
        done = CliRunner().invoke(compare, [str(folder), "--format", form, "--margin", "2%"], catch_exceptions=False)
        assert done.exit_code == 0
        return done.stdout

    table = shown("table")
    assert max(map(len, table.splitlines())) <= 80
    assert "vxlan against itself" in table
    assert "2 runs of 6 blocks" in table
    assert "at a margin of 2 %" in " ".join(table.split())
    rows = list(csv.DictReader(io.StringIO(shown("csv"))))
    assert [*rows[0]] == [*aa_page.HEAD, "protocol", "direction", "mtu", "flows", *aa_page.TAIL]
    assert (rows[0]["profile"], rows[0]["runs"], rows[0]["notes"]) == ("vxlan", "2", "")
    document = json.loads(shown("json"))
    assert errors(document, "against_itself") == []
    assert document["run"]["plan"]["runs"] == 2
    assert [row["metric"] for row in document["rows"]] == [row["metric"] for row in rows]
    assert shown("markdown").count("| tcp 1500 x1 |") == 2


def widest(cell: Cell) -> Cell:
    return cell.at((("udp_rate", "12.375%"), ("size", 1472), ("protocol", "udp")))


@pytest.mark.parametrize("change", [lambda cell: cell, widest])
def test_table_fits_its_terminal_whatever_the_figures(tmp_path: Path, change: Callable[[Cell], Cell]) -> None:
    scatter = random.Random(1)  # noqa: S311 - a reproducible series, not a secret
    made = [
        replace(
            one,
            slot=replace(one.slot, cell=change(one.slot.cell)),
            figures={name: value * scatter.choice((1, 50)) for name, value in one.figures.items()},
        )
        for one in trials(2)
        if one.slot.cell.measure == "iperf3"
    ]
    table = FORMATS["table"](analysed(tmp_path, made, 2))
    assert max(map(len, table.splitlines())) <= 80


def test_plan_is_read_back_from_run_json(tmp_path: Path) -> None:
    write(tmp_path, trials(1), meta(3))
    assert read_meta(tmp_path / "run.json").plan.runs == 3
