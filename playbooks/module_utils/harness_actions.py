"""What can be done to a node: each action says what it does, and does it.

A plan is a queue of these. Check mode returns what the queue says; otherwise that same queue is applied, in order. So
an action decides nothing when it is applied: whatever depends on what is there is decided when it is queued. What an
action keeps for itself (claims, records) and what only looks is not said.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from ansible.module_utils import harness_claims as claims
from ansible.module_utils import harness_containers as containers
from ansible.module_utils import harness_firewall as firewall
from ansible.module_utils import harness_processes as processes
from ansible.module_utils.harness_node import run


class Action:
    """One thing to do to a node."""

    def lines(self):
        """Return what it does as lines of text, most of them commands."""
        raise NotImplementedError

    def apply(self):
        """Do it; raises NodeError with the words of the program that failed."""
        raise NotImplementedError


@dataclass(frozen=True)
class Run(Action):
    """A command of its own."""

    argv: tuple[str, ...]

    def lines(self):
        """Return the command."""
        return [" ".join(self.argv)]

    def apply(self):
        """Run it."""
        run(list(self.argv))


@dataclass(frozen=True)
class Batch(Action):
    """All commands of `ip` or `bridge` in one namespace (empty: the node's own), in one process."""

    program: str
    netns: str
    commands: tuple[tuple[str, ...], ...]

    def _start(self):
        return [self.program, *(["-n", self.netns] if self.netns else [])]

    def lines(self):
        """Return each command as it would be given by itself."""
        return [" ".join([*self._start(), *words]) for words in self.commands]

    def apply(self):
        """Run them up to the first that fails."""
        run([*self._start(), "-batch", "-"], "".join(" ".join(words) + "\n" for words in self.commands))


@dataclass(frozen=True)
class DeleteLink(Action):
    """The removal of a link of the node's own namespace."""

    name: str

    def lines(self):
        """Return the command."""
        return [f"ip link del dev {self.name}"]

    def apply(self):
        """Delete it, unless it has just gone by itself, as the end of a pair into a container that dies does."""
        if os.path.exists(f"/sys/class/net/{self.name}"):
            run(["ip", "link", "del", "dev", self.name])


@dataclass(frozen=True)
class InsertRule(Action):
    """A rule of the firewall, and the claim of its chain, which may come with it."""

    profile: str
    rule: tuple[str, ...]

    def lines(self):
        """Return the command."""
        return [" ".join(firewall.insertion(self.rule))]

    def apply(self):
        """Claim the chain and put the rule at its top."""
        program, chain = self.rule[:2]
        family = next(name for name, handler in firewall.PROGRAMS.items() if handler == program)
        claims.claim(self.profile, "chain", f"{family}/{chain}", firewall.state_of(family, chain))
        run(firewall.insertion(self.rule))


@dataclass(frozen=True)
class WriteSysctl(Action):
    """A sysctl's value in a namespace; the node's own is claimed, a namespace takes its values along when it goes."""

    profile: str
    netns: str
    key: str
    value: str

    def lines(self):
        """Return the command that would do the same."""
        scope = f"ip netns exec {self.netns} " if self.netns else ""
        return [f"{scope}sysctl -w {self.key}={self.value}"]

    def apply(self):
        """Claim it and write it."""
        entry = {"netns": self.netns, "key": self.key}
        if not self.netns:
            claims.claim(self.profile, "sysctl", self.key, claims.read_sysctl(entry))
        claims.write_sysctl(entry, self.value)


@dataclass(frozen=True)
class WriteFile(Action):
    """A small file, which is claimed."""

    profile: str
    path: str
    text: str

    def lines(self):
        """Name the file."""
        return [f"write {self.path}"]

    def apply(self):
        """Claim it and write it."""
        claims.write_file(self.profile, self.path, self.text)


@dataclass(frozen=True)
class StartProcess(Action):
    """A program that a profile keeps running."""

    profile: str
    argv: tuple[str, ...]

    def lines(self):
        """Return the command."""
        return [" ".join(self.argv)]

    def apply(self):
        """Start it and record it; it has to live for a moment."""
        processes.start(self.profile, list(self.argv))


@dataclass(frozen=True)
class StopProcess(Action):
    """The end of a profile's program; `pid` is None where it has ended by itself and only its record is left."""

    profile: str
    pid: int | None

    def lines(self):
        """Return the command, or how the record goes."""
        return [f"rm {processes.record(self.profile)}" if self.pid is None else f"kill {self.pid}"]

    def apply(self):
        """End it and wait until it is gone."""
        processes.stop(self.profile)


@dataclass(frozen=True)
class StartContainers(Action):
    """All containers of a profile, as `containers` of its wanted state has them; `makes_image`: our own image first."""

    profile: str
    wanted: dict
    makes_image: bool

    def lines(self):
        """Return the commands for each container."""
        return containers.start_lines(self.profile, self.wanted, makes_image=self.makes_image)

    def apply(self):
        """Start them one after the other and name their namespaces."""
        containers.start(self.profile, self.wanted, makes_image=self.makes_image)


@dataclass(frozen=True)
class RemoveContainers(Action):
    """The removal of a profile's containers; without any `removals` only the record of their engine is left."""

    profile: str
    removals: tuple[tuple[str, ...], ...]

    def lines(self):
        """Return the commands, or how the record goes."""
        return [" ".join(argv) for argv in self.removals] or [f"rm {containers.record(self.profile)}"]

    def apply(self):
        """Run them and forget the engine."""
        containers.remove(self.profile, self.removals)


@dataclass(frozen=True)
class ReleaseClaim(Action):
    """A profile's claim given up; the last one's brings back what was there before."""

    profile: str
    kind: str
    target: str
    is_last: bool

    def lines(self):
        """Name what comes back: while others want it changed, the node stays as it is."""
        return [f"restore {self.kind} {self.target}"] if self.is_last else []

    def apply(self):
        """Take the profile out of the claim, or put back what was there."""
        claims.release(self.profile, self.kind, self.target)
