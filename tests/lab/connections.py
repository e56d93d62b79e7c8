"""The processes behind a measuring connection, found by who started them."""

from __future__ import annotations

from pathlib import Path

from tests.lab.bench import eventually
from tests.lab.snapshots import command_lines


def parent_of(pid: int, proc: Path = Path("/proc")) -> int:
    """Return the pid of a process's parent."""
    return int((proc / str(pid) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])


def children_of(pid: int, proc: Path = Path("/proc")) -> list[int]:
    """Return the pids of a process's children."""
    return [int(word) for word in (proc / f"{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def measuring_sshd(node: int, owner: int, proc: Path = Path("/proc")) -> int:
    """Return the one sshd that process `owner` talks to on the node whose first process is `node`.

    Between the two is nsenter. Ansible's connections have an ssh of its own in between, so they are not found.
    """

    def found() -> list[int]:
        entered = [
            pid
            for pid, text in command_lines(proc).items()
            if text.startswith(f"nsenter --target {node} ") and "sshd -i" in text and parent_of(pid, proc) == owner
        ]
        return [child for pid in entered for child in children_of(pid, proc)]

    assert eventually(lambda: len(found()) == 1), "one that was closed may still be on its way out"
    return found()[0]
