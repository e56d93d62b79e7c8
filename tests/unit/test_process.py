"""Processes by pid and start time: the right one is ended, and never another that got its pid."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from harness.labs.process import ProcessId, child_of


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_this_process() -> None:
    own = ProcessId.of(os.getpid())
    assert own.pid == os.getpid()
    assert own.is_alive()
    assert own == ProcessId.of(os.getpid())


def test_start_time_is_the_kernels(sleeper: subprocess.Popen[bytes]) -> None:
    """In clock ticks since boot: after this process's own, before what is started next."""
    own, first = ProcessId.of(os.getpid()), ProcessId.of(sleeper.pid)
    with subprocess.Popen(["sleep", "60"]) as later:
        second = ProcessId.of(later.pid)
        later.kill()
    assert 0 < own.start_ticks <= first.start_ticks <= second.start_ticks


def test_program_name_may_hold_anything(tmp_path: os.PathLike[str]) -> None:
    program = os.path.join(tmp_path, ") Z 1 (x")  # noqa: PTH118 - a name that looks like the rest of the line
    os.symlink("/bin/sleep", program)  # noqa: PTH211
    with subprocess.Popen([program, "60"]) as process:
        found = ProcessId.of(process.pid)
        assert found.is_alive()
        assert found.start_ticks >= ProcessId.of(os.getpid()).start_ticks
        assert found.kill()


def test_killed(sleeper: subprocess.Popen[bytes]) -> None:
    found = ProcessId.of(sleeper.pid)
    assert found.is_alive()
    assert found.kill()
    assert not found.is_alive()
    assert found.kill(), "killing what is gone is no failure"


def test_zombie_is_not_alive() -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not ProcessId(process.pid, 0).is_alive()
    with pytest.raises(ProcessLookupError):
        ProcessId.of(process.pid)
    process.wait()


def test_process_that_got_the_same_pid_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    now = ProcessId.of(sleeper.pid)
    before = ProcessId(sleeper.pid, now.start_ticks - 1)
    assert not before.is_alive()
    assert before.kill()
    assert sleeper.poll() is None
    assert now.is_alive()


def test_no_such_process() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    with pytest.raises(ProcessLookupError):
        ProcessId.of(process.pid)


def test_child() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 60 & echo; wait"], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        child = child_of(parent.pid)
        assert child is not None
        assert child_of(child) is None
        assert ProcessId.of(child).kill()
        parent.kill()
