"""A cluster as a lab, by a kubectl that enters the local lab's namespaces: from manifests to the table, on real packets."""

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.labs.holder import enter_argv
from tests.lab import kubectl
from tests.lab.bench import eventually
from tests.lab.machine import OUT, OWN, Command, Machine
from tests.lab.test_run import rows_of, summary_rows

pytestmark = pytest.mark.lab

NODES = ("alpha.example", "beta.example")
LAB = "--lab kubernetes --context lab".split()
SHORT = f"--profile cluster --blocks 1 --duration 1 --omit 0 --flows 1 --out {OUT}".split()
ENDPOINT = ["nsenter", "--net=/run/netns/harness-flannel-1450", "--"]


class Cluster:
    """A machine with a kept lab, on whose PATH there is a kubectl for it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.folder = machine.root / f"{OWN[1:]}/stub"
        self.reset()

    def reset(self, **switches: Any) -> None:  # noqa: ANN401 - JSON
        """Forget everything that was made and asked; from now on these switches hold."""
        self.folder.mkdir(exist_ok=True)
        pids = self.machine.nodes()
        nodes = [
            {"name": name, "address": f"172.12.1.1{number}", "enter": enter_argv(pid), "endpoint": ENDPOINT}
            for number, (name, pid) in enumerate(zip(NODES, pids, strict=True), 1)
        ]
        empty: dict[str, Any] = {"pods": {}, "namespaces": {"default": {}}, "running": {}, "asked": []}
        state = {"contexts": ["lab", "other"], "nodes": nodes, "switches": switches, **empty}
        (self.folder / "state.json").write_text(json.dumps(state), encoding="utf-8")

    @property
    def state(self) -> dict[str, Any]:
        """What the API server holds."""
        with kubectl.opened(self.folder) as state:
            return state

    def asked(self, verb: str) -> list[list[str]]:
        """Return the commands with this verb that kubectl was given."""
        return [argv for argv in self.state["asked"] if verb in argv]

    def lose(self, pod: str, status: dict[str, Any] | None) -> None:
        """End a pod, whose commands end with it; without a status it is gone."""
        killer = "import sys; from tests.lab.kubectl import *\n"
        killer += "with opened(Path(sys.argv[1])) as state:\n    end_pod(state, sys.argv[2])\n"
        killer += "    status = json.loads(sys.argv[3])\n    state['pods'][sys.argv[2]]['status'] = status\n"
        killer += "    status or state['pods'].pop(sys.argv[2])\n"
        words = [sys.executable, "-c", killer, f"{OWN}/stub", pod, json.dumps(status)]
        self.machine.on_machine(*words)

    def is_clean(self) -> bool:
        """Tell whether nothing of ours is left in the cluster, and what was there is."""
        state = self.state
        return (state["namespaces"], state["pods"], state["running"]) == ({"default": {}}, {}, {})


@pytest.fixture(scope="module")
def kept(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    tmp_path = tmp_path_factory.mktemp("kept")
    words = f"run --profile flannel --keep --mtu 1450 --blocks 1 --duration 1 --omit 0 --flows 1 --out {OUT}".split()
    command = machine.run(tmp_path, *words)
    assert command.exit_code == 0, command.stderr
    yield Cluster(machine)
    machine.run(tmp_path, "lab", "down")


@pytest.fixture
def cluster(kept: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The cluster with nothing in it, and its kubectl on PATH."""
    program = tmp_path / "bin/kubectl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -I {kubectl.__file__} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setenv(kubectl.FOLDER, f"{OWN}/stub")
    kept.reset()
    return kept


def run(cluster: Cluster, tmp_path: Path, *words: str) -> Command:
    return cluster.machine.run(tmp_path, "run", *LAB, *SHORT, *words)


def test_pods_are_measured_as_they_are_found(cluster: Cluster, tmp_path: Path) -> None:
    command = run(cluster, tmp_path)
    assert command.exit_code == 0, command.stderr
    assert cluster.is_clean()
    folder = cluster.machine.results()[-1]
    rows = rows_of(folder / "trials.csv")
    assert {row["status"] for row in rows} == {"ok"}
    assert {row["profile"] for row in rows} == {"underlay", "cluster"}
    assert all("flannel.1" in row["proof"] for row in rows if row["profile"] == "cluster")
    (tcp,) = summary_rows(folder, "cluster", "goodput_bps")
    assert float(tcp["ceiling_ratio"]) == pytest.approx(0.96547, abs=1e-5)
    assert float(tcp["ratio"]) == pytest.approx(0.9655, abs=0.03)
    meta = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    wire = meta["profiles"]["cluster"]["found"]["wire"]
    assert (meta["lab"], wire["vni"], wire["port"], wire["is_captured"]) == ("kubernetes", 1, 8472, True)
    told = " ".join(note["fact"] for note in meta["notes"])
    assert "the cluster says: flannel (daemonset kube-flannel/kube-flannel-ds); flannel's backend vxlan, VNI 1" in told
    assert "kube-proxy, mode the default" in told
