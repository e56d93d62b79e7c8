"""A lab of a test's own, its connections and its playbooks; and what this kernel can make."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from harness.fabric.playbook import PlaybookResult, PlaybookRunner
from harness.fabric.profiles import known_profiles, load
from harness.inspect.doctor import impossible_profiles
from harness.labs.access import NIC_MTU
from harness.labs.base import Lab
from harness.labs.holder import enter_argv
from harness.labs.local import LocalLab
from harness.labs.wires import DEFAULT_RATE, Wires
from harness.model.containers import Containers, Engine
from harness.model.jobs import Completed
from harness.model.trial import UNDERLAY
from harness.nodes.remote import Remote
from harness.nodes.ssh import SshRemote
from harness.results.plan import Setup
from tests.lab.snapshots import Snapshot, differences, snapshot

MTUS = (1450, 1500)
NOTHING, ONE_TASK = {"k8s-1": 0, "k8s-2": 0}, {"k8s-1": 1, "k8s-2": 1}
"""What a playbook changed on the nodes, in tasks: where all is as it is wanted, and where it is brought there."""
SETTLING_S = 3.0
"""How long the kernel may take to see, for instance, that a bridge has lost its last port."""
SWARMS = [name for name in known_profiles() if load(name).swarm]
"""Profiles that Docker builds: they need its daemon in each node, and have tests of their own."""
PROFILES = sorted(set(known_profiles()) - {UNDERLAY, *SWARMS})
"""Every other profile there is but the underlay, for which nothing is set up."""


@cache
def missing_link_types() -> dict[str, Sequence[str]]:
    """Return the profiles that this kernel cannot make, each with the link types it misses."""
    return {name: kinds for name, kinds in impossible_profiles().items() if name in PROFILES}


def possible_profiles() -> list[str]:
    """Return the profiles, the underlay left out, that this kernel can do."""
    return [name for name in PROFILES if name not in missing_link_types()]


@dataclass(frozen=True)
class Bench:
    """A lab that is up, and what a test works on it with."""

    lab: Lab
    client: Remote
    server: Remote
    playbooks: PlaybookRunner
    containers: Containers = field(default_factory=Containers)

    @property
    def nodes(self) -> tuple[Remote, Remote]:
        """Client and server."""
        return (self.client, self.server)

    def play(
        self, name: str, profiles: Sequence[str], folders: Sequence[Path] = (), *, check: bool = False
    ) -> PlaybookResult:
        """Run a playbook for these profiles at the default MTUs."""
        setup = Setup(tuple(profiles), MTUS, NIC_MTU, self.containers, tuple(folders))
        return self.playbooks.run(name, setup, check=check)

    def play_as_said(self, name: str, profiles: Sequence[str]) -> PlaybookResult:
        """Run a playbook in check mode and then for good, which has to do what the first said."""
        told = self.play(name, profiles, check=True)
        applied = self.play(name, profiles)
        assert applied.changed == told.changed
        for node in self.nodes:
            assert commands(applied, node.name) == commands(told, node.name)
        return applied

    def snapshot(self) -> dict[str, Snapshot]:
        """Return the state of both nodes by name."""
        for node in self.nodes:
            await_own_address(node)
        return {node.name: snapshot(node) for node in self.nodes}

    def changes(self, before: dict[str, Snapshot]) -> list[str]:
        """Return how the nodes differ from an earlier snapshot, once what the kernel does behind a change is done."""
        eventually(lambda: not self._differences(before), SETTLING_S)
        return self._differences(before)

    def _differences(self, before: dict[str, Snapshot]) -> list[str]:
        return [f"{name}: {text}" for name, now in self.snapshot().items() for text in differences(before[name], now)]

    def enter(self, node: Remote) -> list[str]:
        """Return the start of an argv that runs the rest on a node, without a process of nsenter's own around it."""
        return [word for word in self.enter_fully(node) if word != "--pid"]

    def enter_fully(self, node: Remote) -> list[str]:
        """Return the start of an argv that runs the rest among a node's own processes, as /proc there wants it."""
        state = json.loads((self.lab.scratch / "state.json").read_text(encoding="utf-8"))
        pid = next(entry["inside"]["pid"] for entry in state["nodes"] if entry["name"] == node.name)
        return enter_argv(pid)


@contextmanager
def bench(rate: str = DEFAULT_RATE, engine: Engine = Engine.NONE) -> Iterator[Bench]:
    """Bring up a lab that shares nothing with any other, and take it down."""
    with state_folder() as root:
        source = LocalLab(Wires(rate), state_root=root, containers=engine)
        lab = source.up()
        try:
            with SshRemote(lab.client, lab.ssh_config) as client, SshRemote(lab.server, lab.ssh_config) as server:
                yield Bench(lab, client, server, PlaybookRunner(lab), Containers.parse(engine))
        finally:
            source.down()


@contextmanager
def state_folder() -> Iterator[Path]:
    """Return a folder for a lab's state; its path is short, for SSH keeps sockets in it."""
    root = Path(tempfile.mkdtemp(prefix="lab-"))
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def commands(result: PlaybookResult, node: str) -> list[str]:
    """Return the commands that the last netstate task of a playbook ran (in check mode, would run) on a node."""
    listed = [found["commands"] for (host, _), found in result.results.items() if host == node and "commands" in found]
    return [str(line) for line in listed[-1]]


def done(node: Remote, *argv: str) -> str:
    """Run argv on a node, which has to succeed, and return its output."""
    completed = node.run(argv)
    assert completed.exit_code == 0, f"{node.name}: {' '.join(argv)}: {completed.stderr}"
    return completed.stdout


def await_own_address(node: Remote) -> None:
    """Wait for the IPv6 address that the kernel gives a NIC up to a second after its peer came up."""
    assert eventually(lambda: "fe80:" in done(node, "ip", "-o", "addr", "show"))


def ping(node: Remote, enter: Sequence[str], destination: str, *options: str) -> Completed:
    """Ping once from an endpoint of a node, or (nothing to enter) from the node itself."""
    return node.run([*enter, "ping", "-n", "-c", "1", "-W", "1", *options, destination])


def eventually(holds: Callable[[], Any], timeout_s: float = 90.0, poll_s: float = 0.05) -> bool:
    """Wait until something holds; return whether it did in time: by default more than a crowded machine ever takes."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(poll_s)
    return True
