"""Network namespaces of a node, those that an engine hides among them, with what is in each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.inspect.tables import Link, links_of
from harness.model.found import Wire
from harness.model.readings import Counters
from harness.nodes import readings
from harness.nodes.remote import Remote

OWN = ""
"""What the node's own namespace is called."""
TUNNELS = frozenset("vxlan geneve gre gretap ip6gre ip6gretap ipip sit ip6tnl wireguard tun".split())
"""Kinds of devices that put headers in front of packets."""
_KINDS: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("ipv4",): ("ipip",),
    ("ipv6",): ("ip6tnl",),
    ("ipv4", "gre"): ("gre",),
    ("ipv4", "gre", "ethernet"): ("gretap",),
    ("ipv6", "gre"): ("ip6gre",),
    ("ipv6", "gre", "ethernet"): ("ip6gretap",),
}
"""Kinds of the devices that make these headers, keys and the like left out."""

# A namespace that has several names is listed under its first: an engine's, one of `ip netns`, a process's. The node's
# own comes first of all.
_SCAN = """
echo "@"; ip -j -d addr show
own=$(stat -Lc %i /proc/self/ns/net)
seen=" $own "
stat -Lc '%i %n' /run/docker/netns/* /run/netns/* /proc/[0-9]*/ns/net 2>/dev/null | while read -r inode path; do
  case $seen in *" $inode "*) continue;; esac
  seen="$seen$inode "
  found=$(nsenter --net="$path" ip -j -d addr show 2>/dev/null) || continue
  echo "@$path"; echo "$found"
done
"""
_COUNT = """
for path in "$@"; do
  echo "@$path"
  if [ -n "$path" ]; then nsenter --net="$path" cat /proc/net/dev; else cat /proc/net/dev; fi
done 2>/dev/null
"""


@dataclass(frozen=True)
class Device:
    """A device in a namespace of a node: the namespace's path, empty for the node's own."""

    namespace: str
    link: Link


Spaces = Mapping[str, Mapping[str, Link]]
"""Devices by name, by the path of their namespace."""


def scan(remote: Remote) -> Spaces:
    """Return the devices in every network namespace of a node; raises ToolError and ConnectionLostError."""
    done = remote.run(["sh", "-c", _SCAN], timeout_s=120.0)
    return {path: links_of(text, remote.name) for path, text in _sections(done.stdout)}


def count(remote: Remote, devices: Sequence[Device]) -> dict[tuple[str, str], Counters]:
    """Return the counters of devices, by namespace and name; one that is gone is left out."""
    paths = [*dict.fromkeys(device.namespace for device in devices)]
    done = remote.run(["sh", "-c", _COUNT, "sh", *paths])
    return {
        (path, name): counters
        for path, text in _sections(done.stdout)
        for name, counters in readings.devices(text.splitlines()).items()
    }


def _sections(text: str) -> Iterator[tuple[str, str]]:
    path, lines, started = "", list[str](), False
    for line in text.splitlines():
        if line.startswith("@"):
            if started:
                yield path, "\n".join(lines)
            path, lines, started = line[1:], [], True
        else:
            lines.append(line)
    if started:
        yield path, "\n".join(lines)


def tunnels(spaces: Spaces) -> list[Device]:
    """Return every tunnel device of a node."""
    return [Device(path, link) for path, links in spaces.items() for link in links.values() if link.kind in TUNNELS]


def fits(link: Link, wire: Wire) -> bool:
    """Tell whether a device may be what puts these headers in front of packets, by its kind, VNI and port."""
    headers = tuple(name for name in wire.headers or () if name != "gre_key")
    for kind in ("vxlan", "geneve"):
        if kind in headers:
            return link.kind == kind and _has(link, wire.vni, "id") and _has(link, wire.port, "port")
    if "wireguard" in headers:
        return link.kind == "wireguard"
    if headers in _KINDS:
        return link.kind in _KINDS[headers]
    return bool(headers) and link.kind == "tun"


def wire_of(link: Link) -> Wire | None:
    """Return what a device puts in front of packets, by its kind and settings alone; None where these do not tell."""
    outer = "ipv6" if link.settings.get("remote6") or link.settings.get("local6") else "ipv4"
    port, vni = link.settings.get("port"), link.settings.get("id")
    if link.kind in ("vxlan", "geneve"):
        return Wire((outer, "udp", link.kind, "ethernet"), protocol="udp", port=port, vni=vni)
    if link.kind == "wireguard":
        return Wire((outer, "udp", "wireguard"), protocol="udp", is_encrypted=True)
    made = next((headers for headers, kinds in _KINDS.items() if link.kind in kinds), None)
    if made is None:
        return None
    return Wire((*made[:2], "gre_key", *made[2:]) if link.settings.get("key") else made)


def _has(link: Link, value: int | None, name: str) -> bool:
    """Tell whether a device has a setting; one that takes it from each packet (`external`) has any."""
    return bool(link.settings.get("external")) or link.settings.get(name) == value


def grew(before: Counters | None, after: Counters | None, packets: int, size: int) -> bool:
    """Tell whether a device carried so many packets of a size both ways."""
    if before is None or after is None:
        return False
    grown = after - before
    return min(grown.rx_packets, grown.tx_packets) >= packets and min(grown.rx_bytes, grown.tx_bytes) >= packets * size


def other_end(spaces: Spaces, end: Link, besides: str) -> Device | None:
    """Return the other end of a veth pair, one of whose ends is in the namespace `besides`; None where several may be.

    Both ends hold each other's index, which counts in each namespace by itself.
    """
    found = [
        Device(path, link)
        for path, links in spaces.items()
        for link in links.values()
        if link.kind == "veth" and link.index == end.peer and link.peer == end.index and path != besides
    ]
    return found[0] if len(found) == 1 else None
