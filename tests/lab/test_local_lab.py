"""The local lab by itself: what its nodes are, who can reach them, and that nothing of it stays."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.labs.kept import take_down_all
from harness.labs.local import NODES, LocalLab
from harness.labs.process import ProcessId
from harness.labs.wires import Wires
from harness.model.errors import ConnectionLostError
from harness.nodes.remote import Remote
from harness.nodes.ssh import SshRemote
from tests.lab.bench import Bench, bench, done, eventually, state_folder
from tests.lab.snapshots import differences, host_snapshot

pytestmark = pytest.mark.lab

KILLED_OWNER = """
import os, signal, sys
from pathlib import Path
from harness.labs.local import LocalLab
from harness.labs.wires import Wires
from harness.labs.wires import Wires
LocalLab(Wires("none"), state_root=Path(sys.argv[1])).up()
END
"""
ENDS = {
    "killed": ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    "exited without clean-up": ("os._exit(3)", 3),
}


def listed(node: Remote, *argv: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(done(node, *argv) or "[]")
    return found


def held_by(scratch: Path) -> list[ProcessId]:
    """Return the processes that hold a lab's nodes."""
    nodes = json.loads((scratch / "state.json").read_text(encoding="utf-8"))["nodes"]
    held = [ProcessId(**node[role]) for node in nodes for role in ("holder", "inside")]
    assert len(held) == 4
    return held


def test_nodes_have_the_names_devices_and_addresses_of_the_seed(bench: Bench) -> None:
    for node, (name, address, address6) in zip(bench.nodes, NODES[:2], strict=True):
        assert done(node, "hostname").strip() == name
        links = {link["ifname"]: link for link in listed(node, "ip", "-j", "addr", "show")}
        assert set(links) == {"lo", "ens33"}
        assert links["ens33"]["mtu"] == 1500
        held = {(entry["local"], entry["prefixlen"]) for entry in links["ens33"]["addr_info"]}
        assert {(address, 24), (address6, 64)} <= held


@pytest.mark.parametrize(("rate", "bit_s"), [("1gbit", 1e9), ("50mbit", 5e7), ("none", None)])
def test_link_is_shaped_as_asked(rate: str, bit_s: float | None) -> None:
    with bench(rate) as lab:
        for node in lab.nodes:
            shaped = [entry for entry in listed(node, "tc", "-j", "qdisc", "show") if entry["kind"] == "tbf"]
            rates = [entry["options"]["rate"] * 8 for entry in shaped]
            expected = [] if bit_s is None else [bit_s * 1514 / 1538, bit_s]  # of bursts of full frames, of frames
            assert rates == pytest.approx(expected, abs=8)
        assert lab.lab.rate_bps == bit_s


def test_nodes_reach_each_other_and_nothing_else(bench: Bench) -> None:
    (client, server), (_, near, near6), (_, far, far6) = bench.nodes, *NODES[:2]
    for node, own, other in ((client, near, far), (server, far, near)):
        assert done(node, "ping", "-n", "-c", "1", "-W", "1", other)
        assert [route["dst"] for route in listed(node, "ip", "-j", "route", "show")] == ["172.12.1.0/24"], own
    assert done(client, "ping", "-n", "-c", "1", "-W", "1", far6)
    assert done(server, "ping", "-n", "-c", "1", "-W", "1", near6)


def test_nothing_listens_on_the_host_or_on_a_node() -> None:
    listening = ["ss", "-Hltnp"]
    before = set(subprocess.run(listening, capture_output=True, text=True, check=True).stdout.splitlines())
    with bench() as lab:
        now = set(subprocess.run(listening, capture_output=True, text=True, check=True).stdout.splitlines())
        assert [line for line in now - before if "sshd" in line or str(lab.lab.scratch) in line] == []
        for node in lab.nodes:
            assert done(node, "ss", "-Hltn") == ""
            assert done(node, "ss", "-Hlun") == ""


def other_key(known: list[str]) -> list[str]:
    (first, *first_key), (second, *second_key) = (line.split() for line in known)
    return [" ".join((first, *second_key)), " ".join((second, *first_key))]


@pytest.mark.parametrize("change", [other_key, lambda known: known[1:]], ids=["another node's key", "no key"])
def test_host_key_that_is_not_the_nodes_is_refused(bench: Bench, tmp_path: Path, change: Any) -> None:  # noqa: ANN401
    scratch = bench.lab.scratch
    known = tmp_path / "known_hosts"
    known.write_text("\n".join(change((scratch / "known_hosts").read_text().splitlines())) + "\n")
    config = tmp_path / "ssh_config"
    config.write_text((scratch / "ssh_config").read_text().replace(str(scratch / "known_hosts"), str(known)))
    with pytest.raises(ConnectionLostError, match=bench.client.name):
        SshRemote(bench.lab.client, config).connect()
    by_hand = subprocess.run(
        ["ssh", "-o", "BatchMode=yes", "-F", str(config), bench.client.name, "true"], capture_output=True, check=False
    )
    assert by_hand.returncode == 255


def test_lost_connection_is_made_anew(bench: Bench) -> None:
    bench.client.close()
    assert done(bench.client, "hostname").strip() == bench.client.name


def test_files_of_a_node_are_its_own(bench: Bench, tmp_path: Path) -> None:
    name = f"of-a-node-{tmp_path.name}"
    for folder in ("/tmp", "/root", "/run"):  # noqa: S108 - the node's
        done(bench.client, "touch", f"{folder}/{name}")
        assert not Path(folder, name).exists()
        assert bench.server.run(["test", "-e", f"{folder}/{name}"]).exit_code == 1


def test_down_leaves_the_host_as_it_was() -> None:
    with state_folder() as root:
        before = host_snapshot(root)
        lab = LocalLab(Wires("none"), state_root=root)
        made = lab.up()
        with SshRemote(made.client, made.ssh_config) as client:
            done(client, "ip", "link", "add", "name", "docker0", "type", "bridge")
            held = held_by(made.scratch)
            lab.down()
            lab.down()
        assert [process for process in held if process.is_alive()] == []
        assert differences(before, host_snapshot(root)) == []


def test_lab_that_is_up_is_left_alone(bench: Bench) -> None:
    assert take_down_all(bench.lab.scratch.parent) == []
    assert done(bench.client, "hostname").strip() == bench.client.name


@pytest.mark.parametrize("how", ENDS)
def test_nodes_end_with_their_owner(how: str) -> None:
    last_words, exit_code = ENDS[how]
    with state_folder() as root:
        owner = subprocess.run([sys.executable, "-c", KILLED_OWNER.replace("END", last_words), str(root)], check=False)
        assert owner.returncode == exit_code
        (left,) = root.iterdir()
        held = held_by(left)
        assert eventually(lambda: not any(process.is_alive() for process in held))
        assert take_down_all(root) == [left.name]
        assert list(root.iterdir()) == []


def test_kept_lab_outlives_its_owner_until_it_is_taken_down() -> None:
    with state_folder() as root:
        before = host_snapshot(root)
        owner = KILLED_OWNER.replace('Wires("none"),', 'Wires("none"), keep=True,').replace("END", "")
        subprocess.run([sys.executable, "-c", owner, str(root)], check=True)
        again = LocalLab(Wires("none"), state_root=root)
        try:
            found = again.up()
            again.down()
            with SshRemote(found.server, found.ssh_config) as server:
                assert done(server, "hostname").strip() == "k8s-2"
        finally:
            assert take_down_all(root) == ["lab"]
        assert differences(before, host_snapshot(root)) == []
