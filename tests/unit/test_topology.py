"""What a profile means on a node: names and numbers of the seed's set-up, and no two endpoints alike."""

import ipaddress
from collections import Counter
from typing import Any

import pytest

from harness.fabric.profiles import Link, Profile, Route, load
from harness.fabric.topology import endpoint, fill, namespace_name, probes, veth_name, wanted_state
from harness.model.errors import InputError
from harness.model.node import Node
from harness.model.path import Endpoint, Kind
from harness.model.shipped import PROFILES

CLIENT = Node("k8s-1", 1, "172.12.1.11", "ens33", address6="fd00:172:12:1::11")
SERVER = Node("k8s-2", 2, "172.12.1.12", "ens33", address6="fd00:172:12:1::12")
PAIRS = [(CLIENT, SERVER), (SERVER, CLIENT)]
SHIPPED = sorted(path.stem for path in PROFILES.glob("*.yml"))
MTUS = (576, 1280, 1400, 1450, 1476, 1480, 1492, 1500, 8950, 9000, 65535)
IFNAMSIZ = 16


def state(profile: str, node: Node = CLIENT, peer: Node = SERVER, mtus: tuple[int, ...] = (1450, 1500)) -> Any:  # noqa: ANN401
    return wanted_state(load(profile), node, peer, mtus)


def link(wanted: dict[str, Any], name: str) -> dict[str, Any]:
    found = [entry for entry in wanted["links"] if entry["name"] == name and not entry.get("netns")]
    assert len(found) == 1
    return dict(found[0])


@pytest.mark.parametrize(("node", "peer"), PAIRS)
def test_vxlan_has_the_seeds_devices(node: Node, peer: Node) -> None:
    wanted = state("vxlan", node, peer)
    assert link(wanted, "docker0") == {
        "name": "docker0",
        "kind": "bridge",
        "attributes": {},
        "mtu": 1450,
        "addresses": ["172.17.0.1/16"],
    }
    assert link(wanted, "vxlan_docker") == {
        "name": "vxlan_docker",
        "kind": "vxlan",
        "attributes": {"id": 20, "remote": peer.address, "dstport": 4789, "dev": "ens33"},
        "mtu": 1450,
        "master": "docker0",
        "addresses": [],
    }
    assert wanted["fdb"] == [{"lladdr": "00:00:00:00:00:00", "dst": peer.address, "dev": "vxlan_docker"}]
    assert wanted["networks"] == ["172.17.0.0/16"]
    assert (wanted["profile"], wanted["routes"], wanted["neighbours"], wanted["sysctls"]) == ("vxlan", [], [], [])


@pytest.mark.parametrize(
    ("node", "peer", "mtu", "address"),
    [
        (CLIENT, SERVER, 1450, "172.17.0.2"),
        (SERVER, CLIENT, 1450, "172.17.0.3"),
        (CLIENT, SERVER, 1500, "172.17.0.4"),
        (SERVER, CLIENT, 1500, "172.17.0.5"),
    ],
)
def test_vxlan_has_an_endpoint_for_each_mtu(node: Node, peer: Node, mtu: int, address: str) -> None:
    wanted = state("vxlan", node, peer)
    namespace = f"harness-vxlan-{mtu}"
    outside = veth_name("vxlan", mtu)
    assert endpoint(load("vxlan"), mtu, node, (1450, 1500)) == Endpoint(address, ("ip", "netns", "exec", namespace))
    assert wanted["namespaces"] == ["harness-vxlan-1450", "harness-vxlan-1500"]
    assert link(wanted, outside) == {
        "name": outside,
        "kind": "veth",
        "attributes": {},
        "master": "docker0",
        "mtu": mtu,
        "peer": {"name": "eth0", "netns": namespace},
    }
    inside = [entry for entry in wanted["links"] if entry.get("netns") == namespace]
    assert [(entry["name"], entry["mtu"], entry["addresses"]) for entry in inside] == [
        ("eth0", mtu, [f"{address}/16"]),
    ]


@pytest.mark.parametrize(
    ("profile", "client", "server"),
    [
        ("udp-userspace", "--proto udp", "--proto udp"),
        ("tcp-userspace", "--proto tcp-client --socket-flags TCP_NODELAY", "--proto tcp-server"),
    ],
)
def test_forwarder_takes_packets_from_the_peer_only(profile: str, client: str, server: str) -> None:
    for (node, peer), role in zip(PAIRS, (client, server), strict=True):
        wanted = state(profile, node, peer)
        (argv,) = wanted["processes"]
        words = " ".join(argv)
        assert argv[0] == "openvpn"
        assert f"--local {node.address} " in words
        assert words.endswith(f"--remote {peer.address}")
        assert f" {role} " in words
        assert f"--dev {load(profile).tunnel} " in words
        assert f"--tun-mtu {load(profile).path_mtu(1500)} " in words


def test_others_start_no_process() -> None:
    assert state("vxlan")["processes"] == []


def test_order_of_mtus_does_not_matter() -> None:
    assert state("vxlan", mtus=(1500, 1450)) == state("vxlan", mtus=(1450, 1500))
    assert endpoint(load("vxlan"), 1450, CLIENT, (1500, 1450)).address == "172.17.0.2"


def test_underlays_endpoint_is_the_node() -> None:
    underlay = load("underlay")
    assert endpoint(underlay, 1500, SERVER, (1450,)) == Endpoint("172.12.1.12", ())
    wanted = wanted_state(underlay, CLIENT, SERVER, (1450, 1500))
    assert [wanted[key] for key in ("namespaces", "links", "routes", "fdb", "sysctls")] == [[], [], [], [], []]


@pytest.mark.parametrize("profile", SHIPPED)
def test_endpoints_are_unique_and_as_declared(profile: str) -> None:
    loaded = load(profile)
    seen = Counter[str]()
    for node, peer in PAIRS:
        wanted = wanted_state(loaded, node, peer, MTUS)
        declared = {entry["netns"]: entry["addresses"] for entry in wanted["links"] if entry.get("inner")}
        members = wanted["swarm"]["containers"]["members"] if wanted["swarm"] else ()
        declared |= {member["namespace"]: [member["address"]] for member in members}
        own = {address for entry in wanted["links"] if not entry.get("inner") for address in entry.get("addresses", [])}
        for mtu in MTUS if loaded.kind is not Kind.UNDERLAY else ():
            place = endpoint(loaded, mtu, node, MTUS)
            interface = ipaddress.ip_interface(declared[place.enter[-1]][0])
            assert str(interface.ip) == place.address
            assert any(interface.ip in ipaddress.ip_network(network) for network in wanted["networks"])
            assert place.address not in {str(ipaddress.ip_interface(address).ip) for address in own}
            seen[place.address] += 1
    assert set(seen.values()) <= {1}


@pytest.mark.parametrize("profile", SHIPPED)
@pytest.mark.parametrize(("node", "peer"), PAIRS)
def test_no_variable_is_left(profile: str, node: Node, peer: Node) -> None:
    assert "$" not in repr(state(profile, node, peer))


def test_profiles_can_stand_side_by_side() -> None:
    """All profiles at once: names, networks, and what tells a tunnel from another on the wire, are each their own."""
    states = [state(profile) for profile in SHIPPED]
    names = Counter(entry["name"] for wanted in states for entry in wanted["links"] if not entry.get("netns"))
    ports = Counter(
        (entry["kind"], entry["attributes"]["dstport"])
        for wanted in states
        for entry in wanted["links"]
        if "dstport" in entry["attributes"]
    )
    networks = [ipaddress.ip_network(network) for wanted in states for network in wanted["networks"]]
    assert [name for name, count in names.items() if count > 1] == []
    assert [port for port, count in ports.items() if count > 1] == []
    assert [(a, b) for i, a in enumerate(networks) for b in networks[:i] if a.overlaps(b)] == []


def test_names_fit_and_are_unique() -> None:
    every = [(profile, mtu) for profile in SHIPPED for mtu in (*MTUS, *range(1400, 1501))]
    names = {veth_name(profile, mtu) for profile, mtu in every}
    assert max(map(len, names)) < IFNAMSIZ
    assert len(names) == len({namespace_name(profile, mtu) for profile, mtu in every}) == len(set(every))
    assert all(
        len(name) < IFNAMSIZ for profile in SHIPPED for name in (entry["name"] for entry in state(profile)["links"])
    )


def varied(**changes: Any) -> Profile:  # noqa: ANN401 - fields of Profile
    return load("vxlan").model_copy(update=changes)


@pytest.mark.parametrize(
    "profile",
    [
        varied(links=(Link(name="docker0", kind="bridge", addresses=("$addres/16",)),)),
        varied(links=(Link(name="vx$nothing", kind="vxlan"),)),
        varied(links=(Link(name="vx", kind="vxlan", attributes={"remote": "$remote"}),)),
        varied(routes=(Route(dst="10.0.0.0/8", via="$"),)),
        varied(sysctls={"net.ipv4.conf.$nick.forwarding": 1}),
    ],
)
def test_unknown_variable_is_named(profile: Profile) -> None:
    with pytest.raises(InputError, match=r"profile vxlan: '.*\$.*known are address, peer_address, nic"):
        wanted_state(profile, CLIENT, SERVER, (1450,))


@pytest.mark.parametrize(
    ("value", "filled"),
    [
        ("$mtu", 1450),
        ("dev-$nic", "dev-ens33"),
        ("${nic}0", "ens330"),
        ("1450", "1450"),
        (20, 20),
        (True, True),
        (None, None),
        ({"id": ["$mtu", "x$mtu"]}, {"id": [1450, "x1450"]}),
    ],
)
def test_fill(value: object, filled: object) -> None:
    assert fill(value, {"mtu": "1450", "nic": "ens33"}, "here") == filled


@pytest.mark.parametrize(
    ("profile", "nic_mtu", "path_mtu"),
    [("underlay", 1500, 1500), ("vxlan", 1500, 1450), ("vxlan", 9000, 8950), ("underlay", 9000, 9000)],
)
def test_path_mtu(profile: str, nic_mtu: int, path_mtu: int) -> None:
    assert load(profile).path_mtu(nic_mtu) == path_mtu


def test_tunnel_takes_its_mtu_from_the_nic() -> None:
    client = Node("k8s-1", 1, "172.12.1.11", "ens33", 9000)
    server = Node("k8s-2", 2, "172.12.1.12", "ens33", 9000)
    assert link(state("vxlan", client, server), "vxlan_docker")["mtu"] == 8950


def pinged(profile: str, node: Node, peer: Node, *mtus: int) -> list[tuple[object, ...]]:
    keys = ("profile", "mtu", "namespace", "destination", "path_mtu")
    return [tuple(probe[key] for key in keys) for probe in probes(load(profile), node, peer, mtus)]


def test_probes_ping_the_peers_endpoint_at_the_paths_mtu() -> None:
    assert pinged("vxlan", SERVER, CLIENT, 1450, 1500) == [
        ("vxlan", 1450, "harness-vxlan-1450", "172.17.0.2", 1450),
        ("vxlan", 1500, "harness-vxlan-1500", "172.17.0.4", 1450),
    ]


def test_probe_of_a_small_endpoint_is_no_larger_than_it() -> None:
    assert [path_mtu for *_, path_mtu in pinged("vxlan", CLIENT, SERVER, 1280, 1500)] == [1280, 1450]


def test_probe_of_the_underlay_is_one_at_its_own_mtu() -> None:
    assert pinged("underlay", CLIENT, SERVER, 1450, 1500) == [("underlay", 1500, "", "172.12.1.12", 1500)]


@pytest.mark.parametrize(
    ("profile", "protocol", "number", "peer", "source"),
    [
        ("vxlan", "udp", 4789, "172.12.1.12", "172.12.1.11"),
        ("vxlan-one-port", "udp", 4793, "172.12.1.12", "172.12.1.11"),
        ("flannel", "udp", 8472, "172.12.1.12", ""),
        ("flannel-direct", "udp", 8473, "172.12.1.12", ""),
        ("vxlan6", "udp", 4791, "fd00:172:12:1::12", ""),
        ("geneve", "udp", 6081, "172.12.1.12", "172.12.1.11"),
        ("gre", "47", None, "172.12.1.12", ""),
        ("ipip", "4", None, "172.12.1.12", ""),
        ("wireguard", "udp", 51820, "172.12.1.12", "172.12.1.11"),
        ("udp-userspace", "udp", 8285, "172.12.1.12", ""),
        ("tcp-userspace", "tcp", 8286, "172.12.1.12", ""),
    ],
)
def test_port_is_taken_from_the_peer(profile: str, protocol: str, number: int | None, peer: str, source: str) -> None:
    assert state(profile)["ports"] == [{"protocol": protocol, "port": number, "peer": peer, "source": source}]
    assert [entry["peer"] for entry in state(profile, SERVER, CLIENT)["ports"]] == [peer[:-1] + "1"]


def test_routed_profile_without_a_tunnel_opens_nothing() -> None:
    assert (state("host-gw")["ports"], state("underlay")["ports"]) == ([], [])


@pytest.mark.parametrize(("kind", "number"), [("vxlan", 8472), ("geneve", 6081)])
def test_tunnel_without_a_port_has_its_kinds_own(kind: str, number: int) -> None:
    wanted = wanted_state(
        varied(links=(Link(name="docker0", kind="bridge"), Link(name="t0", kind=kind))), *PAIRS[0], ()
    )
    assert [entry["port"] for entry in wanted["ports"]] == [number]
