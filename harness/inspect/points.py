"""The interfaces that a packet passes between its endpoint and the wire, found on the node."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.inspect.tables import Link, Tables
from harness.model.errors import LabError
from harness.model.jobs import Side
from harness.model.path import Endpoint
from harness.model.trace import Place, Point


@dataclass(frozen=True)
class Stop:
    """A point, how a program is started where it is, whether frames there have an Ethernet header, and it is up."""

    point: Point
    enter: tuple[str, ...]
    is_ethernet: bool
    is_up: bool = True


def stops_of(
    node: str, side: Side, endpoint: Endpoint, tables: Tables, nic: str, tunnel: str | None, others: Iterable[str]
) -> list[Stop]:
    """Return the stops of one node, from its endpoint to its NIC.

    `others` are devices that the profile has beside: what passes them is seen once it has. Raises LabError where the
    endpoint's own device cannot be found.
    """
    found: list[tuple[Link, Place, tuple[str, ...]]] = []
    if endpoint.enter:
        inner = next((link for link in tables.inside.values() if endpoint.address in link.addresses), None)
        if inner is None:
            raise LabError(f"{node}: no device in its endpoint has the address {endpoint.address}.")
        found.append((inner, Place.ENDPOINT, endpoint.enter))
        outer = next((link for link in tables.links.values() if link.index == inner.peer), None)
        if outer is not None:
            found.append((outer, Place.VETH, ()))
            if outer.master in tables.links:
                found.append((tables.links[outer.master], Place.BRIDGE, ()))
    names = {link.name for link, _, _ in found} | {nic, tunnel}
    found += [(tables.links[name], Place.LINK, ()) for name in others if name in tables.links and name not in names]
    for name, place in ((tunnel, Place.TUNNEL), (nic, Place.NIC)):
        if name in tables.links:
            found.append((tables.links[str(name)], place, ()))
    return [
        Stop(Point(number, node, side, link.name, place, link.mtu, link.mac), enter, link.is_ethernet, link.is_up)
        for number, (link, place, enter) in enumerate(found)
    ]


def chained(client: Sequence[Stop], server: Sequence[Stop]) -> list[Stop]:
    """Return all stops in their order from the client's endpoint to the server's, numbered from 0."""
    chain = [*client, *reversed(server)]
    return [replace(stop, point=replace(stop.point, number=number)) for number, stop in enumerate(chain)]
