"""Folders of runs on hosts: where Ansible's files go. One that a killed run left goes with the next run."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from harness.model.flock import try_lock
from harness.nodes.ansible_environment import end_masters

_PREFIX = "vxlan-harness-"


class Scratch:
    """A folder of this process's own among temporary files; the lock on it (flock(2)) says that it is in use."""

    def __init__(self) -> None:
        _sweep()
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
            self._number = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            if try_lock(self._number) and self.path.exists():
                return
            os.close(self._number)  # somebody took it for an abandoned one

    def remove(self) -> None:
        """Remove it, having ended the connections that Ansible would keep for the next playbook."""
        end_masters(self.path)
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._number)


def _sweep() -> None:
    """Remove what killed runs of this user's left."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(number).st_uid == os.geteuid() and try_lock(number):
                    end_masters(path)
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(number)
