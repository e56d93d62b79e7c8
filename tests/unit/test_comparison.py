from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from scipy import stats as scipy_stats

from harness.model.path import PathState
from harness.model.trial import Status, Trial
from harness.report.comparison import Comparison, compare_runs
from harness.report.notes import text_of
from harness.report.records import compared_records
from harness.report.trials import read_run
from tests.unit.synthetic import META, around, full_run, iperf3, series, trial, write

BEFORE = [100e6, 101e6, 99e6, 100e6, 102e6, 98e6]
NODE = {
    "hostname": "k8s-1",
    "kernel": "Linux 6.1",
    "cpu_model": "Model X",
    "congestion_control": "cubic",
    "qdisc": "qdisc tbf 8001: root refcnt 2 rate 1Gbit",
    "offloads": {"tx-checksum-ip-generic": "on", "tcp-segmentation-offload": "on"},
}


def compared(
    folder: Path,
    a: Sequence[Trial],
    b: Sequence[Trial],
    metas: tuple[Mapping[str, Any] | None, Mapping[str, Any] | None] = (META, META),
    environments: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None,
) -> Comparison:
    runs = []
    for number, (name, trials) in enumerate((("a", a), ("b", b))):
        path = write(folder / name, trials, metas[number])
        if environments:
            (path / "environment.json").write_text(json.dumps(environments[number]), encoding="utf-8")
        runs.append(read_run(path))
    return compare_runs(runs[0], runs[1])


def cell_row(comparison: Comparison, metric: str = "goodput_bps", mtu: int = 1450) -> dict[str, Any]:
    records = compared_records(comparison)
    found = [one for one in records if (one["metric"], one["profile"], one["mtu"]) == (metric, "vxlan", mtu)]
    assert len(found) == 1, found
    return {**found[0], "notes": text_of(found[0]["notes"])}


def test_b_over_a_by_welch_on_logarithms(tmp_path: Path) -> None:
    after = [0.9 * value for value in BEFORE[:5]] + [91e6, 87e6]
    row = cell_row(compared(tmp_path, series("vxlan", iperf3(), BEFORE), series("vxlan", iperf3(), after)))
    logs = [[math.log(value) for value in side] for side in (after, BEFORE)]
    low, high = scipy_stats.ttest_ind(*logs, equal_var=False).confidence_interval(0.95)
    assert row["ratio"] == pytest.approx(math.exp(sum(logs[0]) / 7 - sum(logs[1]) / 6))
    assert [row["ratio_low"], row["ratio_high"]] == pytest.approx([math.exp(low), math.exp(high)])
    assert (row["trials_a"], row["trials_b"]) == (6, 7)
    assert (row["median_a"], row["median_b"]) == (100e6, 90e6)
    assert (row["verdict"], row["notes"]) == ("worse", "")


def test_a_run_against_itself_shows_no_difference(tmp_path: Path) -> None:
    records = compared_records(compared(tmp_path, full_run(), full_run()))
    assert [one["ratio"] for one in records] == pytest.approx([1.0] * len(records))
    assert all(one["ratio_low"] <= 1 <= one["ratio_high"] for one in records)
    assert {one["verdict"] for one in records} <= {"same", "inconclusive"}
    assert {one["verdict"] for one in records if one["metric"] == "goodput_bps"} == {"same"}
    assert list(dict.fromkeys(one["profile"] for one in records)) == ["underlay", "vxlan"]


@pytest.mark.parametrize(
    ("b", "verdict", "warning"),
    [
        (series("vxlan", iperf3(), [90e6] * 5), "not enough blocks", "5 trials: a verdict takes 6"),
        (series("vxlan", iperf3(), around(90e6, 0.3, 4)), "inconclusive", "too wide an interval"),
        (
            series("vxlan", iperf3(), BEFORE, path_state=PathState.parse("inner-fragmented")),
            "no figure",
            "no path state is in both",
        ),
        (series("vxlan", iperf3(8000), BEFORE), "no figure", "B did not measure this cell"),
        (
            [trial("vxlan", block, iperf3(), None, Status.FAILED, reason="refused") for block in range(1, 7)],
            "no figure",
            "B 6 failed: refused",
        ),
    ],
)
def test_what_cannot_be_compared_says_why(tmp_path: Path, b: list[Trial], verdict: str, warning: str) -> None:
    row = cell_row(compared(tmp_path, series("vxlan", iperf3(), BEFORE), b))
    assert row["verdict"] == verdict
    assert warning in row["notes"]
    assert (row["ratio"] is None) == (verdict == "no figure")


def test_lower_cpu_is_better(tmp_path: Path) -> None:
    a = series("vxlan", iperf3(), BEFORE, cpu_s=(2.0, 2.0))
    b = series("vxlan", iperf3(), BEFORE, cpu_s=(1.0, 1.0))
    row = cell_row(compared(tmp_path, a, b), "cpu_s_per_gbit")
    assert row["ratio"] == pytest.approx(0.5)
    assert row["verdict"] == "better"


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"rate_bps": None}, "rate_bps differs: A 1000000000.0, B None"),
        ({"lab": "vagrant"}, "lab differs: A local, B vagrant"),
        ({"versions": {"iperf3": {"k8s-1": "3.16", "k8s-2": "3.17"}}}, "iperf3 on k8s-2 differs: A 3.16, B 3.17"),
        (
            {"plan": {**META["plan"], "timing": {"duration_s": 10.0, "omit_s": 1.0}}},
            "plan's duration_s differs: A 2.0, B 10.0",
        ),
        ({"plan": {**META["plan"], "seed": 5, "name": "standard"}}, ""),
    ],
)
def test_runs_measured_otherwise_carry_a_warning(tmp_path: Path, changes: dict[str, Any], warning: str) -> None:
    trials = series("vxlan", iperf3(), BEFORE)
    assert text_of(compared(tmp_path, trials, trials, (META, {**META, **changes})).notes) == warning


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({}, ""),
        ({"qdisc": "qdisc tbf 8002: root refcnt 2 rate 1Gbit"}, ""),  # the handle is drawn anew each time
        ({"qdisc": "qdisc noqueue 0: root refcnt 2"}, "k8s-1 qdisc differs: A qdisc tbf"),
        ({"cpu_model": "Model Y"}, "k8s-1 cpu_model differs: A Model X, B Model Y"),
        ({"congestion_control": "bbr"}, "k8s-1 congestion_control differs: A cubic, B bbr"),
        (
            {"offloads": {**NODE["offloads"], "tcp-segmentation-offload": "off"}},  # type: ignore[dict-item]
            "k8s-1 offloads tcp-segmentation-offload differs: A on, B off",
        ),
    ],
)
def test_hosts_that_differ_carry_a_warning(tmp_path: Path, changes: dict[str, Any], warning: str) -> None:
    trials = series("vxlan", iperf3(), BEFORE)
    environments = {"k8s-1": NODE}, {"k8s-1": {**NODE, **changes}}
    found = text_of(compared(tmp_path, trials, trials, environments=environments).notes)
    assert found.startswith(warning)
    assert bool(found) == bool(warning)


def test_many_differences_are_counted_not_listed(tmp_path: Path) -> None:
    trials = series("vxlan", iperf3(), BEFORE)
    environments = tuple({"k8s-1": {"offloads": {f"o{n}": state for n in range(20)}}} for state in ("on", "off"))
    notes = text_of(compared(tmp_path, trials, trials, environments=(environments[0], environments[1])).notes)
    assert notes.count("differs") == 8
    assert notes.endswith("12 more differences between A and B")


def test_a_bare_csv_can_be_compared(tmp_path: Path) -> None:
    trials = series("vxlan", iperf3(), BEFORE)
    comparison = compared(tmp_path, trials, trials, (META, None))
    assert cell_row(comparison)["verdict"] == "inconclusive"
    assert "B: no run.json beside trials.csv" in text_of(comparison.notes)
    assert cell_row(comparison, "cpu_s_per_gbit")["verdict"] == "no figure"
