"""The state that nodes are in while trials run: changed only where the next trial wants another one, and set back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self

from harness.fabric.base import Paths
from harness.measures.factors import FACTORS
from harness.model.factors import Restore, Scope, Site, Value
from harness.model.trial import UNDERLAY, Cell
from harness.nodes.remote import Remote

Levels = Mapping[str, Value]


def sites_of(paths: Paths, remotes: tuple[Remote, Remote], profiles: Sequence[str]) -> tuple[Site, Site]:
    """Return both nodes as NODE factors change them."""
    some = next(iter(paths.values()))
    tunnels = tuple(
        dict.fromkeys(path.claim.tunnel for path in paths.values() if path.claim.tunnel and not path.counted)
    )
    owners = tuple(name for name in profiles if name != UNDERLAY) or (UNDERLAY,)
    client, server = (
        Site(remote, nic, tunnels, owners)
        for remote, nic in zip(remotes, (some.client_nic, some.server_nic), strict=True)
    )
    return client, server


class NodeStates:
    """Brings both nodes into the state of one cell after another; leaving it sets everything back."""

    def __init__(self, sites: Sequence[Site]) -> None:
        self._sites = sites
        self._levels: Levels = {}
        self._restores: list[Restore] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def enter(self, cell: Cell) -> None:
        """Bring the nodes into the state that a cell wants; raises LabError, with everything set back."""
        wanted = {name: value for name, value in cell.levels if _is_state(name)}
        if wanted == self._levels:
            return
        self._leave()
        for name, value in wanted.items():
            change = FACTORS[name].enter
            if change is not None:
                self._restores.append(change(self._sites, value))
        self._levels = wanted

    def try_all(self, cells: Iterable[Cell]) -> None:
        """Enter each state that these cells want once, so that what cannot be done is said before the first trial."""
        for cell in cells:
            self.enter(cell)
        self._leave()

    def _leave(self) -> None:
        self._levels = {}
        while self._restores:
            self._restores.pop()()


def _is_state(name: str) -> bool:
    return name in FACTORS and FACTORS[name].scope is Scope.NODE
