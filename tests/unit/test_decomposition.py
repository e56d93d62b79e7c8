from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness.model.trial import Trial
from harness.report.analysis import analyse
from harness.report.decomposed_layout import decomposed
from harness.report.decomposition import steps
from harness.report.trials import read_run
from tests.unit.synthetic import META, around, iperf3, ping, series, write

MTUS = pytest.mark.parametrize("routed_mtus", [(1450,), (1450, 1500)], ids=["at the cell's MTU", "at the NIC's too"])


@MTUS
def test_the_two_steps_multiply_up_to_the_whole(tmp_path: Path, routed_mtus: tuple[int, ...]) -> None:
    trials = [
        *series("underlay", iperf3(1500), around(1e9, 0.001, 1)),
        *series("underlay", iperf3(1450), around(0.998e9, 0.001, 2)),
        *series("vxlan", iperf3(1450), around(0.95e9, 0.001, 3)),
    ]
    for mtu in routed_mtus:
        trials += series("host-gw", iperf3(mtu), around(0.98e9, 0.001, 4))
    write(tmp_path, trials, META)
    (step,) = [one for one in steps(analyse(read_run(tmp_path)).rows) if one.metric.name == "goodput_bps"]
    assert (step.profile, step.routed, step.cell) == ("vxlan", "host-gw", iperf3(1450))
    path, tunnel, whole = step.ratios
    assert path == pytest.approx(0.98, rel=1e-3)
    assert tunnel == pytest.approx(0.95 / 0.98, rel=1e-3)
    assert step.product == pytest.approx(whole, rel=1e-9)
    assert step.whole_row.interval is not None
    assert step.whole_row.interval.low < step.product < step.whole_row.interval.high


def test_without_a_routed_profile_there_is_nothing_to_decompose(tmp_path: Path) -> None:
    trials = [
        *series("underlay", iperf3(1500), around(1e9, 0.001, 5)),
        *series("vxlan", iperf3(1450), around(0.95e9, 0.001, 6)),
    ]
    write(tmp_path, trials, META)
    assert steps(analyse(read_run(tmp_path)).rows) == []


def test_round_trips_and_cpu_time_are_taken_apart_in_their_own_units(tmp_path: Path) -> None:
    trials: list[Trial] = []
    for number, (profile, rtt, cpu_s) in enumerate(
        (("underlay", 60e-6, 1.0), ("host-gw", 87e-6, 1.2), ("vxlan", 121e-6, 1.6))
    ):
        mtus = (1450, 1500) if profile == "underlay" else (1450,)
        for mtu in mtus:
            trials += series(profile, ping(mtu), around(rtt, 0.01, number + mtu))
            trials += series(profile, iperf3(mtu), [1e9] * 6, cpu_s=(cpu_s, cpu_s))
    analysis = analyse(read_run(write(tmp_path, trials, META)))
    found = steps(analysis.rows)
    assert [one.metric.name for one in found] == ["goodput_bps", "rtt_p50_s", "cpu_s_per_gbit"]
    _, rtt_steps, cpu_steps = found
    path, tunnel, whole = (row.added for row in rtt_steps.rows)
    assert path == pytest.approx(27e-6, abs=0.5e-6)
    assert tunnel == pytest.approx(34e-6, abs=1e-6)
    assert path is not None
    assert tunnel is not None
    assert path + tunnel == pytest.approx(whole, rel=1e-9)
    assert all(row.added_interval for row in rtt_steps.rows)
    assert [row.added for row in cpu_steps.rows] == pytest.approx([0.2 / 3, 0.4 / 3, 0.6 / 3])
    _, rtts, cpu = decomposed(analysis)
    assert rtts.group == "Where the round trip of vxlan goes: underlay -> host-gw -> vxlan"
    assert (rtts.title, rtts.headings) == ("µs", ("", "underlay", "container path", "encapsulation", "whole"))
    ((name, underlay, *shown),) = rtts.rows
    assert (name, underlay) == ("mtu 1450 p50", "59.9")
    assert all(re.fullmatch(r"\+\d\d\.\d ± \d\.\d", text) for text in shown), shown
    assert cpu.rows == [("tcp 1450 x1", "333.3", "+66.7 ± 0.0", "+133.3 ± 0.0", "+200.0 ± 0.0")]


def test_cpu_time_that_others_disturbed_is_not_taken_apart(tmp_path: Path) -> None:
    trials: list[Trial] = []
    for profile, mtus in (("underlay", (1450, 1500)), ("host-gw", (1450,)), ("vxlan", (1450,))):
        for mtu in mtus:
            trials += series(profile, iperf3(mtu), [1e9] * 6)
    found = steps(analyse(read_run(write(tmp_path / "quiet", trials, META))).rows)
    assert [one.metric.name for one in found] == ["goodput_bps", "cpu_s_per_gbit"]
    busy = [replace(one, figures={**one.figures, "foreign_cpu_s": 9.0}) for one in trials]
    found = steps(analyse(read_run(write(tmp_path / "busy", busy, META))).rows)
    assert [one.metric.name for one in found] == ["goodput_bps"]
