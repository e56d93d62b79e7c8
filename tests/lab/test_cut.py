"""A connection that breaks, or dies without a word: what it ran is ended, and the run goes on."""

import csv
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from harness.model.errors import ConnectionLostError
from harness.nodes import ssh
from harness.nodes.remote import Remote
from harness.nodes.ssh import SshRemote
from tests.lab.bench import Bench, done, eventually
from tests.lab.connections import measuring_sshd, parent_of
from tests.lab.machine import OUT, Command, Machine
from tests.lab.snapshots import command_lines

pytestmark = pytest.mark.lab

RUN = f"run --profile vxlan --blocks 1 --duration 2 --omit 0 --flows 1 --mtu 1450 --out {OUT}".split()


def sshd_of(bench: Bench, node: Remote) -> int:
    """Return the sshd of a connection of this very process."""
    state = json.loads((bench.lab.scratch / "state.json").read_text(encoding="utf-8"))
    inside = next(entry["inside"]["pid"] for entry in state["nodes"] if entry["name"] == node.name)
    return measuring_sshd(inside, os.getpid())


def running(node: Remote) -> list[str]:
    """Return the sleeps on a node but for its holder's."""
    return [
        line for line in done(node, "ps", "-e", "-o", "args=").splitlines() if "sleep" in line and "infin" not in line
    ]


def test_ended_server_takes_its_time_limit_along(bench: Bench) -> None:
    with bench.server.background(["timeout", "-k", "5", "700", "sleep", "701"]):
        assert eventually(lambda: len(running(bench.server)) == 2)
    assert eventually(lambda: running(bench.server) == []), "what is killed still has to run once to end"


@pytest.mark.parametrize("use_again", [True, False])
def test_what_a_broken_connection_left_is_ended(bench: Bench, use_again: bool) -> None:
    bench.server.close()
    with SshRemote(bench.lab.server, bench.lab.ssh_config) as broken:
        sshd = sshd_of(bench, broken)
        standing = bench.server.background(["sleep", "500"])
        left = [
            broken.background(words) for words in (["timeout", "700", "sleep", "701"], ["sh", "-c", "sleep 702; :"])
        ]
        assert eventually(lambda: len(running(bench.server)) == 5)
        os.kill(sshd, signal.SIGKILL)
        assert eventually(lambda: not broken.is_connected())
        for background in left:
            background.end()
        if use_again:
            assert done(broken, "hostname").strip() == "k8s-2"
            assert eventually(lambda: running(bench.server) == ["sleep 500"])
    with standing:
        assert eventually(lambda: running(bench.server) == ["sleep 500"]), "another connection's own is left alone"
    assert eventually(lambda: running(bench.server) == [])


def test_connection_that_died_without_a_word_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "CONNECT_TIMEOUT_S", 2.0)
    sshd = sshd_of(bench, bench.client)
    nsenter = parent_of(sshd)  # stops with its child, and has to be there to collect it
    os.kill(sshd, signal.SIGSTOP)
    try:
        with pytest.raises(ConnectionLostError, match="k8s-1"):
            bench.client.run(["hostname"], timeout_s=2.0)
        assert done(bench.client, "hostname").strip() == "k8s-1"
    finally:
        os.kill(sshd, signal.SIGKILL)
        os.kill(nsenter, signal.SIGCONT)


def inside_of(machine: Machine, name: str) -> int:
    (path,) = machine.labs.glob("*/state.json")
    nodes = json.loads(path.read_text(encoding="utf-8"))["nodes"]
    return next(int(node["inside"]["pid"]) for node in nodes if node["name"] == name)


def cut(machine: Machine, name: str) -> None:
    """Kill the sshd of the run's measuring connection to a node."""
    proc = machine.root / "proc"
    (owner,) = [pid for pid, text in command_lines(proc).items() if f"harness {' '.join(RUN[:3])}" in text]
    sshd = measuring_sshd(inside_of(machine, name), owner, proc)
    subprocess.run([*machine.enter(), "kill", "-KILL", str(sshd)], check=True)


def written(machine: Machine) -> list[dict[str, str]]:
    """Return the trials that are on disk."""
    paths = [path for folder in machine.results() for path in folder.glob("trials.csv")]
    lines = paths[0].read_text(encoding="utf-8").splitlines() if paths else []
    return list(csv.DictReader(lines))


def measuring(machine: Machine, command: Command) -> None:
    """Wait until a trial of iperf3 runs."""

    def at_it() -> bool:
        texts = command_lines(machine.root / "proc").values()
        return any("iperf3 -c" in text and "--bidir" not in text for text in texts)  # not before the trials

    assert eventually(lambda: at_it() or command.exit_code is not None)
    assert command.exit_code is None, command.stderr


def test_cut_in_a_trial_costs_that_attempt_only(machine: Machine, tmp_path: Path) -> None:
    """The client's connection is killed in one trial and the server's in a later one; the lab stays up to be seen."""
    for folder in machine.results():
        shutil.rmtree(folder)
    assert machine.run(tmp_path, "lab", "up").exit_code == 0
    with machine.start(tmp_path, *RUN) as command:
        for name in ("k8s-1", "k8s-2"):
            measuring(machine, command)
            before = len(written(machine))
            cut(machine, name)
            assert eventually(lambda before=before: len(written(machine)) > before)  # type: ignore[misc]
        assert command.wait() == 0, command.stderr
    left = [text for text in command_lines(machine.root / "proc").values() if "iperf3" in text or "ping -n" in text]
    links = subprocess.run(
        [*machine.enter(), "nsenter", "--target", str(inside_of(machine, "k8s-2")), "--net", "ip", "-br", "link"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert machine.run(tmp_path, "lab", "down").exit_code == 0
    assert left == []
    assert [line.split("@")[0].split()[0] for line in links.splitlines()] == ["lo", "ens33"]
    rows = written(machine)
    assert [row["status"] for row in rows] == ["ok"] * 6
    again = [row["reason"].partition("the connection broke")[0] for row in rows if "connection" in row["reason"]]
    assert again == ["tried 2 times: k8s-1: ", "tried 2 times: k8s-2: "]
