"""Playbooks through ansible-runner; the only importer of ansible_runner."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import ansible_runner

from harness.fabric.oversight import MOST_BYTES, Oversight
from harness.labs.base import Lab
from harness.model.errors import ConnectionLostError, LabError, PlaybookError, StorageError, TaskFailedError
from harness.model.shipped import PLAYBOOKS
from harness.model.text import printable
from harness.nodes.ansible_environment import FOLDER, SOCKETS, forget_others, settings
from harness.nodes.inventory import PAIRS_VARIABLE
from harness.nodes.target import NOT_ASKED, Passwords
from harness.results.plan import Setup

_HOME = "ANSIBLE_HOME"
_LIMIT_S = 900
"""How long a playbook may take: what takes seconds here takes some minutes on thirty slow hosts."""
_LOOK_S = 0.2
"""How often is looked whether it is to be ended."""
_MOST_LAST_WORDS, _MOST_OF_A_TASK = 300, 1000
_FORKS = 5
"""Ansible's own default; more only where there are more hosts."""


@dataclass(frozen=True)
class PlaybookResult:
    """How a playbook went: number of changed tasks by node, seconds, and each module's result by node and task."""

    changed: dict[str, int]
    seconds: float
    results: dict[tuple[str, str], dict[str, Any]]


class Listener(Protocol):
    """Who is told what a playbook does while it does it."""

    def play(self, name: str) -> None:
        """A play begins."""
        ...

    def note(self, host: str, text: str) -> None:
        """A module of this project's has something to say of a node to its owner."""
        ...


@dataclass(frozen=True)
class _Play:
    """One playbook about to be run, in check mode or for good."""

    name: str
    setup: Setup
    cancellable: bool
    check: bool
    listener: Listener | None


class PlaybookRunner:
    """Runs this project's playbooks on a lab's nodes."""

    def __init__(
        self,
        lab: Lab,
        cancelled: Callable[[], bool] = lambda: False,
        *,
        passwords: Passwords = NOT_ASKED,
    ) -> None:
        if lab.inventory is None:
            raise LabError(f"lab {lab.name} takes no playbooks.")
        forget_others()
        self._inventory = lab.inventory.resolve()  # a relative path would be taken for the inventory's text
        self._lab = lab
        self._answers = _answers(passwords)
        self._cancelled = cancelled

    def run(
        self,
        name: str,
        setup: Setup,
        *,
        cancellable: bool = True,
        check: bool = False,
        listener: Listener | None = None,
    ) -> PlaybookResult:
        """Run `playbooks/<name>.yml` for the profiles of a set-up.

        Raises PlaybookError with the node, the task and the module's own words, ConnectionLostError where a node
        could not be reached twice (each of them may be run again), KeyboardInterrupt where it was cancelled.
        """
        play = _Play(name, setup, cancellable, check, listener)
        try:
            return self._played(play)
        except ConnectionLostError:  # as for a trial: what broke is made anew, and tried once more
            return self._played(play)
        finally:
            self._leave_nothing()

    def _leave_nothing(self) -> None:
        """Remove what ansible-runner made anew where somebody took the lab down beside it, with all of its folder."""
        scratch = self._lab.scratch.resolve()
        if scratch in self._inventory.parents and not self._inventory.exists():
            shutil.rmtree(scratch / FOLDER, ignore_errors=True)
            for folder in (scratch, scratch.parent):
                with suppress(OSError):  # there is something else in it
                    folder.rmdir()

    def _played(self, play: _Play) -> PlaybookResult:
        started, name = time.monotonic(), play.name
        hosts = _hosts(self._lab)
        private = self._lab.scratch / FOLDER
        # Without any callback ansible-runner would take SIGINT and SIGTERM over, and never give them back.
        mark = f"{_HOME}={_environment(private)[_HOME]}"
        oversight = Oversight(self._cancelled if play.cancellable else (lambda: False), private, mark)
        try:
            runner = self._run(play, hosts, private, oversight)
        except KeyboardInterrupt:
            oversight.end()
            raise
        except OSError as error:
            raise StorageError(f"{private} cannot be written: {error.strerror or error}; make room there.") from error
        if oversight.has_grown:
            most = f"{MOST_BYTES / 1e6:.0f} MB"
            raise PlaybookError(f"playbook {name} was ended: a node prints without end, Ansible took {most} of memory.")
        if runner.status == "canceled":
            raise KeyboardInterrupt
        if runner.status == "timeout":
            raise PlaybookError(f"playbook {name} was ended: it took more than {_LIMIT_S} s.")
        events = [event for event in runner.events if event.get("event", "").startswith("runner_on")]
        _raise_for_failures(name, events)
        if runner.status != "successful":
            raise PlaybookError(f"playbook {name} ended as {runner.status}: {_last_words(runner)}")
        return _result(name, hosts, runner, events, time.monotonic() - started)

    def _run(self, play: _Play, hosts: Sequence[str], private: Path, oversight: Oversight) -> ansible_runner.Runner:
        """Run ansible-playbook to its end, whatever that is; raises OSError."""
        setup = play.setup
        private.mkdir(mode=0o700, exist_ok=True)
        return ansible_runner.run(
            private_data_dir=str(private),
            playbook=str(PLAYBOOKS / f"{play.name}.yml"),
            inventory=str(self._inventory),
            extravars={
                "overlay_profiles": list(setup.profiles),
                "overlay_mtus": list(setup.mtus),
                "overlay_profiles_dirs": [str(folder.resolve()) for folder in setup.profiles_dirs],
                "overlay_containers": setup.containers.engine.value,
                "overlay_image": setup.containers.image,
                **_pairs(self._lab),
            },
            limit=",".join(hosts) if self._lab.pairs else None,
            forks=max(len(hosts), _FORKS),
            envvars=_environment(private),
            cmdline=" ".join([*(["--check --diff"] if play.check else []), *(word for word, _, _ in self._answers)])
            or None,
            passwords={prompt: password for _, prompt, password in self._answers},
            quiet=True,
            suppress_env_files=True,
            cancel_callback=oversight,
            event_handler=partial(_tell, play.listener) if play.listener else None,
            settings={"pexpect_timeout": _LOOK_S, "job_timeout": _LIMIT_S},
        )


def _tell(listener: Listener, event: Mapping[str, Any]) -> bool:
    """Pass on what an event says to whom it may concern; returns that ansible-runner is to keep it."""
    what, data = event.get("event"), event.get("event_data", {})
    if what == "playbook_on_play_start":
        listener.play(data["name"])
    elif what == "runner_on_ok":
        for text in data.get("res", {}).get("notes", []):
            listener.note(data["host"], str(text))
    return True


def _result(
    name: str, hosts: Sequence[str], runner: ansible_runner.Runner, events: Sequence[dict[str, Any]], seconds: float
) -> PlaybookResult:
    """Return what the tasks reported; raises PlaybookError where there was nothing to do on a node."""
    stats = runner.stats or {}
    untouched = [host for host in hosts if host not in stats["processed"]]
    if untouched:
        raise PlaybookError(f"playbook {name} did nothing on {', '.join(untouched)}; is it in the group `nodes`?")
    return PlaybookResult(
        changed={host: stats["changed"].get(host, 0) for host in hosts},
        seconds=seconds,
        results={
            (event["event_data"]["host"], event["event_data"]["task"]): event["event_data"].get("res", {})
            for event in events
            if event["event"] == "runner_on_ok"
        },
    )


def _hosts(lab: Lab) -> list[str]:
    return [node.name for node in lab.nodes]


def _pairs(lab: Lab) -> dict[str, list[tuple[str, str]]]:
    """Return the variable that tells each host its peer, for a lab of which pairs were chosen."""
    return {PAIRS_VARIABLE: [pair.hosts for pair in lab.pairs]} if lab.pairs else {}


def _answers(passwords: Passwords) -> list[tuple[str, str, str]]:
    """Return options of ansible-playbook, the prompt of each and its answer: a password is never an argument."""
    known = (
        ("--ask-pass", r"SSH password:\s*$", passwords.login),
        ("--ask-become-pass", r"BECOME password.*:\s*$", passwords.become),
    )
    return [(option, prompt, password) for option, prompt, password in known if password is not None]


def _environment(private: Path) -> dict[str, str]:
    """Return Ansible's settings, its files where they go with the lab."""
    return settings() | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '/usr/sbin:/usr/bin:/sbin:/bin')}",
        _HOME: str(private / "home"),
        "ANSIBLE_LOCAL_TEMP": str(private / "tmp"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(private / SOCKETS),
    }


def _raise_for_failures(name: str, events: Sequence[dict[str, Any]]) -> None:
    """Raise for the nodes on which a task failed, in one sentence each."""
    unreachable = [event["event_data"] for event in events if event["event"] == "runner_on_unreachable"]
    if unreachable:
        first = unreachable[0]
        raise ConnectionLostError(f"{first['host']} cannot be reached by Ansible: {_message(first)}")
    failed = [
        event["event_data"]
        for event in events
        if event["event"] == "runner_on_failed" and not event["event_data"].get("ignore_errors")
    ]
    if failed:
        texts = dict.fromkeys(f"{entry['host']}: {_message(entry)}" for entry in failed)
        raise TaskFailedError(f"playbook {name}, task {failed[0]['task']!r}: " + "; ".join(texts))


def _message(entry: dict[str, Any]) -> str:
    result = entry.get("res", {})
    if result.get("commands") or result.get("differences"):
        return "not as declared; to mend it: " + "; ".join(result.get("differences") or result["commands"])
    return _start(str(result.get("msg", result)), _MOST_OF_A_TASK)


def _start(text: str, most: int) -> str:
    """Return the start of a text, in which Ansible says what is wrong, on one line of so many letters."""
    words = printable(" ".join(text[: 8 * most].split()))
    return words if len(words) <= most else f"{words[:most]}…"


def _last_words(runner: ansible_runner.Runner) -> str:
    """Return the last thing that Ansible calls an error, else its last line."""
    lines = [line for line in str(runner.stdout.read()).splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line]
    return _start((errors or lines or ["it said nothing, as where somebody kills it"])[-1], _MOST_LAST_WORDS)
