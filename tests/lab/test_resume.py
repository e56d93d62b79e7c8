"""Going on with a run on the real kernel: killed in a trial, ended by Ctrl-C, with another kernel's notes, of pairs."""

import json
import signal
from pathlib import Path

import pytest

from tests.lab.bench import eventually
from tests.lab.machine import OUT, Machine
from tests.lab.runs import rows_of

pytestmark = pytest.mark.lab

WORDS = "run --profile vxlan --mtu 1450 --flows 1 --duration 1 --omit 0 --blocks 2 --measure iperf3,ping".split()
TRIALS = 12


def rows(machine: Machine) -> int:
    """Return how many trials of the last run are on disk."""
    folders = machine.results()
    path = folders[-1] / "trials.csv" if folders else Path("none")
    return path.read_bytes().count(b"\n") - 1 if path.exists() else 0


def ended(machine: Machine, tmp_path: Path, at: int, number: signal.Signals, *words: str) -> str:
    """End a run by a signal once so many trials are on disk; return what it said."""
    with machine.start(tmp_path, *words, "--out", OUT) as command:
        known = len(machine.results()) + ("--resume" not in words)
        assert eventually(
            lambda: (len(machine.results()) == known and rows(machine) >= at) or command.exit_code is not None
        )
        assert command.exit_code is None, command.stderr
        command.send(number)
        command.wait()
    return command.stderr


def test_killed_and_resumed_until_it_is_whole(machine: Machine, tmp_path: Path) -> None:
    before = machine.state()
    ended(machine, tmp_path, 3, signal.SIGKILL, *WORDS)
    machine.run(tmp_path, "lab", "down")
    said = ended(machine, tmp_path, 6, signal.SIGINT, "run", "--resume", "last")
    folder = machine.results()[-1]
    assert f"of {TRIALS} trials are measured; `harness run --resume {OUT}/{folder.name}` goes on" in said
    table = machine.run(tmp_path, "compare", f"{OUT}/{folder.name}").stdout
    assert "cut short" in table
    assert f"--resume {folder.name}" in " ".join(table.split())
    last = machine.run(tmp_path, "run", "--resume", folder.name, "--out", OUT, "--report")
    assert last.exit_code == 0, last.stderr
    found = rows_of(folder / "trials.csv")
    assert [(row["block"], row["attempt"]) for row in found] == [("1", "1")] * 6 + [("2", "1")] * 6
    assert [row["position"] for row in found] == ["1", "2", "3", "4", "5", "6"] * 2
    assert {row["setup"] for row in found} == {"1", "2", "3"}
    assert {row["status"] for row in found} == {"ok"}
    meta = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert (meta["complete"], len(meta["resumed_at"])) == (True, 2)
    assert (folder / "report.html").exists()
    assert "cut short" not in machine.run(tmp_path, "compare", f"{OUT}/{folder.name}").stdout
    again = machine.run(tmp_path, "run", "--resume", "last", "--out", OUT)
    assert (again.exit_code, "is complete" in again.stderr) == (2, True)
    assert machine.changes(before) == []


def test_on_other_nodes_it_is_refused_and_nothing_is_set_up(machine: Machine, tmp_path: Path) -> None:
    ended(machine, tmp_path, 2, signal.SIGTERM, *WORDS)
    folder = machine.results()[-1]
    path = folder / "environment.json"
    seen = json.loads(path.read_text(encoding="utf-8"))
    seen["k8s-1"]["kernel"] = "5.4.0"
    path.write_text(json.dumps(seen), encoding="utf-8")
    refused = machine.run(tmp_path, "run", "--resume", "last", "--out", OUT)
    assert refused.exit_code == 2
    assert "client kernel was 5.4.0 and is" in refused.stderr
    assert "setting up" not in refused.stderr
    accepted = machine.run(tmp_path, "run", "--resume", "last", "--out", OUT, "--accept-differences")
    assert accepted.exit_code == 0, accepted.stderr
    assert len(rows_of(folder / "trials.csv")) == TRIALS
    assert "client kernel was 5.4.0" in " ".join(accepted.stdout.split())


@pytest.mark.other_labs
def test_pairs_go_on_where_they_were(machine: Machine, tmp_path: Path) -> None:
    words = "run --nodes 3 --pairs k8s-1:k8s-2,k8s-2:k8s-3 --profile vxlan --mtu 1450 --measure ping --blocks 2".split()
    words += "--duration 1 --omit 0".split()
    with machine.start(tmp_path, *words, "--out", OUT) as command:
        assert eventually(lambda: command.stderr.count("setting up") > 1 or command.exit_code is not None)
        command.send(signal.SIGINT)
        command.wait()
    folder = machine.results()[-1]
    assert [path.parent.name for path in sorted(folder.glob("*/trials.csv"))] == ["k8s-1--k8s-2"]
    first = (folder / "k8s-1--k8s-2/trials.csv").read_bytes()
    again = machine.run(tmp_path, "run", "--resume", "last", "--out", OUT)
    assert again.exit_code == 0, again.stderr
    assert (folder / "k8s-1--k8s-2/trials.csv").read_bytes() == first
    assert again.stderr.count("setting up") == 1
    assert len(rows_of(folder / "k8s-2--k8s-3/trials.csv")) == len(first.splitlines()) - 1
