"""A run over links: what is said of it, in every format, from its folder alone."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.cli.compare import analysed, compare, rendered
from harness.cli.ecmp import ecmp, over_links
from harness.model.errors import InputError
from harness.model.trial import Cell, Figure, Status, Trial
from harness.report import ecmp_page
from harness.report.ecmp import EcmpAnalysis, analyse_ecmp
from harness.report.plots.scale import ticks_of
from harness.report.trials import read_run
from harness.truth.verdicts import MARGIN
from tests.unit.schema import errors
from tests.unit.synthetic import META, PLAN, trial, write

GOLDEN = Path(__file__).parents[1] / "golden"
FLOWS = (1, 2, 8)
LINK_BPS = 454e6
PROFILES = ("vxlan", "flannel")
"""The second stands for one whose flows all have one port."""
USED: Mapping[str, Mapping[int, Sequence[int]]] = {
    "vxlan": {1: (1,) * 6, 2: (1, 2, 2, 1, 2, 1), 8: (2,) * 6},
    "flannel": {1: (1,) * 6, 2: (1,) * 6, 8: (1,) * 6},
}


def cell(flows: int) -> Cell:
    return Cell.of("ecmp", mtu=1450, flows=flows)


def meta(links: int = 2, flows: Sequence[int] = FLOWS) -> dict[str, Any]:
    setup = replace(PLAN.setup, profiles=PROFILES, mtus=(1450,))
    plan = replace(PLAN, setup=setup, cells=tuple(cell(count) for count in flows), links=links)
    return META | {"plan": plan.to_json(), "lab": "local"}


def figures(profile: str, flows: int, used: int, block: int) -> dict[str, Figure]:
    ports = 1 if profile == "flannel" else flows
    wobble = 1 + 0.001 * (block % 3)
    return {
        "goodput_bps": LINK_BPS * used * wobble,
        "outer_ports": ports,
        "other_ports": 1,
        "links_used": used,
        "busiest_link_ratio": 1 / used,
        "link_1_bytes": 10**8 if used == 2 else 0,
        "link_2_bytes": 10**8,
        "hashed_busiest_flows": -(-ports // 2),
        "hashed_busiest_ratio": 0.5 if ports > 1 else 1.0,
    }


def trials(*, counted: bool = True) -> list[Trial]:
    made = []
    for profile, by_flows in USED.items():
        for flows, blocks in by_flows.items():
            for block, used in enumerate(blocks, 1):
                own = figures(profile, flows, used, block)
                if not counted:
                    own = {name: value for name, value in own.items() if not name.startswith(("link", "busiest"))}
                made.append(replace(trial(profile, block, cell(flows), None), figures=own))
    return made


def analysis_of(folder: Path, made: Sequence[Trial] | None = None, links: int = 2) -> EcmpAnalysis:
    return analyse_ecmp(read_run(write(folder, trials() if made is None else made, meta(links))))


@pytest.fixture(name="analysis")
def analysis_of_a_run(tmp_path: Path) -> EcmpAnalysis:
    return analysis_of(tmp_path)


def test_ratio_is_paired_by_block_and_has_its_interval(analysis: EcmpAnalysis) -> None:
    eight, fixed = (analysis.of_profile(profile)[-1] for profile in PROFILES)
    assert eight.ratio is not None
    assert fixed.ratio is not None
    assert [eight.ratio.ratio, fixed.ratio.ratio] == pytest.approx([2.0, 1.0])
    assert eight.ratio.n == 6
    assert eight.goodput is not None
    interval = eight.goodput.interval()
    assert interval is not None
    assert interval.low < 2 * LINK_BPS * 1.001 < interval.high
    assert analysis.of_profile("vxlan")[0].ratio is None, "1 flow is what the others are held against"


def test_trials_on_one_link_are_held_against_chance(analysis: EcmpAnalysis) -> None:
    one, two, eight = analysis.of_profile("vxlan")
    assert [row.on_one_link for row in (one, two, eight)] == [6, 3, 0]
    assert [row.chance.one_link for row in (one, two, eight)] == [1, 0.5, 2**-7]
    assert two.one_link_chance == pytest.approx(42 / 64)  # 3, 4, 5 or 6 heads of 6
    assert list(two.shares) == pytest.approx([0.75, 0.25])
    fixed = analysis.of_profile("flannel")[-1]
    assert fixed.one_link_chance == pytest.approx(2**-42)
    assert (fixed.ports, fixed.shares) == ((1,) * 6, (1.0, 0.0))


def test_page_says_first_what_ports_are_worth(analysis: EcmpAnalysis) -> None:
    assert ecmp_page.findings(analysis) == (
        "vxlan: 8 flows reach 2.00 (2.00-2.00) times what 1 flow does, by 8 source ports.",
        "flannel: 8 flows reach 1.00 (1.00-1.00) times what 1 flow does, by 1 source port.",
    )
    said = [str(note) for note in analysis.notes]
    assert "vxlan x2: 3 of 6 trials on one link: chance, not noise; the interval is of both kinds together" in said


def test_table_is_as_kept_and_fits_the_terminal(analysis: EcmpAnalysis) -> None:
    shown = rendered(analysis, "table")
    assert shown == (GOLDEN / "report-ecmp.txt").read_text(encoding="utf-8")
    assert max(map(len, shown.splitlines())) <= 80


def test_csv_and_json_have_every_row_unscaled(analysis: EcmpAnalysis) -> None:
    rows = list(csv.DictReader(io.StringIO(rendered(analysis, "csv"))))
    assert len(rows) == 6
    assert [(row["profile"], row["flows"]) for row in rows[:3]] == [("vxlan", "1"), ("vxlan", "2"), ("vxlan", "8")]
    assert float(rows[2]["ratio"]) == pytest.approx(2)
    assert float(rows[2]["links_used_by_chance"]) == pytest.approx(2 - 2**-7)
    assert rows[0]["ratio"] == ""
    document = json.loads(rendered(analysis, "json"), parse_constant=pytest.fail)
    assert errors(document, "over_links") == []
    assert [row["on_one_link"] for row in document["rows"]] == [6, 3, 0, 6, 6, 6]
    assert document["run"]["plan"]["links"] == 2


def test_markdown_has_the_same_rows(analysis: EcmpAnalysis) -> None:
    lines = [line for line in rendered(analysis, "markdown").splitlines() if re.match(r"\| \d", line)]
    assert len(lines) == 12, "two tables of three rows for each profile"


def test_without_counted_links_the_split_is_computed_and_the_hash_named(tmp_path: Path) -> None:
    analysis = analysis_of(tmp_path, trials(counted=False))
    assert not analysis.counted
    eight = analysis.of_profile("vxlan")[-1]
    assert (eight.used, eight.shares, eight.one_link_chance) == ({}, (), None)
    assert eight.hashed is not None
    assert (eight.hashed.busiest_flows, eight.hashed.busiest_share, eight.hashed.chance) == (4, 0.5, 1.0)
    shown = rendered(analysis, "table")
    assert "CRC-32 of the five-tuples" in shown
    assert "one link" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_lost_trials_are_counted_and_named(tmp_path: Path) -> None:
    made = [
        replace(one, status=Status.FAILED, reason="connection refused", figures={})
        if one.slot.profile == "vxlan" and one.slot.cell.flows == 8 and one.slot.block < 3
        else one
        for one in trials()
    ]
    row = analysis_of(tmp_path, made).of_profile("vxlan")[-1]
    assert (row.trials, row.lost) == (4, (2, 6))
    assert row.ratio is not None
    assert row.ratio.n == 4
    assert ["connection refused" in str(note) for note in row.notes] == [True]


def test_more_ports_than_flows_are_explained(tmp_path: Path) -> None:
    first, *others = trials()
    made = [replace(first, figures={**first.figures, "outer_ports": 2}), *others]
    said = [str(note) for note in analysis_of(tmp_path, made).notes]
    assert any("vxlan x1: up to 2 ports" in text and "net.core.txrehash" in text for text in said)


def test_run_without_any_figure_says_so(tmp_path: Path) -> None:
    made = [replace(one, status=Status.FAILED, reason="gone", figures={}) for one in trials()]
    analysis = analysis_of(tmp_path, made)
    assert "No number of flows has a figure beside that of 1 flow." in rendered(analysis, "table")
    ET.fromstring(rendered(analysis, "svg"))  # noqa: S314 - our own text


def points(shown: str) -> dict[str, list[tuple[float, float]]]:
    """Return the lines of a plot by their colours."""
    tree = ET.fromstring(shown)  # noqa: S314 - our own text
    lines = tree.findall("{http://www.w3.org/2000/svg}polyline")
    found: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        pairs = [pair.split(",") for pair in line.get("points", "").split()]
        found.setdefault(str(line.get("class")), []).extend((float(x), float(y)) for x, y in pairs)
    return found


def test_plot_rises_with_flows_where_there_are_ports_to_hash(analysis: EcmpAnalysis) -> None:
    shown = rendered(analysis, "svg")
    lines = points(shown)
    (_, one), (_, two), (_, eight), *_ = lines["s0line"]
    assert one > two > eight, "y counts downwards"
    assert len({round(y, 1) for _, y in lines["s1line"][:3]}) == 1
    assert "uniform hash" in shown
    assert all(f">{name}<" in shown for name in PROFILES)


@pytest.mark.parametrize(
    ("most", "ticks"),
    [
        (0.9e9, [0, 0.2e9, 0.4e9, 0.6e9, 0.8e9, 1e9]),
        (1e9, [0, 0.2e9, 0.4e9, 0.6e9, 0.8e9, 1e9]),
        (1.2e9, [0, 0.2e9, 0.4e9, 0.6e9, 0.8e9, 1e9, 1.2e9]),
        (1.3e9, [0, 0.25e9, 0.5e9, 0.75e9, 1e9, 1.25e9, 1.5e9]),
        (6.1e7, [0, 2e7, 4e7, 6e7, 8e7]),
        (40e9, [0, 10e9, 20e9, 30e9, 40e9]),
    ],
)
def test_scale_has_round_marks(most: float, ticks: list[float]) -> None:
    assert ticks_of(most) == pytest.approx(ticks)


def test_folder_is_shown_again_by_compare(tmp_path: Path) -> None:
    folder = write(tmp_path, trials(), meta())
    assert isinstance(analysed(folder, MARGIN), EcmpAnalysis)
    for form in ("table", "csv", "json", "markdown", "svg"):
        done = CliRunner().invoke(compare, [str(folder), "--format", form])
        assert done.exit_code == 0, done.output
        assert done.output.endswith("\n")


def test_other_runs_have_no_plot(tmp_path: Path) -> None:
    one = replace(trial("vxlan", 1, cell(1), None), figures=figures("vxlan", 1, 1, 1))
    folder = write(tmp_path, [one])
    with pytest.raises(InputError, match="a plot of runs over links only"):
        rendered(analysed(folder, MARGIN), "svg")
    with pytest.raises(InputError, match=r"run\.json, which says how many links"):
        analyse_ecmp(read_run(folder))


def given(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - options by name
    usual = {"profile": (), "factor_flows": (1, 8), "links": 2, "link_rate": "500mbit", "mtu": 1450, "lab": "local"}
    return {**usual, **changes}


@pytest.mark.parametrize(
    ("named", "profiles"),
    [
        ((), ("underlay", "vxlan", "vxlan-one-port")),
        (("vxlan",), ("underlay", "vxlan", "vxlan-one-port")),
        (("flannel",), ("underlay", "flannel")),
        (("vxlan-one-port", "vxlan"), ("underlay", "vxlan-one-port", "vxlan")),
    ],
)
def test_plan_has_the_port_held_fixed_beside_vxlan(named: tuple[str, ...], profiles: tuple[str, ...]) -> None:
    prepared = over_links(given(profile=named))
    plan = prepared.plan
    assert (plan.setup.profiles, plan.setup.mtus, plan.links) == (profiles, (1450,), 2)
    assert plan.cells == (cell(1), cell(8))
    assert len(plan.slots) == 6 * 2 * len(profiles), "the underlay is visited at this MTU only"
    assert (prepared.source.wires.links, prepared.source.wires.rate) == (2, "500mbit")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--flows", "2,4"], "what several flows gain is held against one; give 1 as well"),
        (["--links", "1"], "1 is not in the range 2<=x<=8"),
        (["--links", "9"], "9 is not in the range 2<=x<=8"),
        (["--link-rate", "fast"], "'fast': give none, or a number with kbit, mbit or gbit"),
        (["--mtu", "9000"], "MTU 9000 is larger than the underlay's own 1500"),
        (["--plot", "/missing/plot.svg"], "there is no folder /missing"),
        (["--profile", "vxlam"], "unknown profile 'vxlam'"),
    ],
)
def test_what_cannot_be_used_is_said_before_anything_is_changed(words: list[str], said: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(ecmp, [*words, "--out", str(tmp_path / "out")])
    assert said in f"{done.output}{done.exception}"
    assert not (tmp_path / "out").exists()
