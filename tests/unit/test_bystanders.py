"""CPU time of what is not the lab's, from a /proc and control groups made up in a folder: versions 1, 2 and neither."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import rmtree

import pytest

from harness.labs import bystanders
from harness.labs.bystanders import Bystanders

HOST, NODE, OTHER_NODE, CONTAINER = "pid:[1]", "pid:[2]", "pid:[3]", "pid:[4]"
INSIDERS = (100, 200)


@dataclass(frozen=True)
class Process:
    """A process as /proc shows it; of its seconds some are those of its ended children."""

    pid: int
    parent: int
    seconds: int
    space: str = HOST
    name: str = "sh"
    children: int = 0

    def write(self, proc: Path) -> None:
        times = [(self.seconds - self.children) * 100 - 1, 1, self.children * 100, 0]  # utime, stime, cutime, cstime
        fields = ["S", self.parent, 0, 0, 0, -1, 0, 0, 0, 0, 0, *times, 20, 0, 1, 0, 77]
        folder = proc / str(self.pid)
        rmtree(folder, ignore_errors=True)
        (folder / "ns").mkdir(parents=True)
        (folder / "stat").write_text(f"{self.pid} ({self.name}) {' '.join(map(str, fields))}\n", encoding="utf-8")
        (folder / "ns" / "pid").symlink_to(self.space)


# Seconds are powers of two, so that every sum tells what was added up.
BYSTANDERS = (
    Process(1, 0, 1, name="systemd"),
    Process(30, 1, 2, name="harness"),
    Process(31, 30, 4, name="nsenter"),
    Process(32, 1, 8, name="a (sh) R 2 b"),
)
KERNEL = (Process(2, 0, 16, name="kthreadd"), Process(9, 2, 32, name="ksoftirqd/0"))
LAB = (
    Process(100, 99, 64, NODE, "sleep"),
    Process(101, 31, 128, NODE, "sshd"),  # entered the node, so its parent is somebody outside
    Process(102, 101, 256, NODE, "iperf3"),
    Process(103, 100, 512, CONTAINER, "sh"),  # a container of the node's own engine
    Process(104, 103, 1024, CONTAINER, "dd"),
    Process(200, 199, 2048, OTHER_NODE, "sleep"),
)
FOREIGN_S, KERNEL_S, LAB_S = (sum(one.seconds for one in group) for group in (BYSTANDERS, KERNEL, LAB))


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    folder = tmp_path / "proc"
    for process in (*BYSTANDERS, *KERNEL, *LAB):
        process.write(folder)
    (folder / "sys").mkdir()
    (folder / "uptime").write_text("1 1\n", encoding="ascii")
    return folder


def test_what_is_waited_for_in_the_middle_of_a_look_is_the_labs(
    proc: Path, cgroups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its parent was read before that, itself no more: two looks have to agree."""
    used = bystanders._processes(proc)
    torn = {pid: own for pid, own in used.items() if pid != 102}
    whole = torn | {101: replace(used[101], children_s=used[102].cpu_s)}
    looks = iter([used, used, torn, whole, whole])
    monkeypatch.setattr(bystanders, "_processes", lambda _proc: next(looks))
    own = Bystanders(INSIDERS, proc, cgroups)
    assert [own.cpu_s(), own.cpu_s()] == [FOREIGN_S, FOREIGN_S]
    assert next(looks, None) is None


@pytest.fixture
def cgroups(tmp_path: Path) -> Path:
    """Return where control groups are; there are none until a test makes some."""
    folder = tmp_path / "cgroup"
    folder.mkdir()
    return folder


def version_1(cgroups: Path, seconds: float) -> None:
    """The root counts everything that ever ran, in nanoseconds."""
    (cgroups / "cpuacct").mkdir()
    (cgroups / "cpuacct" / "cpuacct.usage").write_text(f"{round(seconds * 1e9)}\n", encoding="ascii")


def version_2(cgroups: Path, **seconds: float) -> None:
    """Groups below the root count themselves, in microseconds; the kernel's threads stay in the root."""
    text = "usage_usec {}\nuser_usec 0\nsystem_usec 0\n"
    (cgroups / "cpu.stat").write_text(text.format(123), encoding="ascii")
    for name, own in seconds.items():
        (cgroups / name).mkdir()
        (cgroups / name / "cpu.stat").write_text(text.format(round(own * 1e6)), encoding="ascii")


def test_processes_are_summed_up_where_there_are_no_control_groups(proc: Path, cgroups: Path) -> None:
    assert Bystanders(INSIDERS, proc, cgroups).cpu_s() == pytest.approx(FOREIGN_S)
    assert Bystanders(INSIDERS, proc, cgroups / "nowhere").cpu_s() == pytest.approx(FOREIGN_S)


def test_version_1_counts_those_that_have_ended_too(proc: Path, cgroups: Path) -> None:
    """What 5000 seconds went to is in no process any more; it was not the lab's."""
    version_1(cgroups, FOREIGN_S + KERNEL_S + LAB_S + 5000.25)
    assert Bystanders(INSIDERS, proc, cgroups).cpu_s() == pytest.approx(FOREIGN_S + 5000.25)


def test_version_2_adds_up_the_groups_below_the_root(proc: Path, cgroups: Path) -> None:
    """The root's own number is from samples and has the kernel's threads in it; those below it do not."""
    version_2(cgroups, system=FOREIGN_S + 5000.0, user=LAB_S + 0.25)
    assert Bystanders(INSIDERS, proc, cgroups).cpu_s() == pytest.approx(FOREIGN_S + 5000.25)


def test_version_1_comes_first_where_both_are_mounted(proc: Path, cgroups: Path) -> None:
    version_1(cgroups, FOREIGN_S + KERNEL_S + LAB_S)
    version_2(cgroups, unified=1e6)
    assert Bystanders(INSIDERS, proc, cgroups).cpu_s() == pytest.approx(FOREIGN_S)


@pytest.mark.parametrize("text", ["", "many\n", "1.5\n"])
def test_version_1_that_does_not_say_a_number_is_none(proc: Path, cgroups: Path, text: str) -> None:
    version_1(cgroups, 1)
    (cgroups / "cpuacct" / "cpuacct.usage").write_text(text, encoding="ascii")
    assert Bystanders(INSIDERS, proc, cgroups).cpu_s() == pytest.approx(FOREIGN_S)


@pytest.mark.parametrize("text", ["", "usage_usec many\n", "nr_periods 7\n"])
def test_group_that_does_not_say_a_number_is_left_out(proc: Path, cgroups: Path, text: str) -> None:
    version_2(cgroups, system=FOREIGN_S + LAB_S, broken=1)
    (cgroups / "broken" / "cpu.stat").write_text(text, encoding="ascii")
    assert Bystanders(INSIDERS, proc, cgroups).cpu_s() == pytest.approx(FOREIGN_S)


@pytest.mark.parametrize("version", [0, 1, 2])
def test_what_the_lab_uses_changes_nothing_and_what_others_use_does(proc: Path, cgroups: Path, version: int) -> None:
    def total(extra: float) -> float:
        for path in cgroups.glob("*/*"):
            path.unlink()
            path.parent.rmdir()
        if version == 1:
            version_1(cgroups, FOREIGN_S + KERNEL_S + LAB_S + extra)
        if version == 2:
            version_2(cgroups, all=FOREIGN_S + LAB_S + extra)
        return Bystanders(INSIDERS, proc, cgroups).cpu_s()

    before = total(0)
    Process(105, 101, 4096, NODE, "ping").write(proc)
    assert total(4096) == pytest.approx(before)
    Process(33, 30, 8192, HOST, "make").write(proc)
    assert total(4096 + 8192) == pytest.approx(before + 8192)


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(
    ("ended", "instead"),
    [
        pytest.param((102,), Process(101, 31, 128 + 256, NODE, "sshd", children=256), id="waited for"),
        pytest.param((102,), Process(101, 31, 128, NODE, "sshd"), id="nobody waits"),
        pytest.param((101, 102), Process(31, 30, 4, name="nsenter"), id="the outsider does not wait"),
        pytest.param((103, 104), Process(100, 99, 64 + 1536, NODE, "sleep", children=1536), id="a line of them"),
    ],
)
def test_what_ends_in_the_lab_stays_the_labs(
    proc: Path, cgroups: Path, ended: tuple[int, ...], instead: Process, version: int
) -> None:
    """A node's sshd ends a minute after Ansible last used it; what it had used is not others' then."""
    if version == 1:
        version_1(cgroups, FOREIGN_S + KERNEL_S + LAB_S)
    bystanders = Bystanders(INSIDERS, proc, cgroups)
    before = bystanders.cpu_s()
    for pid in ended:
        rmtree(proc / str(pid))
    instead.write(proc)
    after = bystanders.cpu_s()
    if version == 1:
        assert after == pytest.approx(before)
    assert bystanders.cpu_s() == pytest.approx(after), "kept, not counted once more"


@pytest.mark.parametrize(
    ("insiders", "foreign_s"),
    [
        pytest.param((), FOREIGN_S + LAB_S, id="no lab at all"),
        pytest.param((200,), FOREIGN_S + LAB_S - 2048, id="one of two nodes"),
        pytest.param((100, 200, 999), FOREIGN_S, id="one that has ended"),
    ],
)
def test_lab_is_what_is_in_its_nodes(proc: Path, cgroups: Path, insiders: tuple[int, ...], foreign_s: int) -> None:
    assert Bystanders(insiders, proc, cgroups).cpu_s() == pytest.approx(foreign_s)


def test_processes_that_end_meanwhile_are_left_out(proc: Path, cgroups: Path) -> None:
    (proc / "40").mkdir()
    Process(41, 1, 4096).write(proc)
    (proc / "41" / "ns" / "pid").unlink()
    assert Bystanders(INSIDERS, proc, cgroups).cpu_s() == pytest.approx(FOREIGN_S)


def test_parents_that_are_each_others_do_not_make_a_circle(proc: Path, cgroups: Path) -> None:
    """Pids are given anew while they are read."""
    Process(50, 51, 4096).write(proc)
    Process(51, 50, 8192).write(proc)
    assert Bystanders(INSIDERS, proc, cgroups).cpu_s() == pytest.approx(FOREIGN_S + 4096 + 8192)


def test_kernels_threads_are_nobodys(proc: Path, cgroups: Path) -> None:
    before = Bystanders(INSIDERS, proc, cgroups).cpu_s()
    Process(10, 2, 4096, name="kworker/0:1").write(proc)
    assert Bystanders(INSIDERS, proc, cgroups).cpu_s() == pytest.approx(before)


def test_this_machine_has_used_some() -> None:
    """The real /proc and the real control groups, whatever their version; everything is in this process's namespace."""
    everything = Bystanders(()).cpu_s()
    assert everything > 0
    assert Bystanders((os.getpid(),)).cpu_s() < everything
