"""Machines of the test: nodes of the local lab's kind, each with a Docker daemon, and the desk that reaches them.

Each is a process that holds namespaces; it dies with this program, and everything in it with it.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.labs import engine, holder, wiring
from harness.labs.access import DEVICE, NIC_MTU
from harness.labs.holder import Holder, Keeping, enter_argv
from harness.labs.local import NODES, PREFIX_LENGTH
from harness.labs.shaping import shape
from harness.labs.wires import DEFAULT_RATE, parse_rate
from harness.model.containers import Engine
from tests.proving import FailureError, run

GROUPS = "kubernetes"
DESK = "desk"
DESK_ADDRESS, DESK_GATEWAY = "172.12.2.1", "172.12.2.2"
KUBELET_FOLDER, KUBELET_MIB = "/var/lib/kubelet", 256
"""What kubelet takes for the node's disk, and how large it is."""
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# Why: kubelet keeps what it mounts for pods visible to them, hence shared; pods' logs are the node's own.
_NODE = f"""
set -e
{engine.SCRIPT}
mount -t tmpfs -o mode=755 tmpfs /run
keep_cgroups
mount -t sysfs sysfs /sys
prepare_engine docker "$2"
mount -t tmpfs tmpfs /var/log
mkdir -p /run/netns /run/tmp /var/lib/kubelet /var/lib/cni /etc/cni/net.d /run/bin
mount -t tmpfs -o size={KUBELET_MIB}m tmpfs {KUBELET_FOLDER}
mount --make-shared {KUBELET_FOLDER}
printf '%s' "$3" >/run/bin/runc && chmod 755 /run/bin/runc
hostname "$1"
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
start_engine docker
echo ready
exec env --ignore-signal=CHLD sleep infinity
"""
_DESK = """
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mount -t sysfs sysfs /sys
mkdir -p /run/home /run/netns /run/tmp
hostname "$1"
ip link set lo up
echo ready
exec env --ignore-signal=CHLD sleep infinity
"""
# Without CAP_SYS_RESOURCE a negative oom_score_adj, as pods' first processes have, is refused and runc fails.
_RUNC = """#!/bin/sh
for word; do
    if [ "$last" = --bundle ]; then
        jq '.process.oomScoreAdj = 0' "$word/config.json" >"$word/config.new"
        mv "$word/config.new" "$word/config.json"
    fi
    last=$word
done
exec /usr/sbin/runc "$@"
"""


@dataclass(frozen=True)
class Space:
    """A machine of the test."""

    name: str
    address: str
    held: Holder

    def argv(self, words: Sequence[str | Path]) -> list[str]:
        """Return an argv that runs another one in here."""
        return [*enter_argv(self.held.inside.pid), *map(str, words)]

    def run(self, *words: str | Path, stdin: str = "") -> str:
        """Run a program in here to its end; see `tests.proving.run`."""
        return run(self.argv(words), stdin=stdin)

    def root(self) -> Path:
        """Return this machine's / as seen from outside."""
        return Path(f"/proc/{self.held.inside.pid}/root")

    def write(self, path: str, text: str) -> None:
        """Write a file of this machine's own."""
        (self.root() / path.lstrip("/")).write_text(text, encoding="utf-8")

    def daemon(self, log: Path, *words: str | Path, environment: Mapping[str, str] | None = None) -> None:
        """Start a program in here that runs as long as the machine does."""
        with log.open("w") as file:
            process = subprocess.Popen(
                self.argv(words),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={"PATH": PATH, "HOME": "/run", "TMPDIR": "/run/tmp", **(environment or {})},
                start_new_session=True,  # a Ctrl-C at the terminal is the test's to handle
            )
        process.returncode = 0  # ends with its PID namespace

    def namespaces(self) -> set[str]:
        """Return the names of its namespaces, as /proc has them."""
        own = Path(f"/proc/{self.held.inside.pid}/ns")
        return {str((own / name).readlink()) for name in ("net", "mnt", "pid")}


def start_node(number: int) -> Space:
    """Start node `number` (from 1), with its Docker daemon on the way up."""
    name, address, _ = NODES[number - 1]
    settings = json.loads(engine.settings(Engine.DOCKER, GROUPS, name))
    settings |= {
        "bridge": "none",
        "iptables": False,
        "log-driver": "json-file",  # what kubelet reads
        "runtimes": {"lenient": {"path": "/run/bin/runc"}},
        "default-runtime": "lenient",
    }
    return Space(name, address, holder.start(_NODE, name, json.dumps(settings), _RUNC, keeping=Keeping(GROUPS)))


def start_desk() -> Space:
    """Start the machine from which the cluster is used."""
    return Space(DESK, DESK_ADDRESS, holder.start(_DESK, DESK, keeping=Keeping(GROUPS)))


def join(nodes: Sequence[Space], desk: Space) -> None:
    """Join two nodes by a link shaped as the local lab's, and the desk to the first by one of its own."""
    first, second = nodes
    wiring.cable(first.held.inside.pid, second.held.inside.pid, DEVICE, NIC_MTU)
    rate_bps = parse_rate(DEFAULT_RATE)
    for node in nodes:
        node.run("ip", "addr", "add", f"{node.address}/{PREFIX_LENGTH}", "dev", DEVICE)
        node.run("ip", "link", "set", "dev", DEVICE, "up")
        if rate_bps is not None:
            shape(enter_argv(node.held.inside.pid), DEVICE, NIC_MTU, rate_bps)
    wiring.cable(first.held.inside.pid, desk.held.inside.pid, DESK, NIC_MTU)
    for space, address in ((first, DESK_GATEWAY), (desk, DESK_ADDRESS)):
        space.run("ip", "addr", "add", f"{address}/{PREFIX_LENGTH}", "dev", DESK)
        space.run("ip", "link", "set", "dev", DESK, "up")
    desk.run("ip", "route", "add", "default", "via", DESK_GATEWAY)


def eventually(holds: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Wait until something holds; raises FailureError with `what` where it never does."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise FailureError(f"after {seconds:.0f} s still not: {what}")
        time.sleep(0.2)
