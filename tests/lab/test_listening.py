"""What listens during a run, as docs/security.md says: nothing on this machine, on the nodes only what measures."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.lab.machine import OUT, Machine

pytestmark = pytest.mark.lab

RUN = f"run --profile vxlan --blocks 1 --duration 1 --omit 0 --flows 1 --mtu 1450 --measure iperf3,ping --out {OUT}"
DOCUMENTED = Path(__file__).parents[2] / "docs/security.md"
TUNNEL = 4789


def listening(enter: list[str]) -> set[str]:
    """Return protocol and port of everything that listens, and that is one of the processes of this machine's."""
    done = subprocess.run([*enter, "ss", "-Hlntup"], capture_output=True, text=True, check=False)
    lines = [line.split() for line in done.stdout.splitlines() if "users:" in line]
    return {f"{line[0]} {line[4].rpartition(':')[2]}" for line in lines}


def inside(machine: Machine, pid: int) -> set[str]:
    """Return what listens on a node: in its own namespace, and in those of its endpoints."""
    script = "ss -Hlntu; for name in $(ip netns list | cut -d' ' -f1); do ip netns exec $name ss -Hlntu; done"
    enter = ["nsenter", "--target", str(pid), "--mount", "--net", "--", "sh", "-c", script]
    done = subprocess.run([*machine.enter(), *enter], capture_output=True, text=True, check=False)
    lines = [line.split() for line in done.stdout.splitlines()]
    return {f"{line[0]} {line[4].rpartition(':')[2]}" for line in lines if len(line) > 4}


def test_nothing_listens_on_this_machine_and_on_nodes_only_what_is_documented(machine: Machine, tmp_path: Path) -> None:
    text = DOCUMENTED.read_text(encoding="utf-8")
    first, last = map(int, re.findall(r"on a port from (\d+) to (\d+)", text)[0])
    (beyond,) = map(int, re.findall(r"from (\d+) on for the second each way", text))
    here: set[str] = set()
    there: set[str] = set()
    assert machine.run(tmp_path, "lab", "up").exit_code == 0
    try:
        with machine.start(tmp_path, *RUN.split()) as command:
            while command.exit_code is None:
                here |= listening(machine.enter())
                for pid in machine.nodes():
                    there |= inside(machine, pid)
        assert command.exit_code == 0, command.stderr
    finally:
        machine.run(tmp_path, "lab", "down", "--force")
    assert here == set()
    ports = {int(one.split()[1]) for one in there}
    assert [port for port in ports if first <= port <= last], "the measuring programs were seen"
    assert [
        port for port in ports if not (first <= port <= last or port == TUNNEL or beyond <= port < beyond + 100)
    ] == []
