"""Hosts of your own over listening sshd: every way in, and a sentence for every way that does not lead in."""

import csv
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.labs.access import DEVICE
from harness.model.shipped import PROFILES
from tests.lab.bench import bench as own_bench
from tests.lab.bench import done, eventually
from tests.lab.hosts import ADDRESSES, ASKED, CONTROL, FOLDER, FREE, PASSWORD, SSH, Hosts
from tests.lab.hosts import hosts as own_hosts
from tests.lab.machine import OUT, Command, Machine
from tests.lab.runs import TRIAL_COLUMNS
from tests.lab.snapshots import command_lines

pytestmark = [pytest.mark.lab, pytest.mark.other_labs]

SHORT = f"run --profile underlay --blocks 1 --duration 1 --omit 0 --flows 1 --mtu 1500 --out {OUT}".split()
VAULT_PASSWORD = "of the vault"  # noqa: S105 - made for this test
VAULTED = """
nodes:
  vars:
    ansible_user: USER
    ansible_become: true
    ansible_python_interpreter: /usr/bin/python3
    secret: !vault |
      SECRET
    ansible_password: "{{ secret }}"
    ansible_become_password: "{{ secret }}"
  hosts:
    k8s-1: {underlay_address: 172.12.1.11, ansible_host: "{{ underlay_address }}"}
    k8s-2: {underlay_address: 172.12.1.12, ansible_host: "{{ underlay_address }}"}
"""


@pytest.fixture(name="hosts", scope="module")
def module_hosts(machine: Machine) -> Iterator[Hosts]:
    with own_bench("none") as bench, own_hosts(bench, machine) as made:
        yield made


@pytest.fixture(name="config")
def own_config(hosts: Hosts) -> Iterator[Path]:
    """The user's ~/.ssh/config, gone after the test."""
    path = hosts.ssh / "config"
    path.touch()
    yield path
    path.unlink()


def results(hosts: Hosts, command: Command) -> Path:
    """Return the folder that a run has made."""
    (folder,) = [path for path in hosts.machine.results() if path.name in command.stderr]
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    """Return the trials of a run."""
    with (folder / "trials.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def succeeded(hosts: Hosts, command: Command, trials: int) -> None:
    assert command.exit_code == 0, command.stderr
    assert [row["status"] for row in rows(results(hosts, command))] == ["ok"] * trials


ODD = "a b; touch canary; $(touch canary) `touch canary` 'x' ..\n&&"
"""A name that any shell on its way would make something of."""


def test_user_with_sudo_on_hosts_with_one_nic(hosts: Hosts, tmp_path: Path) -> None:
    """Inventory, profiles and results lie in folders whose names are for no shell to see."""
    before, files_before = hosts.bench.snapshot(), sorted(Path.cwd().iterdir())
    (hosts.folder / ODD).mkdir()
    hosts.inventory(ansible_user=FREE, ansible_become=True)
    inventory = (hosts.folder / "mine.yml").rename(hosts.folder / ODD / "mine.yml")
    shutil.copy(PROFILES / "vxlan.yml", hosts.folder / ODD)
    there = f"{FOLDER}/{ODD}"
    words = [*SHORT[:-1], there, "--profiles-dir", there, "--lab", f"{there}/{inventory.name}", "--profile", "vxlan"]
    command = hosts.run(tmp_path, *words)
    assert command.exit_code == 0, command.stderr
    (folder,) = (path.parent for path in (hosts.folder / ODD).glob("*/trials.csv"))
    assert [row["status"] for row in rows(folder)] == ["ok"] * 4
    assert list(rows(folder)[0]) == TRIAL_COLUMNS, "those of every lab"
    assert "vxlan against underlay" in command.stdout
    assert hosts.bench.changes(before) == []
    assert sorted(Path.cwd().iterdir()) == files_before
    assert [name for name in hosts.machine.state()["files"] if "canary" in name.rpartition("/")[2]] == []


def test_which_backend_costs_least_is_the_first_thing_that_is_printed(hosts: Hosts, tmp_path: Path) -> None:
    """The command of docs/hosts.md that answers it, with what is measured cut down."""
    hosts.inventory(ansible_user=FREE, ansible_become=True)
    words = "run --lab mine.yml --profile flannel,host-gw --measure ping --mtu 1450 --blocks 6 --duration 1 --omit 0"
    command = hosts.run(tmp_path, *words.replace("mine.yml", f"{FOLDER}/mine.yml").split(), "--out", OUT)
    assert command.exit_code == 0, command.stderr
    assert command.stdout.startswith(
        ("host-gw costs least, all at", "host-gw costs least, each", "Which profile costs")
    )
    opening = " ".join(command.stdout.partition("\n\n")[0].split())
    assert "of round trip host-gw +" in opening
    assert all(f" {name} at MTU 1450: +" in opening for name in ("host-gw", "flannel"))


@pytest.fixture(name="jump_host_needed")
def only_from_the_first_host(hosts: Hosts) -> Iterator[None]:
    """The second host's sshd does not answer the third host."""
    rule = ["INPUT", "-s", CONTROL, "-p", "tcp", "--dport", "22", "-j", "DROP"]
    done(hosts.bench.server, "iptables", "-A", *rule)
    yield
    done(hosts.bench.server, "iptables", "-D", *rule)


def encrypted(hosts: Hosts, text: str) -> str:
    """Return a text as a vault of Ansible's, whose password is in a file of the third host."""
    hosts.write("vault password", f"{VAULT_PASSWORD}\n")
    program = Path(sys.executable).with_name("ansible-vault")
    words = ["encrypt", "--vault-password-file", str(hosts.folder / "vault password"), "--output", "-"]
    made = subprocess.run(
        [str(program), *words], input=text, capture_output=True, text=True, check=True, env={"LC_ALL": "C.UTF-8"}
    )
    return made.stdout


def leaks(hosts: Hosts, command: Command) -> list[str]:
    """Watch all processes while a command runs, then read what it printed and wrote; return where the password was."""
    seen: set[str] = set()
    while command.exit_code is None:
        seen |= {text for text in command_lines(hosts.machine.root / "proc").values() if PASSWORD in text}
    assert command.exit_code == 0, command.stderr
    files = [path for path in results(hosts, command).rglob("*") if path.is_file()]
    seen |= {str(path) for path in files if PASSWORD in path.read_text(encoding="utf-8", errors="replace")}
    return sorted(seen | {text for text in (command.stdout, command.stderr) if PASSWORD in text})


@pytest.mark.usefixtures("jump_host_needed")
def test_passwords_by_prompt_and_a_jump_host_of_the_inventory(hosts: Hosts, config: Path, tmp_path: Path) -> None:
    config.write_text(f"Host first\n  HostName {ADDRESSES[0]}\n  User root\n", encoding="utf-8")
    jump = {"ansible_ssh_common_args": f"-F {SSH}/config -o ProxyJump=first"}
    before = hosts.bench.snapshot()
    inventory = hosts.inventory(jump, ansible_user=ASKED, ansible_become=True)
    command = hosts.start(tmp_path, *SHORT, "--lab", inventory, "-k", "-K", typed=f"{PASSWORD}\n" * 2)
    assert leaks(hosts, command) == []
    succeeded(hosts, command, 2)
    assert hosts.bench.changes(before) == []


@pytest.mark.usefixtures("jump_host_needed")
def test_passwords_in_a_vault_and_a_jump_host_of_the_users(hosts: Hosts, config: Path, tmp_path: Path) -> None:
    config.write_text(f"Host {ADDRESSES[1]}\n  ProxyJump root@{ADDRESSES[0]}\n", encoding="utf-8")
    before = hosts.bench.snapshot()
    secret = encrypted(hosts, PASSWORD).strip().replace("\n", "\n      ")
    inventory = hosts.write("vaulted.yml", VAULTED.replace("USER", ASKED).replace("SECRET", secret))
    file = {"ANSIBLE_VAULT_PASSWORD_FILE": f"{FOLDER}/vault password"}
    command = hosts.start(tmp_path, *SHORT, "--lab", inventory, variables=file)
    assert leaks(hosts, command) == []
    succeeded(hosts, command, 2)
    assert hosts.bench.changes(before) == []


NOBODY = "172.12.1.77"
# what of the inventory is otherwise, what the user has instead of the right thing, exit code, what the sentence says
REFUSALS: dict[str, tuple[dict[str, object], str, int, list[str]]] = {
    "wrong key": (
        {"ansible_ssh_private_key_file": f"{FOLDER}/other_key", "ansible_ssh_common_args": "-o IdentitiesOnly=yes"},
        "",
        5,
        ["cannot connect to k8s-1 (172.12.1.11)", "does not accept user root", f"{FOLDER}/other_key"],
    ),
    "unknown host key": (
        {"ansible_ssh_common_args": f"-o UserKnownHostsFile={FOLDER}/none"},
        "",
        5,
        ["ssh-ed25519 host key SHA256:", "not in known_hosts", "`ssh -l root -o UserKnownHostsFile=", "accepts it"],
    ),
    "another host's key": (
        {"ansible_ssh_common_args": f"-o UserKnownHostsFile={FOLDER}/swapped"},
        "",
        5,
        ["its host key SHA256:", "is not the one in known_hosts (SHA256:", "ssh-keygen -R"],
    ),
    "nobody there": ({"ansible_host": NOBODY}, "", 5, [f"cannot connect to k8s-1 ({NOBODY})", "No route to host"]),
    "nobody listens": ({"ansible_port": 2222}, "", 5, ["cannot connect to k8s-1 (172.12.1.11)", "refused", "-p 2222"]),
    "not root": ({"ansible_user": FREE}, "", 5, ["user free is not root", "ansible_become: true"]),
    "sudo wants a password": (
        {"ansible_user": ASKED, "ansible_become": True},
        f"{PASSWORD}\n",
        5,
        ["sudo wants a password", "--ask-become-pass"],
    ),
    "wrong password for sudo": (
        {"ansible_user": ASKED, "ansible_become": True, "ansible_become_password": "wrong"},
        f"{PASSWORD}\n",
        5,
        ["sudo does not make user asked root", "password"],
    ),
    "wrong password": ({"ansible_user": ASKED}, "wrong\n", 5, ["does not accept user asked", "or the password"]),
}


@pytest.mark.parametrize("why", REFUSALS)
def test_way_that_does_not_lead_in(hosts: Hosts, tmp_path: Path, why: str) -> None:
    variables, typed, exit_code, words = REFUSALS[why]
    first, second = (hosts.ssh / "known_hosts").read_text(encoding="utf-8").splitlines()
    swapped = [f"{a.split()[0]} {b.split(maxsplit=1)[1]}\n" for a, b in ((first, second), (second, first))]
    hosts.write("swapped", "".join(swapped))
    key = hosts.folder / "other_key"
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    path = hosts.inventory(None, **variables)
    if "ansible_host" in variables:  # the hosts' own addresses come before those of the group
        hosts.write(
            "mine.yml", (hosts.folder / "mine.yml").read_text().replace('_host": "172.12.1.11', f'_host": "{NOBODY}')
        )
    refused(hosts, tmp_path, path, typed, exit_code, words)


def refused(hosts: Hosts, tmp_path: Path, inventory: str, typed: str, exit_code: int, words: list[str]) -> None:
    """Assert that a run ends with this sentence, and that nothing has been changed on either host."""
    before, results_before = hosts.bench.snapshot(), hosts.machine.results()
    ask = ["--ask-pass"] if typed else []
    command = hosts.start(tmp_path, *SHORT, "--profile", "vxlan", "--lab", inventory, *ask, typed=typed)
    assert command.wait() == exit_code, command.stderr
    (sentence,) = [line for line in command.stderr.splitlines() if line.startswith("harness: ")]
    assert [word for word in words if word not in sentence] == [], sentence
    assert PASSWORD not in command.stderr + command.stdout
    assert "Traceback" not in command.stderr
    assert hosts.bench.changes(before) == []
    assert hosts.machine.results() == results_before


def test_host_without_iperf3(hosts: Hosts, tmp_path: Path) -> None:
    done(hosts.bench.server, "mount", "--bind", "/run/hosts/hosts", "/usr/bin/iperf3")  # a file that is no program
    try:
        words = ["k8s-2 has no iperf3", f"ansible-playbook -i {FOLDER}/mine.yml playbooks/install.yml"]
        refused(hosts, tmp_path, hosts.inventory(), "", 3, words)
    finally:
        done(hosts.bench.server, "umount", "/usr/bin/iperf3")


FULL_SEGMENTS = f"""
table ip one_way {{
  chain input {{
    type filter hook input priority 0
    ip saddr {ADDRESSES[1]} ip protocol tcp ip length > 1200 drop
  }}
}}
"""
"""A firewall of the first host: pings and small segments of the second one pass, full ones do not."""


def test_direction_that_is_dead(hosts: Hosts, tmp_path: Path) -> None:
    client = hosts.bench.client
    done(client, "sh", "-ec", 'printf %s "$1" | nft -f -', "sh", FULL_SEGMENTS)
    try:
        before = hosts.bench.snapshot()
        command = hosts.run(tmp_path, *SHORT, "--profile", "vxlan", "--lab", hosts.inventory())
        assert command.exit_code == 7, command.stderr
        assert "underlay is dead from k8s-2 to k8s-1" in command.stderr
        assert "vxlan is dead" not in command.stderr
        assert hosts.bench.changes(before) == []
    finally:
        done(client, "nft", "delete", "table", "ip", "one_way")


OFFLOAD = "gro=on tx=off"
CHANGED = ("generic-receive-offload: on", "tx-checksum-ip-generic: off")


def test_teardown_brings_offload_back_after_a_kill(hosts: Hosts, tmp_path: Path) -> None:
    """Killed in a trial for which switches are not as they were, without a chance to set them back."""

    def switches() -> list[str]:
        return [done(node, "ethtool", "-k", DEVICE) for node in hosts.bench.nodes]

    def measuring() -> bool:
        kept = [path for path in hosts.machine.root.glob(f"{OUT[1:]}/*/trials.csv") if path.parent not in others]
        return bool(kept) and len(rows(kept[0].parent)) > 0

    before, switches_before, others = hosts.bench.snapshot(), switches(), hosts.machine.results()
    assert not [text for text in switches_before for word in CHANGED if word in text]
    inventory = hosts.inventory()
    chosen = ["--profile", "vxlan", *(word for one in OFFLOAD.split() for word in ("--offload", one))]
    with hosts.start(tmp_path, *SHORT, *chosen, "--lab", inventory, "--duration", "5") as command:
        assert eventually(lambda: measuring() or command.exit_code is not None)
        assert [word for text in switches() for word in CHANGED if word not in text] == []
        hosts.kill("harness run")
        command.wait()
    assert [word for text in switches() for word in CHANGED if word not in text] == []
    torn_down = hosts.play(tmp_path, "teardown", inventory, "-e", "profile=vxlan")
    assert torn_down.exit_code == 0, torn_down.stdout + torn_down.stderr
    assert switches() == switches_before

    def left() -> list[str]:  # the killed run's servers have a time limit, Ansible's own folder stays
        changed = [text for text in hosts.bench.changes(before) if "/root/.ansible" not in text]
        return [text for text in changed if "processes gone: " not in text]

    assert eventually(lambda: not left()), left()


def test_connections_of_ansible_end_with_the_run(hosts: Hosts, tmp_path: Path) -> None:
    before = hosts.machine.state()
    command = hosts.run(tmp_path, *SHORT, "--profile", "vxlan", "--lab", hosts.inventory())
    assert command.exit_code == 0, command.stderr
    changed = [text for text in hosts.machine.changes(before) if "/.ansible" not in text]
    # What a killed run had left before goes meanwhile, by itself or with this one.
    assert [text for text in changed if " gone: " not in text or "/vxlan-harness-" not in text] == []


def test_down_removes_what_a_killed_run_left(hosts: Hosts, tmp_path: Path) -> None:
    """On the hosts whatever profile it was; here its folder, in which Ansible's files are."""
    before, here = hosts.bench.snapshot(), hosts.machine.state()
    inventory = hosts.inventory()
    with hosts.start(tmp_path, *SHORT, "--profile", "vxlan", "--lab", inventory, "--duration", "20") as command:
        command.reaches("moving a second of data")
        refused = hosts.run(tmp_path, "lab", "down", "--lab", inventory)
        assert (refused.exit_code, "k8s-1 is in use by run 2" in refused.stderr) == (3, True), refused.stderr
        hosts.kill("harness run")
        command.wait()
    assert hosts.bench.changes(before)
    folders = [path for path in hosts.machine.state()["files"] if "/vxlan-harness-" in path]
    assert folders
    kept = [path for path in folders if path.endswith("/command")]
    assert kept == [], "the whole environment is in it"
    down = hosts.run(tmp_path, "lab", "down", "--lab", inventory)
    assert down.exit_code == 0, down.stderr
    assert "vxlan" in down.stdout

    def left() -> list[str]:  # sessions of a run that an earlier test killed end meanwhile
        changed = [text for text in hosts.bench.changes(before) if "/root/.ansible" not in text]
        return [text for text in changed if "processes gone: " not in text]

    assert eventually(lambda: not left()), left()
    assert [text for text in hosts.machine.changes(here) if "/vxlan-harness-" in text] == []


def test_closed_terminal_does_not_keep_a_run_from_cleaning_up(hosts: Hosts, tmp_path: Path) -> None:
    before, others = hosts.bench.snapshot(), hosts.machine.results()
    leader, follower = pty.openpty()
    command = hosts.start(tmp_path, *SHORT, "--profile", "vxlan", "--lab", hosts.inventory(), stderr=follower)
    os.close(follower)
    with command:
        assert eventually(lambda: "docker0" in done(hosts.bench.client, "ip", "link", "show"))
        os.close(leader)
        assert command.wait() == 0
    assert [text for text in hosts.bench.changes(before) if "/root/.ansible" not in text] == []
    (made,) = [path for path in hosts.machine.results() if path not in others]
    assert {row["status"] for row in rows(made)} == {"ok"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_in_a_teardown_do_not_cut_it_short(hosts: Hosts, tmp_path: Path, number: signal.Signals) -> None:
    before = hosts.bench.snapshot()
    with hosts.start(tmp_path, *SHORT, "--profile", "vxlan", "--lab", hosts.inventory()) as command:
        command.reaches("verifying")
        hosts.signal("harness run", number)
        command.reaches("tearing down")
        for _ in range(3):
            time.sleep(0.3)
            hosts.signal("harness run", number)
        assert command.wait() == 130, command.stderr
    assert "has been taken down" in command.stderr
    assert [text for text in hosts.bench.changes(before) if "/root/.ansible" not in text] == []


STRANGER = """
import socket, sys, time
reached, until = [], time.monotonic() + float(sys.argv[2])
while time.monotonic() < until:
    for port in range(5202, 5212):
        try:
            socket.create_connection((sys.argv[1], port), timeout=0.05).close()
            reached.append(port)
        except ConnectionRefusedError:
            pass
        except OSError as error:
            assert isinstance(error, TimeoutError), error
print(reached)
"""


def test_third_host_does_not_take_a_trials_server(hosts: Hosts, tmp_path: Path) -> None:
    """It knocks at the ports of all trials to come, as fast as it can; without the guard it takes most of them."""
    before = hosts.bench.snapshot()
    words = [*SHORT, "--measure", "iperf3", "--blocks", "4", "--lab", hosts.inventory()]
    with hosts.start(tmp_path, *words) as command:
        command.reaches("verifying")
        stranger = hosts.on_control(sys.executable, "-c", STRANGER, ADDRESSES[1], "12")
        assert command.wait() == 0, command.stderr
    assert stranger.strip() == "[]", "none of them was open to it"
    assert {row["status"] for row in rows(results(hosts, command))} == {"ok"}
    assert {row["reason"] for row in rows(results(hosts, command))} == {""}
    assert "harness_trial" not in done(hosts.bench.server, "nft", "list", "tables")
    assert [text for text in hosts.bench.changes(before) if "/root/.ansible" not in text] == []


def test_teardown_takes_away_what_a_killed_server_left(hosts: Hosts, tmp_path: Path) -> None:
    for words in ("add table inet harness_trial_5209", "add table inet theirs"):
        done(hosts.bench.server, "nft", *words.split())
    torn_down = hosts.play(tmp_path, "teardown", hosts.inventory(), "-e", "profile=vxlan")
    assert torn_down.exit_code == 0, torn_down.stdout
    tables = done(hosts.bench.server, "nft", "list", "tables")
    assert ("harness_trial" in tables, "theirs" in tables) == (False, True)
    done(hosts.bench.server, "nft", "delete", "table", "inet", "theirs")
