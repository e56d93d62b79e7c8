"""Playbooks by ansible-runner: what stops one, what is tried once more, and what is said of it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ansible_runner
import pytest
import yaml

from harness.fabric import oversight
from harness.fabric.ansible import VERIFYING, AnsibleFabric
from harness.fabric.oversight import Oversight, descendants, resident_bytes
from harness.fabric.playbook import PlaybookRunner
from harness.labs.base import Lab
from harness.labs.static import listing
from harness.model.errors import (
    ConnectionLostError,
    HarnessError,
    InputError,
    PlaybookError,
    StorageError,
    TaskFailedError,
)
from harness.model.node import Node
from harness.model.shipped import PLAYBOOKS
from harness.nodes.ansible_environment import FOLDER
from harness.results.plan import Setup

MARK = "ANSIBLE_HOME=/nowhere"
SETUP = Setup(("vxlan",), (1450,), 1500)
STATS = {"processed": {"k8s-1": 1, "k8s-2": 1}, "changed": {}}
FAILED = {
    "event": "runner_on_failed",
    "event_data": {"host": "k8s-2", "task": "look", "res": {"msg": "no such device"}},
}
UNREACHABLE = {"event": "runner_on_unreachable", "event_data": {"host": "k8s-1", "task": "x", "res": {"msg": "gone"}}}


@dataclass
class Runs:
    """What ansible-runner does, time after time: a status, events and words, what gives these, or what it raises."""

    ends: list[Any]
    given: list[dict[str, Any]] = field(default_factory=list)

    def run(self, **given: Any) -> SimpleNamespace:  # noqa: ANN401 - ansible-runner's own
        self.given.append(given)
        end = self.ends.pop(0)
        if isinstance(end, BaseException):
            raise end
        if callable(end):
            end = end(given)
        status, events, said = end
        stdout = SimpleNamespace(read=lambda: said)
        return SimpleNamespace(status=status, events=events, stats=STATS, stdout=stdout)


def runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *ends: object) -> tuple[PlaybookRunner, Runs]:
    runs = Runs(list(ends))
    monkeypatch.setattr(ansible_runner, "run", runs.run)
    (tmp_path / "inventory").touch()
    return PlaybookRunner(lab(tmp_path)), runs


def lab(folder: Path) -> Lab:
    client, server = (Node(f"k8s-{number}", number, f"192.0.2.{number}", "eth0") for number in (1, 2))
    return Lab("mine", folder / "inventory", None, client, server, rate_bps=None, shared_kernel=False, scratch=folder)


def test_node_that_could_not_be_reached_is_tried_once_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    playbooks, runs = runner(monkeypatch, tmp_path, ("failed", [UNREACHABLE], ""), ("successful", [], ""))
    playbooks.run("verify", SETUP)
    assert len(runs.given) == 2
    playbooks, _ = runner(monkeypatch, tmp_path, *[("failed", [UNREACHABLE], "")] * 2)
    with pytest.raises(ConnectionLostError, match="k8s-1 cannot be reached by Ansible: gone"):
        playbooks.run("verify", SETUP)


@dataclass
class Heard:
    """Who is told what a playbook does, or an observer of what a fabric does."""

    plays: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def play(self, name: str) -> None:
        self.plays.append(name)

    stage = play

    def note(self, *words: object) -> None:
        self.notes.append(" ".join(map(str, words)))


NOTED = {"event": "runner_on_ok", "event_data": {"host": "k8s-2", "task": "bring up", "res": {"notes": ["open"]}}}
CHECKED = {"event": "runner_on_ok", "event_data": {"host": "k8s-1", "task": "ping"}}


def play_begins(name: str) -> dict[str, Any]:
    return {"event": "playbook_on_play_start", "event_data": {"name": name}}


def test_what_a_playbook_does_is_told_as_it_does_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def end(given: dict[str, Any]) -> None:
        for event in ({"event": "verbose"}, play_begins("one"), NOTED, play_begins("two"), CHECKED):
            assert given["event_handler"](event), "else ansible-runner forgets it"
        raise KeyboardInterrupt

    playbooks, _ = runner(monkeypatch, tmp_path, end)
    heard = Heard()
    with pytest.raises(KeyboardInterrupt):
        playbooks.run("up", SETUP, listener=heard)
    assert (heard.plays, heard.notes) == (["one", "two"], ["k8s-2 open"])


def test_play_that_verifies_is_called_so() -> None:
    (play,) = yaml.safe_load((PLAYBOOKS / "verify.yml").read_text(encoding="utf-8"))
    assert play["name"] == VERIFYING


def test_what_is_tried_once_more_is_brought_up_before_it_is_verified(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A node that cannot be reached in a verification, and a task of the bringing up that fails then."""

    def first(given: dict[str, Any]) -> Any:  # noqa: ANN401 - an end, as Runs has it
        for event in (play_begins("bring up"), NOTED, play_begins(VERIFYING), NOTED):
            given["event_handler"](event)
        return ("failed", [UNREACHABLE], "")

    def second(given: dict[str, Any]) -> Any:  # noqa: ANN401 - as above
        given["event_handler"](play_begins("bring up"))
        return ("failed", [FAILED], "")

    playbooks, _ = runner(monkeypatch, tmp_path, first, second)
    observer = Heard()
    with pytest.raises(TaskFailedError, match="playbook up, task 'look': k8s-2: no such device"):
        AnsibleFabric(lab(tmp_path), {}, playbooks).up(SETUP, observer, verify=True)
    assert observer.plays == ["verifying"]
    assert observer.notes == ["k8s-2: open"]


@pytest.mark.parametrize("cancellable", [True, False])
def test_signals_are_never_taken_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cancellable: bool) -> None:
    """ansible-runner does that where there is no callback, and never gives them back."""
    playbooks, runs = runner(monkeypatch, tmp_path, ("successful", [], ""))
    playbooks.run("teardown", SETUP, cancellable=cancellable)
    assert runs.given[0]["cancel_callback"]() is False


LONG = "Traceback\n" + "x" * 5000
ENDS: dict[str, tuple[Any, type[HarnessError], str]] = {
    "timeout": (("timeout", [], ""), PlaybookError, "playbook apply was ended: it took more than 900 s."),
    "own words": (("failed", [], "PLAY\nERROR! no such role\n"), PlaybookError, "ended as failed: ERROR! no such role"),
    "very many": (("failed", [], LONG), PlaybookError, "ended as failed: xxx"),
    "task": (("failed", [FAILED], ""), TaskFailedError, "playbook apply, task 'look': k8s-2: no such device"),
    "nothing": (("failed", [], ""), PlaybookError, "ended as failed: it said nothing, as where"),
    "escapes": (("failed", [], "ERROR! \x1b[2J"), PlaybookError, r"ERROR! \x1b[2J"),
    "full disk": (OSError(28, "No space left on device"), StorageError, "cannot be written: No space left on device"),
}


@pytest.mark.parametrize("how", ENDS)
def test_every_end_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str) -> None:
    end, kind, words = ENDS[how]
    playbooks, _ = runner(monkeypatch, tmp_path, end)
    with pytest.raises(kind) as raised:
        playbooks.run("apply", SETUP)
    assert words in str(raised.value)
    assert len(str(raised.value)) < 500


def test_environment_that_ansible_runner_writes_is_removed(tmp_path: Path) -> None:
    command = tmp_path / "artifacts" / "one" / "command"
    command.parent.mkdir(parents=True)
    command.write_text('{"env": {"SECRET": "x"}}', encoding="utf-8")
    assert Oversight(lambda: False, tmp_path, MARK)() is False
    assert not command.exists()
    assert Oversight(lambda: True, tmp_path, MARK)() is True


def test_program_that_grows_without_end_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oversight, "MOST_BYTES", 60_000_000)
    code = "held = bytearray(80_000_000); print(flush=True); input()"
    argv = ["sh", "-c", '"$0" -c "$1"; true', sys.executable, code]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        below = [*descendants(process.pid)]
        assert [resident_bytes(pid) > 80_000_000 for pid in below] == [True]
        watch = Oversight(lambda: False, tmp_path, MARK)
        assert watch()
        assert watch.has_grown
        process.communicate("\n")
    assert resident_bytes(below[0]) == 0


@pytest.mark.parametrize("how", ["interrupted", "asked to end"])
def test_workers_that_left_the_session_are_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str) -> None:
    """ansible-runner ends what is in Ansible's own session, and nothing where it is interrupted."""
    started: list[subprocess.Popen[str]] = []

    def end(given: dict[str, Any]) -> None:
        argv = ["sh", "-c", "setsid sleep 60 & setsid sleep 60 & echo; wait"]
        process = subprocess.Popen(argv, env=os.environ | given["envvars"], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.readline()
        started.append(process)
        below.extend(descendants(process.pid))
        if how == "interrupted":
            raise KeyboardInterrupt
        assert given["cancel_callback"]()

    below: list[int] = []
    other = subprocess.Popen(["sleep", "60"])  # one of ours that is none of Ansible's
    playbooks, _ = runner(monkeypatch, tmp_path, end)
    monkeypatch.setattr(playbooks, "_cancelled", lambda: True)
    with pytest.raises((KeyboardInterrupt, TypeError)):
        playbooks.run("apply", SETUP)
    assert len(below) == 2
    assert started[0].wait() == -signal.SIGKILL
    for _ in range(1000):  # they are somebody else's to wait for now
        if any(map(resident_bytes, below)):
            time.sleep(0.01)
    assert [pid for pid in below if resident_bytes(pid)] == []
    assert other.poll() is None
    other.kill()
    other.wait()


def test_inventory_that_ansible_cannot_parse_says_so(tmp_path: Path) -> None:
    path = tmp_path / "mine.yml"
    path.write_text("nodes: [\n", encoding="utf-8")
    with pytest.raises(InputError, match="is not an inventory that Ansible can read"):
        listing(path)


@pytest.mark.parametrize("others", [(), ("someones.txt",)])
def test_a_lab_that_was_taken_down_beside_it_is_not_made_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, others: tuple[str, ...]
) -> None:
    """ansible-runner makes its folder again, and those above it."""
    scratch = tmp_path / "labs" / "lab"
    scratch.mkdir(parents=True)
    playbooks, _ = runner(monkeypatch, scratch)

    def taken_down(**_: object) -> None:
        shutil.rmtree(scratch.parent)
        (scratch / FOLDER / "artifacts" / "1").mkdir(parents=True)
        for name in others:
            (scratch / name).touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(ansible_runner, "run", taken_down)
    with pytest.raises(KeyboardInterrupt):
        playbooks.run("verify", SETUP)
    assert sorted(path.name for path in tmp_path.rglob("*")) == (["lab", "labs", *others] if others else [])


def test_process_that_ends_as_it_is_looked_at_has_no_children(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "glob", gone)
    assert list(descendants(os.getpid())) == []
