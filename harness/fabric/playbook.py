"""Playbooks through ansible-runner; the only importer of ansible_runner."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ansible_runner

from harness.labs.base import Lab
from harness.model.errors import ConnectionLostError, LabError, PlaybookError
from harness.nodes.ansible_environment import PLAYBOOKS_DIRECTORY, forget_others, settings
from harness.nodes.inventory import PAIRS_VARIABLE
from harness.nodes.target import NOT_ASKED, Passwords
from harness.results.plan import Setup

_FORKS = 5
"""Ansible's own default; more only where there are more hosts."""


@dataclass(frozen=True)
class PlaybookResult:
    """How a playbook went: number of changed tasks by node, seconds, and each module's result by node and task."""

    changed: dict[str, int]
    seconds: float
    results: dict[tuple[str, str], dict[str, Any]]

    @property
    def notes(self) -> list[tuple[str, str]]:
        """What this project's modules have to say of a node to its owner, as node and text."""
        said = [(host, str(text)) for (host, _), found in self.results.items() for text in found.get("notes", [])]
        return list(dict.fromkeys(said))


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

    def run(self, name: str, setup: Setup, *, cancellable: bool = True, check: bool = False) -> PlaybookResult:
        """Run `playbooks/<name>.yml` for the profiles of a set-up.

        Raises PlaybookError with the node, the task and the module's own words, ConnectionLostError where a node
        could not be reached, KeyboardInterrupt where it was cancelled.
        """
        started = time.monotonic()
        hosts = _hosts(self._lab)
        private = self._lab.scratch / "ansible"
        private.mkdir(mode=0o700, exist_ok=True)
        runner = ansible_runner.run(
            private_data_dir=str(private),
            playbook=str(PLAYBOOKS_DIRECTORY / f"{name}.yml"),
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
            cmdline=" ".join([*(["--check --diff"] if check else []), *(word for word, _, _ in self._answers)]) or None,
            passwords={prompt: password for _, prompt, password in self._answers},
            quiet=True,
            suppress_env_files=True,
            # Without any callback ansible-runner would take SIGINT and SIGTERM over, and never give them back.
            cancel_callback=self._cancelled if cancellable else (lambda: False),
        )
        if runner.status == "canceled":
            raise KeyboardInterrupt
        events = [event for event in runner.events if event.get("event", "").startswith("runner_on")]
        _raise_for_failures(name, events)
        if runner.status != "successful":
            raise PlaybookError(f"playbook {name} ended as {runner.status}: {_last_words(runner)}")
        return _result(name, hosts, runner, events, time.monotonic() - started)


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
        "ANSIBLE_HOME": str(private / "home"),
        "ANSIBLE_LOCAL_TEMP": str(private / "tmp"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(private / "cp"),
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
        raise PlaybookError(f"playbook {name}, task {failed[0]['task']!r}: " + "; ".join(texts))


def _message(entry: dict[str, Any]) -> str:
    result = entry.get("res", {})
    if result.get("commands"):
        return "not as declared; to mend it: " + "; ".join(result.get("differences") or result["commands"])
    return str(result.get("msg", result)).strip()


def _last_words(runner: ansible_runner.Runner) -> str:
    return str(runner.stdout.read()).strip()[-400:]
