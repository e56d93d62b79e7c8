"""What is said where the lab that is up is joined otherwise than asked for."""

import pytest

from harness.labs.wires import Wires
from harness.model.errors import InputError, LabError

STANDING = Wires("1gbit", 2, 0, 1500)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Wires("100mbit"), "has rate 1gbit, not 100mbit; `harness lab down` it, or give --rate 1gbit"),
        (Wires(links=2), "has no routers, and this takes 2 links between routers"),
        (Wires(count=3), "has 2 nodes, not 3; `harness lab down` it, or give --nodes 2"),
        (Wires(nic_mtu=9000), "has NICs of MTU 1500, not 9000; `harness lab down` it, or give --nic-mtu 1500"),
    ],
)
def test_other_wires_than_those_that_stand(wanted: Wires, said: str) -> None:
    with pytest.raises(LabError) as raised:
        wanted.require(STANDING)
    assert said in str(raised.value)


def test_what_a_state_says_is_what_was_asked_for() -> None:
    made = Wires("500mbit", 2, 3, 9000)
    assert Wires.of(made.described() | {"nodes": [{}, {}]}) == made
    assert Wires.of({"rate": "1gbit", "nodes": [{}, {}]}) == STANDING, "a lab of an earlier version"
    assert made.words() == "3 links of 500mbit each between two routers, NICs of MTU 9000"
    assert (made.link_bps, made.rate_bps, Wires("none").rate_bps) == (5e8, 1.5e9, None)


@pytest.mark.parametrize(("rate", "nic_mtu"), [("1gbit", 1279), ("1gbit", 65536), ("fast", 1500)])
def test_wires_that_cannot_be(rate: str, nic_mtu: int) -> None:
    with pytest.raises(InputError, match="give"):
        Wires(rate, nic_mtu=nic_mtu)
