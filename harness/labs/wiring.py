"""Wires between the nodes of the local lab: one veth pair between two, a switch of the lab's own between more."""

from __future__ import annotations

from collections.abc import Sequence

from harness.labs import holder
from harness.labs.holder import Holder, Keeping, enter_argv
from harness.labs.process import command

NAME = "switch"
# Why: a multicast packet goes to every port, as on a plain switch, and no firewall of a bridge's own looks at frames.
_SCRIPT = """
set -e
hostname "$1"
ip link set lo up
ip link add name "$1" type bridge stp_state 0 forward_delay 0 mcast_snooping 0
for knob in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e "$knob" ] || echo 0 > "$knob"; done
ip link set dev "$1" up
echo ready
exec env --ignore-signal=CHLD sleep infinity
"""


def start(*, keeping: Keeping) -> Holder:
    """Start a switch: a bridge in namespaces of its own."""
    return holder.start(_SCRIPT, NAME, keeping=keeping)


def plug(switch_pid: int, ports: Sequence[tuple[str, int]], device: str, mtu: int) -> None:
    """Give each node (port's name, pid) a NIC called `device` that ends in a port of the switch."""
    enter = enter_argv(switch_pid)
    for port, pid in ports:
        nic = f"name {device} mtu {mtu} netns {pid}"
        command(f"ip link add {nic} type veth peer name {port} mtu {mtu} netns {switch_pid}".split())
        command([*enter, *f"ip link set dev {port} master {NAME} up".split()])


def cable(first_pid: int, second_pid: int, device: str, mtu: int) -> None:
    """Join two nodes by a veth pair that is made inside them."""
    end = f"{device} mtu {mtu} netns"
    command(f"ip link add name {end} {first_pid} type veth peer name {end} {second_pid}".split())
