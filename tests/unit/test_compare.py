from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy import stats as scipy_stats

from harness.model.trial import Status, Trial
from harness.report.compare import COMPARE_COLUMNS, compare_runs
from harness.report.summary import read_run
from tests.unit.synthetic import META, around, full_run, iperf3, series, trial, write

BEFORE = [100e6, 101e6, 99e6, 100e6, 102e6, 98e6]
NODE = {
    "hostname": "k8s-1",
    "kernel": "Linux 6.1",
    "cpu_model": "Model X",
    "congestion_control": "cubic",
    "qdisc": "qdisc tbf 8001: root refcnt 2 rate 1Gbit",
    "offloads": {"tx-checksum-ip-generic": "on", "tcp-segmentation-offload": "on"},
    "load": "0.10 0.20 0.30",
}


def compared(
    folder: Path,
    a: Sequence[Trial],
    b: Sequence[Trial],
    metas: tuple[Mapping[str, Any] | None, Mapping[str, Any] | None] = (META, META),
    environments: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None,
) -> pd.DataFrame:
    runs = []
    for number, (name, trials) in enumerate((("a", a), ("b", b))):
        path = write(folder / name, trials, metas[number])
        if environments:
            (path / "environment.json").write_text(json.dumps(environments[number]), encoding="utf-8")
        runs.append(read_run(path))
    return compare_runs(*runs)


def cell_row(frame: pd.DataFrame, metric: str = "goodput_bps", profile: str = "vxlan") -> dict[str, Any]:
    found = frame[(frame["metric"] == metric) & (frame["profile"] == profile)].to_dict("records")
    assert len(found) == 1, found
    return {str(key): value for key, value in found[0].items()}


def test_b_over_a_by_welch_on_logarithms(tmp_path: Path) -> None:
    after = [0.9 * value for value in BEFORE[:5]] + [91e6, 87e6]
    row = cell_row(compared(tmp_path, series("vxlan", iperf3(), BEFORE), series("vxlan", iperf3(), after)))
    logs = [[math.log(value) for value in side] for side in (after, BEFORE)]
    low, high = scipy_stats.ttest_ind(*logs, equal_var=False).confidence_interval(0.95)
    assert row["ratio"] == pytest.approx(math.exp(sum(logs[0]) / 7 - sum(logs[1]) / 6))
    assert [row["ratio_low"], row["ratio_high"]] == pytest.approx([math.exp(low), math.exp(high)])
    assert (row["trials_a"], row["trials_b"]) == (6, 7)
    assert (row["median_a"], row["median_b"]) == (100e6, 90e6)
    assert (row["verdict"], row["warnings"]) == ("worse", "")


def test_a_run_against_itself_shows_no_difference(tmp_path: Path) -> None:
    frame = compared(tmp_path, full_run(), full_run())
    assert list(frame.columns) == COMPARE_COLUMNS
    assert frame["ratio"].to_list() == pytest.approx([1.0] * len(frame))
    assert ((frame["ratio_low"] <= 1) & (frame["ratio_high"] >= 1)).all()
    assert set(frame["verdict"]) == {"no difference"}
    assert list(dict.fromkeys(frame["profile"])) == ["underlay", "vxlan"]


@pytest.mark.parametrize(
    ("b", "verdict", "warning"),
    [
        (series("vxlan", iperf3(), [90e6] * 5), "not enough blocks", "5 trials: a verdict takes 6"),
        (series("vxlan", iperf3(), around(90e6, 0.3, 4)), "too noisy", "noisy, use --blocks 10"),
        (series("vxlan", iperf3(), BEFORE, path_state="inner-fragmented"), "mixed path states", "6 whole"),
        (series("vxlan", iperf3(8000), BEFORE), "no figure", "B did not measure this cell"),
        (
            [trial("vxlan", block, iperf3(), None, Status.FAILED, reason="refused") for block in range(1, 7)],
            "no figure",
            "B 6 failed: refused",
        ),
    ],
)
def test_what_cannot_be_compared_says_why(tmp_path: Path, b: list[Trial], verdict: str, warning: str) -> None:
    frame = compared(tmp_path, series("vxlan", iperf3(), BEFORE), b)
    row = cell_row(frame[frame["mtu"] == 1450])
    assert row["verdict"] == verdict
    assert warning in row["warnings"]
    assert math.isnan(row["ratio"]) == (verdict in ("no figure", "mixed path states"))


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
        ({"plan": {**META["plan"], "duration_s": 10.0}}, "plan's duration_s differs: A 2.0, B 10.0"),
        ({"plan": {**META["plan"], "seed": 5, "name": "standard"}}, ""),
    ],
)
def test_runs_measured_otherwise_carry_a_warning(tmp_path: Path, changes: dict[str, Any], warning: str) -> None:
    trials = series("vxlan", iperf3(), BEFORE)
    assert cell_row(compared(tmp_path, trials, trials, (META, {**META, **changes})))["warnings"] == warning


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({}, ""),
        ({"load": "3.0 2.0 1.0"}, ""),
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
    found = cell_row(compared(tmp_path, trials, trials, environments=environments))["warnings"]
    assert found.startswith(warning)
    assert bool(found) == bool(warning)


def test_many_differences_are_counted_not_listed(tmp_path: Path) -> None:
    trials = series("vxlan", iperf3(), BEFORE)
    environments = tuple({"k8s-1": {"offloads": {f"o{n}": state for n in range(20)}}} for state in ("on", "off"))
    row = cell_row(compared(tmp_path, trials, trials, environments=(environments[0], environments[1])))
    assert row["warnings"].count("differs") == 8
    assert row["warnings"].endswith("12 more differences between A and B")


def test_a_bare_csv_can_be_compared(tmp_path: Path) -> None:
    trials = series("vxlan", iperf3(), BEFORE)
    frame = compared(tmp_path, trials, trials, (META, None))
    assert cell_row(frame)["verdict"] == "no difference"
    assert "B: no run.json beside trials.csv" in cell_row(frame)["warnings"]
    assert cell_row(frame, "cpu_s_per_gbit")["verdict"] == "no figure"
