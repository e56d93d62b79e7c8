"""What stands in the way of a run on its nodes, looked for without changing anything there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

from harness.doctor import Check
from harness.errors import HarnessError
from harness.experiment import Equipment, Options, bring_up, supported
from harness.plan import Plan
from harness.profiles import Profile
from harness.remote import Remote
from harness.scene import environments


def inspect(plan: Plan, profiles: Mapping[str, Profile], equipment: Equipment) -> Iterator[Check]:
    """Yield what a run of this plan needs on each node, until something is missing without which nothing else works.

    A local lab is brought up for it, and taken down; raises LabError where that fails.
    """
    with ExitStack() as stack:
        lab = bring_up(stack, equipment, Options())
        remotes: list[Remote] = []
        for node in (lab.client, lab.server):
            check = _tried(
                f"{node.name}: answers over SSH",
                lambda node=node: remotes.append(stack.enter_context(equipment.connect(node, lab))),  # type: ignore[misc]
            )
            yield check
            if not check.passed:
                return
        client, server = remotes
        pair = (client, server)
        for remote in pair:
            yield _tried(
                f"{remote.name}: has what measures",
                lambda remote=remote: environments(lab, [remote]),  # type: ignore[misc]
            )
        playbooks = equipment.playbooks(lab)
        for name in plan.profiles[1:]:
            one = {name: profiles[name]}
            check = _tried(
                f"{name}: the kernels can make it",
                lambda one=one: supported(plan, one, pair, equipment.observer, skip=False),  # type: ignore[misc]
            )
            yield check
            if check.passed:
                yield _tried(
                    f"{name}: nothing is in its way",
                    lambda name=name: playbooks.run("preflight", [name], plan.mtus),  # type: ignore[misc]
                )


def _tried(what: str, action: Callable[[], object]) -> Check:
    """Return a check that passes where an action does; otherwise its error says what to do."""
    try:
        action()
    except HarnessError as error:
        return Check(what, passed=False, remedy=str(error))
    return Check(what, passed=True, remedy="")
