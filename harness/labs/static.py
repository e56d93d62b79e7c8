"""Your own two hosts, from an ordinary Ansible inventory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness import inventory
from harness.errors import InputError
from harness.labs.base import Lab
from harness.model import Node


class StaticLab:
    """Two hosts that are there already; up and down change nothing on them."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._scratch: Path | None = None
        self.client, self.server = inventory.parse(listing(path), str(path))

    def nodes(self) -> tuple[Node, Node]:
        """Return the inventory's two hosts."""
        return (self.client, self.server)

    def probe(self) -> list[str]:
        """Return nothing: whether the hosts answer is seen when they are connected to."""
        return []

    def up(self) -> Lab:
        """Return the lab; the hosts are as they are."""
        self._scratch = Path(tempfile.mkdtemp(prefix="vxlan-harness-"))
        return Lab(
            name=self.path.stem,
            inventory=self.path,
            ssh_config=None,
            client=self.client,
            server=self.server,
            rate_bps=None,
            shared_kernel=False,
            scratch=self._scratch,
        )

    def down(self) -> None:
        """Remove what was written on this side."""
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None


def listing(path: Path) -> dict[str, Any]:
    """Return what `ansible-inventory --list` makes of a file; InputError with its own words where it cannot."""
    if not path.exists():
        raise InputError(
            f"--lab {path}: there is no such inventory; give local, vagrant, or the path of an Ansible inventory."
        )
    program = Path(sys.executable).with_name("ansible-inventory")
    done = subprocess.run(
        [str(program), "-i", str(path), "--list"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"LC_ALL": "C.UTF-8"},  # Ansible refuses any locale that is not UTF-8
    )
    if done.returncode != 0:
        words = " ".join(done.stderr.split())[-300:]
        raise InputError(f"{path} is not an inventory that Ansible can read: {words}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
