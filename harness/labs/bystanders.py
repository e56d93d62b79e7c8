"""CPU time of what runs on this machine beside a local lab, whose nodes share the kernel with all of it.

The total comes from control groups, which count what has ended, too, exactly (update_curr, cpuacct_charge). Summing up
processes misses those that nobody waits for. Of the total, the lab's own processes and the kernel's threads are left
out: these work for the lab as well, and nobody can tell for whom.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")
USER_HZ = 100
"""Clock ticks a second in /proc: fixed by the kernel's ABI."""
_PARENT, _OWN, _CHILDREN, _STARTED = 1, slice(11, 13), slice(13, 15), 19
"""Places, behind the program's name, of ppid, of utime and stime, of cutime and cstime, and of starttime in
/proc/PID/stat."""
_TICKS_S = 0.05
"""By how much times that are counted in ticks may be off together."""
_LOOKS = 4
"""How often is looked at most, until two looks in a row agree."""
_AGREED_S = 0.02
"""By how much these may differ: what the lab's processes use in the milliseconds of a look."""
_KERNEL_THREADS = 2
"""Pid of kthreadd, the parent of the kernel's own threads."""


@dataclass(frozen=True)
class _Process:
    """A process: when it started, its parent, its PID namespace, what it used, and what its ended children did."""

    started: str
    parent: int
    space: str
    own_s: float
    children_s: float

    @property
    def cpu_s(self) -> float:
        """Seconds that it and its ended children used."""
        return self.own_s + self.children_s


class Bystanders:
    """Everything on this machine but a lab; `insiders` are its nodes' first processes. The harness is one of them."""

    def __init__(self, insiders: Collection[int], proc: Path = PROC, cgroups: Path = CGROUPS) -> None:
        self._insiders, self._proc, self._cgroups = tuple(insiders), proc, cgroups
        self._lock = Lock()
        self._last: dict[int, _Process] = {}
        self._ended_s = 0.0

    def cpu_s(self) -> float:
        """Return the seconds of CPU that they have used so far; only how far it goes between two calls is to be used.

        A process of the lab's that ends may take its time away from the lab's: where somebody outside waits for it
        (a node's sshd is a child of what has entered the node), or nobody. So what was last seen of it is kept.
        """
        with self._lock:
            processes, inside = self._seen()
            self._ended_s += _lost_s(self._last, inside)
            self._last = inside
            kernel = {pid for pid, own in processes.items() if _KERNEL_THREADS in (pid, own.parent)}
            total_s = _total_cpu_s(self._cgroups, self._proc, sum(processes[pid].cpu_s for pid in kernel))
            if total_s is None:
                others = [own.cpu_s for pid, own in processes.items() if pid not in inside and pid not in kernel]
                return sum(others) - self._ended_s
            return total_s - sum(own.cpu_s for own in inside.values()) - self._ended_s

    def _seen(self) -> tuple[dict[int, _Process], dict[int, _Process]]:
        """Return all processes, and the lab's among them, as two looks in a row agree on what the lab's used.

        What is waited for in the middle of a look is in it neither by itself nor in the time of its parent, which was
        read before: with many flows .7 s, which were taken for others'.
        """
        used_s: float | None = None
        for _ in range(_LOOKS):
            processes = _processes(self._proc)
            inside = {pid: processes[pid] for pid in _inside(self._insiders, processes)}
            last_s, used_s = used_s, sum(own.cpu_s for own in inside.values())
            if last_s is not None and abs(used_s - last_s) <= _AGREED_S:
                break
        return processes, inside


def _lost_s(before: Mapping[int, _Process], now: Mapping[int, _Process]) -> float:
    """Return what ended processes of a lab had used that is not in the time of those that waited for them."""
    alive = {pid for pid, own in before.items() if pid in now and now[pid].started == own.started}
    ended_s: dict[int, float] = defaultdict(float)
    for pid in before.keys() - alive:
        heir = next((one for one in _line_of(pid, before) if one in alive), 0)
        ended_s[heir] += before[pid].cpu_s
    return sum(
        seconds
        for heir, seconds in ended_s.items()
        if heir not in alive or now[heir].children_s - before[heir].children_s < seconds - _TICKS_S
    )


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
            own_s, children_s = (sum(map(int, fields[place])) / USER_HZ for place in (_OWN, _CHILDREN))
            used[int(path.name)] = _Process(fields[_STARTED], int(fields[_PARENT]), space, own_s, children_s)
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
