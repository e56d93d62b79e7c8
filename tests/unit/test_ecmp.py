"""The measure `ecmp`: where its jobs run, what tcpdump is told, and what is read off its counts."""

from itertools import count
from pathlib import Path

import pytest

from harness.fabric.profiles import load
from harness.fabric.topology import carrier
from harness.measures.base import Conditions
from harness.measures.ecmp import Ecmp, OuterPort, filter_of, ports_of, told_apart
from harness.model.errors import ToolError
from harness.model.jobs import Completed, Job, Performed, Side
from harness.model.node import Node
from harness.model.path import Carrier
from harness.model.trial import Cell, Measured, Timing
from tests.unit.synthetic import path_to

GOLDEN = Path(__file__).parents[1] / "golden"
CELL = Cell.of("ecmp", mtu=1450, flows=4)
CLIENT = Node("k8s-1", 1, "172.12.1.11", "ens33", address6="fd00:172:12:1::11")
SERVER = Node("k8s-2", 2, "172.12.1.12", "ens33", address6="fd00:172:12:1::12")
VXLAN = Carrier("172.12.1.11", "172.12.1.12", "udp", 4789)
IPERF3 = {side: (GOLDEN / f"iperf3-3.12-tcp.{side}.json").read_text(encoding="utf-8") for side in ("client", "server")}


def conditions(over: Carrier | None = VXLAN, links: int | None = 2) -> Conditions:
    path = path_to("172.17.0.3", over)
    return Conditions(Timing(2, 1), path, count(5201).__next__, "cubic", None, shaped=False, versions={}, links=links)


def completed(stdout: str, stderr: str = "", exit_code: int = 0) -> Completed:
    return Completed(("sh",), exit_code, stdout, stderr)


def done(ports: str) -> dict[str, Completed]:
    return {**{side: completed(text) for side, text in IPERF3.items()}, "ports": completed(ports)}


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ("vxlan", "src host 172.12.1.11 and dst host 172.12.1.12 and udp dst port 4789"),
        ("vxlan-one-port", "src host 172.12.1.11 and dst host 172.12.1.12 and udp dst port 4793"),
        ("flannel", "src host 172.12.1.11 and dst host 172.12.1.12 and udp dst port 8472"),
        ("vxlan6", "src host fd00:172:12:1::11 and dst host fd00:172:12:1::12 and udp dst port 4791"),
        ("geneve", "src host 172.12.1.11 and dst host 172.12.1.12 and udp dst port 6081"),
        ("gre", "src host 172.12.1.11 and dst host 172.12.1.12 and proto 47"),
        ("ipip", "src host 172.12.1.11 and dst host 172.12.1.12 and proto 4"),
        ("wireguard", "src host 172.12.1.11 and dst host 172.12.1.12 and udp dst port 51820"),
        ("udp-userspace", "src host 172.12.1.11 and dst host 172.12.1.12 and udp dst port 8285"),
        ("tcp-userspace", "src host 172.12.1.11 and dst host 172.12.1.12 and tcp dst port 8286"),
    ],
)
def test_filter_takes_what_carries_a_profiles_packets(profile: str, words: str) -> None:
    found = carrier(load(profile), CLIENT, SERVER)
    assert found is not None
    assert filter_of(found) == words


@pytest.mark.parametrize("profile", ["underlay", "host-gw", "flannel-direct"])
def test_nothing_carries_the_packets_of_a_profile_without_a_tunnel(profile: str) -> None:
    assert carrier(load(profile), CLIENT, SERVER) is None


def jobs(over: Carrier | None) -> dict[str, Job]:
    return {job.name: job for job in Ecmp().jobs(CELL, conditions(over))}


def test_ports_are_looked_at_on_the_sending_node_before_the_client_starts() -> None:
    made = jobs(VXLAN)
    assert [*made] == ["server", "ports", "client"]
    ports = made["ports"]
    assert (ports.side, ports.on_node, ports.ends) == (Side.CLIENT, True, False)
    assert ports.argv[:3] == ("timeout", "-k", "5")
    assert ports.argv[-3:] == ("ens33", "96", "src host 172.12.1.11 and dst host 172.12.1.12 and udp dst port 4789")
    assert not made["server"].on_node
    assert not made["client"].on_node


def test_without_a_tunnel_the_data_itself_is_looked_at() -> None:
    assert jobs(None)["ports"].argv[-1] == "src host 172.17.0.2 and dst host 172.17.0.3 and tcp dst port 5201"


def test_ports_as_tcpdump_and_awk_count_them() -> None:
    """Captured in a lab with 8 flows in VXLAN: the ninth and the tenth port are iperf3's control connection and ARP."""
    seen = ports_of(completed((GOLDEN / "tcpdump-4.99-ports.txt").read_text(encoding="utf-8")))
    data, others = told_apart(seen)
    assert len(data) == 8
    assert [port.size for port in data] == sorted((port.size for port in data), reverse=True)
    assert others
    assert sum(port.packets for port in others) < 20


@pytest.mark.parametrize(
    ("line", "port"),
    [
        ("172.12.1.11.50000 10 14000", 50000),
        ("fd00:172:12:1::11.34462 10 14000", 34462),
        ("172.12.1.11 10 14000", 0),
        ("fd00:172:12:1::11 10 14000", 0),
    ],
)
def test_port_of_a_source(line: str, port: int) -> None:
    assert ports_of(completed(line)) == [OuterPort(port, 10, 14000)]


def test_counts_that_are_none_are_a_failure() -> None:
    with pytest.raises(ToolError, match="counted as '1 0', no source"):
        ports_of(completed(" 1 0\n"))


@pytest.mark.parametrize("stdout", ["", "172.12.1.11.50000 10 0\n"])
def test_capture_of_nothing_is_a_failure_with_tcpdumps_own_words(stdout: str) -> None:
    with pytest.raises(ToolError, match=r"saw no data of the test leave.*You don't have permission"):
        ports_of(completed(stdout, "tcpdump: ens33: You don't have permission\n", 1))


def test_small_ports_are_no_data_whatever_their_number() -> None:
    seen = [OuterPort(40000, 5, 10**6), OuterPort(40001, 5, 1001), OuterPort(40002, 5, 999), OuterPort(40003, 1, 0)]
    data, others = told_apart(seen)
    assert [port.number for port in data] == [40000]
    assert [port.number for port in others] == [40001, 40002, 40003]
    least = [OuterPort(1, 1, 999), OuterPort(2, 1, 1)]
    assert told_apart(least) == (least, []), "a thousandth is enough"


def test_figures_are_iperf3s_and_the_ports() -> None:
    measured = Ecmp().parse(CELL, done("172.12.1.11.40000 10 14000\n172.12.1.11.40001 3 5\n"))
    assert measured.figures["outer_ports"] == 1
    assert measured.figures["other_ports"] == 1
    assert measured.figures["goodput_bps"] > 0
    assert measured.payload_forward_bytes == measured.tcp_forward_bytes > 0
    assert measured.series


def run(ports: str, link_bytes: tuple[int, ...] = (), links: int | None = 2) -> Measured:
    return Ecmp().run(CELL, conditions(links=links), lambda _jobs: Performed(done(ports), link_bytes=link_bytes))


FOUR = "".join(f"172.12.1.11.{port} 10 14000\n" for port in (40000, 40001, 40002, 40003))


@pytest.mark.parametrize(
    ("link_bytes", "used", "busiest"),
    [((500, 500), 2, 0.5), ((1_000_000, 999), 1, 1_000_000 / 1_000_999), ((0, 0, 9), 1, 1.0), ((1, 2, 3, 4), 4, 0.4)],
)
def test_links_that_carried_data_are_in_use(link_bytes: tuple[int, ...], used: int, busiest: float) -> None:
    figures = run(FOUR, link_bytes).figures
    assert figures["links_used"] == used
    assert figures["busiest_link_ratio"] == pytest.approx(busiest)
    assert [figures[f"link_{number}_bytes"] for number in range(1, len(link_bytes) + 1)] == list(link_bytes)


@pytest.mark.parametrize("link_bytes", [(), (0, 0)])
def test_links_that_nobody_counted_have_no_figure(link_bytes: tuple[int, ...]) -> None:
    assert {"links_used", "busiest_link_ratio", "link_1_bytes"} & set(run(FOUR, link_bytes).figures) == set()


def test_split_by_a_hash_that_is_known_is_of_the_ports_that_were_seen() -> None:
    figures = run(FOUR).figures
    assert 2 <= figures["hashed_busiest_flows"] <= 4
    assert figures["hashed_busiest_ratio"] == pytest.approx(figures["hashed_busiest_flows"] / 4)
    one = run("172.12.1.11.50000 10 14000\n").figures
    assert (one["hashed_busiest_flows"], one["hashed_busiest_ratio"]) == (1, 1.0)
    assert not any(name.startswith("hashed") for name in run(FOUR, links=None).figures)


def test_underlay_is_not_measured_at_its_own_mtu_as_well() -> None:
    assert not Ecmp().is_held_against_nic_mtu(dict(CELL.levels))
