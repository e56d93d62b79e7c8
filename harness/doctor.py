"""Everything that a run on this machine needs, each with the command that mends it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SETUP = "run `make setup`"
PROGRAMS = {
    "iperf3": "measures throughput",
    "ping": "measures latency and path MTU",
    "ip": "makes links and namespaces",
    "bridge": "reads forwarding entries",
    "ss": "sees that a server listens",
    "tc": "shapes the lab's link",
    "ethtool": "reads the NIC's offloads",
    "ssh": "is what Ansible connects with",
    "ssh-keygen": "makes the lab's throw-away keys",
    "sshd": "answers in the lab's nodes",
    "unshare": "makes the lab's nodes",
    "nsenter": "enters them",
    "setpriv": "ends them with the harness",
}
LINK_TYPES = ("veth", "bridge", "vxlan")
_LINK_WORDS = {"vxlan": ["id", "1", "remote", "192.0.2.1", "dstport", "4789"]}
QDISC = "tbf"
CONGESTION_CONTROL = "cubic"
MODPROBE = "load or build the kernel module"


@dataclass(frozen=True)
class Check:
    """One prerequisite: what it is, whether it is there, and what to do where it is not."""

    what: str
    passed: bool
    remedy: str


def checks() -> list[Check]:
    """Return every check; nothing on the machine is changed."""
    root = os.geteuid() == 0
    found = [Check("root, for network namespaces", root, "run it with sudo")]
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    found += [
        Check(f"{name}: {purpose}", shutil.which(name, path=path) is not None, SETUP)
        for name, purpose in PROGRAMS.items()
    ]
    ansible = Path(sys.executable).with_name("ansible-playbook")
    found.append(Check("ansible-playbook beside this Python", ansible.exists(), SETUP))
    python = Path("/usr/bin/python3")
    found.append(Check(f"{python}: runs Ansible's modules on the nodes", python.exists(), "apt-get install python3"))
    if root and all(check.passed for check in found):
        found += [Check(f"kernel: {kind}", can_make(kind), f"{MODPROBE} {kind}") for kind in LINK_TYPES]
        found.append(Check(f"kernel: {QDISC}", _in_namespace(_shape), f"{MODPROBE} sch_{QDISC}"))
    available = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text(encoding="ascii").split()
    remedy = f"modprobe tcp_{CONGESTION_CONTROL}"
    found.append(Check(f"kernel: TCP {CONGESTION_CONTROL}", CONGESTION_CONTROL in available, remedy))
    return found


def can_make(kind: str) -> bool:
    """Tell whether the kernel knows a link type, by making one in a namespace that is gone at once."""
    words = _LINK_WORDS.get(kind, [])
    return _in_namespace(lambda: ["ip", "link", "add", "name", "probe", "type", kind, *words])


def _shape() -> list[str]:
    return f"tc qdisc add dev lo root {QDISC} rate 1gbit burst 64kb limit 1mb".split()


def _in_namespace(argv: Callable[[], list[str]]) -> bool:
    done = subprocess.run(["unshare", "--net", *argv()], capture_output=True, check=False)
    return done.returncode == 0
