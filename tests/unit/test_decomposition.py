from __future__ import annotations

from pathlib import Path

import pytest

from harness.report.analysis import analyse
from harness.report.decomposition import steps
from harness.report.trials import read_run
from tests.unit.synthetic import META, around, iperf3, series, write

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
    (step,) = steps(analyse(read_run(tmp_path)).rows)
    assert (step.profile, step.routed, step.cell) == ("vxlan", "host-gw", iperf3(1450))
    assert step.container_path == pytest.approx(0.98, rel=1e-3)
    assert step.encapsulation == pytest.approx(0.95 / 0.98, rel=1e-3)
    assert step.product == pytest.approx(step.whole, rel=1e-9)
    assert step.whole_interval is not None
    assert step.whole_interval.low < step.product < step.whole_interval.high


def test_without_a_routed_profile_there_is_nothing_to_decompose(tmp_path: Path) -> None:
    trials = [
        *series("underlay", iperf3(1500), around(1e9, 0.001, 5)),
        *series("vxlan", iperf3(1450), around(0.95e9, 0.001, 6)),
    ]
    write(tmp_path, trials, META)
    assert steps(analyse(read_run(tmp_path)).rows) == []
