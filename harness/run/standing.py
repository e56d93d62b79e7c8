"""The ground of a run, and of everything else that looks at paths: a lab that is up, and paths that are up on it.

Both are context managers: whatever happens inside, what came up goes down again, and Ctrl-C does not cut that short.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from harness.fabric import support
from harness.fabric.base import Fabric, Paths, Progress
from harness.fabric.profiles import Profile
from harness.labs.base import Lab, LabSource
from harness.measures.registry import DEFAULT, programs
from harness.model.containers import Engine
from harness.model.errors import LabError
from harness.model.found import Found
from harness.model.node import Node
from harness.model.notes import About, Note
from harness.model.pairs import Pair, Wave
from harness.nodes import environment
from harness.nodes.lock import Owner
from harness.nodes.remote import Remote
from harness.results.meta import Command
from harness.results.plan import Plan, Setup
from harness.run.interrupt import Interruption


class Watcher(Progress, Protocol):
    """Who is told how a run goes."""

    def planned(self, plan: Plan) -> None:
        """What is going to be measured is known for good."""
        ...


@dataclass(frozen=True)
class Equipment:
    """What a run works with; tests put fakes here.

    `find` finds the paths that somebody else built between a pair of nodes, where such are measured. `owner` is who the
    nodes are locked for.
    """

    source: LabSource
    connect: Callable[[Node, Lab], Remote]
    fabric: Callable[[Lab, Mapping[str, Profile]], Fabric]
    interruption: Interruption
    observer: Watcher
    find: Callable[[Ground, Pair], Sequence[Found]] | None = None
    owner: Owner | None = None


@dataclass(frozen=True)
class Conduct:
    """How a run is carried out, beside its plan.

    `look` is called between two blocks, with the folder of a pair and how many are whole, from the second on. It tells
    whether intervals are narrow enough to end the run before its last block, where its plan says that it may.
    `command` is what the run goes on with, should it end early. `accept_differences`: it does so on nodes that are not
    what they were. `own_mtus` are the largest MTUs that profiles carry, by name, where endpoints have these: that of a
    profile which is left out is none to be measured at.
    """

    keep: bool = False
    skip_unsupported: bool = False
    look: Callable[[Path, int], bool] | None = None
    command: Command | None = None
    accept_differences: bool = False
    own_mtus: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Ground:
    """A lab that is up: each node of any pair by its name, connected, and its environment read."""

    lab: Lab
    remotes: Mapping[str, Remote]
    environments: Mapping[str, dict[str, Any]]

    def of_pair(self, pair: Pair) -> tuple[Remote, Remote]:
        """Return the connections to client and server."""
        return self.remotes[pair.client], self.remotes[pair.server]


def chosen_pairs(lab: Lab, waves: Sequence[Wave]) -> tuple[Wave, ...]:
    """Return the pairs that are measured: of a lab for which none were asked for, its first two nodes."""
    return tuple(waves) or ((Pair(lab.client.name, lab.server.name),),)


@contextmanager
def bring_up(equipment: Equipment, *, keep: bool = False) -> Iterator[Lab]:
    """Give a lab that is up, and take it down again unless `keep`."""
    with ExitStack() as stack:
        equipment.observer.stage("bringing the lab up")
        if not keep:
            stack.push(_clean_up(equipment, equipment.source.down))
        yield equipment.source.up()


@contextmanager
def grounded(
    equipment: Equipment, waves: Sequence[Wave], measures: Sequence[str], engine: Engine, *, keep: bool = False
) -> Iterator[Ground]:
    """Give a lab that is up, every node of its pairs connected, nobody else's, and able to measure.

    Raises LabError and ConnectionLostError; nothing has been changed on the nodes then.
    """
    with bring_up(equipment, keep=keep) as lab, ExitStack() as stack:
        hosts = {name for wave in chosen_pairs(lab, waves) for pair in wave for name in pair.hosts}
        nodes = [node for node in lab.nodes if node.name in hosts]
        remotes = {node.name: stack.enter_context(equipment.connect(node, lab)) for node in nodes}
        hold(equipment, nodes, remotes)
        yield Ground(lab, remotes, environments(lab, [*remotes.values()], measures, engine))


def hold(equipment: Equipment, nodes: Sequence[Node], remotes: Mapping[str, Remote]) -> None:
    """Lock nodes; LabError says who has one. All take them in one order, so of two at once one gets them all."""
    if equipment.owner is not None:
        for node in sorted(nodes, key=lambda node: (node.address, node.name)):
            remotes[node.name].hold(equipment.owner)


@contextmanager
def standing(
    equipment: Equipment,
    lab: Lab,
    profiles: Mapping[str, Profile],
    setup: Setup,
    *,
    keep: bool = False,
    turn: tuple[int, int] = (1, 1),
    verify: bool = True,
) -> Iterator[Mapping[Pair, Paths]]:
    """Give the paths of a set-up, up and verified on the pairs of a lab, and take them down again unless `keep`.

    `turn` is which time that is, of how many. Who looks for what is wrong with a path does without `verify`.
    Raises PlaybookError, ConnectionLostError and VerificationError.
    """
    observer, fabric = equipment.observer, equipment.fabric(lab, profiles)

    def take_down() -> None:
        with suppress(Exception):  # nothing that is said on the way may keep it from being done
            observer.stage(f"tearing down{lab.where}")
        fabric.down(setup)

    with ExitStack() as stack:
        if not keep:
            stack.push(_clean_up(equipment, take_down))
        which = f", {turn[0]} of {turn[1]}:" if turn[1] > 1 else ""
        observer.stage(f"setting up{which} {', '.join(setup.profiles)}{lab.where}")
        yield fabric.up(setup, observer, verify=verify)


def _clean_up(
    equipment: Equipment, action: Callable[[], None]
) -> Callable[[type[BaseException] | None, BaseException | None, TracebackType | None], bool]:
    """Return `action` as a step that Ctrl-C does not cut short, and whose failure does not hide an earlier one."""

    def step(_kind: type[BaseException] | None, earlier: BaseException | None, _trace: TracebackType | None) -> bool:
        with equipment.interruption.shielded():
            try:
                action()
            except Exception as error:
                if earlier is None:
                    raise
                with suppress(Exception):
                    equipment.observer.note(Note(About.SETUP, "", f"cleaning up failed as well: {error}"))
        return False

    return step


def environments(
    lab: Lab, remotes: Sequence[Remote], measures: Sequence[str], engine: Engine = Engine.NONE
) -> dict[str, dict[str, Any]]:
    """Return the environment of each connected node by its name; LabError where one lacks what these measures need."""
    wanted = programs(measures)
    nodes = {node.name: node for node in lab.nodes}
    read = {}
    for remote in remotes:
        node = nodes[remote.name]
        seen = environment.parse(remote.run(environment.argv(node.device, wanted, engine)).stdout, wanted)
        missing = [name for name in wanted if seen[name] is None]
        if missing:
            raise LabError(f"{node.name} has no {' and no '.join(missing)}; {_install(lab, measures)}.")
        read[node.name] = seen
    return read


def _install(lab: Lab, measures: Sequence[str]) -> str:
    """Return what gives a lab's nodes the programs of these measures."""
    if lab.inventory is None:
        return "the image that the Containerfile makes has it, give --image for one that does"
    chosen = "" if set(measures) <= set(DEFAULT) else f" -e measures={','.join(measures)}"
    return f"`ansible-playbook -i {lab.inventory}{chosen} playbooks/install.yml` installs what is missing there"


def supported(
    setup: Setup, profiles: Mapping[str, Profile], remotes: Sequence[Remote], observer: Watcher, *, skip: bool
) -> Setup:
    """Return the set-up without the profiles that a node's kernel cannot make; LabError unless `skip`."""

    def can_make(kind: str) -> bool:
        tried = [remote.run(support.argv(kind)) for remote in remotes]
        return not any(support.is_refused(kind, done.exit_code, done.stderr) for done in tried)

    missing = support.lacking({name: profiles[name] for name in setup.profiles}, can_make)
    texts = {name: f"{name} needs {support.named(kinds)}" for name, kinds in missing.items()}
    if missing and not skip:
        raise LabError(
            f"the nodes' kernel cannot do this: {'; '.join(texts.values())}. "
            "Leave the profile out, give --skip-unsupported, or load the kernel module."
        )
    for name, text in texts.items():
        observer.note(Note(About.SETUP, name, f"left out, for want of the kernel's help: {text}"))
    return replace(setup, profiles=tuple(name for name in setup.profiles if name not in missing))
