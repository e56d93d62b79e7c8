"""A node's environment, from what the script really printed (tests/golden/environment.txt, command beside it)."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.measures.registry import MEASURES, programs
from harness.model.errors import ToolError
from harness.model.jobs import Program
from harness.nodes import environment

PROGRAMS = programs(("iperf3", "ping"))
TEXT = (Path(__file__).parents[1] / "golden" / "environment.txt").read_text(encoding="utf-8")


def parse(text: str) -> dict[str, Any]:
    return environment.parse(text, PROGRAMS)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hostname", "vm"),
        ("kernel", "Linux 6.18.44-fc-v782 #1 SMP PREEMPT_DYNAMIC @0 x86_64"),
        ("os", "Debian GNU/Linux 12 (bookworm)"),
        ("cpu_model", "AMD EPYC"),
        ("cpus", "2"),
        ("iperf3", "3.12"),
        ("ping", "20221126"),
        ("congestion_control", "bbr"),
        ("available_congestion_control", "reno bbr cubic"),
        ("bridge_netfilter", "1"),
    ],
)
def test_value(key: str, value: object) -> None:
    assert parse(TEXT)[key] == value


def test_sysctls_by_name() -> None:
    assert parse(TEXT)["sysctls"] == {
        "tcp_rmem": "4096\t131072\t33554432",
        "tcp_wmem": "4096\t16384\t4194304",
        "tcp_timestamps": "1",
        "tcp_mtu_probing": "0",
        "ip_no_pmtu_disc": "0",
        "ip_forward": "0",
    }


def test_offloads_by_name_without_the_heading() -> None:
    offloads = parse(TEXT)["offloads"]
    assert offloads["tcp-segmentation-offload"] == "on"
    assert offloads["tx-udp_tnl-segmentation"] == "off [fixed]"
    assert not any(name.startswith("Features for") for name in offloads)


def test_nic_as_ip_shows_it() -> None:
    known = parse(TEXT)
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
        ("bridge_netfilter", "bridge_netfilter", None),
        ("nic", "nic", None),
        ("offloads", "offloads", {}),
        ("sysctls", "sysctls", {}),
        ("driver", "driver", None),
    ],
)
def test_what_a_node_does_not_have(section: str, key: str, value: object) -> None:
    known = parse(emptied(section))
    assert known[key] == value
    assert known["congestion_control"] == "bbr"


@pytest.mark.parametrize(
    ("printed", "version"),
    [("iperf 3.12 (cJSON 1.7.15)", "3.12"), ("iperf 3.17.1 (cJSON 1.7.15)", "3.17.1"), ("iperf3: not found", None)],
)
def test_version_of_iperf3(printed: str, version: str | None) -> None:
    assert parse(f"@iperf3\n{printed}\n")["iperf3"] == version


@pytest.mark.parametrize(
    ("printed", "version"),
    [("ping from iputils 20221126", "20221126"), ("ping utility, iputils-s20161105", "20161105"), ("BusyBox", None)],
)
def test_version_of_ping(printed: str, version: str | None) -> None:
    assert parse(f"@ping\n{printed}\n")["ping"] == version


def test_node_that_says_nothing_is_no_environment() -> None:
    with pytest.raises(ToolError, match="a node tells nothing of itself: 'sh: not found'"):
        parse("sh: not found\n")


TOOL = Program("tool", "tool", "measures something", ("tool", "--what version"), r"tool v(\d+)")


def test_version_of_a_program_is_found_by_its_own_pattern() -> None:
    """It may print it among other lines, and to standard error."""
    assert environment.parse("@tool\nwarning: old\ntool v7 (2024)\n", {"tool": TOOL})["tool"] == "7"
    assert environment.parse("@hostname\nvm\n", {"tool": TOOL})["tool"] is None


def test_versions_are_asked_of_the_programs_that_measure_and_no_others() -> None:
    script = environment.argv("ens33", {"tool": TOOL})[2]
    assert script.splitlines()[-1] == "echo @tool; tool '--what version' 2>&1"
    assert "@iperf3" not in script
    assert "tool" not in environment.parse(TEXT, PROGRAMS)
    assert "iperf3" not in environment.parse(TEXT, {"tool": TOOL})


def test_no_program_is_called_like_a_section() -> None:
    assert not set(environment.SECTIONS) & set(programs(MEASURES))


def test_engine_is_asked_only_where_there_is_one() -> None:
    assert parse(TEXT)["containers"] is None
    text = f"{TEXT}@containers\n28.5.1\n@containers_mtu\n1500\n"
    assert (parse(text)["containers"], parse(text)["containers_mtu"]) == ("28.5.1", 1500)
    assert parse(text.replace("\n1500\n", "\n<no value>\n"))["containers_mtu"] is None


@pytest.mark.parametrize("engine", ["none", "docker"])
def test_nic_and_engine_are_handed_over_as_words(engine: str) -> None:
    argv = environment.argv("ens33", PROGRAMS, engine)
    assert (argv[:2], argv[3:]) == (["sh", "-c"], ["sh", "ens33", engine])
    assert "ens33" not in argv[2]
    assert environment.argv("ens33", PROGRAMS)[3:] == ["sh", "ens33", "none"]


@pytest.mark.parametrize("measures", [(), *[(name,) for name in MEASURES], tuple(MEASURES)], ids="+".join)
def test_script_is_sh(measures: tuple[str, ...]) -> None:
    script = environment.argv("lo", programs(measures))[2]
    done = subprocess.run(["sh", "-n", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_script_leaves_what_is_missing_empty_and_goes_on() -> None:
    """A program that is not there, an interface that is not there: their sections, and no word of the shell's."""
    missing = Program("nosuch", "nosuch", "measures nothing", ("no-such-program", "-V"), r"version (\d+)")
    done = subprocess.run(environment.argv("nosuch0", {"nosuch": missing}), capture_output=True, text=True, check=False)
    assert done.stderr == ""
    known = environment.parse(done.stdout, {"nosuch": missing})
    assert (known["nosuch"], known["nic"], known["driver"]) == (None, None, None)
    assert str(known["kernel"]).startswith("Linux ")
