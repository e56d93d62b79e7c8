"""The real equipment of a run: SSH, Ansible, Ctrl-C and progress."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from harness.cli.console import err
from harness.model.errors import InputError, LabError

if TYPE_CHECKING:
    from harness.cli.prepare import Prepared
    from harness.cli.progress import RunProgress
    from harness.labs.base import Lab
    from harness.model.found import Found
    from harness.model.node import Node
    from harness.model.pairs import Pair
    from harness.nodes.lock import Owner
    from harness.nodes.remote import Remote
    from harness.nodes.target import Passwords
    from harness.run.standing import Equipment, Ground


def require_source(prepared: Prepared) -> None:
    """Raise LabError with everything that the lab misses here.

    Where a local lab is wanted by somebody who is not root, this process is replaced by one that can make it.
    """
    from harness.labs import rootless
    from harness.labs.local import LocalLab

    source = prepared.source
    if isinstance(source, LocalLab) and source.is_own and rootless.is_wanted():
        rootless.enter(click.get_current_context().obj)
    problems = prepared.source.probe()
    if problems:
        raise LabError(" ".join(problems))


def asked_passwords(lab: str, *, login: bool, become: bool) -> Passwords:
    """Return the passwords that are wanted, typed unseen and valid on both hosts; InputError for a lab without any."""
    from harness.cli.cluster import KUBERNETES
    from harness.cli.prepare import LOCAL, VAGRANT
    from harness.nodes.target import Passwords

    if (login or become) and lab in (LOCAL, VAGRANT, KUBERNETES):
        raise InputError(f"--ask-pass and --ask-become-pass are for hosts of your own; --lab {lab} takes no password.")
    return Passwords(_typed("SSH") if login else None, _typed("BECOME") if become else None)


def _typed(name: str) -> str:
    typed: str = click.prompt(f"{name} password", hide_input=True, err=True)
    return typed


@contextmanager
def equipped(prepared: Prepared, passwords: Passwords, purpose: str = "") -> Iterator[tuple[Equipment, RunProgress]]:
    """Give the real equipment, Ctrl-C handled and progress shown; `purpose` is what the nodes are locked for."""
    from harness.cli.progress import RunProgress
    from harness.fabric.ansible import AnsibleFabric
    from harness.fabric.playbook import PlaybookRunner
    from harness.run.interrupt import Interruption
    from harness.run.standing import Equipment

    def requested() -> bool:
        return interruption.requested

    interruption = Interruption(lambda: err.print("cleaning up; this takes a few seconds"))
    with interruption.installed(), RunProgress(prepared.plan, err, prepared.waves) as progress:
        equipment = Equipment(
            prepared.source,
            connecting(prepared, passwords),
            lambda lab, profiles: AnsibleFabric(lab, profiles, PlaybookRunner(lab, requested, passwords=passwords)),
            interruption,
            progress,
            owner=owner(purpose),
        )
        yield with_found(equipment, finder(prepared)) if prepared.is_found else equipment, progress


def owner(purpose: str = "") -> Owner:
    """Return who locks nodes: this process, of whoever called sudo, and what for; else it is the command."""
    from harness.nodes.lock import Owner

    names = [entry.pw_name for entry in pwd.getpwall() if entry.pw_uid == os.getuid()] or [f"uid {os.getuid()}"]
    user = os.environ.get("SUDO_USER") or names[0]
    since = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    command = click.get_current_context().info_name
    return Owner(purpose or f"harness {command}", user, socket.gethostname(), os.getpid(), since)


def connecting(prepared: Prepared, passwords: Passwords) -> Callable[[Node, Lab], Remote]:
    """Return what connects to a node: by SSH, or by the pods of a cluster."""
    from harness.labs.kubernetes import KubernetesLab
    from harness.nodes.ssh import SshRemote

    source = prepared.source
    if isinstance(source, KubernetesLab):
        return lambda node, _lab: source.remote(node)
    return lambda node, lab: SshRemote(node, lab.ssh_config, passwords)


def finder(prepared: Prepared) -> Callable[[Ground, Pair], Sequence[Found]]:
    """Return what finds the paths of a run between a pair of nodes; InputError for a run that builds its own."""
    from harness.inspect import cluster
    from harness.inspect.found import find
    from harness.labs.kubernetes import KubernetesLab

    source, between = prepared.source, prepared.between
    if isinstance(source, KubernetesLab):
        return lambda ground, pair: cluster.find(source, ground, pair)
    if between is None:
        raise InputError("say between which endpoints, by --between A,B.")
    return lambda ground, _pair: [find(between, ground)]


def with_found(equipment: Equipment, find: Callable[[Ground, Pair], Sequence[Found]]) -> Equipment:
    """Return equipment that finds paths and shows them, in the place of what builds paths."""
    from harness.fabric.existing import ExistingFabric
    from harness.report.found_text import text

    met: dict[Pair, tuple[Ground, Sequence[Found]]] = {}

    def found(ground: Ground, pair: Pair) -> Sequence[Found]:
        paths = find(ground, pair)
        met[pair] = ground, paths
        for path in paths:
            err.print(text(path), soft_wrap=True)
        return paths

    def fabric(lab: Lab, _profiles: object) -> ExistingFabric:
        ground, paths = met[lab.pairs[0]]
        return ExistingFabric(paths, ground.remotes, (lab.client, lab.server))

    return replace(equipment, fabric=fabric, find=found)
