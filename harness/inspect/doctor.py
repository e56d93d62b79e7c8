"""Everything that a run on this machine needs, each with the command that mends it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import harness
from harness.fabric import support
from harness.fabric.profiles import known_profiles, load
from harness.labs import rootless
from harness.measures.registry import programs
from harness.model import shipped
from harness.model.programs import remedy

PROGRAMS = {
    "ip": "makes links and namespaces",
    "bridge": "reads forwarding entries",
    "ss": "sees that a server listens",
    "tcpdump": "captures, for `harness trace`",
    "tc": "shapes the lab's link",
    "ethtool": "reads the NIC's offloads",
    "ssh": "is what Ansible connects with",
    "ssh-keygen": "makes the lab's throw-away keys",
    "sshd": "answers in the lab's nodes",
    "unshare": "makes the lab's nodes",
    "nsenter": "enters them",
    "setpriv": "ends them with the harness",
    "openvpn": "forwards in user space, for the profiles udp-userspace and tcp-userspace",
}
SCHEMA_VERSION = 1
LABS = ("local", "vagrant", "kubernetes")
"""Labs that have a name; any other is an inventory's path, which is nobody's business."""
LINK_TYPES = ("veth", "bridge", "vxlan")
QDISC = "tbf"
CONGESTION_CONTROL = "cubic"
MODPROBE = "load or build the kernel module"


@dataclass(frozen=True)
class Check:
    """One prerequisite: what it is, whether it is there, and what to do where it is not."""

    what: str
    passed: bool
    remedy: str


def checks(measures: Sequence[str]) -> list[Check]:
    """Return what these measures and the local lab need of this machine; nothing on it is changed."""
    root = os.geteuid() == 0
    sudo = "run it with sudo" if root else f"run it with sudo, or else: {rootless.refusal()}"
    made = [Check("root, for network namespaces", root, sudo)]
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    needed = programs(measures)
    packages = {name: program.package for name, program in needed.items()}
    wanted = {name: program.purpose for name, program in needed.items()} | PROGRAMS
    made += [
        Check(f"{name}: {purpose}", shutil.which(name, path=path) is not None, remedy(name, packages.get(name)))
        for name, purpose in wanted.items()
    ]
    ansible = Path(sys.executable).with_name("ansible-playbook")
    again = "install this program again, with what it depends on" if shipped.IS_INSTALLED else remedy("ansible")
    made.append(Check("ansible-playbook beside this Python", ansible.exists(), again))
    python = Path("/usr/bin/python3")
    made.append(Check(f"{python}: runs Ansible's modules on the nodes", python.exists(), "apt-get install python3"))
    if root and all(check.passed for check in made):
        made += [Check(f"kernel: {kind}", can_make(kind), f"{MODPROBE} {kind}") for kind in LINK_TYPES]
        made.append(Check(f"kernel: {QDISC}", _can_shape(), f"{MODPROBE} sch_{QDISC}"))
    available = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text(encoding="ascii").split()
    there = CONGESTION_CONTROL in available
    made.append(Check(f"kernel: TCP {CONGESTION_CONTROL}", there, f"modprobe tcp_{CONGESTION_CONTROL}"))
    return made


def record(
    made: Sequence[Check],
    impossible: Mapping[str, Sequence[str]],
    lab: str,
    profiles: Sequence[str],
    measures: Sequence[str],
) -> dict[str, Any]:
    """Return what was found, with what this machine is, as plain values; doctor.schema.json describes them.

    Names and addresses of hosts are in it only as far as a check has them.
    """
    release = Path("/etc/os-release")
    return {
        "schema_version": SCHEMA_VERSION,
        "harness_version": harness.__version__,
        "is_installed": shipped.IS_INSTALLED,
        "python": platform.python_version(),
        "system": platform.freedesktop_os_release()["PRETTY_NAME"] if release.is_file() else "",
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "is_root": os.geteuid() == 0,
        "lab": lab if lab in LABS else "inventory",
        "profiles": [*profiles],
        "measures": [*measures],
        "passed": all(check.passed for check in made),
        "checks": [
            {"what": check.what, "passed": check.passed, "remedy": None if check.passed else check.remedy}
            for check in made
        ],
        "impossible_profiles": {name: [*kinds] for name, kinds in impossible.items()},
    }


def can_make(kind: str) -> bool:
    """Tell whether this kernel knows a link type."""
    done = subprocess.run(support.argv(kind), capture_output=True, text=True, check=False)
    return not support.is_refused(kind, done.returncode, done.stderr)


def impossible_profiles() -> dict[str, Sequence[str]]:
    """Return the shipped profiles that this kernel cannot make, each with the link types it misses."""
    return support.lacking({name: load(name) for name in known_profiles()}, can_make)


def _can_shape() -> bool:
    words = f"tc qdisc add dev lo root {QDISC} rate 1gbit burst 64kb limit 1mb".split()
    return subprocess.run(["unshare", "--net", *words], capture_output=True, check=False).returncode == 0
