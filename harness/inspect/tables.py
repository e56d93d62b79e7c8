"""What a node says of itself, as it prints it: links, routes, neighbours, forwarding entries, firewall, counters."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.model.errors import NOT_UNDERSTOOD, ToolError
from harness.model.text import brief
from harness.nodes.readings import snmp
from harness.nodes.remote import Remote

BROADCAST = "ff:ff:ff:ff:ff:ff"
DEFAULT_DESTINATION = "00:00:00:00:00:00"
"""MAC of the entry by which a VXLAN device sends what it knows no other entry for."""
LISTING = ("ip", "-j", "-d", "-s", "addr", "show")
"""What lists the devices of a namespace, for `links_of` to read."""
_COUNTED_RULE = re.compile(r"^\[(\d+):\d+\] (-A .*-j (?:DROP|REJECT)\b.*)$")
_POLICY = re.compile(r"^:(\S+) DROP \[(\d+):\d+\]$")


@dataclass(frozen=True)
class Link:
    """A device as `LISTING` has it: `master` is a bridge's name, `peer` the index of a veth's other end.

    `dropped` is how many packets it counted as dropped, by direction, `settings` are those of its kind. One that is
    not up carries nothing.
    """

    name: str
    index: int
    kind: str
    mtu: int
    mac: str
    is_ethernet: bool
    master: str
    peer: int | None
    addresses: tuple[str, ...]
    dropped: Mapping[str, int]
    settings: Mapping[str, Any] = field(default_factory=dict)
    is_up: bool = True


@dataclass(frozen=True)
class Quote:
    """A command that was run on a node, and the line of what it printed that matters."""

    command: str
    line: str


@dataclass(frozen=True)
class Tables:
    """Everything that was read of a node, and of the endpoint in it (`inside`), at one moment."""

    links: Mapping[str, Link] = field(default_factory=dict)
    inside: Mapping[str, Link] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    routes: Mapping[str, Quote] = field(default_factory=dict)
    drops: Mapping[str, int] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    inside_counters: Mapping[str, int] = field(default_factory=dict)

    def neighbour(self, address: str, device: str, *, inside: bool = False) -> Quote | None:
        """Return the neighbour entry of an address on a device, on the node or in the endpoint."""
        lines = self.texts.get("inside.neighbours" if inside else "neighbours", "").splitlines()
        for line in lines:
            words = line.split()
            if words[:1] == [address] and f" dev {device}" in f"{line} ":
                return Quote("ip neigh show", line.strip())
        return None

    def forwarding(self, mac: str, device: str) -> Quote | None:
        """Return the entry of a bridge (whose port it names) or of a tunnel (whose peer it names) for a MAC address."""
        for line in self.texts.get("fdb", "").splitlines():
            words = line.split()
            of_bridge = f"master {device}" in line and "self" not in words
            of_tunnel = words[1:3] == ["dev", device] and "dst" in words
            if words[:1] == [mac] and (of_bridge or of_tunnel):
                return Quote("bridge fdb show", line.strip())
        return None

    def sending(self, mac: str, device: str) -> Quote | None:
        """Return the entry by which a tunnel sends to a MAC address: its own, or that for what has none."""
        return self.forwarding(mac, device) or self.forwarding(DEFAULT_DESTINATION, device)

    def port(self, device: str) -> Quote | None:
        """Return what says of which bridge a device is a port."""
        for line in self.texts.get("ports", "").splitlines():
            if re.match(rf"\d+: {re.escape(device)}[@:]", line):
                return Quote("bridge link show", line.strip().partition(" priority ")[0])
        return None

    def tunnel(self, device: str) -> Quote | None:
        """Return what the node prints of a tunnel's own settings (its kind, VNI, peer, port)."""
        link = self.links.get(device)
        for line in self.texts.get("details", "").splitlines():
            if link is None or not re.match(rf"\d+: {re.escape(device)}[@:]", line):
                continue
            _, found, settings = line.partition(f"\\    {link.kind} ")
            if found:
                words = f"{link.kind} {settings}".split(" bridge_slave ")[0].split(" addrgenmode ")[0]
                return Quote(f"ip -d link show dev {device}", " ".join(words.replace("\\", " ").split()))
        return None


def read(remote: Remote, enter: Sequence[str], routes: Mapping[str, Sequence[str]]) -> Tables:
    """Return a node's tables; `routes`: what to ask `ip route get` for, by a name; one with a `+` in the endpoint.

    Raises ToolError where a node does not answer as ip does, and ConnectionLostError.
    """

    def said(*argv: str) -> str:
        done = remote.run(argv)
        return done.stdout if done.exit_code == 0 else ""

    texts = {
        "neighbours": said("ip", "neigh", "show"),
        "fdb": said("bridge", "fdb", "show"),
        "ports": said("bridge", "link", "show"),
        "details": said("ip", "-d", "-o", "link", "show"),
        "inside.neighbours": said(*enter, "ip", "neigh", "show"),
    }
    answers = {}
    for name, words in routes.items():
        argv = ["ip", "route", "get", *words]
        done = remote.run([*enter, *argv] if name.startswith("+") else argv)
        lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
        answers[name] = Quote(" ".join(argv), lines[0].strip() if lines else "")
    return Tables(
        links=links_of(said(*LISTING), remote.name),
        inside=links_of(said(*enter, *LISTING), remote.name) if enter else {},
        texts=texts,
        routes=answers,
        drops=drops_of(said("iptables-save", "-c") + said("ip6tables-save", "-c")),
        counters=snmp(said("cat", "/proc/net/snmp").splitlines()),
        inside_counters=snmp(said(*enter, "cat", "/proc/net/snmp").splitlines()),
    )


def links_of(text: str, node: str) -> dict[str, Link]:
    """Return the devices in what `LISTING`, with or without `-s`, printed, by name; ToolError for anything else."""
    try:
        return {entry["ifname"]: _link(entry) for entry in json.loads(text or "[]") if entry}
    except NOT_UNDERSTOOD as error:
        raise ToolError(f"{node}: `{' '.join(LISTING)}` printed what cannot be read: {brief(repr(error))}") from error


def _link(entry: Mapping[str, Any]) -> Link:
    info = entry.get("linkinfo") or {}
    stats = entry.get("stats64") or {}
    return Link(
        name=entry["ifname"],
        index=int(entry["ifindex"]),
        kind=str(info.get("info_kind", "")),
        mtu=int(entry["mtu"]),
        mac=str(entry.get("address", "")) if entry.get("link_type") == "ether" else "",
        is_ethernet=entry.get("link_type") == "ether",
        master=str(entry.get("master", "")),
        peer=entry.get("link_index"),
        addresses=tuple(str(found["local"]) for found in entry.get("addr_info", []) if "local" in found),
        dropped={way: int(stats[way].get("dropped", 0)) for way in ("rx", "tx") if way in stats},
        settings=info.get("info_data") or {},
        is_up="UP" in entry.get("flags", ["UP"]),
    )


def drops_of(text: str) -> dict[str, int]:
    """Return the packets that each dropping rule, and each chain's policy, counted, in what `iptables-save -c` printed.

    A rule that stands several times is one.
    """
    counted: dict[str, int] = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif match := _COUNTED_RULE.match(line):
            rule = f"iptables -t {table} {match[2]}"
            counted[rule] = counted.get(rule, 0) + int(match[1])
        elif match := _POLICY.match(line):
            rule = f"iptables -t {table} -P {match[1]} DROP"
            counted[rule] = counted.get(rule, 0) + int(match[2])
    return counted


def next_hop(route: Quote) -> tuple[str, str]:
    """Return the address that a route leads to first, and the device it leaves by; both empty for no route."""
    device = word_after(route.line, "dev")
    return (word_after(route.line, "via") or route.line.split()[0], device) if device else ("", "")


def word_after(line: str, name: str) -> str:
    """Return the word that follows a name in what `ip` and `bridge` print; empty where the name is not there."""
    words = line.split()
    return words[words.index(name) + 1] if name in words else ""
