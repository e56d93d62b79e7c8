"""An inventory is two hosts; what of it reaches the other host is a name, a device or a number, and nothing else."""

from typing import Any

import pytest

from harness.model.errors import InputError
from harness.nodes import inventory

A = {"underlay_address": "192.0.2.11", "underlay_device": "eth0", "ansible_host": "a.example"}
B = {"underlay_address": "192.0.2.12", "underlay_device": "eth1", "underlay_mtu": 9000}


def listing(**hosts: dict[str, Any]) -> dict[str, Any]:
    """Return what `ansible-inventory --list` prints for these hosts in group nodes."""
    return {
        "_meta": {"hostvars": hosts},
        "all": {"children": ["ungrouped", "nodes"]},
        "nodes": {"hosts": list(hosts)},
    }


def parse(**hosts: dict[str, Any]) -> tuple[Any, Any]:
    client, server = inventory.parse(listing(**hosts), "my.yml")
    return client, server


def test_two_hosts_are_client_and_server_in_their_order() -> None:
    client, server = parse(b=B, a=A)
    assert (client.name, client.index, client.address, client.device, client.mtu) == (
        "b",
        1,
        "192.0.2.12",
        "eth1",
        9000,
    )
    assert (server.name, server.index, server.address, server.device, server.mtu) == (
        "a",
        2,
        "192.0.2.11",
        "eth0",
        1500,
    )
    assert server.variables["ansible_host"] == "a.example"


def test_device_and_mtu_have_the_seeds_defaults() -> None:
    client, _ = parse(a={"underlay_address": "192.0.2.11"}, b=B)
    assert (client.device, client.mtu) == ("ens33", 1500)


def test_hosts_of_child_groups_count_once() -> None:
    listed = {
        "nodes": {"hosts": ["a"], "children": ["masters", "workers"]},
        "masters": {"hosts": ["a"]},
        "workers": {"hosts": ["b"], "children": ["nodes"]},
        "others": {"hosts": ["c"]},
    }
    assert inventory.hosts_of(listed) == ["a", "b"]


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        ({}, r"has 0 host\(s\) \(none\); a run needs exactly two"),
        ({"a": A}, r"has 1 host\(s\) \(a\); a run needs exactly two, the client's first"),
        ({"a": A, "b": B, "c": A}, r"has 3 host\(s\) \(a, b, c\); .*; --pairs \(overlay_pairs in a playbook\) chooses"),
    ],
)
def test_not_two_hosts(hosts: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=r"^my\.yml: group `nodes` " + words):
        parse(**hosts)


def test_inventory_without_the_group() -> None:
    with pytest.raises(InputError, match="group `nodes` has 0 host"):
        inventory.parse({"_meta": {"hostvars": {"a": A}}, "all": {"hosts": ["a"]}}, "my.yml")


def test_same_address_twice() -> None:
    with pytest.raises(InputError, match=r"a and b have the same underlay_address 192\.0\.2\.11"):
        parse(a=A, b={**B, "underlay_address": "192.0.2.11"})


INJECTIONS = [
    "{{ lookup('pipe', 'id') }}",
    "$(reboot)",
    "`reboot`",
    "a; rm -rf /",
    "a && reboot",
    "a\n",
    "a\nb",
    "a b",
    "../a",
    "a/b",
    "-a",
    "--help",
    "a'b",
    'a"b',
    "a\\b",
    "a%n",
    "a\0b",
    "",
]


@pytest.mark.parametrize("name", [*INJECTIONS, "a" * 64, "høst"])
def test_bad_host_name(name: str) -> None:
    with pytest.raises(InputError, match="host name"):
        parse(**{name: A}, b=B)


@pytest.mark.parametrize("device", [*INJECTIONS, "a" * 16, "a@b", "a:1"])
def test_bad_device(device: str) -> None:
    with pytest.raises(InputError, match=r"^my\.yml: host a: underlay_device .* is not the name of a network device"):
        parse(a={**A, "underlay_device": device}, b=B)


@pytest.mark.parametrize("device", ["ens33", "eth0.100", "br-lan", "enp0s31f6", "wlp3s0_1", "a" * 15])
def test_good_device(device: str) -> None:
    assert parse(a={**A, "underlay_device": device}, b=B)[0].device == device


@pytest.mark.parametrize(
    "address", [*INJECTIONS, "192.0.2", "192.0.2.256", "192.0.2.11/24", "2001:db8::1", "host-a", 3221225995, None]
)
def test_bad_address(address: object) -> None:
    with pytest.raises(InputError, match=r"^my\.yml: host a needs underlay_address, the IPv4 address"):
        parse(a={**A, "underlay_address": address}, b=B)


def test_missing_address() -> None:
    with pytest.raises(InputError, match=r"host b needs underlay_address.*; it is ''"):
        parse(a=A, b={})


@pytest.mark.parametrize("mtu", [0, 575, 65536, -1500, 1500.5, True, None, "abc", "1500; reboot"])
def test_bad_mtu(mtu: object) -> None:
    with pytest.raises(InputError, match=r"^my\.yml: host b: underlay_mtu .* is not a number of bytes from 576 to"):
        parse(a=A, b={**B, "underlay_mtu": mtu})


@pytest.mark.parametrize("mtu", [576, 1500, 9000, 65535])
def test_good_mtu(mtu: int) -> None:
    assert parse(a=A, b={**B, "underlay_mtu": mtu})[1].mtu == mtu


C = {"underlay_address": "192.0.2.13"}


def test_several_hosts_are_taken_where_pairs_of_them_are_chosen() -> None:
    listed = listing(c=C, a=A, b=B)
    found = inventory.parse(listed, "my.yml", several=True)
    assert [(node.name, node.index) for node in found] == [("c", 1), ("a", 2), ("b", 3)]
    with pytest.raises(InputError, match=r"b and d have the same underlay_address"):
        inventory.parse(listing(a=A, b=B, c=C, d=B), "my.yml", several=True)
    with pytest.raises(InputError, match=r"has 1 host\(s\) \(a\)"):
        inventory.parse(listing(a=A), "my.yml", several=True)


@pytest.mark.parametrize(("host", "pair"), [("a", "a2 c1"), ("c", "c1 a2"), ("b", "b1 d2"), ("d", "d2 b1")])
def test_pair_of_takes_the_pair_that_the_playbook_was_told(host: str, pair: str) -> None:
    hosts: dict[str, dict[str, Any]] = {"a": A, "b": B, "c": C, "d": {"underlay_address": "192.0.2.14"}, "e": {}}
    own = {"groups": {"nodes": [*hosts]}, "overlay_pairs": [["c", "a"], ["b", "d"]]}
    hostvars = {name: {**values, **own} for name, values in hosts.items()}
    assert " ".join(f"{node.name}{node.index}" for node in inventory.pair_of(host, hostvars)) == pair
    with pytest.raises(InputError, match=r"host e is in none of overlay_pairs; leave it out by --limit"):
        inventory.pair_of("e", hostvars)


@pytest.mark.parametrize(("host", "first"), [("a", "a"), ("b", "b")])
def test_pair_of_puts_the_host_first(host: str, first: str) -> None:
    groups = {"nodes": ["a", "b"], "all": ["a", "b"]}
    node, peer = inventory.pair_of(host, {"a": {**A, "groups": groups}, "b": {**B, "groups": groups}})
    assert node.name == first
    assert {node.name, peer.name} == {"a", "b"}
    assert {node.name: node.index, peer.name: peer.index} == {"a": 1, "b": 2}


def test_mtu_of_an_ini_file_is_text() -> None:
    assert parse(a={**A, "underlay_mtu": "9000"}, b=B)[0].mtu == 9000
