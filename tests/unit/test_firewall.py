"""Which rules a profile's port gets on a node: the peer is let in, everybody else is not, unless the port is shared."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.on_node import module_utils

firewall = module_utils("harness_firewall")
GROUP = "18504"
MARK = ["-m", "comment", "--comment", "harness:p"]


def port(protocol: str, number: int | None, peer: str) -> dict[str, Any]:
    return {"protocol": protocol, "port": number, "peer": peer, "source": ""}


@pytest.mark.parametrize(
    ("given", "program", "what"),
    [
        (port("udp", 4789, "192.0.2.12"), "iptables", ["-p", "udp", "--dport", "4789"]),
        (port("tcp", 8286, "192.0.2.12"), "iptables", ["-p", "tcp", "--dport", "8286"]),
        (port("47", None, "192.0.2.12"), "iptables", ["-p", "47"]),
        (port("4", None, "192.0.2.12"), "iptables", ["-p", "4"]),
        (port("udp", 4791, "2001:db8::12"), "ip6tables", ["-p", "udp", "--dport", "4791"]),
    ],
)
def test_rules_of_a_port(given: dict[str, Any], program: str, what: list[str]) -> None:
    drop = [program, "INPUT", "!", "-s", given["peer"], *what, *MARK, "-j", "DROP"]
    accept = [program, "INPUT", "-s", given["peer"], *what, *MARK, "-j", "ACCEPT"]
    assert firewall.port_rules("p", given, shared=False) == [drop, accept]
    assert firewall.port_rules("p", given, shared=True) == [accept]


def device(kind: str, *, port: int | None = None, group: str = "default", flags: str = "UP") -> dict[str, Any]:
    return {"group": group, "flags": flags.split(), "linkinfo": {"info_kind": kind, "info_data": {"port": port}}}


UDP, GRE = port("udp", 4789, "192.0.2.12"), port("47", None, "192.0.2.12")


@pytest.mark.parametrize(
    ("links", "given", "shared"),
    [
        ({}, UDP, False),
        ({"vx": device("vxlan", port=4789)}, UDP, True),
        ({"vx": device("vxlan", port=8472)}, UDP, False),
        ({"vx": device("vxlan", port=4789, group=GROUP)}, UDP, False),
        ({"mine": device("gretap")}, GRE, True),
        ({"mine": device("gretap", group=GROUP)}, GRE, False),
        ({"gre0": device("gre", flags="NOARP")}, GRE, False),
        ({"gre0": device("gre", flags="NOARP UP")}, GRE, True),
        ({"tun": device("ipip")}, GRE, False),
        ({"lo": {"group": "default"}}, GRE, False),
    ],
)
def test_port_is_shared_with_somebody_elses_tunnel(links: dict[str, Any], given: dict[str, Any], shared: bool) -> None:
    assert firewall.is_shared(SimpleNamespace(links=links), given) is shared
