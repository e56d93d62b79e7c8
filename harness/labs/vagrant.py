"""The Vagrant lab: two virtual machines that `vagrant up lab` makes and the Vagrantfile describes.

A run finds them running and leaves them so. Vagrant's own SSH configuration switches host-key checking off; what is
written here holds each machine to the host keys that were recorded when it was made.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.labs.base import Lab
from harness.labs.scratch import Scratch
from harness.labs.static import StaticLab
from harness.model.errors import LabError
from harness.model.node import Node
from harness.model.shipped import INVENTORIES, IS_INSTALLED, ROOT

_STATE = "VAGRANT_DOTFILE_PATH"
_PLAYBOOK_COMMAND = "HARNESS_VM_ANSIBLE_PLAYBOOK"
ALIAS = "lab"
"""What the Vagrantfile calls both machines together."""
RUNNING = "running"
TIMEOUT_S = 120.0
NOT_INSTALLED = "vagrant is not installed; see docs/vagrant.md, or use --lab local."
NOT_UP = "`harness lab up --lab vagrant` (or `vagrant up lab`) brings them up."
_TAKEN_OVER = ("HostName", "Port", "User", "IdentityFile", "ProxyCommand")
"""What of Vagrant's SSH configuration is used; the rest switches off what keeps a stranger out."""


class VagrantLab:
    """Two running machines of the Vagrantfile in `directory`; down removes only what a run wrote on this side."""

    def __init__(self, directory: Path = ROOT) -> None:
        self.directory = directory
        self._static = StaticLab(directory / INVENTORIES.name / "vagrant.yml")
        self._scratch: Scratch | None = None

    def nodes(self) -> tuple[Node, Node]:
        """Return the two machines, which inventory/vagrant.yml describes."""
        return (self._static.client, self._static.server)

    def probe(self) -> list[str]:
        """Return a sentence where vagrant is missing; whether the machines are up takes it seconds to say."""
        return [] if shutil.which("vagrant") else [NOT_INSTALLED]

    def up(self) -> Lab:
        """Find the machines running. Raises LabError where they are not, or their host keys were not recorded."""
        blocks = parse_ssh_config(ssh_config(self.directory))
        nodes = self.nodes()
        missing = [node.name for node in nodes if node.name not in blocks]
        if missing:
            raise LabError(f"{' and '.join(missing)} of the Vagrant lab: not up. {NOT_UP}")
        keys = {node.name: recorded_keys(self.directory, node.name) for node in nodes}
        self._scratch = Scratch()
        try:
            return self._write(nodes, blocks, keys)
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """Remove what was written on this side; the machines stay as they are."""
        if self._scratch is not None:
            self._scratch.remove()
            self._scratch = None

    def _write(
        self, nodes: tuple[Node, Node], blocks: Mapping[str, Mapping[str, Sequence[str]]], keys: Mapping[str, Path]
    ) -> Lab:
        """Write how the machines are reached: one SSH configuration for Ansible and for the measurements."""
        if self._scratch is None:
            raise LabError("the Vagrant lab has no folder to write to.")
        scratch = self._scratch.path
        config = scratch / "ssh_config"
        config.write_text(
            "\n".join(strict_block(node.name, blocks[node.name], keys[node.name]) for node in nodes), "utf-8"
        )
        hosts = {
            node.name: {**node.variables, "ansible_ssh_common_args": shlex.join(["-F", str(config)])} for node in nodes
        }
        inventory = scratch / "inventory.json"
        inventory.write_text(json.dumps({"nodes": {"hosts": hosts}}, indent=2) + "\n", encoding="utf-8")
        client, server = StaticLab(inventory).nodes()
        return Lab(
            name="vagrant",
            inventory=inventory,
            ssh_config=config,
            client=client,
            server=server,
            rate_bps=None,
            shared_kernel=False,
            scratch=scratch,
        )


def ssh_config(directory: Path = ROOT) -> str:
    """Return what `vagrant ssh-config` says of both machines; raises LabError where they are not up."""
    done = _vagrant(["ssh-config", ALIAS], directory)
    if done.returncode != 0:
        raise LabError(f"the machines of the Vagrant lab are not up. {NOT_UP} Vagrant: {_words(done)}")
    return done.stdout


def parse_ssh_config(text: str) -> dict[str, dict[str, list[str]]]:
    """Return each host's keywords, each with its values in their order and as they are quoted."""
    blocks: dict[str, dict[str, list[str]]] = {}
    block: dict[str, list[str]] = {}
    for line in text.splitlines():
        keyword, _, value = line.strip().partition(" ")
        if keyword == "Host":
            block = blocks.setdefault(value.strip(), {})
        elif value:
            block.setdefault(keyword, []).append(value.strip())
    return blocks


def strict_block(name: str, values: Mapping[str, Sequence[str]], known_hosts: Path) -> str:
    """Return an SSH configuration for one machine: Vagrant's way to it, and only the recorded host keys."""
    lines = [f"{keyword} {value}" for keyword in _TAKEN_OVER for value in values.get(keyword, ())]
    lines += [
        "IdentitiesOnly yes",
        f"HostKeyAlias {name}",  # address and port may change with each `vagrant up`, the machine does not
        f'UserKnownHostsFile "{known_hosts}"',
        "GlobalKnownHostsFile none",
        "StrictHostKeyChecking yes",
        "UpdateHostKeys no",
    ]
    return "\n  ".join([f"Host {name}", *lines]) + "\n"


def recorded_keys(directory: Path, name: str) -> Path:
    """Return the file with a machine's host keys, which `vagrant up` writes; LabError where it is not there."""
    path = state_directory(directory) / ALIAS / f"{name}.known_hosts"
    if not path.exists():
        raise LabError(
            f"the host keys of {name} were not recorded when it was made; if you trust who answers in its place, "
            "`vagrant provision --provision-with access lab` records them."
        )
    return path


def state_directory(directory: Path = ROOT) -> Path:
    """Return where Vagrant keeps what it knows of the machines of a Vagrantfile.

    That is beside it, but for an installed program: its folder may be another user's, and goes when it is upgraded.
    """
    asked = os.environ.get(_STATE)
    if asked or not IS_INSTALLED:
        return directory / (asked or ".vagrant")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "vxlan-harness" / "vagrant"


def bring_up(directory: Path = ROOT) -> None:
    """Make or start both machines, Vagrant's output on the terminal; raises LabError."""
    _show(["up", ALIAS], directory)


def take_down(directory: Path = ROOT) -> None:
    """Destroy both machines; raises LabError."""
    _show(["destroy", "--force", ALIAS], directory)


def states(directory: Path = ROOT) -> dict[str, str]:
    """Return each machine's state, in Vagrant's words; raises LabError."""
    done = _vagrant(["status", "--machine-readable", ALIAS], directory)
    if done.returncode != 0:
        raise LabError(f"vagrant does not tell how its machines are: {_words(done)}")
    rows = [line.split(",") for line in done.stdout.splitlines()]  # time, machine, kind, value
    return {row[1]: row[3] for row in rows if len(row) > 3 and row[2] == "state"}  # noqa: PLR2004 - the four columns


def _show(words: list[str], directory: Path) -> None:
    if shutil.which("vagrant") is None:
        raise LabError(NOT_INSTALLED)
    done = subprocess.run(
        ["vagrant", *words], cwd=directory, env=_environment(directory), check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        raise LabError(
            f"`vagrant {' '.join(words)}` failed, see above; `vagrant destroy -f lab` removes what is there."
        )


def _vagrant(words: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
    """Run vagrant beside its Vagrantfile; raises LabError where it is missing or hangs."""
    try:
        return subprocess.run(
            ["vagrant", *words],
            cwd=directory,
            env=_environment(directory),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
    except FileNotFoundError as error:
        raise LabError(NOT_INSTALLED) from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`vagrant {' '.join(words)}` did not answer within {TIMEOUT_S:g} s.") from error


def _environment(directory: Path) -> dict[str, str]:
    """Return this process's environment in a locale that Ansible takes, with Vagrant asking nobody for news.

    The machines are provisioned by the Ansible that came with this program.
    """
    own = {"LC_ALL": "C.UTF-8", "VAGRANT_CHECKPOINT_DISABLE": "1", _STATE: str(state_directory(directory))}
    ansible = Path(sys.executable).with_name("ansible-playbook")
    return os.environ | own | ({_PLAYBOOK_COMMAND: str(ansible)} if ansible.exists() else {})


def _words(done: subprocess.CompletedProcess[str]) -> str:
    """Return the first sentence of what vagrant said; it breaks its lines anywhere."""
    text = " ".join((done.stderr or done.stdout).split())
    return f"{text.split('. ')[0].rstrip('.')}." if text else f"exit code {done.returncode}."
