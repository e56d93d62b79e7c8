"""The real equipment of a run: SSH, Ansible, Ctrl-C and progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from harness.cli.console import err
from harness.model.errors import InputError, LabError

if TYPE_CHECKING:
    from harness.cli.prepare import Prepared
    from harness.cli.progress import RunProgress
    from harness.labs.base import Lab
    from harness.model.found import Between, Found
    from harness.nodes.target import Passwords
    from harness.run.standing import Equipment, Ground


def require_source(prepared: Prepared) -> None:
    """Raise LabError with everything that the lab misses here."""
    problems = prepared.source.probe()
    if problems:
        raise LabError(" ".join(problems))


def asked_passwords(lab: str, *, login: bool, become: bool) -> Passwords:
    """Return the passwords that are wanted, typed unseen and valid on both hosts; InputError for a lab without any."""
    from harness.cli.prepare import LOCAL, VAGRANT
    from harness.nodes.target import Passwords

    if (login or become) and lab in (LOCAL, VAGRANT):
        raise InputError(f"--ask-pass and --ask-become-pass are for hosts of your own; --lab {lab} takes no password.")
    return Passwords(_typed("SSH") if login else None, _typed("BECOME") if become else None)


def _typed(name: str) -> str:
    typed: str = click.prompt(f"{name} password", hide_input=True, err=True)
    return typed


@contextmanager
def equipped(prepared: Prepared, passwords: Passwords) -> Iterator[tuple[Equipment, RunProgress]]:
    """Give the real equipment, Ctrl-C handled and progress shown."""
    from harness.cli.progress import RunProgress
    from harness.fabric.ansible import AnsibleFabric
    from harness.fabric.playbook import PlaybookRunner
    from harness.nodes.ssh import SshRemote
    from harness.run.interrupt import Interruption
    from harness.run.standing import Equipment

    def requested() -> bool:
        return interruption.requested

    interruption = Interruption(lambda: err.print("cleaning up; this takes a few seconds"))
    with interruption.installed(), RunProgress(prepared.plan, err, prepared.waves) as progress:
        equipment = Equipment(
            prepared.source,
            lambda node, lab: SshRemote(node, lab.ssh_config, passwords),
            lambda lab, profiles: AnsibleFabric(lab, profiles, PlaybookRunner(lab, requested, passwords=passwords)),
            interruption,
            progress,
        )
        yield with_found(equipment, prepared.between) if prepared.between else equipment, progress


def with_found(equipment: Equipment, between: Between) -> Equipment:
    """Return equipment that finds a path and shows it, in the place of what builds paths."""
    from harness.fabric.existing import ExistingFabric
    from harness.inspect.found import find
    from harness.report.found_text import text

    grounds: list[Ground] = []
    paths: list[Found] = []

    def found(ground: Ground) -> Found:
        grounds.append(ground)
        paths.append(find(between, ground))
        err.print(text(paths[-1]), soft_wrap=True, markup=False, highlight=False)
        return paths[-1]

    def fabric(lab: Lab, _profiles: object) -> ExistingFabric:
        return ExistingFabric(paths[-1], grounds[-1].remotes, (lab.client, lab.server))

    return replace(equipment, fabric=fabric, find=found)
