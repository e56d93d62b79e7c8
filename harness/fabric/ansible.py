"""The fabric of our own playbooks: profiles as YAML, brought up by Ansible on the nodes of a lab."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from harness.fabric import swarm, topology
from harness.fabric.base import Paths, Progress
from harness.fabric.playbook import Listener, PlaybookResult
from harness.fabric.profiles import Profile
from harness.labs.base import Lab
from harness.model.errors import ConnectionLostError, PlaybookError, TaskFailedError, VerificationError
from harness.model.node import Node
from harness.model.notes import About, Note
from harness.model.pairs import Pair
from harness.model.path import Claim, Kind, Path
from harness.results.plan import Setup
from harness.truth import wire


class Playbooks(Protocol):
    """What runs playbooks on the nodes of a lab."""

    def run(
        self, name: str, setup: Setup, *, cancellable: bool = True, listener: Listener | None = None
    ) -> PlaybookResult:
        """Run one playbook for the profiles of a set-up."""
        ...


VERIFYING = "Verify the profiles"
"""What the play of verify.yml is called."""


class _Listener:
    """Passes on to an observer what a playbook does, each of its modules' words once."""

    def __init__(self, observer: Progress, where: str) -> None:
        self.is_verifying = False
        self._observer = observer
        self._where = where
        self._noted: set[Note] = set()

    def play(self, name: str) -> None:
        """Say where what was brought up begins to be verified; tried once more, it is brought up before."""
        self.is_verifying = name == VERIFYING
        if self.is_verifying:
            self._observer.stage(f"verifying{self._where}")

    def note(self, host: str, text: str) -> None:
        """Pass on what a module has to say to the owner of a node."""
        note = Note(About.NODE, host, f"{host}: {text}")
        if note not in self._noted:
            self._noted.add(note)
            self._observer.note(note)


class AnsibleFabric:
    """Brings profiles up on a lab's pairs of nodes."""

    def __init__(self, lab: Lab, profiles: Mapping[str, Profile], playbooks: Playbooks) -> None:
        self._lab = lab
        self._profiles = profiles
        self._playbooks = playbooks

    def preflight(self, setup: Setup) -> None:
        """Look for what is in the way, on every node."""
        self._playbooks.run("preflight", setup)

    def up(self, setup: Setup, observer: Progress, *, verify: bool) -> Mapping[Pair, Paths]:
        """Apply the profiles; read everything back, and ping with packets that have to pass and that must not.

        Ansible's own errors name node, task and what to do. Where Ansible itself did not get as far as to find
        something wrong it raises PlaybookError: that says nothing of the set-up.
        """
        listener = _Listener(observer, self._lab.where)
        try:
            self._playbooks.run("up" if verify else "apply", setup, listener=listener)
        except TaskFailedError as error:
            if not listener.is_verifying:
                raise
            raise VerificationError(f"the set-up does not do what its profile says: {error}") from error
        nodes = {node.name: node for node in self._lab.nodes}
        profiles = {name: self._profiles[name] for name in setup.profiles}
        return {pair: paths(setup, profiles, nodes[pair.client], nodes[pair.server]) for pair in self._lab.pairs}

    def down(self, setup: Setup) -> None:
        """Remove what the profiles made; where that fails, the error says what will."""
        try:
            self._playbooks.run("teardown", setup, cancellable=False)
        except (PlaybookError, ConnectionLostError) as error:
            which = "" if self._lab.shared_kernel else f" --lab {self._lab.inventory}"
            advice = f"`harness lab down{which}` removes it once that is mended"
            raise type(error)(f"what was set up stays, for it could not be torn down: {error}; {advice}.") from error


def paths(setup: Setup, profiles: Mapping[str, Profile], client: Node, server: Node) -> Paths:
    """Return where the traffic of each profile and MTU goes between two nodes."""
    paths = {}
    for name, profile in profiles.items():
        claim = _claim(profile, profiles, setup.nic_mtu)
        carrier, counted = topology.carrier(profile, client, server), swarm.counted(profile)
        own_mtu = (setup.nic_mtu,) if profile.kind is Kind.UNDERLAY else ()
        for mtu in {*setup.mtus, *own_mtu}:
            ends = [topology.endpoint(profile, mtu, node, setup.mtus) for node in (client, server)]
            paths[name, mtu] = Path(ends[0], ends[1], client.device, server.device, claim, carrier, counted)
    return paths


def _claim(profile: Profile, profiles: Mapping[str, Profile], nic_mtu: int) -> Claim:
    """Return what a profile claims; a routed one may name a tunnel as well, one that must stay idle."""
    # A device that Docker hides is read beside its own profile's trials only, and its name may be that of another one.
    tunnels = {other.name: other.tunnel for other in profiles.values() if other.tunnel and other.swarm is None}
    own = profile.tunnel if profile.kind is Kind.TUNNEL else None
    return Claim(
        kind=profile.kind,
        tunnel=own,
        other_tunnels=tuple(tunnel for name, tunnel in tunnels.items() if name != profile.name or own is None),
        overhead=wire.overhead(profile.headers),
        least_overhead=wire.least_overhead(profile.headers),
        path_mtu=profile.path_mtu(nic_mtu),
        nic_mtu=nic_mtu,
    )
