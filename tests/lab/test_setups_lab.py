"""A run that is set up twice, as a user starts it: devices made anew, figures of both, and nothing left of either."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from harness.labs.holder import enter_argv
from tests.lab.bench import eventually
from tests.lab.machine import OUT, Machine
from tests.lab.runs import rows_of, started, summary_rows, wait_for_rows

pytestmark = pytest.mark.lab

TWICE = (
    f"run --profile vxlan --measure iperf3 --mtu 1450 --flows 1 --duration 1 --omit 0 --blocks 2 --setups 2 --out {OUT}"
).split()
BLOCK = 3
"""Trials: the overlay, and the underlay at both MTUs."""
SECOND = "setting up, 2 of 2"


def tunnel_index(machine: Machine) -> str:
    """Return the first node's index of the tunnel device, which no other one gets there; nothing without it."""
    (state,) = machine.labs.glob("run-*/state.json")
    node = json.loads(state.read_text(encoding="utf-8"))["nodes"][0]
    argv = [*machine.enter(), *enter_argv(node["inside"]["pid"]), "cat", "/sys/class/net/vxlan_docker/ifindex"]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()


def test_profiles_are_set_up_twice_and_nothing_is_left(machine: Machine, tmp_path: Path) -> None:
    command, before = started(machine, tmp_path, *TWICE)
    with command:
        wait_for_rows(machine, command, 1)
        first = tunnel_index(machine)
        wait_for_rows(machine, command, BLOCK + 1)
        second = tunnel_index(machine)
        assert command.wait() == 0, command.stderr
    assert (first != "", second != "", first != second) == (True, True, True)
    assert machine.changes(before) == []
    (folder,) = machine.results()
    rows = rows_of(folder / "trials.csv")
    assert [(row["setup"], row["block"], row["status"]) for row in rows] == [
        *[("1", "1", "ok")] * BLOCK,
        *[("2", "2", "ok")] * BLOCK,
    ]
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["plan"]["setups"] == 2
    (row,) = summary_rows(folder, "vxlan", "goodput_bps")
    assert (row["setups"], row["blocks"], row["within_setups_ratio"]) == ("2", "2", "")
    assert float(row["ratio_low"]) < float(row["ratio"]) < float(row["ratio_high"])
    assert command.stderr.count("tearing down") == command.stderr.count("verifying") == 2
    assert "Spread of the ratios" in command.stdout


@pytest.mark.parametrize("moment", ["as it is set up", "in a trial"])
def test_ctrl_c_on_the_second_set_up_keeps_the_first_and_leaves_nothing(
    machine: Machine, tmp_path: Path, moment: str
) -> None:
    command, before = started(machine, tmp_path, *TWICE)
    with command:
        command.reaches(SECOND)
        if moment == "in a trial":
            wait_for_rows(machine, command, BLOCK + 1)
        else:
            assert eventually(lambda: tunnel_index(machine) != "")
        command.send(signal.SIGINT)
        assert command.wait() == 130, command.stderr
    assert machine.changes(before) == []
    (folder,) = machine.results()
    rows = rows_of(folder / "trials.csv")
    assert len(rows) >= BLOCK + (moment == "in a trial")
    assert {row["status"] for row in rows} == {"ok"}
    assert [row["setup"] for row in rows[:BLOCK]] == ["1"] * BLOCK
    assert "Traceback" not in command.stderr
