"""What the netstate module plans, from what a node would print."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.on_node import library, module_utils

netstate = library("netstate")
actions = module_utils("harness_actions")
links = module_utils("harness_links")
node_module = module_utils("harness_node")
claims, firewall, containers, processes = (
    module_utils(f"harness_{name}") for name in ("claims", "firewall", "containers", "processes")
)


def link(name: str, alias: str = "", *, below: str | None = None, kind: str = "bridge") -> dict[str, Any]:
    """Return a link of our group as `ip -j -d addr` has it."""
    shown = {"ifname": name, "group": node_module.GROUP, "linkinfo": {"info_kind": kind}}
    return shown | ({"ifalias": f"harness:{alias}"} if alias else {}) | ({"link": below} if below else {})


@pytest.mark.parametrize(
    ("there", "order"),
    [
        ([link("br", "p"), link("vx", "p", below="ens33", kind="vxlan")], ["br", "vx"]),
        ([link("a", "p", kind="veth", below="b"), link("b", "p", kind="veth", below="a")], ["a"]),
        ([link("br", "p"), link("br.5", "p", below="br", kind="vlan")], ["br.5", "br"]),
        ([link("a", "p"), link("b", "p", below="a"), link("c", "p", below="b")], ["c", "b", "a"]),
        ([link("b", "p", below="a"), link("a", "p")], ["b", "a"]),
        ([link("br", "q"), link("br.5", "p", below="br", kind="vlan"), link("cut off")], ["br.5", "cut off"]),
    ],
)
def test_no_link_has_gone_before_its_turn(there: list[dict[str, Any]], order: list[str]) -> None:
    assert links.deletion_order({entry["ifname"]: entry for entry in there}, "p") == order


def test_a_process_for_each_namespace_the_nodes_own_first() -> None:
    batches = links.Batches()
    batches.bridge("", "fdb", "append")
    batches.ip("n2", "link", "set", "eth0", "up")
    batches.ip("", "link", "add", "a")
    batches.ip("n1", "link", "set", "eth0", "up")
    batches.ip("", "link", "add", "b")
    assert batches.actions() == [
        actions.Batch("ip", "", (("link", "add", "a"), ("link", "add", "b"))),
        actions.Batch("ip", "n2", (("link", "set", "eth0", "up"),)),
        actions.Batch("ip", "n1", (("link", "set", "eth0", "up"),)),
        actions.Batch("bridge", "", (("fdb", "append"),)),
    ]


ONE_PORT = {"name": "vx", "kind": "vxlan", "attributes": {"id": 24, "srcport": [50000, 50001]}}


def test_two_numbers_stand_behind_one_word() -> None:
    assert links.link_words(ONE_PORT)[-4:] == ["24", "srcport", "50000", "50001"]


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        ({"id": 24, "port_range": {"low": 50000, "high": 50001}}, []),
        (
            {"id": 24, "port_range": {"low": 50000, "high": 60000}},
            ["vx srcport: [50000, 60000], wanted [50000, 50001]"],
        ),
        ({"id": 24}, ["vx srcport: None, wanted [50000, 50001]"]),
    ],
)
def test_range_of_ports_is_read_back(shown: dict[str, Any], found: list[str]) -> None:
    assert links.differences(ONE_PORT, {"linkinfo": {"info_kind": "vxlan", "info_data": shown}}) == found


Prints = dict[str, Any]


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Prints:
    """What the programs of a node print, by the start of the command line; nothing, unless a test says so."""
    shown: Prints = {}

    def answer(none: Any) -> Callable[..., Any]:  # noqa: ANN401 - JSON or text
        def run(argv: list[str], _stdin: str | None = None) -> Any:  # noqa: ANN401
            line = " ".join(argv)
            return next((value for start, value in shown.items() if line.startswith(start)), none)

        return run

    monkeypatch.setattr(node_module, "read_json", answer([]))
    monkeypatch.setattr(firewall, "run", answer(""))
    monkeypatch.setattr(containers, "run", answer(""))
    monkeypatch.setattr(claims, "read_sysctl", lambda _: "1")
    for module in (claims, containers, processes):
        monkeypatch.setattr(module, "DIRECTORY", str(tmp_path / "kept"))
    return shown


def wanted(profile: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - as JSON
    lists = "namespaces links routes neighbours fdb sysctls forward files processes programs ports".split()
    state: dict[str, Any] = {name: [] for name in lists}
    return state | {"profile": profile, "networks": [], "containers": None, "swarm": None, "own_image": "i"} | more


def lines(queue: list[Any]) -> list[str]:
    return [line for action in queue for line in action.lines()]


RULES = [
    "-P INPUT ACCEPT",
    "-A INPUT -s 192.0.2.12/32 -p udp -m udp --dport 9 -m comment --comment harness:p -j ACCEPT",
    '-A INPUT -s 192.0.2.12/32 -p udp -m udp --dport 10 -m comment --comment "harness:p2" -j ACCEPT',
]


def test_removal_in_order_and_of_each_thing_once(printed: Prints) -> None:
    """A link without its alias could be either profile's, and what both have claimed comes back when both are gone."""
    own = {"protocol": "218", "dev": "ens33", "dst": "10.1.0.0/16"}
    printed["ip -j -d addr"] = [link("br-p", "p"), link("cut-off"), link("br-q", "p2")]
    printed["ip -j route"] = [own, own | {"dev": "br-p", "dst": "10.2.0.0/16"}, own | {"protocol": "static"}]
    printed["ip -j netns"] = [{"name": name} for name in ("harness-p-1500", "harness-p2-1450", "other", "harness-p-9")]
    printed["iptables -w -S INPUT"] = "\n".join(RULES)
    for profile in ("p", "p2"):
        claims.claim(profile, "sysctl", "net.ipv4.ip_forward", "0")
    states = [wanted("p", networks=["10.0.0.0/8"]), wanted("p2", networks=["10.0.0.0/8"])]
    assert lines(netstate.plan_absent(states)) == [
        "ip route del 10.1.0.0/16 proto 218",
        "ip link del dev br-p",
        "ip link del dev cut-off",
        "ip netns del harness-p-1500",
        "ip netns del harness-p-9",
        "iptables -w -D INPUT -s 192.0.2.12/32 -p udp -m udp --dport 9 -m comment --comment harness:p -j ACCEPT",
        "ip link del dev br-q",
        "ip netns del harness-p2-1450",
        "iptables -w -D INPUT -s 192.0.2.12/32 -p udp -m udp --dport 10 -m comment --comment harness:p2 -j ACCEPT",
        "restore sysctl net.ipv4.ip_forward",
    ]


def test_folder_that_was_cut_off_right_behind_its_making(
    printed: Prints, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert printed == {}
    monkeypatch.setattr(netstate, "conflicts", lambda *_: [])
    (tmp_path / "kept").mkdir()
    assert lines(netstate.plan_absent([wanted("p")])) == [f"rmdir {tmp_path / 'kept'}"]
    assert lines(netstate.plan_present([wanted("p")])[0]) == []


def test_what_is_torn_first_is_made_anew(printed: Prints, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Everything is still there when the plan is made, as it is in check mode."""
    monkeypatch.setattr(netstate, "conflicts", lambda *_: [])
    bridge = link("br", "p") | {"flags": ["UP"]}
    printed["ip -j -d addr"] = [bridge]
    printed["ip -j netns"] = [{"name": "harness-p-1450"}]
    printed["iptables -w -S INPUT"] = "\n".join(RULES)
    path = str(tmp_path / "subnet.env")
    claims.write_file("p", path, "MTU=1450\n")
    claims.claim("p", "sysctl", "net.ipv4.ip_forward", "0")
    (tmp_path / "kept/containers-p.engine").write_text("docker\n", encoding="utf-8")
    sysctl = {"netns": "", "key": "net.ipv4.ip_forward", "value": 1}
    state = wanted(
        "p",
        namespaces=["harness-p-1450"],
        links=[{"name": "br", "kind": "bridge", "attributes": {}}],
        sysctls=[sysctl],
        files=[{"path": path, "values": {"MTU": 1450}}],
        ports=[{"protocol": "udp", "port": 9, "peer": "192.0.2.12", "source": ""}],
    )
    monkeypatch.setattr(containers.Engines, "has_image", lambda *_: False)
    queue, differences, _ = netstate.plan_present([state])
    assert differences == []
    said = lines(queue)
    assert [line for line in said if "iptables" not in line] == [
        "ip link del dev br",
        "ip netns del harness-p-1450",
        f"rm {tmp_path}/kept/containers-p.engine",
        f"restore file {path}",
        "restore sysctl net.ipv4.ip_forward",
        "ip netns add harness-p-1450",
        f"ip link add name br group {node_module.GROUP} type bridge",
        "ip link set dev br alias harness:p",
        "ip link set dev br up",
        "sysctl -w net.ipv4.ip_forward=1",
        f"write {path}",
    ]
    assert [line.split()[2] for line in said if "iptables" in line] == ["-D", "-I", "-I"]
    assert claims.read_file(path) == "MTU=1450\n", "planning has changed nothing"


def test_containers_of_two_profiles_share_one_image(printed: Prints, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers.subprocess, "run", lambda *_, **__: type("Done", (), {"returncode": 0})())
    for name in ("p", "q"):
        printed[f"docker ps --all --filter label={containers.LABEL}={name}"] = f"{name}-c01\n"
    printed["docker ps --all"] = "p-c01\nq-c01\n"
    engine = {"engine": "docker", "image": "i", "bridge": "", "members": []}
    states = [wanted(name, containers=engine) for name in ("p", "q")]
    said = lines(netstate.plan_absent(states))
    assert said == ["docker rm --force p-c01", "docker rm --force q-c01", "docker rmi i"]


def test_image_is_made_once(printed: Prints, monkeypatch: pytest.MonkeyPatch) -> None:
    assert printed == {}
    monkeypatch.setattr(containers.subprocess, "run", lambda *_, **__: type("Done", (), {"returncode": 1})())
    engines = containers.Engines()
    state = wanted("p", containers={"engine": "docker", "image": "i"})
    assert [engines.make_image(state) for _ in range(2)] == [True, False]
    assert not engines.make_image(state | {"own_image": "another"})


def test_a_program_with_another_argv_is_stopped_first(printed: Prints, monkeypatch: pytest.MonkeyPatch) -> None:
    assert printed == {}
    monkeypatch.setattr(netstate, "conflicts", lambda *_: [])
    monkeypatch.setattr(processes, "running", lambda _, argv=None: 7 if argv in (None, ["vpn", "old"]) else None)
    for argv, said in ((["vpn", "new"], ["kill 7", "vpn new"]), (["vpn", "old"], [])):
        assert lines(netstate.plan_present([wanted("p", processes=[argv])])[0]) == said


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("flannel.1", "flannel"),
        ("cni0", "a CNI plugin"),
        ("cilium_host", "Cilium"),
        ("br-3f2a", "Docker"),
        ("mine", ""),
    ],
)
def test_what_others_made_is_never_advised_to_be_deleted(name: str, whose: str) -> None:
    """To delete flannel.1 cuts a node's pods off."""
    text = module_utils("harness_conflicts").remedy(name)
    assert text.startswith(f"it stays, it looks like {whose}'s: " if whose else "it stays: ")
    assert not [word for word in ("delete", "del ", "remove") if word in text]
    assert [way for way in ("--between", "--lab kubernetes", "harness profiles copy") if way not in text] == []
