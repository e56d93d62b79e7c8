"""Two routers between two nodes of the local lab, joined by several links over which they spread flows (ECMP).

The nodes keep their addresses, of one subnet: each router answers for the node behind the other one (proxy ARP, and
its like of IPv6), so profiles and playbooks are what they are on a cable.

A router hashes the five-tuple that it reads in the packet's outer headers. The kernel does so under policy 3 with its
fields named (ip-sysctl.rst, since Linux 5.14). Policy 1 is the same only between machines: a packet that came from a
namespace of the same kernel still has the hash of its sender's socket, which policy 1 takes as it is
(fib_multipath_hash), so that flows of a tunnel would be spread by what no router could see, whatever their ports.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.labs import holder
from harness.labs.holder import Holder, Keeping, enter_argv
from harness.labs.process import command
from harness.labs.shaping import shape
from harness.model.errors import LabError

NAMES = ("router-1", "router-2")
MIN_LINKS = 2
_HASH_FIELDS = 0x01 | 0x02 | 0x04 | 0x10 | 0x20
"""Source and destination address, IP protocol, source and destination port, as ip-sysctl.rst numbers them."""
_TX_BYTES = 8
"""Place of the bytes sent among the columns of /proc/net/dev behind a device's name."""
# Why: whatever comes in by a link goes out, whichever link the way back would take (rp_filter 0), and addresses are
# used at once (accept_dad 0).
_SCRIPT = """
set -e
hostname "$1"
ip link set lo up
cd /proc/sys/net
if [ ! -e ipv4/fib_multipath_hash_fields ]; then
    echo "this kernel cannot hash fields of choice (fib_multipath_hash_fields); that takes Linux 5.14" >&2
    exit 1
fi
for family in ipv4 ipv6; do
    echo 3 > $family/fib_multipath_hash_policy
    echo "$2" > $family/fib_multipath_hash_fields
done
for knob in ipv4/ip_forward ipv6/conf/all/forwarding ipv4/conf/default/proxy_arp ipv6/conf/all/proxy_ndp; do
    echo 1 > $knob
done
for knob in ipv4/conf/all/rp_filter ipv4/conf/default/rp_filter ipv6/conf/default/accept_dad; do
    echo 0 > $knob
done
cd /
echo ready
exec env --ignore-signal=CHLD sleep infinity
"""


@dataclass(frozen=True)
class Attached:
    """A node as its router sees it: name, which is also the router's port, addresses, and its first process."""

    name: str
    address: str
    address6: str
    pid: int


def start(name: str, *, keeping: Keeping) -> Holder:
    """Start a router in namespaces of its own; raises LabError."""
    return holder.start(_SCRIPT, name, str(_HASH_FIELDS), keeping=keeping)


def join(
    pids: tuple[int, int], nodes: tuple[Attached, Attached], device: str, mtu: int, links: int, rate_bps: float | None
) -> None:
    """Put each node, by a NIC called `device`, behind its router, and so many links of a rate between both routers."""
    for pid, node in zip(pids, nodes, strict=True):
        nic = f"name {device} mtu {mtu} netns {node.pid}"
        command(f"ip link add {nic} type veth peer name {node.name} mtu {mtu} netns {pid}".split())
    for number in range(1, links + 1):
        end = f"{_link(number)} mtu {mtu} netns"
        command(f"ip link add name {end} {pids[0]} type veth peer name {end} {pids[1]}".split())
    for side, pid in enumerate(pids):
        _ip(pid, *_own_side(side, nodes[side], nodes[1 - side], links))
        for family in ("ipv4", "ipv6"):  # an answer for somebody else waits up to .8 s otherwise
            command([*enter_argv(pid), "tee", f"/proc/sys/net/{family}/neigh/{nodes[side].name}/proxy_delay"], "0\n")
        if rate_bps is not None:
            for number in range(1, links + 1):
                shape(enter_argv(pid), _link(number), mtu, rate_bps)


def _own_side(side: int, own: Attached, far: Attached, links: int) -> list[str]:
    """Return what makes one router whole: its ports up, its node behind one of them, the other's behind all links."""
    numbers = range(1, links + 1)
    lines = [f"link set dev {own.name} up"]
    for number in numbers:
        lines += [
            f"link set dev {_link(number)} up",
            f"addr add {_address(number, side)}/30 dev {_link(number)}",
            f"addr add {_address6(number, side)}/64 dev {_link(number)} nodad",
        ]
    hops = " ".join(f"nexthop via {_address(number, 1 - side)} dev {_link(number)}" for number in numbers)
    hops6 = " ".join(f"nexthop via {_address6(number, 1 - side)} dev {_link(number)}" for number in numbers)
    return [
        *lines,
        f"route add {own.address}/32 dev {own.name}",
        f"route add {own.address6}/128 dev {own.name}",
        f"route add {far.address}/32 {hops}",
        f"route add {far.address6}/128 {hops6}",
        f"neigh add proxy {far.address6} dev {own.name}",
    ]


def link_bytes(pids: Sequence[int], links: int, proc: Path = Path("/proc")) -> tuple[tuple[int, int], ...]:
    """Return what each link has carried so far, in bytes: to the second router, and to the first.

    Raises LabError where a router or a link is gone.
    """
    sent = [_sent_bytes(proc / str(pid) / "net/dev") for pid in pids]
    try:
        return tuple((sent[0][_link(number)], sent[1][_link(number)]) for number in range(1, links + 1))
    except KeyError as error:
        raise LabError(f"{error.args[0]} between the routers is gone; `harness lab down` what is left.") from error


def _sent_bytes(path: Path) -> dict[str, int]:
    """Return what each device of a namespace has sent, of its /proc/PID/net/dev."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()[2:]
    except OSError as error:
        raise LabError(f"a router is gone ({error.strerror}: {path}); `harness lab down` what is left.") from error
    named = (line.partition(":") for line in lines)
    return {name.strip(): int(columns.split()[_TX_BYTES]) for name, _, columns in named}


def _link(number: int) -> str:
    return f"link{number}"


def _address(number: int, side: int) -> str:
    return f"10.255.{number}.{side + 1}"


def _address6(number: int, side: int) -> str:
    return f"fd00:10:255:{number}::{side + 1}"


def _ip(pid: int, *lines: str) -> None:
    """Run commands of `ip` in a router."""
    command([*enter_argv(pid), "ip", "-batch", "-"], "".join(f"{line}\n" for line in lines))
