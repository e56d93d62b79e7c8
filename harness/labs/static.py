"""Your own hosts, from an ordinary Ansible inventory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness.labs.base import Lab
from harness.labs.scratch import Scratch
from harness.model.errors import InputError
from harness.model.node import Node
from harness.nodes import ansible_environment, inventory

VARIABLES = (
    *"underlay_address underlay_address6 underlay_device underlay_mtu overlay_endpoints ansible_connection".split(),
    *"ansible_host ansible_ssh_host ansible_port ansible_ssh_port ansible_user ansible_ssh_user".split(),
    *"ansible_private_key_file ansible_ssh_private_key_file ansible_ssh_common_args ansible_ssh_extra_args".split(),
    *"ansible_password ansible_ssh_password ansible_ssh_pass ansible_become ansible_become_method".split(),
    *"ansible_become_user ansible_become_password ansible_become_pass ansible_sudo_pass".split(),
)
"""What the harness itself reads of an inventory; the rest is Ansible's."""


class StaticLab:
    """Hosts that are there already, two unless `several`; up and down change nothing on them."""

    def __init__(self, path: Path, *, several: bool = False) -> None:
        self.path = path.resolve()
        self._scratch: Scratch | None = None
        self.client, self.server, *self._others = inventory.parse(listing(path), str(path), several=several)

    def nodes(self) -> tuple[Node, ...]:
        """Return the inventory's hosts."""
        return (self.client, self.server, *self._others)

    def probe(self) -> list[str]:
        """Return nothing: whether the hosts answer is seen when they are connected to."""
        return []

    def up(self) -> Lab:
        """Return the lab; the hosts are as they are."""
        self._scratch = Scratch()
        return Lab(
            name=self.path.stem,
            inventory=self.path,
            ssh_config=None,
            client=self.client,
            server=self.server,
            rate_bps=None,
            shared_kernel=False,
            scratch=self._scratch.path,
            others=tuple(self._others),
        )

    def down(self) -> None:
        """Remove what was written on this side."""
        if self._scratch is not None:
            self._scratch.remove()
            self._scratch = None


def listing(path: Path) -> dict[str, Any]:
    """Return what `ansible-inventory --list` makes of a file, with the variables that the harness reads filled in.

    Raises InputError, with Ansible's own words, where it cannot.
    """
    if not path.exists():
        raise InputError(
            f"--lab {path}: there is no such inventory; give local, vagrant, or the path of an Ansible inventory."
        )
    if "," in str(path.resolve()):
        raise InputError(f"--lab {path}: Ansible takes a path with a comma for a list of hosts; rename it.")
    listing: dict[str, Any] = json.loads(_ansible(path, "ansible-inventory", "--list"))
    hostvars = listing.get("_meta", {}).get("hostvars", {})
    wanting = [name for name in VARIABLES if any(_is_unfilled(own.get(name)) for own in hostvars.values())]
    hosts = inventory.hosts_of(listing)
    if wanting and hosts:
        for host, filled in _filled(path, hosts, wanting).items():
            hostvars[host] |= {name: value for name, value in filled.items() if value is not None}
    return listing


def _is_unfilled(value: object) -> bool:
    """Tell whether ansible-inventory shows a variable as it is written: a template, or encrypted in its place."""
    return isinstance(value, dict) or (isinstance(value, str) and ("{{" in value or "{%" in value))


def _filled(path: Path, hosts: list[str], names: list[str]) -> dict[str, dict[str, Any]]:
    """Return some variables of each host as a playbook would see them."""
    wanted = ", ".join(f"'{name}': {name} | default(none)" for name in names)
    words = ["-m", "ansible.builtin.debug", "-a", f"msg={{{{ {{{wanted}}} }}}}"]
    text = _ansible(path, "ansible", inventory.GROUP, *words)
    nodes = {}
    for host in hosts:
        shown = re.search(rf"^{re.escape(host)} \| SUCCESS => ", text, re.MULTILINE)
        if shown is None:
            raise InputError(f"{path}: Ansible does not say what {', '.join(names)} are for host {host}.")
        nodes[host] = json.JSONDecoder().raw_decode(text, shown.end())[0]["msg"]
    return nodes


def _ansible(path: Path, program: str, *words: str) -> str:
    """Run one of Ansible's programs on an inventory and return its output."""
    ansible_environment.forget_others()
    done = subprocess.run(
        [str(Path(sys.executable).with_name(program)), "-i", str(path.resolve()), *words],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=os.environ | ansible_environment.settings(),
    )
    if done.returncode != 0:
        said = " ".join((done.stderr.strip() or done.stdout.strip()).split())[-300:]
        hint = f" Set {ansible_environment.VAULT} to the file with its password." if "vault secrets" in said else ""
        raise InputError(f"{path} is not an inventory that Ansible can read: {said}{hint}")
    return done.stdout
