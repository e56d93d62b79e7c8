"""Two hosts as users have them: sshd listens on the one NIC, with users, sudo and keys; the harness runs on a third.

The nodes of a lab get a switch between them in place of their wire, and on it a third host, which is nothing but a
network namespace. There the command line runs, on the machine of tests.lab.machine.
"""

from __future__ import annotations

import json
import pwd
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.labs.access import DEVICE
from harness.labs.local import NODES
from harness.model.shipped import PROFILES
from tests.lab.bench import Bench, done, eventually
from tests.lab.machine import HARNESS, OWN, Command, Machine
from tests.lab.snapshots import command_lines

FOLDER = f"{OWN}/hosts"
SSH = f"{pwd.getpwuid(0).pw_dir}/.ssh"
CONTROL = "172.12.1.1"
ADDRESSES = [address for _, address, _ in NODES[:2]]
FREE, ASKED = "free", "asked"
"""Users: one comes in by key and sudo asks nothing; the other's login and sudo want a password."""
PASSWORD = "Tr0ub4dor&3 $(touch canary)"  # noqa: S105 - of a node that is gone in a minute
_NODE = r"""
name=$1 address=$2 hash=$3 key=$4 here=/run/hosts
mkdir -p $here/keys /tmp/free /tmp/asked
for user in root free; do printf '%s\n' "$key" >$here/keys/$user; done
cp /etc/passwd $here/passwd
printf 'free:x:2001:2001::/tmp/free:/bin/sh\nasked:x:2002:2002::/tmp/asked:/bin/sh\n' >>$here/passwd
printf 'free:*:19000:0:99999:7:::\nasked:%s:19000:0:99999:7:::\n' "$hash" >>/run/shadow
printf 'root ALL=(ALL) ALL\nfree ALL=(ALL) NOPASSWD: ALL\nasked ALL=(ALL) ALL\n' >$here/sudoers
printf '127.0.0.1 localhost %s\n' "$name" >$here/hosts
chmod 0440 $here/sudoers
for file in passwd sudoers hosts; do mount --bind $here/$file /etc/$file; done
chown free /tmp/free
chown asked /tmp/asked
printf '%s\n' >$here/sshd_config \
  "ListenAddress $address" 'HostKey /run/harness/host_key' "AuthorizedKeysFile $here/keys/%u" \
  'PidFile none' 'UsePAM no' 'StrictModes no' 'UseDNS no' 'PermitRootLogin prohibit-password'
"$(command -v sshd || echo /usr/sbin/sshd)" -f $here/sshd_config
"""


class Hosts:
    """The two hosts, and what is on the third: keys, known_hosts, inventories."""

    def __init__(self, bench: Bench, machine: Machine, control: int) -> None:
        self.bench = bench
        self.machine = machine
        self.folder = machine.root / FOLDER[1:]
        self.ssh = machine.root / SSH[1:]
        self._net = ["nsenter", f"--net=/proc/{control}/ns/net", "--"]

    def start(
        self,
        tmp_path: Path,
        *words: str,
        typed: str = "",
        variables: Mapping[str, str] | None = None,
        stderr: int | None = None,
    ) -> Command:
        """Start `harness` on the third host; it has no terminal, so passwords are read from what is `typed`.

        What it says goes to the file with the number `stderr`, where one is given.
        """
        environment = ["env", *(f"{name}={value}" for name, value in (variables or {}).items())]
        argv = [*self._net, *self.machine.enter(), "setsid", "--wait", *environment, str(HARNESS), *words]
        return Command(argv, tmp_path, typed, stderr)

    def play(self, tmp_path: Path, playbook: str, inventory: str, *words: str) -> Command:
        """Run one of the playbooks by hand on the third host to its end."""
        program = [
            str(HARNESS.with_name("ansible-playbook")),
            "-i",
            inventory,
            str(PROFILES.parent / f"{playbook}.yml"),
            *words,
        ]
        command = Command([*self._net, *self.machine.enter(), "env", "LC_ALL=C.UTF-8", *program], tmp_path)
        command.wait()
        return command

    def kill(self, text: str) -> None:
        """End the processes of the third host whose command line holds a text, without giving them a chance."""
        self.signal(text, signal.SIGKILL)

    def signal(self, text: str, number: signal.Signals) -> None:
        """Send a signal to the processes of the third host whose command line holds a text; there has to be one."""
        pids = [pid for pid, line in command_lines(self.machine.root / "proc").items() if text in line]
        subprocess.run([*self.machine.enter(), "kill", f"-{number:d}", *map(str, pids)], check=True)

    def run(self, tmp_path: Path, *words: str) -> Command:
        """Run `harness` on the third host to its end."""
        command = self.start(tmp_path, *words)
        command.wait()
        return command

    def inventory(self, server: Mapping[str, object] | None = None, **both: object) -> str:
        """Write an inventory with variables of both hosts, and of the server; return its path on the third host."""
        entries: dict[str, dict[str, Any]] = {
            name: {"ansible_host": address, "underlay_address": address, "underlay_device": DEVICE}
            for name, address, _ in NODES[:2]
        }
        entries["k8s-2"] |= server or {}
        settings = {"ansible_user": "root", "ansible_python_interpreter": "/usr/bin/python3"} | both
        return self.write("mine.yml", json.dumps({"nodes": {"hosts": entries, "vars": settings}}, indent=1))

    def write(self, name: str, text: str) -> str:
        """Write a file of the third host and return its path there."""
        (self.folder / name).write_text(text, encoding="utf-8")
        return f"{FOLDER}/{name}"

    def on_control(self, *argv: str) -> str:
        """Run argv in the third host's network and return its output."""
        return subprocess.run([*self._net, *argv], check=True, capture_output=True, text=True).stdout


@contextmanager
def hosts(bench: Bench, machine: Machine) -> Iterator[Hosts]:
    """Make the switch and the third host, and have sshd listen."""
    argv = "setpriv --pdeathsig KILL unshare --net sleep infinity".split()
    with subprocess.Popen(argv) as control:
        try:
            own = Path("/proc/self/ns/net").readlink()
            assert eventually(lambda: Path(f"/proc/{control.pid}/ns/net").readlink() != own)
            made = Hosts(bench, machine, control.pid)
            made.folder.mkdir()
            made.ssh.mkdir(mode=0o700, exist_ok=True)
            _wire(made)
            _users(made)
            yield made
        finally:
            control.kill()


def _wire(made: Hosts) -> None:
    """Put a switch between the nodes, with the third host on it."""
    state = json.loads((made.bench.lab.scratch / "state.json").read_text(encoding="utf-8"))
    made.on_control(*"ip link add name switch type bridge".split())
    done(made.bench.client, "ip", "link", "del", "dev", DEVICE)
    for node, entry in zip(made.bench.nodes, state["nodes"], strict=True):
        port = f"to-{entry['name']}"
        pid = str(entry["inside"]["pid"])
        made.on_control(*f"ip link add name {port} master switch type veth peer name {DEVICE} netns {pid}".split())
        made.on_control(*f"ip link set dev {port} up".split())
        done(node, "ip", "addr", "add", f"{entry['address']}/24", "dev", DEVICE)
        done(node, "ip", "link", "set", "dev", DEVICE, "up")
    for words in ("link set dev lo up", f"addr add {CONTROL}/24 dev switch", "link set dev switch up"):
        made.on_control("ip", *words.split())


def _users(made: Hosts) -> None:
    """Make a key that both nodes take, know their host keys, and start their sshd."""
    key = made.ssh / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = key.with_suffix(".pub").read_text(encoding="utf-8").strip()
    crypt = ["perl", "-e", "print crypt(<STDIN>, q($6$abcdefgh))"]
    hashed = subprocess.run(crypt, input=PASSWORD, capture_output=True, text=True, check=True).stdout
    known = []
    for node, (name, address, _) in zip(made.bench.nodes, NODES[:2], strict=True):
        done(node, "sh", "-ec", _NODE, "sh", name, address, hashed, public)
        known.append(f"{address} {' '.join(done(node, 'cat', '/run/harness/host_key.pub').split()[:2])}\n")
    (made.ssh / "known_hosts").write_text("".join(known), encoding="utf-8")
