"""What Linux does with an MTU of 1500 over a tunnel of 1450 bytes, and over one of 1500."""

import json

import pytest

from harness.fabric.profiles import load
from harness.fabric.topology import endpoint
from harness.model.jobs import Port
from harness.model.path import Endpoint
from harness.model.readings import Reading
from harness.nodes import readings
from harness.nodes.remote import Remote
from tests.lab.bench import MTUS, Bench, done, ping

pytestmark = pytest.mark.lab

PORT = 5201


def endpoints(up: Bench, profile: str, mtu: int) -> tuple[Endpoint, Endpoint]:
    client, server = (endpoint(load(profile), mtu, node, MTUS) for node in up.lab.nodes)
    return client, server


def reading(node: Remote, near: Endpoint, far: Endpoint) -> Reading:
    return readings.parse(done(node, *readings.argv(near.enter, far.address, before=False)))


def send_tcp(up: Bench, near: Endpoint, far: Endpoint, *options: str) -> float:
    """Send for a second and return the goodput in bit/s."""
    server = [*far.enter, "timeout", "20", "iperf3", "-s", "-1", "-p", str(PORT)]
    with up.server.background(server):
        done(up.server, *readings.argv(far.enter, near.address, before=True, ports=[Port("tcp", PORT)]))
        client = ["iperf3", "-c", far.address, "-p", str(PORT), "-t", "1", "-C", "cubic", "-J", *options]
        report = json.loads(done(up.client, *near.enter, *client))
    return float(report["end"]["sum_received"]["bits_per_second"])


def test_tunnel_clamps_what_is_too_large_for_it(up: Bench) -> None:
    near, far = endpoints(up, "vxlan", 1500)
    assert ping(up.client, near.enter, far.address, "-M", "do", "-s", "1422").exit_code == 0
    lost = ping(up.client, near.enter, far.address, "-M", "do", "-s", "1472")
    assert lost.exit_code == 1
    assert "100% packet loss" in lost.stdout
    assert "mtu" not in (lost.stdout + lost.stderr).lower(), "lost without a word"
    assert reading(up.client, near, far).route_mtu is None
    assert ping(up.client, near.enter, far.address, "-M", "dont", "-s", "1472").exit_code == 0

    assert 1e8 < send_tcp(up, near, far) < 1e9
    assert reading(up.client, near, far).route_mtu == 1450
    refused = ping(up.client, near.enter, far.address, "-M", "do", "-s", "1472")
    assert refused.exit_code != 0
    assert "mtu=1450" in refused.stdout + refused.stderr

    near, far = endpoints(up, "vxlan", 1450)
    assert reading(up.client, near, far).route_mtu is None, "other endpoints do not know of it"
    assert ping(up.client, near.enter, far.address, "-M", "do", "-s", "1422").exit_code == 0


def test_tunnel_of_1500_fragments_outside(up: Bench) -> None:
    near, far = endpoints(up, "vxlan-1500", 1500)
    before = reading(up.client, near, far), reading(up.server, far, near)
    assert 1e8 < send_tcp(up, near, far) < 1e9
    after = reading(up.client, near, far), reading(up.server, far, near)
    created = after[0].node["IpFragCreates"] - before[0].node["IpFragCreates"]
    joined = after[1].node["IpReasmOKs"] - before[1].node["IpReasmOKs"]
    assert created > 1000
    assert joined > 1000
    assert created >= 2 * joined * 0.95, "each packet is cut in two"
    assert after[0].route_mtu is None, "nothing was clamped"
    assert after[1].endpoint["IpReasmOKs"] == before[1].endpoint["IpReasmOKs"], "the inner packets were whole"
