"""Each action says what it does, and does what it says."""

from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.unit.on_node import module_utils

actions = module_utils("harness_actions")
claims = module_utils("harness_claims")
containers = module_utils("harness_containers")
processes = module_utils("harness_processes")
firewall = module_utils("harness_firewall")


class Action(Protocol):
    """What every action has; its module is not typed."""

    def lines(self) -> list[str]: ...

    def apply(self) -> None: ...


THERE, GONE = "lo", "nosuch0"
ROUTE = ("route", "replace", "default", "via", "192.0.2.1")
RULE = ("iptables", "INPUT", "-s", "192.0.2.12", "-p", "47", "-j", "ACCEPT")
FDB = ("fdb", "append", "00:00:00:00:00:00", "dev", "vx", "dst", "192.0.2.12", "self")


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where claims and records are kept."""
    for module in (claims, containers, processes):
        monkeypatch.setattr(module, "DIRECTORY", str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[str]:
    """What is run, by the line: a batch's commands one by one."""
    assert not folder.exists()
    lines: list[str] = []

    def run(argv: list[str], stdin: str | None = None) -> str:
        text = " ".join(argv)
        if text.endswith(" -batch -"):
            assert stdin is not None
            lines.extend(f"{text.removesuffix('-batch -')}{line}" for line in stdin.splitlines())
        else:
            lines.append(text)
        return "0\n"

    for module in (actions, claims, containers):
        monkeypatch.setattr(module, "run", run)
    monkeypatch.setattr(firewall, "state_of", lambda *_: "")
    return lines


@pytest.mark.parametrize(
    ("action", "lines"),
    [
        (actions.Run(("ip", "netns", "add", "n")), ["ip netns add n"]),
        (
            actions.Batch("ip", "", (ROUTE, ("link", "set", "dev", "b", "up"))),
            ["ip route replace default via 192.0.2.1", "ip link set dev b up"],
        ),
        (actions.Batch("ip", "n", (ROUTE,)), ["ip -n n route replace default via 192.0.2.1"]),
        (actions.Batch("bridge", "", (FDB,)), [f"bridge {' '.join(FDB)}"]),
        (actions.DeleteLink(THERE), [f"ip link del dev {THERE}"]),
        (actions.InsertRule("p", RULE), ["iptables -w -I INPUT -s 192.0.2.12 -p 47 -j ACCEPT"]),
        (
            actions.RemoveContainers("p", (("docker", "rm", "a"), ("docker", "rmi", "i"))),
            ["docker rm a", "docker rmi i"],
        ),
    ],
    ids=str,
)
def test_what_is_said_is_what_is_run(ran: list[str], action: Action, lines: list[str]) -> None:
    assert action.lines() == lines
    action.apply()
    assert ran == lines


def test_a_link_that_went_by_itself_is_not_deleted(ran: list[str]) -> None:
    actions.DeleteLink(GONE).apply()
    assert ran == []


@pytest.mark.parametrize(
    ("action", "line", "commands"),
    [
        (
            actions.WriteSysctl("p", "", "net.ipv4.ip_forward", "1"),
            "sysctl -w net.ipv4.ip_forward=1",
            ["cat /proc/sys/net/ipv4/ip_forward", "tee /proc/sys/net/ipv4/ip_forward"],
        ),
        (
            actions.WriteSysctl("p", "n", "net.ipv4.tcp_ecn", "0"),
            "ip netns exec n sysctl -w net.ipv4.tcp_ecn=0",
            ["ip netns exec n tee /proc/sys/net/ipv4/tcp_ecn"],
        ),
    ],
    ids=["node", "namespace"],
)
def test_sysctl(ran: list[str], folder: Path, action: Action, line: str, commands: list[str]) -> None:
    assert action.lines() == [line]
    action.apply()
    assert ran == commands
    assert folder.exists() == (not line.startswith("ip netns")), "a namespace takes its values along"


def test_file_and_its_claim(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "made/subnet.env"
    action = actions.WriteFile("p", str(path), "MTU=1450\n")
    assert action.lines() == [f"write {path}"]
    action.apply()
    assert path.read_text(encoding="utf-8") == "MTU=1450\n"
    last = actions.ReleaseClaim("p", "file", str(path), is_last=True)
    assert last.lines() == [f"restore file {path}"]
    last.apply()
    assert not path.parent.exists()
    assert not folder.exists()


def test_a_claim_that_others_hold_is_given_up_without_a_word(folder: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "subnet.env")
    for profile in ("p", "q"):
        actions.WriteFile(profile, path, "").apply()
    shared = actions.ReleaseClaim("p", "file", path, is_last=False)
    assert shared.lines() == []
    shared.apply()
    assert Path(path).exists()
    assert folder.exists()
    assert [kept["profiles"] for kept in claims.claims().values()] == [["q"]]


def test_process_comes_and_goes(folder: Path) -> None:
    start = actions.StartProcess("p", ("sleep", "60"))
    assert start.lines() == ["sleep 60"]
    start.apply()
    pid = processes.running("p", ["sleep", "60"])
    assert pid is not None
    assert processes.running("p", ["sleep", "61"]) is None
    stop = actions.StopProcess("p", pid)
    assert stop.lines() == [f"kill {pid}"]
    stop.apply()
    assert not Path(f"/proc/{pid}/exe").exists()
    assert not folder.exists()


def test_records_that_alone_are_left_are_said_to_go(folder: Path) -> None:
    for action, record in (
        (actions.StopProcess("p", None), folder / "process-p.pid"),
        (actions.RemoveContainers("p", ()), folder / "containers-p.engine"),
    ):
        folder.mkdir()
        record.write_text('{"pid": 1, "start_ticks": -1, "argv": []}', encoding="utf-8")
        assert action.lines() == [f"rm {record}"]
        action.apply()
        assert not folder.exists()


@pytest.mark.parametrize("bridge", ["", "docker0"])
@pytest.mark.parametrize("makes_image", [False, True])
def test_containers_say_all_that_is_run(
    ran: list[str], monkeypatch: pytest.MonkeyPatch, bridge: str, makes_image: bool
) -> None:
    member = {"name": "p-c01", "namespace": "n", "address": "192.0.2.2", "mtu": 1400}
    silent = {"name": "p-c02", "namespace": "", "address": "192.0.2.3", "mtu": None}
    wanted = {"engine": "docker", "image": "i", "bridge": bridge, "network": "", "members": [member, silent]}
    numbers = iter("78")

    def inspect(_engine: str, names: list[str]) -> dict[str, Any]:
        address = {"p-c01": "192.0.2.2", "p-c02": "192.0.2.3"}[names[0]]
        network = {"Networks": {"bridge": {"IPAddress": address}}}
        return {names[0]: {"State": {"Pid": next(numbers)}, "NetworkSettings": network}}

    monkeypatch.setattr(containers, "_inspect", inspect)
    monkeypatch.setattr(containers, "_outside", lambda _: "veth7")
    monkeypatch.setattr(containers, "_import_image", lambda engine, image: ran.append(f"{engine} import - {image}"))
    action = actions.StartContainers("p", wanted, makes_image)
    action.apply()
    said = "\n".join(action.lines())
    for phrase, known in (("<pid of p-c01>", "7"), ("<pid of p-c02>", "8"), ("<veth of p-c01>", "veth7")):
        said = said.replace(phrase, known)
    assert ran == said.splitlines()
    assert len(ran) == 4 + makes_image + bool(bridge)
