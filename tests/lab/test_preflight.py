"""What is in the way on one node: it is named, and neither node is changed."""

import pytest

from harness.errors import PlaybookError
from tests.lab.bench import Bench, done

pytestmark = pytest.mark.lab

PEER = "172.12.1.12"
# profile, what is made by hand on the client node, what the refusal has to name
OBSTACLES = {
    "somebody else's docker0": ("vxlan", "ip link add name docker0 type bridge", ["docker0"]),
    "VNI and port in use": (
        "vxlan",
        f"ip link add name vxlan9 type vxlan id 20 remote {PEER} dstport 4789 dev ens33",
        ["vxlan9", "20", "4789"],
    ),
    "route overlaps": ("vxlan", f"ip route add 172.17.5.0/24 via {PEER}", ["172.17.5.0/24", "172.17.0.0/16"]),
    "route in another table overlaps": (
        "host-gw",
        f"ip route add 10.245.0.0/16 via {PEER} table 100",
        ["10.245.0.0/16"],
    ),
    "address of another device": (
        "vxlan-1500",
        "ip link add name br9 up type bridge; ip addr add 172.18.9.1/24 dev br9",
        ["172.18.9", "br9"],
    ),
    "flannel's own subnet.env": (
        "flannel",
        "mkdir /run/flannel; echo FLANNEL_MTU=1450 >/run/flannel/subnet.env",
        ["/run/flannel/subnet.env"],
    ),
}


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_is_refused_before_any_change(bench: Bench, obstacle: str) -> None:
    profile, script, named = OBSTACLES[obstacle]
    done(bench.client, "sh", "-ec", script)
    before = bench.snapshot()
    with pytest.raises(PlaybookError) as refusal:
        bench.play("apply", [profile])
    assert [word for word in [bench.client.name, *named] if word not in str(refusal.value)] == []
    assert bench.server.name not in str(refusal.value)
    assert bench.changes(before) == []


def test_teardown_leaves_what_is_in_the_way(bench: Bench) -> None:
    for obstacle in ("somebody else's docker0", "VNI and port in use", "flannel's own subnet.env"):
        done(bench.client, "sh", "-ec", OBSTACLES[obstacle][1])
    before = bench.snapshot()
    result = bench.play("teardown", ["vxlan", "flannel"])
    assert set(result.changed.values()) == {0}
    assert bench.changes(before) == []
