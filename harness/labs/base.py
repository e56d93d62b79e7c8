"""What every lab gives to the harness."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.model import Node


@dataclass(frozen=True)
class Lab:
    """A lab that is up: how Ansible and SSH reach its nodes.

    `rate_bps` is what its link is shaped to, None where the harness does not know or nothing shapes it.
    `shared_kernel`: both nodes run on one kernel, so each one's CPU figures are those of the whole machine.
    """

    name: str
    inventory: Path
    ssh_config: Path | None
    client: Node
    server: Node
    rate_bps: float | None
    shared_kernel: bool
    scratch: Path

    @property
    def nodes(self) -> tuple[Node, Node]:
        """Client and server node, in this order."""
        return (self.client, self.server)


class LabSource(Protocol):
    """One way to get a lab."""

    def nodes(self) -> tuple[Node, Node]:
        """Return client and server node as they will be; changes nothing."""
        ...

    def probe(self) -> list[str]:
        """Return a sentence, with its remedy, for each thing that is missing; changes nothing."""
        ...

    def up(self) -> Lab:
        """Bring the lab up, or find it; raises LabError, having undone what it did."""
        ...

    def down(self) -> None:
        """Take down what `up` brought up; a lab that was there before stays."""
        ...
