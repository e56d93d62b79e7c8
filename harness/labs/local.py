"""The local lab: nodes that are processes with namespaces of their own, joined by a shaped link, a switch, or routers.

A node lives exactly as long as the process that holds its namespaces; when that ends, the kernel removes every
process, link and mount in it. A holder dies with the harness, unless `harness lab up` detached it on purpose. Nodes
are reached over real SSH, but no port listens: each connection is an `sshd -i` of its own, started inside the node.
"""

from __future__ import annotations

import os
import pwd
import secrets
from functools import partial
from pathlib import Path
from typing import Any

from harness.labs import engine, holder, kept, routers, wiring
from harness.labs.access import (
    DEVICE,
    INVENTORY,
    KEY,
    SEARCH_PATH,
    SSH_CONFIG,
    make_key,
    prepare_sshd,
    write_access,
)
from harness.labs.base import Lab
from harness.labs.bystanders import Bystanders
from harness.labs.holder import enter_argv
from harness.labs.process import command
from harness.labs.shaping import shape
from harness.labs.wires import Wires
from harness.model.containers import Engine
from harness.model.errors import LabError
from harness.model.node import Node

MAX_NODES = 8
NODES = tuple((f"k8s-{n}", f"172.12.1.{10 + n}", f"fd00:172:12:1::{10 + n}") for n in range(1, MAX_NODES + 1))
"""Names and addresses; a lab takes the first of them."""
PREFIX_LENGTH = 24
PREFIX6_LENGTH = 64
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


_USUAL = Wires()


class LocalLab:
    """Nodes in namespaces of this machine.

    `wires` say how many they are and what joins them. `keep`: they outlive this process (`harness lab up`). `found`:
    they are those of a lab that stands.
    """

    def __init__(
        self,
        wires: Wires = _USUAL,
        *,
        keep: bool = False,
        state_root: Path = kept.STATE_ROOT,
        containers: Engine = Engine.NONE,
        found: bool = False,
    ) -> None:
        self.found = found
        self.wires = wires
        self.containers = containers
        self.keep = keep
        self.directory = state_root / (kept.KEPT if keep else kept.own_name())
        self.groups = f"{self.directory.name}-{secrets.token_hex(4)}"  # pids of two PID namespaces may be the same
        self._keeping = holder.Keeping(self.groups, detached=keep)
        self._brought_up = False
        self._used: int | None = None

    @property
    def is_own(self) -> bool:
        """Whether it is made for one command alone, and of namespaces alone, which takes no root of this machine."""
        return not (self.keep or self.found) and self.containers is Engine.NONE

    def nodes(self) -> tuple[Node, ...]:
        """Return the nodes, whose names and addresses are always the same."""
        return tuple(
            Node(name, index, address, DEVICE, self.wires.nic_mtu, address6)
            for index, (name, address, address6) in enumerate(NODES[: self.wires.count], 1)
        )

    def probe(self) -> list[str]:
        """Return a sentence for each thing that is missing here; see harness.inspect.doctor for the full list."""
        return [] if os.geteuid() == 0 else [kept.NEEDS_ROOT]

    def up(self) -> Lab:
        """Bring the nodes up, or find as many that `harness lab up` left standing with the same rate."""
        problems = self.probe()
        if problems:
            raise LabError(" ".join(problems))
        if not self.keep:
            return self._found() or self._made()
        with kept.changing(self.directory.parent):
            return self._found() or self._made()

    def _found(self) -> Lab | None:
        """Return the lab that stands, None where there is none and one may be made."""
        standing = kept.find_kept(self.directory.parent)
        if standing is not None:
            self._require_alike(standing)
            directory = self.directory.parent / kept.KEPT
            self._used = kept.used(directory)
            return _lab(directory, standing)
        if self.found:
            raise LabError("the local lab is not up, so no endpoint is there; `harness lab up` brings it up.")
        return None

    def _made(self) -> Lab:
        """Bring the nodes up."""
        if self.directory.exists():
            kept.remove(self.directory)
        self._brought_up = True
        try:
            kept.make_folder(self.directory)
            made = self._build()
            if self.keep:
                self._used = kept.used(self.directory)
        except BaseException:
            self.down()
            raise
        return made

    def _require_alike(self, standing: dict[str, Any]) -> None:
        """Raise LabError where the lab that is up is not the one asked for."""
        self.wires.require(Wires.of(standing))
        if self.containers is not Engine.NONE and standing["containers"] != self.containers:
            raise LabError(
                f"the lab that is up was made without --containers {self.containers}; `harness lab down` it first."
            )

    def down(self) -> None:
        """End the nodes that this object brought up and remove their files; a lab that it found is free again."""
        if self._used is not None:
            os.close(self._used)
            self._used = None
        if self._brought_up:
            kept.remove(self.directory)
            self._brought_up = False

    def _build(self) -> Lab:
        state: dict[str, Any] = {
            **self.wires.described(),
            "containers": self.containers.value,
            "groups": self.groups,
            "nodes": [],
        }
        kept.write_state(self.directory, state)  # whatever comes up from now on is found by it
        engine.require(self.containers, SEARCH_PATH)
        make_key(self.directory / KEY)
        home = pwd.getpwuid(0).pw_dir
        for index, (name, address, address6) in enumerate(NODES[: self.wires.count], 1):
            settings = engine.settings(self.containers, self.groups, name)
            held = holder.start(_HOLDER, name, home, self.containers, settings, keeping=self._keeping)
            addresses = {"address": address, "address6": address6}
            state["nodes"].append({"name": name, "index": index, **addresses, **held.described()})
            kept.write_state(self.directory, state)
            prepare_sshd(self.directory, name, held.inside.pid)
        self._join(state)
        self._await_engine(state)
        write_access(self.directory, state)
        kept.write_state(self.directory, state | {"complete": True})
        return _lab(self.directory, state)

    def _join(self, state: dict[str, Any]) -> None:
        """Join the nodes, two directly or by routers and more by a switch, and shape what the links carry."""
        ports = [(node["name"], node["inside"]["pid"]) for node in state["nodes"]]
        wires = self.wires
        if wires.links:
            self._join_by_routers(state)
        elif len(ports) == kept.MIN_NODES:
            (_, first), (_, second) = ports
            wiring.cable(first, second, DEVICE, wires.nic_mtu)
        else:
            held = wiring.start(keeping=self._keeping)
            state["switch"] = {"name": wiring.NAME, **held.described()}
            kept.write_state(self.directory, state)
            wiring.plug(held.inside.pid, ports, DEVICE, wires.nic_mtu)
        for node in state["nodes"]:
            enter = enter_argv(node["inside"]["pid"])
            command([*enter, "ip", "addr", "add", f"{node['address']}/{PREFIX_LENGTH}", "dev", DEVICE])
            command([*enter, "ip", "addr", "add", f"{node['address6']}/{PREFIX6_LENGTH}", "dev", DEVICE, "nodad"])
            command([*enter, "ip", "link", "set", "dev", DEVICE, "up"])
            if wires.link_bps is not None and not wires.links:
                shape(enter, DEVICE, wires.nic_mtu, wires.link_bps)

    def _join_by_routers(self, state: dict[str, Any]) -> None:
        """Put each of two nodes behind a router of its own, with links between these."""
        state["routers"] = []
        for name in routers.NAMES:
            state["routers"].append({"name": name, **routers.start(name, keeping=self._keeping).described()})
            kept.write_state(self.directory, state)
        first, second = (
            routers.Attached(node["name"], node["address"], node["address6"], node["inside"]["pid"])
            for node in state["nodes"]
        )
        pids = _router_pids(state)
        wires = self.wires
        routers.join((pids[0], pids[1]), (first, second), DEVICE, wires.nic_mtu, wires.links, wires.link_bps)

    def _await_engine(self, state: dict[str, Any]) -> None:
        """Wait for the daemons, which have been starting while the rest was made."""
        if self.containers is not Engine.DOCKER:
            return
        for node in state["nodes"]:
            pid = node["inside"]["pid"]
            engine.await_docker([*enter_argv(pid), "docker", "version"], Path(f"/proc/{pid}/root"), node["name"])


def _router_pids(state: dict[str, Any]) -> list[int]:
    """Return the first process of each router."""
    return [router["inside"]["pid"] for router in state["routers"]]


def _lab(directory: Path, state: dict[str, Any]) -> Lab:
    wires = Wires.of(state)
    nodes = [
        Node(node["name"], node["index"], node["address"], DEVICE, wires.nic_mtu, node["address6"])
        for node in state["nodes"]
    ]
    return Lab(
        name="local",
        inventory=directory / INVENTORY,
        ssh_config=directory / SSH_CONFIG,
        client=nodes[0],
        server=nodes[1],
        others=tuple(nodes[2:]),
        rate_bps=wires.rate_bps,
        shared_kernel=True,
        scratch=directory,
        foreign_cpu_s=Bystanders([held["inside"]["pid"] for held in kept.held_of(state)]).cpu_s,
        neighbours=partial(kept.neighbours, directory),
        link_bytes=partial(routers.link_bytes, _router_pids(state), wires.links) if wires.links else None,
    )
