"""The real equipment of a run: SSH, Ansible, Ctrl-C and progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from harness.cli.console import err
from harness.errors import InputError

if TYPE_CHECKING:
    from harness.experiment import Equipment
    from harness.options import Prepared
    from harness.progress import RunProgress


def asked_passwords(lab: str, *names: str) -> list[str | None]:
    """Return the password for each of these names, typed unseen and valid on both hosts; None for an empty name.

    Raises InputError for a lab that takes none.
    """
    if any(names) and lab in ("local", "vagrant"):
        raise InputError(f"--ask-pass and --ask-become-pass are for hosts of your own; --lab {lab} takes no password.")
    return [click.prompt(f"{name} password", hide_input=True, err=True) if name else None for name in names]


@contextmanager
def equipped(prepared: Prepared, asked: list[str | None]) -> Iterator[tuple[Equipment, RunProgress]]:
    """Give the real equipment, Ctrl-C handled and progress shown."""
    from harness.experiment import Equipment
    from harness.interrupt import Interruption
    from harness.playbook import PlaybookRunner
    from harness.progress import RunProgress
    from harness.remote import Remote
    from harness.target import Passwords

    passwords = Passwords(*asked)
    interruption = Interruption(lambda: err.print("cleaning up; this takes a few seconds"))
    with interruption.installed(), RunProgress(prepared.plan, err, prepared.waves) as progress:
        equipment = Equipment(
            prepared.source,
            lambda node, lab: Remote(node, lab.ssh_config, passwords),
            lambda lab: PlaybookRunner(
                lab, lambda: interruption.requested, passwords=passwords, containers=prepared.plan.containers
            ),
            interruption,
            progress,
        )
        yield equipment, progress
