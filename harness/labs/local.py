"""The local lab: nodes that are processes with namespaces of their own, joined by a shaped link or a switch.

A node lives exactly as long as the process that holds its namespaces; when that ends, the kernel removes every
process, link and mount in it. A holder dies with the harness, unless `harness lab up` detached it on purpose. Nodes
are reached over real SSH, but no port listens: each connection is an `sshd -i` of its own, started inside the node.
"""

from __future__ import annotations

import os
import pwd
import secrets
from pathlib import Path
from typing import Any

from harness.labs import engine, holder, kept, wiring
from harness.labs.access import (
    DEVICE,
    INVENTORY,
    KEY,
    NIC_MTU,
    SEARCH_PATH,
    SSH_CONFIG,
    make_key,
    prepare_sshd,
    write_access,
)
from harness.labs.base import Lab
from harness.labs.bystanders import Bystanders
from harness.labs.holder import enter_argv
from harness.labs.process import ProcessId, command
from harness.measures.factors import rate_bps
from harness.model.containers import Engine
from harness.model.errors import InputError, LabError
from harness.model.node import Node
from harness.truth.wire import HEADER_BYTES, l1_bytes

MAX_NODES = 8
NODES = tuple((f"k8s-{n}", f"172.12.1.{10 + n}", f"fd00:172:12:1::{10 + n}") for n in range(1, MAX_NODES + 1))
"""Names and addresses; a lab takes the first of them."""
PREFIX_LENGTH = 24
PREFIX6_LENGTH = 64
DEFAULT_RATE = "1gbit"
# tbf lets this much time's worth of the rate pass at once after a pause, and holds at most so much. The burst has to
# outlast the moments in which a virtual machine is not run at all, or what they cost is lost for good: with a CPU
# stolen 12 % of the time, 8 flows read 0.56-0.85 Gbit/s with a burst of 1 ms and 0.954-0.957 with one of 8 ms.
BURST_S = 0.008
QUEUE_S = 0.024
MIN_BURST_BYTES = 65536
"""The largest GSO burst; tbf would have to cut a larger packet than it lets pass."""

_HOLDER = f"""
set -e
{engine.SCRIPT}
mount -t tmpfs -o mode=755 tmpfs /run
[ "$3" = none ] || keep_cgroups
mount -t sysfs sysfs /sys
[ "$3" = none ] || prepare_engine "$3" "$4"
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=700 tmpfs "$2"
mkdir -p /run/sshd /run/netns
printf 'root:*:19000:0:99999:7:::\\n' > /run/shadow
chmod 600 /run/shadow
mount --bind /run/shadow /etc/shadow
hostname "$1"
ip link set lo up
start_engine "$3"
echo ready
exec env --ignore-signal=CHLD sleep infinity
"""
# Why: /run, /tmp and root's home are the node's own, so nothing that runs in it leaves a file on the host, and its
# login shell starts without the host's profile. A locked root account (Ubuntu's) would be refused by sshd without PAM.
# SIGCHLD ignored makes the kernel reap whatever is orphaned in the node.


def parse_rate(text: str) -> float | None:
    """Return a rate such as `1gbit` in bit/s, None for `none`; raises InputError for anything else."""
    if text == "none":
        return None
    try:
        rate = rate_bps(text)
    except InputError:
        rate = 0.0
    if rate < 1e6:  # noqa: PLR2004 - what tbf can shape and a test can measure
        raise InputError(f"{text!r}: give none, or a number with kbit, mbit or gbit from 1mbit to 400gbit")
    return rate


class LocalLab:
    """Nodes in namespaces of this machine.

    `keep`: they outlive this process (`harness lab up`). `found`: they are those of a lab that stands.
    """

    def __init__(
        self,
        rate: str = DEFAULT_RATE,
        *,
        count: int = kept.MIN_NODES,
        keep: bool = False,
        state_root: Path = kept.STATE_ROOT,
        containers: Engine = Engine.NONE,
        found: bool = False,
    ) -> None:
        self.found = found
        self.count = count
        self.rate = rate
        self.containers = containers
        self.rate_bps = parse_rate(rate)
        self.keep = keep
        self.directory = state_root / (kept.KEPT if keep else f"run-{os.getpid()}")
        self.groups = f"{self.directory.name}-{secrets.token_hex(4)}"  # pids of two PID namespaces may be the same
        self._brought_up = False

    def nodes(self) -> tuple[Node, ...]:
        """Return the nodes, whose names and addresses are always the same."""
        return tuple(
            Node(name, index, address, DEVICE, NIC_MTU, address6)
            for index, (name, address, address6) in enumerate(NODES[: self.count], 1)
        )

    def probe(self) -> list[str]:
        """Return a sentence for each thing that is missing here; see harness.inspect.doctor for the full list."""
        return [] if os.geteuid() == 0 else [kept.NEEDS_ROOT]

    def up(self) -> Lab:
        """Bring the nodes up, or find as many that `harness lab up` left standing with the same rate."""
        problems = self.probe()
        if problems:
            raise LabError(" ".join(problems))
        standing = kept.find_kept(self.directory.parent)
        if standing is not None:
            self._require_alike(standing)
            return _lab(self.directory.parent / kept.KEPT, standing)
        if self.found:
            raise LabError("the local lab is not up, so no endpoint is there; `harness lab up` brings it up.")
        if self.directory.exists():
            kept.remove(self.directory)
        self._brought_up = True
        try:
            self.directory.mkdir(parents=True, mode=0o700)
            return self._build()
        except BaseException:
            self.down()
            raise

    def _require_alike(self, standing: dict[str, Any]) -> None:
        """Raise LabError where the lab that is up is not the one asked for."""
        if standing["rate"] != self.rate:
            raise LabError(
                f"the lab that is up has rate {standing['rate']}, not {self.rate}; "
                f"`harness lab down` it, or give --rate {standing['rate']}."
            )
        if len(standing["nodes"]) != self.count:
            raise LabError(
                f"the lab that is up has {len(standing['nodes'])} nodes, not {self.count}; "
                f"`harness lab down` it, or give --nodes {len(standing['nodes'])}."
            )
        if self.containers is not Engine.NONE and standing["containers"] != self.containers:
            raise LabError(
                f"the lab that is up was made without --containers {self.containers}; `harness lab down` it first."
            )

    def down(self) -> None:
        """End the nodes that this object brought up and remove their files."""
        if self._brought_up:
            kept.remove(self.directory)
            self._brought_up = False

    def _build(self) -> Lab:
        owner = vars(ProcessId.of(os.getpid()))
        state: dict[str, Any] = {
            "rate": self.rate,
            "containers": self.containers.value,
            "groups": self.groups,
            "nodes": [],
            "owner": owner,
        }
        engine.require(self.containers, SEARCH_PATH)
        make_key(self.directory / KEY)
        home = pwd.getpwuid(0).pw_dir
        for index, (name, address, address6) in enumerate(NODES[: self.count], 1):
            settings = engine.settings(self.containers, self.groups, name)
            held = holder.start(_HOLDER, name, home, self.containers, settings, detached=self.keep)
            addresses = {"address": address, "address6": address6}
            state["nodes"].append({"name": name, "index": index, **addresses, **held.described()})
            kept.write_state(self.directory, state)
            prepare_sshd(self.directory, name, held.inside.pid)
        self._join(state)
        self._await_engine(state)
        write_access(self.directory, state)
        return _lab(self.directory, state)

    def _join(self, state: dict[str, Any]) -> None:
        """Join the nodes, two directly and more by a switch, and shape what each of them sends."""
        ports = [(node["name"], node["inside"]["pid"]) for node in state["nodes"]]
        if len(ports) == kept.MIN_NODES:
            (_, first), (_, second) = ports
            wiring.cable(first, second, DEVICE, NIC_MTU)
        else:
            held = wiring.start(detached=self.keep)
            state["switch"] = {"name": wiring.NAME, **held.described()}
            kept.write_state(self.directory, state)
            wiring.plug(held.inside.pid, ports, DEVICE, NIC_MTU)
        for node in state["nodes"]:
            enter = enter_argv(node["inside"]["pid"])
            command([*enter, "ip", "addr", "add", f"{node['address']}/{PREFIX_LENGTH}", "dev", DEVICE])
            command([*enter, "ip", "addr", "add", f"{node['address6']}/{PREFIX6_LENGTH}", "dev", DEVICE, "nodad"])
            command([*enter, "ip", "link", "set", "dev", DEVICE, "up"])
            if self.rate_bps is not None:
                for qdisc in _shaping(self.rate_bps):
                    command([*enter, "tc", "qdisc", "replace", "dev", DEVICE, *qdisc.split()])

    def _await_engine(self, state: dict[str, Any]) -> None:
        """Wait for the daemons, which have been starting while the rest was made."""
        if self.containers is not Engine.DOCKER:
            return
        for node in state["nodes"]:
            pid = node["inside"]["pid"]
            engine.await_docker([*enter_argv(pid), "docker", "version"], Path(f"/proc/{pid}/root"), node["name"])


def _shaping(rate_bps: float) -> list[str]:
    """Return the qdiscs that let through so many bits per second as a cable counts them, with what surrounds a frame.

    tbf can add that to whatever it is handed, a frame or a GSO burst of many. So one counts bursts, at a rate that is
    lower by what a full frame leaves out, and one inside it counts frames. The slower one decides: the first where full
    frames come in bursts, the second where frames come singly, such as fragments. For a burst of smaller frames the
    error is .05 % at an MTU of 1450 and .3 % at 1280.
    """
    burst, limit = (max(int(rate_bps / 8 * time_s), MIN_BURST_BYTES) for time_s in (BURST_S, QUEUE_S))
    counted, on_cable = NIC_MTU + HEADER_BYTES["ethernet"], l1_bytes(NIC_MTU)
    bounds = f"burst {burst} limit {limit}"
    return [
        f"root handle 1: tbf rate {int(rate_bps * counted / on_cable)}bit {bounds}",
        f"parent 1:1 handle 2: tbf rate {int(rate_bps)}bit {bounds} overhead {on_cable - counted}",
    ]


def _lab(directory: Path, state: dict[str, Any]) -> Lab:
    nodes = [
        Node(node["name"], node["index"], node["address"], DEVICE, NIC_MTU, node["address6"]) for node in state["nodes"]
    ]
    return Lab(
        name="local",
        inventory=directory / INVENTORY,
        ssh_config=directory / SSH_CONFIG,
        client=nodes[0],
        server=nodes[1],
        others=tuple(nodes[2:]),
        rate_bps=parse_rate(state["rate"]),
        shared_kernel=True,
        scratch=directory,
        foreign_cpu_s=Bystanders([held["inside"]["pid"] for held in kept.held_of(state)]).cpu_s,
    )
