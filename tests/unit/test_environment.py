"""A node's environment, from what the script really printed (tests/golden/environment.txt, command beside it)."""

import subprocess
from pathlib import Path

import pytest

from harness.nodes import environment

TEXT = (Path(__file__).parents[1] / "golden" / "environment.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hostname", "vm"),
        ("kernel", "Linux 6.18.44-fc-v657 #1 SMP PREEMPT_DYNAMIC @0 x86_64"),
        ("os", "Debian GNU/Linux 12 (bookworm)"),
        ("cpu_model", "AMD EPYC"),
        ("cpus", "2"),
        ("load_1min", 0.30),
        ("iperf3", "3.12"),
        ("ping", "20221126"),
        ("congestion_control", "bbr"),
        ("available_congestion_control", "reno bbr cubic"),
        ("bridge_netfilter", "1"),
    ],
)
def test_value(key: str, value: object) -> None:
    assert environment.parse(TEXT)[key] == value


def test_sysctls_by_name() -> None:
    assert environment.parse(TEXT)["sysctls"] == {
        "tcp_rmem": "4096\t131072\t33554432",
        "tcp_wmem": "4096\t16384\t4194304",
        "tcp_timestamps": "1",
        "tcp_mtu_probing": "0",
        "ip_no_pmtu_disc": "0",
        "ip_forward": "0",
    }


def test_offloads_by_name_without_the_heading() -> None:
    offloads = environment.parse(TEXT)["offloads"]
    assert offloads["tcp-segmentation-offload"] == "on"
    assert offloads["tx-udp_tnl-segmentation"] == "off [fixed]"
    assert not any(name.startswith("Features for") for name in offloads)


def test_nic_as_ip_shows_it() -> None:
    known = environment.parse(TEXT)
    assert (known["nic"]["ifname"], known["nic"]["mtu"]) == ("eth0", 1400)
    assert known["qdisc"].startswith("qdisc pfifo_fast 0: root")
    assert known["driver"].startswith("driver: virtio_net")


def emptied(name: str) -> str:
    """Return the text of a node that lacks one program or file: its section is there, and empty."""
    head, _, rest = TEXT.partition(f"@{name}\n")
    return f"{head}@{name}\n@{rest.partition(chr(10) + '@')[2]}"


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("iperf3", "iperf3", None),
        ("ping", "ping", None),
        ("os", "os", None),
        ("cpu_model", "cpu_model", None),
        ("load", "load_1min", None),
        ("bridge_netfilter", "bridge_netfilter", None),
        ("nic", "nic", None),
        ("offloads", "offloads", {}),
        ("sysctls", "sysctls", {}),
        ("driver", "driver", None),
    ],
)
def test_what_a_node_does_not_have(section: str, key: str, value: object) -> None:
    known = environment.parse(emptied(section))
    assert known[key] == value
    assert known["congestion_control"] == "bbr"


@pytest.mark.parametrize(
    ("printed", "version"),
    [("iperf 3.12 (cJSON 1.7.15)", "3.12"), ("iperf 3.17.1 (cJSON 1.7.15)", "3.17.1"), ("iperf3: not found", None)],
)
def test_version_of_iperf3(printed: str, version: str | None) -> None:
    assert environment.parse(f"@iperf3\n{printed}\n")["iperf3"] == version


@pytest.mark.parametrize(
    ("printed", "version"),
    [("ping from iputils 20221126", "20221126"), ("ping utility, iputils-s20161105", "20161105"), ("BusyBox", None)],
)
def test_version_of_ping(printed: str, version: str | None) -> None:
    assert environment.parse(f"@ping\n{printed}\n")["ping"] == version


def test_nic_is_handed_over_as_a_word() -> None:
    argv = environment.argv("ens33")
    assert (argv[:2], argv[3:]) == (["sh", "-c"], ["sh", "ens33", "none"])
    assert "ens33" not in argv[2]


def test_script_is_sh() -> None:
    done = subprocess.run(["sh", "-n", "-c", environment.argv("lo")[2]], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
