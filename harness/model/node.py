"""Nodes: the hosts between which is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Node:
    """One of the two hosts.

    `address` is its underlay IPv4 address, `address6` the IPv6 one where it has one, and `device` the NIC that holds
    them; `index` counts from 1.
    `variables` are the inventory's own, for the connection.
    """

    name: str
    index: int
    address: str
    device: str
    mtu: int = 1500
    address6: str | None = None
    variables: Mapping[str, object] = field(default_factory=dict, repr=False)  # there may be a password among them
