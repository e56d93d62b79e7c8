"""What stands in the way of a run on its nodes, looked for without changing anything there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from harness.fabric.profiles import Profile
from harness.inspect.doctor import Check
from harness.model.errors import HarnessError
from harness.model.trial import Node
from harness.nodes.remote import Remote
from harness.results.plan import Plan
from harness.run.experiment import Equipment, Options, bring_up, supported
from harness.run.scene import environments


def inspect(
    plan: Plan, profiles: Mapping[str, Profile], equipment: Equipment, folders: Sequence[Path] = ()
) -> Iterator[Check]:
    """Yield what a run of this plan needs on each node, until something is missing without which nothing else works.

    A local lab is brought up for it, and taken down; raises LabError where that fails. `folders` hold profiles of the
    user's own.
    """
    with ExitStack() as stack:
        lab = bring_up(stack, equipment, Options())
        remotes: list[Remote] = []

        def connect(node: Node) -> None:
            remotes.append(stack.enter_context(equipment.connect(node, lab)))

        for node in (lab.client, lab.server):
            check = _tried(f"{node.name}: answers over SSH", connect, node)
            yield check
            if not check.passed:
                return
        for remote in remotes:
            yield _tried(f"{remote.name}: has what measures", environments, lab, [remote])
        playbooks = equipment.playbooks(lab)
        can_make = partial(supported, plan, remotes=remotes, observer=equipment.observer, skip=False)
        for name in plan.profiles[1:]:
            check = _tried(f"{name}: the kernels can make it", can_make, {name: profiles[name]})
            yield check
            if check.passed:
                yield _tried(f"{name}: nothing is in its way", playbooks.run, "preflight", [name], plan.mtus, folders)


def _tried(what: str, action: Callable[..., object], *arguments: object) -> Check:
    """Return a check that passes where an action does; otherwise its error says what to do."""
    try:
        action(*arguments)
    except HarnessError as error:
        return Check(what, passed=False, remedy=str(error))
    return Check(what, passed=True, remedy="")
