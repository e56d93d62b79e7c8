"""What joins the nodes of a local lab, as it is asked for and as a lab that stands says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from harness.labs.access import NIC_MTU
from harness.labs.kept import MIN_NODES
from harness.measures.factors import rate_bps
from harness.model.errors import InputError, LabError

DEFAULT_RATE = "1gbit"
NIC_MTUS = (1280, 65535)
"""The least that IPv6 takes, and the most that a veth device does."""


def parse_rate(text: str) -> float | None:
    """Return a rate such as `1gbit` in bit/s, None for `none`; raises InputError for anything else."""
    if text == "none":
        return None
    try:
        rate = rate_bps(text)
    except InputError:
        rate = 0.0
    if rate < 1e6:  # noqa: PLR2004 - what tbf can shape and a test can measure
        raise InputError(f"{text!r}: give none, or a number with kbit, mbit or gbit from 1mbit to 400gbit")
    return rate


@dataclass(frozen=True)
class Wires:
    """How many nodes there are, and the links between them.

    `rate` is that of the link between two nodes, or of each node's port of a switch. With `links` there are routers
    between two nodes, joined by as many links, each of that rate; what the nodes send is not shaped then, for two
    bottlenecks in a row would not tell which of them a figure is of. `nic_mtu` is the MTU of every NIC and link, in
    bytes. Raises InputError where these do not go together.
    """

    rate: str = DEFAULT_RATE
    count: int = MIN_NODES
    links: int = 0
    nic_mtu: int = NIC_MTU

    def __post_init__(self) -> None:
        parse_rate(self.rate)
        if self.links and self.count != MIN_NODES:
            raise InputError(f"links between routers join two nodes, not {self.count}; leave one of both out.")
        least, most = NIC_MTUS
        if not least <= self.nic_mtu <= most:
            raise InputError(f"a NIC's MTU of {self.nic_mtu}: give {least} to {most} bytes.")

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Self:
        """Return the wires of a lab that stands, by its state."""
        return cls(state["rate"], len(state["nodes"]), state.get("links", 0), state.get("nic_mtu", NIC_MTU))

    @property
    def link_bps(self) -> float | None:
        """What each link is shaped to, in bit/s; None where it is not."""
        return parse_rate(self.rate)

    @property
    def rate_bps(self) -> float | None:
        """What all links between two nodes carry together, in bit/s; None where they are not shaped."""
        return None if self.link_bps is None else self.link_bps * max(self.links, 1)

    def described(self) -> dict[str, Any]:
        """Return what a lab's state says of them, beside its nodes."""
        return {"rate": self.rate, "links": self.links, "nic_mtu": self.nic_mtu}

    def words(self) -> str:
        """Return what joins the nodes, in words."""
        links = f"{self.links} links of {self.rate} each between two routers" if self.links else f"link {self.rate}"
        return links if self.nic_mtu == NIC_MTU else f"{links}, NICs of MTU {self.nic_mtu}"

    def require(self, standing: Wires) -> None:
        """Raise LabError where a lab that is up has other wires than these."""

        def same(what: str, other: object, own: object, option: str) -> None:
            if other != own:
                raise LabError(
                    f"the lab that is up has {what.format(other)}, not {own}; "
                    f"`harness lab down` it, or give {option} {other}."
                )

        same("rate {}", standing.rate, self.rate, "--rate")
        if standing.links != self.links:
            raise LabError(
                f"the lab that is up has {standing._routers}, and this takes {self._routers}; "
                "`harness lab down` it first."
            )
        same("{} nodes", standing.count, self.count, "--nodes")
        same("NICs of MTU {}", standing.nic_mtu, self.nic_mtu, "--nic-mtu")

    @property
    def _routers(self) -> str:
        return f"{self.links} links between routers" if self.links else "no routers"
