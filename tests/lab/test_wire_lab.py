"""What one packet weighs on the wire, against the headers that each profile declares; and who asks for whom."""

import pytest

from harness.fabric.profiles import load
from harness.fabric.topology import endpoint
from harness.model.path import Endpoint
from harness.model.trial import UNDERLAY
from harness.truth.wire import overhead
from tests.lab.bench import MTUS, PROFILES, Bench, done, missing_link_types, ping
from tests.lab.capture import Capture, capturing

pytestmark = pytest.mark.lab

MTU = 1450
PATTERN = "5ca1ab1e0ddba115"
"""Fills the payload of the pings that are looked for."""
PAYLOAD_BYTES = 56
WIREGUARD_PORT, WIREGUARD_PAYLOAD_BYTES = 51820, 52
"""WireGuard pads what it encrypts to a multiple of 16 bytes (paper, 5.4.6); this payload makes an IP packet of 80."""


def ends(up: Bench, profile: str) -> tuple[Endpoint, Endpoint]:
    """Return a profile's endpoint on the client and on the server."""
    near, far = (endpoint(load(profile), MTU, node, MTUS) for node in up.lab.nodes)
    return near, far


def pings_in(seen: Capture, headers: tuple[str, ...]) -> list[bytes]:
    """Return the frames that carry the ping, by its payload or, where that is encrypted, as transport data."""
    if "wireguard" in headers:
        return [frame for frame in seen.udp(WIREGUARD_PORT) if frame[42] == 4]
    return seen.holding(bytes.fromhex(PATTERN) * 4)


@pytest.mark.parametrize("profile", [UNDERLAY, *PROFILES])
def test_frame_is_as_long_as_its_headers(up: Bench, profile: str) -> None:
    if profile in missing_link_types():
        return  # there is nothing to weigh; that it is refused is shown in test_profiles_lab.py
    headers = load(profile).headers
    size = WIREGUARD_PAYLOAD_BYTES if "wireguard" in headers else PAYLOAD_BYTES
    near, far = ends(up, profile)
    assert any(ping(up.client, near.enter, far.address).exit_code == 0 for _ in range(5))  # ARP, ND, learning
    with capturing(up) as seen:
        assert ping(up.client, near.enter, far.address, "-s", str(size), "-p", PATTERN).exit_code == 0
    frames = pings_in(seen, headers)
    own = done(up.client, "cat", "/sys/class/net/ens33/address").strip()
    senders = [frame[6:12].hex(":") for frame in frames]
    assert [sender == own for sender in senders] == [True, False], "one request out, one reply in"
    assert [len(frame) for frame in frames] == [14 + 20 + 8 + size + overhead(headers)] * 2


def forget_neighbours(up: Bench, *endpoints: Endpoint) -> None:
    """Empty the neighbour tables of both nodes and these endpoints; permanent entries stay."""
    for node, own in zip(up.nodes, endpoints, strict=True):
        done(node, "ip", "neigh", "flush", "all")
        done(node, *own.enter, "ip", "neigh", "flush", "all")


# who is asked for through the tunnel, starting with cold caches
@pytest.mark.parametrize(("profile", "port", "asks"), [("vxlan", 4789, True), ("flannel", 8472, False)])
def test_arp_crosses_the_tunnel(up: Bench, profile: str, port: int, asks: bool) -> None:
    near, far = ends(up, profile)
    with capturing(up, "arp", "or", "udp") as seen:
        forget_neighbours(up, near, far)
        done(up.client, *near.enter, *"ping -n -c 5 -i 0.2 -W 2".split(), far.address)
    assert len(seen.udp(port)) >= 10
    assert [len(frame) for frame in seen.tunnelled_arp(port)] == ([92] * len(seen.tunnelled_arp(port)) if asks else [])
    assert bool(seen.tunnelled_arp(port)) == asks
    asked = {frame[38:42] for frame in seen.plain_arp()} | {frame[28:32] for frame in seen.plain_arp()}
    assert asked <= {bytes((172, 12, 1, 11)), bytes((172, 12, 1, 12))}, "bare ARP is for the underlay alone"
