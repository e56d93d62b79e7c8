"""Four nodes on a switch: the lab by itself, and a run of pairs side by side, whole and interrupted."""

import json
import signal
from pathlib import Path

import pytest

from harness.labs.local import NODES, LocalLab
from harness.labs.process import ProcessId
from harness.labs.wires import Wires
from harness.nodes.ssh import SshRemote
from tests.lab.bench import done, eventually, state_folder
from tests.lab.machine import OUT, Machine
from tests.lab.runs import rows_of, rows_so_far
from tests.lab.snapshots import differences, host_snapshot

pytestmark = [pytest.mark.lab, pytest.mark.other_labs, pytest.mark.usefixtures("emptied")]

PAIRS = ("k8s-1:k8s-2", "k8s-3:k8s-4")
SHORT = f"run --profile vxlan --mtu 1450 --blocks 1 --duration 1 --omit 0 --flows 1 --out {OUT}".split()
SIDE_BY_SIDE = [*SHORT, "--nodes", "4", "--pairs", ",".join(PAIRS), "--parallel-pairs"]


def test_four_nodes_reach_each_other_through_a_switch_that_goes_with_them() -> None:
    with state_folder() as root:
        before = host_snapshot(root)
        lab = LocalLab(Wires("100mbit", 4), state_root=root)
        made = lab.up()
        state = json.loads((made.scratch / "state.json").read_text(encoding="utf-8"))
        held = [ProcessId(**one[role]) for one in (*state["nodes"], state["switch"]) for role in ("holder", "inside")]
        assert [node.name for node in made.nodes] == [name for name, _, _ in NODES[:4]]
        for node in made.nodes:
            with SshRemote(node, made.ssh_config) as remote:
                links = {link["ifname"] for link in json.loads(done(remote, "ip", "-j", "link", "show"))}
                assert links == {"lo", "ens33"}
                assert '"rate":12500000' in done(remote, "tc", "-j", "qdisc", "show", "dev", "ens33")
                for _, address, address6 in NODES[:4]:
                    assert done(remote, "ping", "-n", "-c", "1", "-W", "1", address)
                    assert done(remote, "ping", "-n", "-c", "1", "-W", "1", address6)
        lab.down()
        assert [process for process in held if process.is_alive()] == []
        assert differences(before, host_snapshot(root)) == []


def test_kept_lab_of_four_nodes_and_a_pair_that_cannot_be_set_up(machine: Machine, tmp_path: Path) -> None:
    before = machine.state()
    up = machine.run(tmp_path, "lab", "up", "--nodes", "4")
    assert (up.exit_code, up.stdout.splitlines()[0]) == (0, "k8s-1, k8s-2, k8s-3 and k8s-4 are up, link 1gbit."), (
        up.stderr
    )
    status = machine.run(tmp_path, "lab", "status").stdout.splitlines()
    assert [line.split()[0] for line in status[:5]] == ["k8s-1", "k8s-2", "k8s-3", "k8s-4", "link"]
    assert status[5:] == ["No profile stands on it."]
    assert machine.run(tmp_path, "lab", "exec", "k8s-4", "--", "hostname").stdout == "k8s-4\n"
    two = machine.run(tmp_path, *SHORT)
    assert two.exit_code == 3
    assert "the lab that is up has 4 nodes, not 2; `harness lab down` it, or give --nodes 4." in two.stderr
    obstacle = "lab exec k8s-4 -- ip link add docker0 type bridge"
    assert machine.run(tmp_path, *obstacle.split()).exit_code == 0
    pairs = machine.run(tmp_path, *SIDE_BY_SIDE)
    assert pairs.exit_code == 4, pairs.stderr
    assert "k8s-3:k8s-4: playbook up" in pairs.stderr.splitlines()[-1]
    assert "k8s-3                   not run" in pairs.stdout
    (folder,) = machine.results()
    assert [*json.loads((folder / "pairs.json").read_text(encoding="utf-8"))["errors"]] == ["k8s-3:k8s-4"]
    assert {row["status"] for row in rows_of(folder / "k8s-1--k8s-2" / "trials.csv")} == {"ok"}
    assert "docker0" not in machine.run(tmp_path, "lab", "exec", "k8s-1", "--", "ip", "link", "show").stdout
    assert machine.run(tmp_path, "lab", "down").stdout == "Taken down: lab.\n"
    assert machine.changes(before) == []


def test_pairs_side_by_side(machine: Machine, tmp_path: Path) -> None:
    before = machine.state()
    command = machine.run(tmp_path, *SIDE_BY_SIDE)
    assert command.exit_code == 0, command.stderr
    assert machine.changes(before) == []
    (folder,) = machine.results()
    assert sorted(path.name for path in folder.iterdir()) == [
        "k8s-1--k8s-2",
        "k8s-3--k8s-4",
        "pairs.csv",
        "pairs.json",
    ]
    for pair in PAIRS:
        own = folder / pair.replace(":", "--")
        rows = rows_of(own / "trials.csv")
        assert {(row["status"], row["reason"]) for row in rows} == {("ok", "")}, rows
        assert len(rows) == 6
        assert all(row["proof"] for row in rows)
        assert set(json.loads((own / "environment.json").read_text(encoding="utf-8"))) == set(pair.split(":"))
    joined = rows_of(folder / "pairs.csv")
    assert {f"{row['client']}:{row['server']}" for row in joined} == set(PAIRS)
    assert "share a switch" in command.stderr
    for pair in PAIRS:
        described = json.loads((folder / pair.replace(":", "--") / "run.json").read_text(encoding="utf-8"))
        assert [note for note in described["notes"] if "share a switch" in note["fact"]]
    alone = machine.run(tmp_path, "compare", f"{OUT}/{folder.name}/k8s-3--k8s-4", "--format", "csv")
    assert alone.stdout == (folder / "k8s-3--k8s-4" / "summary.csv").read_text(encoding="utf-8")
    again = machine.run(tmp_path, "compare", f"{OUT}/{folder.name}")
    assert again.stdout == command.stdout
    assert "2 pairs, up to 2 at the same time" in command.stdout
    assert max(map(len, command.stdout.splitlines())) <= 80


def test_ctrl_c_while_pairs_are_side_by_side_cleans_everything_up(machine: Machine, tmp_path: Path) -> None:
    before = machine.state()
    words = [word if word != "1" else "30" for word in SIDE_BY_SIDE[:8]] + SIDE_BY_SIDE[8:]
    with machine.start(tmp_path, *words) as command:
        command.reaches("verifying")
        assert eventually(lambda: clients(machine) == 2 or command.exit_code is not None), command.stderr
        command.send(signal.SIGINT)
        assert command.wait() == 130, command.stderr
    assert machine.changes(before) == []
    assert "Traceback" not in command.stderr
    kept = [row for folder in machine.results() for path in folder.glob("*/trials.csv") for row in rows_of(path)]
    assert {row["status"] for row in kept} <= {"ok"}


def clients(machine: Machine) -> int:
    """Return how many of the measuring tools' clients run on any node."""
    found = machine.state()["processes"]
    return len([text for text in found if " iperf3 -c" in text or " ping -n" in text])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_in_the_second_of_several_pairs_ends_the_run(
    machine: Machine, tmp_path: Path, number: signal.Signals
) -> None:
    """Playbooks of the first pair's teardown have run by then, and must not have taken the signals over."""
    before = machine.state()
    with machine.start(tmp_path, *SHORT, "--nodes", "4", "--pairs", ",".join(PAIRS)) as command:

        def second_measures() -> bool:
            return any(rows_so_far(folder / "k8s-3--k8s-4/trials.csv") for folder in machine.results())

        assert eventually(lambda: second_measures() or command.exit_code is not None)
        command.send(number)
        assert command.wait() == 130, command.stderr
    assert machine.changes(before) == []
