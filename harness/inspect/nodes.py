"""Looking at nodes before a run: what stands in its way, found without changing anything there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from harness.fabric.profiles import Profile
from harness.inspect.doctor import Check
from harness.measures.registry import programs
from harness.model.errors import HarnessError
from harness.model.node import Node
from harness.model.pairs import Pair
from harness.nodes.remote import Remote
from harness.results.plan import Plan
from harness.run.standing import Equipment, bring_up, environments, supported


def inspect(plan: Plan, profiles: Mapping[str, Profile], equipment: Equipment) -> Iterator[Check]:
    """Yield what a run of this plan needs on each node, until something is missing without which nothing else works.

    A local lab is brought up for it, and taken down; raises LabError where that fails.
    """
    with bring_up(equipment) as lab, ExitStack() as stack:
        remotes: list[Remote] = []

        def connect(node: Node) -> None:
            remotes.append(stack.enter_context(equipment.connect(node, lab)))

        for node in (lab.client, lab.server):
            check = _tried(f"{node.name}: answers over SSH", connect, node)
            yield check
            if not check.passed:
                return
        for remote in remotes:
            what = f"{remote.name}: has what measures ({', '.join(programs(plan.measures))})"
            yield _tried(what, environments, lab, [remote], plan.measures, plan.setup.containers.engine)
        fabric = equipment.fabric(lab.limited_to((Pair(lab.client.name, lab.server.name),)), profiles)
        for name in plan.setup.profiles[1:]:
            one = replace(plan.setup, profiles=(name,))
            can_make = partial(supported, one, profiles, remotes, equipment.observer, skip=False)
            check = _tried(f"{name}: the kernels can make it", can_make)
            yield check
            if check.passed:
                yield _tried(f"{name}: nothing is in its way", fabric.preflight, one)


def _tried(what: str, action: Callable[..., object], *arguments: object) -> Check:
    """Return a check that passes where an action does; otherwise its error says what to do."""
    try:
        action(*arguments)
    except HarnessError as error:
        return Check(what, passed=False, remedy=str(error))
    return Check(what, passed=True, remedy="")
