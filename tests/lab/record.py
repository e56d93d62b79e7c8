"""Records of real nodes, for unit tests to say again: `.venv/bin/python -m tests.lab.record`, as root.

Made with Debian 12's iproute2, tcpdump and iputils in the local lab. What a record is of stands in RECORDS.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from harness.inspect.endpoints import located
from harness.inspect.found import find, lies_between
from harness.model.found import Between
from harness.run.standing import Ground
from tests.lab.bench import Bench, bench, done
from tests.lab.tracing import traced
from tests.recorded import Recorder, nothing_random, write

Told = Callable[[Bench], object]
UNTOUCHED: tuple[str, ...] = ()


def _traced(profile: str, mtu: int = 1450, **what: Any) -> Told:  # noqa: ANN401 - Sending's
    return lambda made: traced(made, profile, mtu, **what)


def _found(profile: str) -> Told:
    def told(made: Bench) -> object:
        ground = Ground(made.lab, {node.name: node for node in made.nodes}, {})
        return find(Between.parse(f"{profile}=netns:harness-{profile}-1450,netns:harness-{profile}-1450"), ground)

    return told


def _by_devices(made: Bench) -> object:
    ground = Ground(made.lab, {node.name: node for node in made.nodes}, {})
    between = Between.parse("vxlan=netns:harness-vxlan-1450,netns:harness-vxlan-1450")
    return lies_between("vxlan", located((between.client, between.server), made.nodes), ground, captures=False)


# name: profiles that stand, what is done on the server first, and what is recorded
RECORDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...], Told]] = {
    "trace-vxlan": (("vxlan",), UNTOUCHED, _traced("vxlan", count=3)),
    "trace-vxlan-tcp": (("vxlan",), UNTOUCHED, _traced("vxlan", tcp=True)),
    "trace-vxlan-refused": (("vxlan",), UNTOUCHED, _traced("vxlan", size=1500, pmtudisc="do", count=1)),
    "trace-vxlan-closed": (
        ("vxlan",),
        ("iptables -w -I INPUT 1 -p udp --dport 4789 -j DROP",),
        _traced("vxlan", count=2),
    ),
    "trace-vxlan-mute": (
        ("vxlan",),
        ("ip netns exec harness-vxlan-1450 sysctl -q -w net.ipv4.icmp_echo_ignore_all=1",),
        _traced("vxlan", count=2),
    ),
    "trace-flannel": (("flannel",), UNTOUCHED, _traced("flannel", count=2)),
    "trace-flannel-dropped": (
        ("flannel",),
        ("iptables -w -I FORWARD 1 -d 10.244.0.0/16 -j DROP",),
        _traced("flannel", count=5),
    ),
    "trace-host-gw": (("host-gw",), UNTOUCHED, _traced("host-gw", count=2)),
    "trace-underlay": ((), UNTOUCHED, _traced("underlay", 1500, count=2)),
    "inspect-vxlan": (("vxlan",), UNTOUCHED, _found("vxlan")),
    "inspect-vxlan-by-devices": (("vxlan",), UNTOUCHED, _by_devices),
    "inspect-host-gw": (("host-gw",), UNTOUCHED, _found("host-gw")),
}


def main() -> None:
    """Make all records, or those that are named."""
    for name in sys.argv[1:] or RECORDS:
        profiles, changes, told = RECORDS[name]
        with bench() as made, nothing_random():
            if profiles:
                made.play("apply", profiles)
            for line in changes:
                done(made.server, *line.split())
            client, server = (Recorder(node) for node in made.nodes)
            told(replace(made, client=client, server=server))
            sys.stdout.write(f"{write(name, (client, server))}\n")


if __name__ == "__main__":
    main()
