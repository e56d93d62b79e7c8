"""Labs: nodes, and how they are reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from harness.model.node import Node
from harness.model.notes import Note
from harness.model.pairs import Pair


@dataclass(frozen=True)
class Lab:
    """A lab that is up: how Ansible and SSH reach its nodes.

    `rate_bps` is what its link is shaped to, or several together; None where the harness does not know or nothing
    shapes it.
    `shared_kernel`: both nodes run on one kernel, so each one's CPU figures are those of the whole machine; then
    `foreign_cpu_s` returns the seconds of CPU that processes outside the lab have used so far.
    `others` are the nodes of a lab that has more than two. `pairs` says which of them belong together, once they were
    chosen. `notes` are what the reader of any figures should know of it. Without an `inventory` it takes no playbooks.
    `congestion_control` is TCP's where programs may not choose it. Where flows have several links to go by,
    `link_bytes` returns what each of these carried so far, in bytes: from the first node to the second, and back.
    `neighbours` returns the names of labs that are in use beside this one, on the same CPUs.
    """

    name: str
    inventory: Path | None
    ssh_config: Path | None
    client: Node
    server: Node
    rate_bps: float | None
    shared_kernel: bool
    scratch: Path
    others: tuple[Node, ...] = ()
    pairs: tuple[Pair, ...] = ()
    notes: tuple[Note, ...] = ()
    congestion_control: str | None = None
    foreign_cpu_s: Callable[[], float] | None = None
    link_bytes: Callable[[], Sequence[tuple[int, int]]] | None = None
    neighbours: Callable[[], Sequence[str]] = tuple

    @property
    def has_strangers(self) -> bool:
        """Whether others reach its nodes by network: those of the local lab are alone on theirs."""
        return self.inventory is not None and not self.shared_kernel

    @property
    def where(self) -> str:
        """The end of a sentence that says which pairs something is done on; empty where there is but one."""
        return f" on {' '.join(map(str, self.pairs))}" if len(self.pairs) > 1 else ""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Client, server, and the others, in this order."""
        return (self.client, self.server, *self.others)

    def limited_to(self, pairs: Sequence[Pair]) -> Lab:
        """Return the lab as it is for these disjoint pairs: their nodes only, each client of index 1, server of 2."""
        by_name = {node.name: node for node in self.nodes}
        chosen = [replace(by_name[name], index=index) for pair in pairs for index, name in enumerate(pair.hosts, 1)]
        client, server, *others = chosen
        return replace(self, client=client, server=server, others=tuple(others), pairs=tuple(pairs))


class LabSource(Protocol):
    """One way to get a lab."""

    def nodes(self) -> tuple[Node, ...]:
        """Return the nodes as they will be, the client first where there are two; changes nothing."""
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
