"""A path that is there already, made up in the form of a Swarm's overlay."""

from harness.model.found import Found, FoundDevice, FoundEnd, Wire
from harness.model.node import Node
from harness.model.trace import Place

VXLAN = ("ipv4", "udp", "vxlan", "ethernet")
HIDDEN = "/run/docker/netns/1-abc"
NODES = (Node("k8s-1", 1, "172.12.1.11", "ens33"), Node("k8s-2", 2, "172.12.1.12", "ens33"))


def end(number: int, *, namespace: str = HIDDEN, tunnel: bool = True, mtu: int = 1450) -> FoundEnd:
    """Return one side of a Swarm's overlay."""
    own = f"/proc/81{number}/ns/net"
    devices = [FoundDevice(Place.ENDPOINT, "eth0", own, mtu, f"10.0.1.{number}")]
    devices += [FoundDevice(Place.TUNNEL, "vxlan0", namespace, 1450, "vxlan id 4097 port 4789")] if tunnel else []
    devices.append(FoundDevice(Place.NIC, "ens33", "", 1500, f"172.12.1.1{number}"))
    what = f"docker container 0123456789ab, process 81{number}"
    return FoundEnd(f"k8s-{number}", f"web-{number}", what, own, f"10.0.1.{number}", "…", tuple(devices))


WIRE = Wire(VXLAN, ("172.12.1.11", "172.12.1.12"), "udp", 4789, 4097, echoes=10, seen=(20, 20))
FOUND = Found("swarm", end(1), end(2), WIRE, 1500)
