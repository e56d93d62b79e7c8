"""An Ansible inventory, as `ansible-inventory --list` prints it, to the nodes.

Pure: running ansible-inventory is the lab's job.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from harness.model.errors import InputError
from harness.model.node import Node

GROUP = "nodes"
"""The inventory group that holds the nodes; of two, the client's first."""
PAIRS_VARIABLE = "overlay_pairs"
"""The variable that tells playbooks the pairs, as lists of two names, where there are more than two hosts."""
DEFAULT_DEVICE = "ens33"
DEFAULT_MTU = 1500
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,62})")
_DEVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")


def parse(listing: Mapping[str, Any], source: str, *, several: bool = False) -> tuple[Node, ...]:
    """Return the nodes of `ansible-inventory --list`, two unless `several`.

    InputError says what is wrong with `source`.
    """
    hosts = hosts_of(listing)
    hostvars = listing.get("_meta", {}).get("hostvars", {})
    return nodes(hosts, hostvars, source, several=several)


def hosts_of(listing: Mapping[str, Any]) -> list[str]:
    """Return the hosts of the group, those of its child groups included, in the inventory's order."""
    names: list[str] = []
    waiting = [GROUP]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        group = listing.get(name, {})
        names += [str(host) for host in group.get("hosts", []) if host not in names]
        waiting += group.get("children", [])
    return names


def nodes(hosts: Sequence[str], hostvars: Mapping[str, Any], source: str, *, several: bool = False) -> tuple[Node, ...]:
    """Return the nodes, numbered from 1; InputError unless there are two (`several`: or more), each with an address."""
    if len(hosts) < 2 or (len(hosts) > 2 and not several):  # noqa: PLR2004 - a client and a server
        choose = f"; --pairs ({PAIRS_VARIABLE} in a playbook) chooses from more" if len(hosts) > 1 else ""
        raise InputError(
            f"{source}: group `{GROUP}` has {len(hosts)} host(s) ({', '.join(hosts) or 'none'}); "
            f"a run needs exactly two, the client's first{choose}."
        )
    nodes = tuple(_node(name, index, hostvars.get(name, {}), source) for index, name in enumerate(hosts, 1))
    for first, second in combinations(nodes, 2):
        if first.address == second.address:
            raise InputError(
                f"{source}: {first.name} and {second.name} have the same underlay_address {first.address}."
            )
    return nodes


def pair_of(host: str, hostvars: Mapping[str, Any]) -> tuple[Node, Node]:
    """Return the node of that name and its peer, from Ansible's `hostvars` within a play."""
    pairs = hostvars[host].get(PAIRS_VARIABLE)
    if pairs is None:
        hosts = [str(name) for name in hostvars[host]["groups"].get(GROUP, [])]
    else:
        hosts = next(([str(name) for name in pair] for pair in pairs if host in pair), [])
        if not hosts:
            raise InputError(f"the inventory: host {host} is in none of {PAIRS_VARIABLE}; leave it out by --limit.")
    first, second = nodes(hosts, hostvars, "the inventory")
    return (first, second) if first.name == host else (second, first)


def _node(name: str, index: int, values: Mapping[str, Any], source: str) -> Node:
    """Return one validated node; whatever of it reaches the other host passes through here."""
    if not _HOST_NAME.fullmatch(name):
        raise InputError(f"{source}: host name {name!r} has characters that no host name has; rename it.")
    address = str(values.get("underlay_address", ""))
    if not _is_host_address(address):
        raise InputError(
            f"{source}: host {name} needs underlay_address, the IPv4 address that the tunnel will use; "
            f"it is {address!r}."
        )
    device = str(values.get("underlay_device", DEFAULT_DEVICE))
    if not _DEVICE_NAME.fullmatch(device):
        raise InputError(f"{source}: host {name}: underlay_device {device!r} is not the name of a network device.")
    mtu = values.get("underlay_mtu", DEFAULT_MTU)
    if isinstance(mtu, str) and mtu.isascii() and mtu.isdigit() and len(mtu) < 6:  # noqa: PLR2004 - INI files have text
        mtu = int(mtu)
    if isinstance(mtu, bool) or not isinstance(mtu, int) or not 576 <= mtu <= 65535:  # noqa: PLR2004 - RFC 791's bounds
        raise InputError(f"{source}: host {name}: underlay_mtu {mtu!r} is not a number of bytes from 576 to 65535.")
    return Node(name, index, address, device, mtu, _address6(name, values, source), dict(values))


def _is_host_address(text: str) -> bool:
    """Tell whether a text is an IPv4 address that a host can have."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return not (address.is_multicast or address.is_unspecified or address.is_loopback or address.is_reserved)


def _address6(name: str, values: Mapping[str, Any], source: str) -> str | None:
    """Return a node's IPv6 underlay address, None where the inventory has none."""
    address = values.get("underlay_address6")
    if address is None:
        return None
    try:
        parsed = ipaddress.IPv6Address(str(address))
    except ValueError:
        raise InputError(f"{source}: host {name}: underlay_address6 {address!r} is not an IPv6 address.") from None
    if parsed.scope_id is not None:  # Python takes any text behind the %
        raise InputError(f"{source}: host {name}: underlay_address6 {address!r} has a zone; give one that needs none.")
    return str(parsed)
