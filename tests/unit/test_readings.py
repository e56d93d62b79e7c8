"""A node's readings, from what the script really printed (tests/golden/reading*.txt, commands beside them)."""

import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from harness.model.errors import ToolError
from harness.model.jobs import Port
from harness.model.path import Counted
from harness.model.readings import Counters
from harness.nodes import readings

GOLDEN = Path(__file__).parents[1] / "golden"
BEFORE, CLAMPED, OVER_SSH = (
    (GOLDEN / f"{name}.txt").read_text(encoding="utf-8") for name in ("reading", "reading-clamped", "reading-sshd")
)


def section(text: str, name: str) -> list[str]:
    return text.partition(f"@{name}\n")[2].partition("\n@")[0].splitlines()


def cpus(text: str) -> list[list[int]]:
    """Return the ticks of all CPUs together, and then of each."""
    return [list(map(int, line.split()[1:])) for line in section(text, "proc") if line.startswith("cpu")]


def test_reading_of_this_machine() -> None:
    reading = readings.parse(BEFORE)
    assert reading.route_mtu is None
    assert set(reading.devices) == {"lo", "ifb0", "ifb1", "eth0"}
    assert reading.clock_s == float(section(BEFORE, "clock")[0])
    assert reading.uptime_s == float(section(BEFORE, "proc")[0].split()[0])


def test_devices_have_their_own_columns() -> None:
    eth0 = next(line for line in section(BEFORE, "dev") if "eth0:" in line).split()
    assert readings.parse(BEFORE).devices["eth0"] == Counters(
        rx_bytes=int(eth0[1]), rx_packets=int(eth0[2]), tx_bytes=int(eth0[9]), tx_packets=int(eth0[10])
    )


@pytest.mark.parametrize("text", [BEFORE, CLAMPED, OVER_SSH], ids=["host", "clamped", "sshd"])
def test_each_cpu_is_idle_by_itself_and_what_was_stolen_is_of_all(text: str) -> None:
    """Waiting for a disk is idling, too; interrupts are the time in them, hard and soft."""
    (_user, _nice, _system, _idle, _iowait, irq, softirq, steal, *_), *each = cpus(text)
    reading = readings.parse(text)
    assert reading.idle_cpus_s == tuple(pytest.approx((cpu[3] + cpu[4]) / 100) for cpu in each)
    assert len(reading.idle_cpus_s) == 2
    assert reading.stolen_cpu_s == pytest.approx(steal / 100)
    assert reading.softirq_cpu_s == pytest.approx((irq + softirq) / 100)


def test_kinds_of_cpu_time_are_not_mixed_up() -> None:
    """No two fields have the same number here, and the sum of both CPUs is nobody's."""
    all_of_them = "cpu  1000 2000 3000 4000 5000 6000 7000 8000 0 0"
    one, two = "cpu0 100 200 300 400 500 600 700 800 0 0", "cpu1 10 20 30 40 50 60 70 80 0 0"
    old = [line for line in section(BEFORE, "proc") if line.startswith("cpu")]
    reading = readings.parse(BEFORE.replace("\n".join(old), f"{all_of_them}\n{one}\n{two}"))
    assert reading.idle_cpus_s == (9.0, 0.9)
    assert (reading.softirq_cpu_s, reading.stolen_cpu_s) == (130.0, 80.0)


def test_time_of_ended_programs_is_that_of_the_connections_own_sshd() -> None:
    """Fields 16 and 17 of /proc/PID/stat: what its children used, user and system, those that it waited for."""
    fields = section(OVER_SSH, "ancestors")[0].split()
    assert fields[1] == "(sshd)"
    assert readings.parse(OVER_SSH).tools_cpu_s == pytest.approx((int(fields[15]) + int(fields[16])) / 100)
    assert readings.parse(OVER_SSH).tools_cpu_s > 0.5  # type: ignore[operator] # a loop of 300000 turns ran before


def test_reading_that_no_sshd_started_tells_nothing_of_ended_programs() -> None:
    assert section(BEFORE, "ancestors")[0].split()[1] == "(python)"
    assert readings.parse(BEFORE).tools_cpu_s is None


ZEROS = "0 " * 30


@pytest.mark.parametrize(
    ("ancestors", "seconds"),
    [
        pytest.param([], None, id="none at all"),
        pytest.param([f"9 (sshd) S 1 9 9 0 -1 0 0 0 0 0 1 2 30 4 {ZEROS}"], 0.34, id="root's connection"),
        pytest.param([f"9 (sshd-session) S 1 9 9 0 -1 0 0 0 0 0 1 2 30 4 {ZEROS}"], 0.34, id="OpenSSH since 9.8"),
        pytest.param(
            [
                f"12 (sudo) S 11 9 9 0 -1 0 0 0 0 0 1 2 99 99 {ZEROS}",
                f"11 (sshd) S 9 9 9 0 -1 0 0 0 0 0 1 2 5 6 {ZEROS}",
                f"9 (sshd) S 1 9 9 0 -1 0 0 0 0 0 1 2 700 800 {ZEROS}",
            ],
            0.11,
            id="by sudo, below a monitor of its own: the nearest counts",
        ),
        pytest.param(
            [f"9 (a (sshd) b) S 1 9 9 0 -1 0 0 0 0 0 1 2 7 8 {ZEROS}"], None, id="a name that only looks like it"
        ),
        pytest.param([f"9 (sshd) S) S 1 9 9 0 -1 0 0 0 0 0 1 2 30 4 {ZEROS}"], 0.34, id="a name with a parenthesis"),
    ],
)
def test_nearest_sshd_counts(ancestors: list[str], seconds: float | None) -> None:
    text = BEFORE.replace("\n".join(section(BEFORE, "ancestors")), "\n".join(ancestors))
    assert readings.parse(text).tools_cpu_s == (None if seconds is None else pytest.approx(seconds))


def test_counters_of_the_node_and_of_the_endpoint_are_kept_apart() -> None:
    reading = readings.parse(CLAMPED)
    assert (reading.node["IcmpInMsgs"], reading.endpoint["IcmpInMsgs"]) == (0, 1)
    assert (reading.endpoint["IcmpMsgOutType8"], reading.node["IpReasmOKs"]) == (1, 0)
    assert {"TcpOutSegs", "IpFragCreates", "IpReasmOKs"} <= set(reading.endpoint) & set(reading.node)


def test_route_cache_tells_the_mtu_that_a_router_announced() -> None:
    assert readings.parse(CLAMPED).route_mtu == 1450


def test_order_of_sections_does_not_matter() -> None:
    parts = [f"@{part}" for part in CLAMPED.removeprefix("@").rstrip("\n").split("\n@")]
    assert [part.partition("\n")[0] for part in parts] == "@clock @proc @dev @endpoint @ancestors @route @end".split()
    assert readings.parse("\n".join(reversed(parts))) == readings.parse(CLAMPED)


def test_route_is_looked_up_after_a_trial_only() -> None:
    """Before it the cache tells nothing of it, and looking costs a program more."""
    assert "@route" not in BEFORE
    assert readings.parse(BEFORE).route_mtu is None


def test_no_route_to_the_peer_is_no_mtu() -> None:
    """`ip route get` prints nothing where there is none; the trial itself then fails."""
    assert readings.parse(CLAMPED.replace("\n".join(section(CLAMPED, "route")), "")).route_mtu is None


def test_server_that_never_listened() -> None:
    with pytest.raises(ToolError, match="did not listen in time"):
        readings.parse("@unready\n")


LINES = CLAMPED.splitlines(keepends=True)
HEADS = {line.strip("@\n"): number for number, line in enumerate(LINES) if line.startswith("@")}
NEEDED = [HEADS[name] for name in ("clock", "proc", "dev", "endpoint")]


@pytest.mark.parametrize(
    "lines",
    [0, *NEEDED, *(head + 1 for head in NEEDED), *(HEADS[name] + 2 for name in HEADS if name != "end"), HEADS["end"]],
)
def test_truncated_reading(lines: int) -> None:
    with pytest.raises(ToolError, match=r"could not be read|namespace is gone"):
        readings.parse("".join(LINES[:lines]))


@pytest.mark.parametrize("lines", [HEADS["ancestors"] + 1, HEADS["route"], HEADS["route"] + 1])
def test_what_need_not_be_known_may_be_empty(lines: int) -> None:
    reading = readings.parse("".join([*LINES[:lines], "@end\n"]))
    assert (reading.tools_cpu_s, reading.route_mtu) == (None, None)
    assert reading.endpoint == readings.parse(CLAMPED).endpoint


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("@clock\n", "@clock\nnow "),
        ("@proc\n", "@proc\nup "),
        ("\ncpu ", "\ncpu x"),
        ("\ncpu1 ", "\ncpu1 x"),
        ("    lo:", "    lo: many"),
        ("\nTcp: 1 ", "\nTcp: one "),
        ("\nUdp: InDatagrams ", "\nUdp: "),
        ('[{"dst"', '[{"dst'),
        ('[{"dst"', '["dst"'),
        ('"metrics":[{', '"metrics":['),
        ("(sh) S 1 ", "(sshd) S 1\n"),
        ("(sh) S 1 ", f"(sshd) S {'x ' * 20}"),
    ],
)
def test_garbled_reading(old: str, new: str) -> None:
    assert old in CLAMPED
    with pytest.raises(ToolError, match="could not be read"):
        readings.parse(CLAMPED.replace(old, new))


def test_vanished_namespace_is_no_reading() -> None:
    """`ip netns exec` prints nothing on standard output for a namespace that is gone: no counters are no zeros."""
    gone = BEFORE[: BEFORE.index("@endpoint\n") + len("@endpoint\n")]
    with pytest.raises(ToolError, match="the endpoint's namespace is gone"):
        readings.parse(gone)


def test_difference_of_counters() -> None:
    assert Counters(10, 4, 300, 9) - Counters(1, 2, 100, 9) == Counters(9, 2, 200, 0)


ENTER = ("ip", "netns", "exec", "harness-vxlan-1450")


@pytest.mark.parametrize(
    ("enter", "peer", "before", "ports", "words"),
    [
        (ENTER, "172.17.0.3", True, [Port("tcp", 5201)], ["reading", "172.17.0.3", "before", "-t:5201", "", *ENTER]),
        (
            ENTER,
            "172.17.0.3",
            True,
            [Port("tcp", 5201), Port("udp", 11)],
            ["reading", "172.17.0.3", "before", "-t:5201 -u:11", "", *ENTER],
        ),
        ((), "172.12.1.12", False, [], ["reading", "172.12.1.12", "after", "", ""]),
    ],
)
def test_argv_hands_everything_over_as_words(
    enter: tuple[str, ...], peer: str, before: bool, ports: list[Port], words: list[str]
) -> None:
    argv = readings.argv(enter, peer, before=before, ports=ports)
    assert argv[:2] == ["sh", "-c"]
    assert argv[3:] == ["sh", *words]
    assert not any(word in argv[2] for word in words if "." in word or "vxlan" in word or "-t:" in word)


def test_script_is_sh() -> None:
    script = readings.argv((), "127.0.0.1", before=True)[2]
    done = subprocess.run(["sh", "-n", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_script_answers_as_often_as_it_is_asked() -> None:
    enters = [("env", "A=1"), ("false",), ("env", "A=$(exit 9); echo two  spaces")]
    asked = [readings.words(enter, "127.0.0.1", before=True) for enter in enters]
    typed = "".join(f"{line}\n" for words in asked for line in ("@go", len(words), *words))
    done = subprocess.run(readings.PROGRAM, input=f"a password\n{typed}", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r"^@answered (\d+)$", done.stdout, re.MULTILINE) == ["0", "4", "0"]
    *answers, rest = re.split(r"^@answered \d+\n", done.stdout, flags=re.MULTILINE)
    assert rest == ""
    for answer in (answers[0], answers[2]):
        assert "lo" in readings.parse(answer).devices
    with pytest.raises(ToolError, match="the endpoint's namespace is gone"):
        readings.parse(answers[1])


def run(argv: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def test_script_reads_this_machine_once_all_ports_are_listened_on() -> None:
    with socket.socket(type=socket.SOCK_STREAM) as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
        for one in (stream, datagram):
            one.bind(("127.0.0.1", 0))
        stream.listen()
        ports = [Port("tcp", stream.getsockname()[1]), Port("udp", datagram.getsockname()[1])]
        done = run(readings.argv(("env", "A=1"), "127.0.0.1", before=True, ports=ports))
    assert (done.returncode, done.stderr) == (0, "")
    reading = readings.parse(done.stdout)
    assert "lo" in reading.devices
    assert {"IpReasmOKs", "TcpOutSegs"} <= set(reading.endpoint)


def test_script_looks_for_each_port_in_the_endpoint_and_gives_up(tmp_path: Path) -> None:
    """The second port is never listened on; sleeping is left out here."""
    for name, text in (("ss", f'echo "$@" >>{tmp_path}/asked; case $2 in -t) echo LISTEN ;; esac'), ("sleep", "")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    argv = readings.argv((), "127.0.0.1", before=True, ports=[Port("tcp", 7), Port("udp", 9)])
    done = run(argv, PATH=f"{tmp_path}:/usr/bin:/bin")
    assert done.returncode == 3
    with pytest.raises(ToolError, match="did not listen in time"):
        readings.parse(done.stdout)
    asked = (tmp_path / "asked").read_text(encoding="utf-8").splitlines()
    assert (asked[0], set(asked[1:])) == ("-Hln -t sport = :7", {"-Hln -u sport = :9"})
    assert len(asked) > 100


def test_script_ends_where_the_endpoint_is_gone() -> None:
    done = run(readings.argv(("false",), "127.0.0.1", before=False))
    assert done.returncode == 4
    with pytest.raises(ToolError, match="the endpoint's namespace is gone"):
        readings.parse(done.stdout)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("@clock\n", "@clock\n-"),
        ("@clock\n", "@clock\n1e300"),
        ("@proc\n", "@proc\n-"),
        ("eth0: ", "eth0: 99999999999999999999999"),
    ],
)
def test_times_and_counts_that_cannot_be_are_refused(old: str, new: str) -> None:
    assert old in BEFORE
    with pytest.raises(ToolError):
        readings.parse(BEFORE.replace(old, new, 1))


@pytest.mark.parametrize("text", ["", "@clock\n1.0\n", BEFORE.partition("@end")[0]])
def test_half_a_reading_is_none(text: str) -> None:
    with pytest.raises(ToolError):
        readings.parse(text)


def test_a_device_of_another_namespace_is_read_from_its_own_section() -> None:
    hidden = BEFORE.replace("@end", "@hidden\n vxlan0: 7 1 0 0 0 0 0 0 9 2\n@end")
    counted = Counted("vxlan0@1-abc", "vxlan0", "/run/docker/netns/1-abc")
    assert readings.parse(hidden, counted).devices["vxlan0@1-abc"] == Counters(7, 1, 9, 2)
    assert readings.parse(BEFORE, Counted("eth0", "eth0", "")).devices["eth0"] == readings.parse(BEFORE).devices["eth0"]
    assert "none" not in readings.parse(BEFORE, Counted("none", "none", "")).devices
