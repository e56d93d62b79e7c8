"""A node's readings, from what the script really printed (tests/golden/reading*.txt, commands beside them)."""

import subprocess
from pathlib import Path

import pytest

from harness.model.errors import ToolError
from harness.model.readings import Counters
from harness.nodes import readings

GOLDEN = Path(__file__).parents[1] / "golden"
BEFORE = (GOLDEN / "reading.txt").read_text(encoding="utf-8")
CLAMPED = (GOLDEN / "reading-clamped.txt").read_text(encoding="utf-8")


def section(text: str, name: str) -> list[str]:
    return text.partition(f"@{name}\n")[2].partition("\n@")[0].splitlines()


def test_reading_of_this_machine() -> None:
    reading = readings.parse(BEFORE)
    assert reading.route_device == "lo"
    assert reading.route_mtu is None
    assert set(reading.devices) == {"lo", "eth0"}
    assert reading.load_1min == float(section(BEFORE, "load")[0].split()[0])


def test_devices_have_their_own_columns() -> None:
    eth0 = next(line for line in section(BEFORE, "dev") if "eth0:" in line).split()
    assert readings.parse(BEFORE).devices["eth0"] == Counters(
        rx_bytes=int(eth0[1]), rx_packets=int(eth0[2]), tx_bytes=int(eth0[9]), tx_packets=int(eth0[10])
    )


def test_busy_seconds_leave_out_idle_iowait_and_what_was_stolen() -> None:
    _, user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = section(BEFORE, "stat")[0].split()
    reading = readings.parse(BEFORE)
    assert reading.busy_cpu_s == pytest.approx(sum(map(int, (user, nice, system, irq, softirq))) / 100)
    assert reading.stolen_cpu_s == pytest.approx(int(steal) / 100)


def test_counters_of_the_node_and_of_the_endpoint_are_kept_apart() -> None:
    reading = readings.parse(CLAMPED)
    assert (reading.node["IcmpInMsgs"], reading.endpoint["IcmpInMsgs"]) == (0, 1)
    assert (reading.endpoint["IcmpMsgOutType8"], reading.node["IpReasmOKs"]) == (1, 0)
    assert {"TcpOutSegs", "IpFragCreates", "IpReasmOKs"} <= set(reading.endpoint) & set(reading.node)


def test_route_cache_tells_the_mtu_that_a_router_announced() -> None:
    reading = readings.parse(CLAMPED)
    assert (reading.route_mtu, reading.route_device) == (1450, "eth0")


def test_order_of_sections_does_not_matter() -> None:
    """Counters come last before a trial and first after it."""
    parts = [f"@{part}" for part in BEFORE.removeprefix("@").rstrip("\n").split("\n@")]
    assert [part.partition("\n")[0] for part in parts] == "@route @load @stat @dev @snmp @endpoint".split()
    assert readings.parse("\n".join([*parts[2:], *parts[:2]])) == readings.parse(BEFORE)


def test_no_route_to_the_peer_is_no_mtu() -> None:
    """`ip route get` prints nothing where there is none; the trial itself then fails."""
    reading = readings.parse(BEFORE.replace("\n".join(section(BEFORE, "route")), ""))
    assert (reading.route_mtu, reading.route_device) == (None, "")


def test_server_that_never_listened() -> None:
    with pytest.raises(ToolError, match="did not listen in time"):
        readings.parse("@unready\n")


LINES = BEFORE.splitlines(keepends=True)
HEADS = [number for number, line in enumerate(LINES) if line.startswith("@")]


@pytest.mark.parametrize("lines", [0, *HEADS, *(head + 1 for head in HEADS[:-1]), HEADS[-2] + 2, len(LINES) - 1])
def test_truncated_reading(lines: int) -> None:
    with pytest.raises(ToolError, match="could not be read"):
        readings.parse("".join(LINES[:lines]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("@stat\ncpu ", "@stat\ncpu x"),
        ("    lo:", "    lo: many"),
        ("\nTcp: 1 ", "\nTcp: one "),
        ("\nUdp: InDatagrams ", "\nUdp: "),
        ('[{"type"', '[{"type'),
        ("@load\n", "@load\nbusy "),
    ],
)
def test_garbled_reading(old: str, new: str) -> None:
    assert old in BEFORE
    with pytest.raises(ToolError, match="could not be read"):
        readings.parse(BEFORE.replace(old, new))


def test_vanished_namespace_is_no_reading() -> None:
    """`ip netns exec` prints nothing on standard output for a namespace that is gone: no counters are no zeros."""
    gone = BEFORE[: BEFORE.index("@endpoint\n") + len("@endpoint\n")]
    with pytest.raises(ToolError, match="the endpoint's namespace is gone"):
        readings.parse(gone)


def test_difference_of_counters() -> None:
    assert Counters(10, 4, 300, 9) - Counters(1, 2, 100, 9) == Counters(9, 2, 200, 0)


@pytest.mark.parametrize(
    ("arguments", "before", "port", "words"),
    [
        (("harness-vxlan-1450", "172.17.0.3"), True, 5201, ["harness-vxlan-1450", "172.17.0.3", "5201", "before"]),
        ((None, "172.12.1.12"), False, None, ["", "172.12.1.12", "", "after"]),
    ],
)
def test_argv_hands_everything_over_as_words(
    arguments: tuple[str | None, str], before: bool, port: int | None, words: list[str]
) -> None:
    argv = readings.argv(*arguments, before=before, port=port)
    assert argv[:2] == ["sh", "-c"]
    assert argv[3:] == ["sh", *words]
    assert not any(word in argv[2] for word in words if "." in word or "vxlan" in word)


def test_script_is_sh() -> None:
    script = readings.argv(None, "127.0.0.1", before=True)[2]
    done = subprocess.run(["sh", "-n", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
