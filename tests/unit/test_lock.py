"""The lock of a node: one owner at a time, decided by the kernel, gone with its process; a sentence for others."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from harness.nodes import lock
from harness.nodes.lock import Owner

ALICE = Owner("run 20260101T000000Z-vxlan-ab12", "alice", "desk", 4711, "2026-01-01 00:00:00 UTC")
BOB = Owner("harness trace", "bob", "lap", 4712, "2026-01-01 00:00:01 UTC")


@contextmanager
def taking(path: Path, owner: Owner) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(lock.argv(owner, str(path)), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    return process.stdout.readline()


def test_second_owner_is_told_who_has_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with taking(path, ALICE) as first:
        assert first_line(first) == lock.HELD
        assert path.stat().st_mode & 0o777 == 0o600
        refused = subprocess.run(lock.argv(BOB, str(path)), capture_output=True, text=True, check=False)
        assert refused.returncode == lock.TAKEN
        assert str(lock.refusal("k8s-1", refused.stdout)).startswith(f"k8s-1 is in use by {ALICE}; ")
        assert str(ALICE) == (
            "run 20260101T000000Z-vxlan-ab12 of alice on desk (pid 4711) since 2026-01-01 00:00:00 UTC"
        )
        assert lock.refusal("k8s-1", refused.stdout).exit_code == 3


def test_lock_ends_with_its_owners_connection_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with taking(path, ALICE) as first:
        assert first_line(first) == lock.HELD
        assert first.stdin is not None
        first.stdin.close()
        assert first.wait(10) == 0
    assert [*tmp_path.iterdir()] == []


def test_lock_of_a_process_that_was_killed_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with taking(path, ALICE) as first:
        assert first_line(first) == lock.HELD
        first.kill()
        first.wait()
        assert path.exists(), "what it says is old, and nobody goes by that"
        with taking(path, BOB) as second:
            assert first_line(second) == lock.HELD
            assert json.loads(path.read_text(encoding="utf-8")) == asdict(BOB)


def test_many_at_once_get_it_one_after_the_other(tmp_path: Path) -> None:
    """While one lets go and removes the file, others come: never two have it."""
    path, log = tmp_path / "lock", tmp_path / "log"
    script = 'i=0; while [ "$i" -lt 40 ]; do i=$((i + 1)); echo | sh -c "$1" sh "$2" {} >/dev/null; done; true'
    counting = lock.argv(ALICE)[2].replace("cat >/dev/null", f'echo + >>"{log}"; cat >/dev/null; echo - >>"{log}"')
    argv = ["sh", "-c", script, "sh", counting, str(path)]
    started = [subprocess.Popen(argv) for _ in range(4)]
    assert [process.wait() for process in started] == [0] * 4
    text = log.read_text(encoding="ascii").split()
    assert len(text) > 20
    assert text == ["+", "-"] * (len(text) // 2)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"run": 1}', "[" * 100_000, "\x1b[2J"])
def test_owner_that_is_not_told_is_somebody_else(text: str) -> None:
    assert lock.owner_of(text) == "somebody else"


def test_what_a_node_says_of_an_owner_is_bounded_and_printable() -> None:
    lies = asdict(ALICE) | {"user": "\x1b[2J" * 10_000}
    assert len(lock.owner_of(json.dumps(lies))) <= 200
    assert "\x1b" not in lock.owner_of(json.dumps(lies))


def test_place_that_cannot_be_locked_is_no_lock(tmp_path: Path) -> None:
    started = time.monotonic()
    done = subprocess.run(lock.argv(ALICE, str(tmp_path / "no" / "lock")), capture_output=True, check=False)
    assert done.returncode not in (0, lock.TAKEN)
    assert time.monotonic() - started < 60
