"""CPU time of what runs on this machine beside a local lab, whose nodes share the kernel with all of it.

The total comes from control groups, which count what has ended, too, exactly (update_curr, cpuacct_charge). Summing up
processes misses those that nobody waits for. Of the total, the lab's own processes and the kernel's threads are left
out: these work for the lab as well, and nobody can tell for whom.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")
USER_HZ = 100
"""Clock ticks a second in /proc: fixed by the kernel's ABI."""
_PARENT, _FIRST_TIME, _LAST_TIME = 1, 11, 14
"""Indices, behind the program's name, of ppid and of utime, stime, cutime and cstime in /proc/PID/stat."""
_KERNEL_THREADS = 2
"""Pid of kthreadd, the parent of the kernel's own threads."""


@dataclass(frozen=True)
class _Process:
    """A process: its parent, its PID namespace, and the seconds that it and its ended children used."""

    parent: int
    space: str
    cpu_s: float


def foreign_cpu_s(insiders: Collection[int], proc: Path = PROC, cgroups: Path = CGROUPS) -> float:
    """Return the seconds of CPU that everything but a lab has used so far; `insiders` are its nodes' first processes.

    What the harness itself uses is foreign, too.
    """
    processes = _processes(proc)
    inside = _inside(insiders, processes)
    kernel = {pid for pid, own in processes.items() if _KERNEL_THREADS in (pid, own.parent)}
    total_s = _total_cpu_s(cgroups, proc, sum(processes[pid].cpu_s for pid in kernel))
    if total_s is None:
        return sum(own.cpu_s for pid, own in processes.items() if pid not in inside and pid not in kernel)
    return total_s - sum(processes[pid].cpu_s for pid in inside)


def _total_cpu_s(cgroups: Path, proc: Path, kernel_s: float) -> float | None:
    """Return what all processes but the kernel's threads have used, None where control groups cannot tell.

    Version 2 can only where processes are in groups below the root, as this one is on a host run by systemd.
    """
    with suppress(OSError, ValueError):  # version 1: the root counts everything
        return int((cgroups / "cpuacct/cpuacct.usage").read_text(encoding="ascii")) / 1e9 - kernel_s
    used_s: list[float] = []
    with suppress(OSError):
        own = (proc / "self/cgroup").read_text(encoding="utf-8").splitlines()
        if not any(line.startswith("0::/") and line != "0::/" for line in own):
            return None
    for path in cgroups.glob("*/cpu.stat"):  # version 2: the root samples, those below it count, without the kernel's
        with suppress(OSError, ValueError, IndexError):
            first = path.read_text(encoding="ascii").split()
            used_s.append(int(first[first.index("usage_usec") + 1]) / 1e6)
    return sum(used_s) if used_s else None


def _processes(proc: Path) -> dict[int, _Process]:
    """Return every process by its pid; those that end meanwhile are left out."""
    used = {}
    for path in proc.iterdir():
        if not path.name.isdigit():
            continue
        with suppress(OSError):
            fields = (path / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            space = str((path / "ns/pid").readlink())
            cpu_s = sum(map(int, fields[_FIRST_TIME : _LAST_TIME + 1])) / USER_HZ
            used[int(path.name)] = _Process(int(fields[_PARENT]), space, cpu_s)
    return used


def _inside(insiders: Collection[int], processes: Mapping[int, _Process]) -> set[int]:
    """Return the processes of the nodes: those in their PID namespaces, and whatever is below these.

    Who enters a node, such as its sshd, is a child of somebody outside, but in the node's namespace; a container in a
    node has a namespace of its own, but its parents are in the node's.
    """
    spaces = {processes[pid].space for pid in insiders if pid in processes}
    inside = {pid for pid, own in processes.items() if own.space in spaces}
    return {pid for pid in processes if not inside.isdisjoint(_line_of(pid, processes))}


def _line_of(pid: int, processes: Mapping[int, _Process]) -> list[int]:
    """Return a process and its ancestors; pids that were given anew while they were read do not make a circle."""
    line: list[int] = []
    while pid in processes and pid not in line:
        line.append(pid)
        pid = processes[pid].parent
    return line
