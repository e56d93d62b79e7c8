"""The environment of every program of Ansible's: the same for all of them, and nothing in it but what we put there.

A connection is made twice, by Ansible for set-up and by harness.nodes.remote for measuring. Both follow the inventory
and ssh's own configuration; ansible.cfg and ANSIBLE_… variables are known to Ansible only, so they are left out.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from contextlib import suppress
from pathlib import Path

from harness.model.shipped import PLAYBOOKS
from harness.nodes.target import ALIVE

VAULT = "ANSIBLE_VAULT_PASSWORD_FILE"
"""The one variable of Ansible's that counts: where the password of vaults in the inventory is."""
FOLDER, SOCKETS = "ansible", "cp"
"""Where Ansible's own files go within a lab's folder, and the sockets of its connections within these."""
_CONTROL_PERSIST_S = 60
_ENDING_S = 5.0


def forget_others() -> None:
    """Take Ansible's variables out of this process's own environment, from which programs inherit."""
    for name in [name for name in os.environ if name.startswith("ANSIBLE_") and name != VAULT]:
        del os.environ[name]


def settings() -> dict[str, str]:
    """Return Ansible's settings: quick, strict about host keys, plain output."""
    made = {
        "LC_ALL": "C.UTF-8",  # Ansible refuses any locale that is not UTF-8
        "ANSIBLE_CONFIG": str(PLAYBOOKS / "ansible.cfg"),
        "ANSIBLE_SSH_ARGS": shlex.join(
            ["-o", "ControlMaster=auto", "-o", f"ControlPersist={_CONTROL_PERSIST_S}s", *ALIVE]
        ),
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        "ANSIBLE_NOCOLOR": "True",
        "ANSIBLE_DEPRECATION_WARNINGS": "False",
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
        "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True",  # else what it cannot read is an inventory without hosts
    }
    if os.environ.get(VAULT):
        made[VAULT] = str(Path(os.environ[VAULT]).expanduser().absolute())  # a playbook has a working folder of its own
    return made


def end_masters(scratch: Path) -> None:
    """End the connections that Ansible left standing for the next playbook of a lab with this folder."""
    for path in (scratch / FOLDER / SOCKETS).glob("*"):
        with suppress(OSError, subprocess.TimeoutExpired):
            argv = ["ssh", "-o", f"ControlPath={path}", "-O", "exit", "--", "none"]
            subprocess.run(argv, capture_output=True, check=False, timeout=_ENDING_S)
