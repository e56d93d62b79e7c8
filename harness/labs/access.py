"""Access to the nodes of a local lab: keys, an sshd for each connection, SSH configuration, inventory."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from harness.labs.holder import enter_argv
from harness.labs.process import command
from harness.model.errors import LabError
from harness.model.programs import remedy

DEVICE = "ens33"
NIC_MTU = 1500
SEARCH_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
KEY, SSH_CONFIG, INVENTORY = "id_ed25519", "ssh_config", "inventory.json"

_SSHD_CONFIG = """
HostKey /run/harness/host_key
AuthorizedKeysFile /run/harness/authorized_keys
PidFile none
UsePAM no
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
PrintMotd no
MaxSessions 64
Subsystem sftp internal-sftp
"""


def make_key(path: Path) -> None:
    """Make a key pair at this path."""
    command(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "throw-away key of a lab", "-f", str(path)])


def prepare_sshd(directory: Path, name: str, pid: int) -> None:
    """Give a node its sshd: configuration and keys lie in its own /run, gone with it."""
    inside = Path(f"/proc/{pid}/root/run/harness")
    inside.mkdir(mode=0o700)
    make_key(inside / "host_key")
    (inside / "sshd_config").write_text(_SSHD_CONFIG, encoding="utf-8")
    (inside / "authorized_keys").write_text((directory / f"{KEY}.pub").read_text("utf-8"), encoding="utf-8")
    host_key = " ".join((inside / "host_key.pub").read_text("utf-8").split()[:2])
    with (directory / "known_hosts").open("a", encoding="utf-8") as file:
        file.write(f"{name} {host_key}\n")


def write_access(directory: Path, state: dict[str, Any]) -> None:
    """Write the SSH configuration and the Ansible inventory by which the nodes are reached."""
    sshd = shutil.which("sshd", path=SEARCH_PATH)
    if sshd is None:
        raise LabError(f"sshd is not installed; {remedy('sshd')}.")
    blocks = []
    hosts = {}
    for node in state["nodes"]:
        proxy = " ".join([*enter_argv(node["inside"]["pid"]), sshd, "-i", "-f", "/run/harness/sshd_config"])
        blocks.append(
            f"Host {node['name']}\n"
            f"  User root\n"
            f"  IdentityFile {directory}/{KEY}\n"
            f"  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {directory}/known_hosts\n"
            f"  GlobalKnownHostsFile none\n"
            f"  StrictHostKeyChecking yes\n"
            f"  ProxyCommand {proxy}\n"
        )
        hosts[node["name"]] = {
            "underlay_address": node["address"],
            "underlay_address6": node["address6"],
            "underlay_device": DEVICE,
            "underlay_mtu": state["nic_mtu"],
            "ansible_ssh_common_args": f"-F {directory / SSH_CONFIG}",
            "ansible_python_interpreter": "/usr/bin/python3",
        }
    (directory / SSH_CONFIG).write_text("\n".join(blocks), encoding="utf-8")
    inventory = {"nodes": {"hosts": hosts}}
    (directory / INVENTORY).write_text(json.dumps(inventory, indent=2) + "\n", encoding="utf-8")
