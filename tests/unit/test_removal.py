"""What `harness lab down --lab INVENTORY` takes down: every profile that means something there, on every host."""

from pathlib import Path

import pytest

from harness.fabric.profiles import known_profiles, load
from harness.model.node import Node
from harness.model.trial import UNDERLAY
from harness.run.removal import covering, removable

NODES = [Node(f"h{number}", number, f"192.0.2.{number}", "eth0", 1400) for number in range(1, 6)]
PROFILES = {name: load(name) for name in known_profiles() if name != UNDERLAY}


@pytest.mark.parametrize(("count", "pairs"), [(2, ["h1:h2"]), (3, ["h1:h2", "h3:h1"]), (4, ["h1:h2", "h3:h4"])])
def test_every_host_is_in_a_pair(count: int, pairs: list[str]) -> None:
    assert [str(pair) for pair in covering(NODES[:count])] == pairs


def test_profiles_that_mean_nothing_on_these_hosts_are_left_out() -> None:
    setup = removable(PROFILES, NODES[:2], [Path("own")])
    assert "vxlan6" not in setup.profiles
    assert {"vxlan", "flannel", "wireguard", "tcp-userspace"} <= set(setup.profiles)
    assert (max(setup.mtus), setup.nic_mtu, setup.profiles_dirs) == (1400, 1400, (Path("own"),))
