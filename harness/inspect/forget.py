"""Learned entries of the two endpoints, forgotten: so that a trace sees how they are learned.

Only what the kernel learned of our endpoints goes, on devices of the profile: it comes back with the next packet.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from harness.inspect.points import Stop
from harness.inspect.tables import Tables, word_after
from harness.model.trace import Place
from harness.nodes.remote import Remote

_KEPT = {"permanent", "static", "PERMANENT", "NOARP", "extern_learn"}


def forget(remote: Remote, tables: Tables, stops: Sequence[Stop], addresses: Collection[str]) -> None:
    """Have a node forget neighbours with these addresses, and forwarding entries of the endpoints' MAC addresses.

    `stops` are those of both nodes. Raises ConnectionLostError; an entry that is gone already does no harm.
    """
    endpoints = [stop for stop in stops if stop.point.place is Place.ENDPOINT]
    own = [stop for stop in stops if stop.point.node == remote.name]
    for stop in own:
        if stop.point.place is Place.ENDPOINT:
            remote.run([*stop.enter, "ip", "neigh", "flush", "dev", stop.point.device])
    devices = {stop.point.device for stop in own if stop.point.place in (Place.VETH, Place.BRIDGE, Place.TUNNEL)}
    for argv in (
        *neighbours(tables.texts.get("neighbours", ""), devices, addresses),
        *forwarding(tables.texts.get("fdb", ""), devices, {stop.point.mac for stop in endpoints}),
    ):
        remote.run(argv)


def neighbours(text: str, devices: Collection[str], addresses: Collection[str]) -> list[list[str]]:
    """Return the commands that delete what `ip neigh show` printed of these addresses on these devices."""
    lines = [line.split() for line in text.splitlines()]
    return [
        ["ip", "neigh", "del", words[0], "dev", words[2]]
        for words in lines
        if words[:1] and words[0] in addresses and words[1] == "dev" and words[2] in devices and not _KEPT & {*words}
    ]


def forwarding(text: str, devices: Collection[str], macs: Collection[str]) -> list[list[str]]:
    """Return the commands that delete what `bridge fdb show` printed of these MAC addresses on these devices."""
    made = []
    for line in text.splitlines():
        words = line.split()
        if words[:1] and words[0] in macs and words[1] == "dev" and words[2] in devices and not _KEPT & {*words}:
            peer = word_after(line, "dst")
            of = ["self" if "self" in words else "master"]
            made.append(["bridge", "fdb", "del", *words[:3], *(["dst", peer] if peer else []), *of])
    return made
